"""Corpora of other languages and tools: each is generated in its style, counted, and played.

A generator draws samples from words written here and knows, before anything is written, how many
samples, words and items of gold there are. The file must be read with these counts, and the oracle
must earn 1.0 on it: it can only if text and gold reached the task as they were meant.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nlp_gym import make_task
from nlp_gym.tasks.core.rollout import rollout

N = 24
"""Samples of a corpus."""


@dataclass
class Generated:
    """A corpus before it is read.

    Attributes:
        env: Id of the environment that plays it.
        files: Content by file name; the first is the one to read.
        counts: Numbers that must come out: samples, words, gold.
        options: Arguments of the environment.
        split: The split that is played; it has a file of that name.
    """

    env: str
    files: Mapping[str, str | bytes]
    counts: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    split: str = "train"


Entity = tuple[int, int, str]


def sentences(
    rng: random.Random, words: str, names: Mapping[str, str]
) -> list[tuple[list[str], list[Entity]]]:
    """Words with entities (first word, one past the last, type), distinct by their first word."""
    plain = words.split()
    found = []
    for number in range(N):
        # A mark and a number would be two words of a raw text.
        first = rng.choice([word for word in plain if word.isalpha()])
        text, entities = [f"{first}{number}"], list[Entity]()
        for _ in range(rng.randint(1, 3)):
            text += rng.choices(plain, k=rng.randint(1, 3))
            kind = rng.choice(sorted(names))
            name = rng.choice(names[kind].split(",")).split()
            entities.append((len(text), len(text) + len(name), kind))
            text += name
        found.append(([*text, plain[-1]], entities))
    return found


def tags(
    n: int, entities: list[Entity], spell: Callable[[str, str], str], scheme: str
) -> list[str]:
    """A tag per word; `scheme` has the letters of a first, middle, last and only word."""
    found = ["O"] * n
    begin, inside, end, single = scheme
    for first, last, kind in entities:
        for at in range(first, last):
            letter = begin if at == first else end if at == last - 1 else inside
            found[at] = spell(single if last - first == 1 else letter, kind)
    return found


def dashed(letter: str, kind: str) -> str:
    return f"{letter}-{kind}"


def counted(found: list[tuple[list[str], list[Entity]]]) -> dict[str, int]:
    return {
        "samples": len(found),
        "words": sum(len(words) for words, _ in found),
        "entities": sum(len(entities) for _, entities in found),
    }


def german_numbered(rng: random.Random) -> Generated:
    """GermEval 2014: a comment line, numbered words, tags of outer and of nested entities."""
    found = sentences(
        rng, "gestern lachte und ging über die Brücke .", {"PER": "Anna Meier,Jörg", "LOC": "Köln"}
    )
    text = ""
    for number, (words, entities) in enumerate(found):
        text += f"#\thttp://example.org/{number}\t[2009-10-17]\n"
        outer = tags(len(words), entities, dashed, "BIIB")
        rows = zip(words, outer, strict=True)
        text += "".join(f"{at}\t{w}\t{tag}\tO\n" for at, (w, tag) in enumerate(rows, 1)) + "\n"
    options = {"comments": "#", "column": 2}
    return Generated("NER-v0", {"train.tsv": text}, counted(found), options)


def spanish_latin1(rng: random.Random) -> Generated:
    """CoNLL-2002: a word, a space and its tag, in ISO 8859-1."""
    found = sentences(
        rng, "mañana él llegó según dijo también .", {"PER": "José Núñez,Íñigo", "ORG": "Unión"}
    )
    blocks = (zip(w, tags(len(w), e, dashed, "BIIB"), strict=True) for w, e in found)
    text = "\n".join("".join(f"{word} {tag}\n" for word, tag in block) for block in blocks)
    options = {"encoding": "latin-1", "data_format": "conll"}
    return Generated("NER-v0", {"esp.train": text.encode("latin-1")}, counted(found), options)


def chinese_characters(rng: random.Random) -> Generated:
    """Resume NER: a character a line, tags BMES."""
    found = sentences(
        rng, "在 去 了 说 很 。", {"NAME": "高 勇,李 小 明", "ORG": "北 京 大 学", "RACE": "汉"}
    )
    blocks = (zip(w, tags(len(w), e, dashed, "BMES"), strict=True) for w, e in found)
    text = "\n".join("".join(f"{word} {tag}\n" for word, tag in block) for block in blocks)
    return Generated("NER-v0", {"train.char.bmes": text}, counted(found), {"data_format": "conll"})


def korean_suffixes(rng: random.Random) -> Generated:
    """Naver NER: numbered words, the letter of a tag behind its type."""
    found = sentences(rng, "오늘 갔다 그리고 왔다 했다", {"PER": "김 철수,이영희", "DAT": "양일"})
    text = ""
    for words, entities in found:
        tagged = tags(len(words), entities, lambda letter, kind: f"{kind}_{letter}", "BIIB")
        rows = enumerate(zip(words, tagged, strict=True), 1)
        text += "".join(f"{at}\t{word}\t{tag}\n" for at, (word, tag) in rows) + "\n"
    return Generated("NER-v0", {"train.conll": text}, counted(found))


def bangla_multiconer(rng: random.Random) -> Generated:
    """MultiCoNER: a comment line with an id, two empty columns between word and tag."""
    found = sentences(rng, "তিনি গেলেন এবং বললেন আজ ।", {"LOC": "ঢাকা,নতুন দিল্লি", "PER": "রহিম"})
    text = ""
    for number, (words, entities) in enumerate(found):
        text += f"# id 1f2e-{number} domain=bn\n"
        tagged = tags(len(words), entities, dashed, "BIIB")
        text += "".join(f"{w} _ _ {t}\n" for w, t in zip(words, tagged, strict=True)) + "\n"
    return Generated("NER-v0", {"bn.conll": text}, counted(found), {"comments": "# id"})


def turkish_universal(rng: random.Random) -> Generated:
    """CoNLL-U of Universal Dependencies: comments, multi-word tokens and an empty node."""
    lexicon = {"ev": "NOUN", "güzel": "ADJ", "geldi": "VERB", "ve": "CCONJ", "İzmir": "PROPN"}
    text, n_words = "", 0
    for number in range(N):
        words = [f"bu{number}", *rng.choices(sorted(lexicon), k=rng.randint(2, 6)), "."]
        n_words += len(words)
        text += f"# sent_id = {number}\n# text = {' '.join(words)}\n"
        for at, word in enumerate(words, 1):
            if at == 2:
                text += "2-3\t" + word + "\t_" * 8 + "\n"
            upos = lexicon.get(word, "PUNCT" if word == "." else "DET")
            text += f"{at}\t{word}\t_\t{upos}\t_\t_\t0\troot\t_\t_\n"
        text += f"{len(words)}.1\tE" + "\t_" * 8 + "\n\n"
    counts = {"samples": N, "words": n_words}
    return Generated("POS-v0", {"tr.conllu": text}, counts)


def arabic_questions(rng: random.Random) -> Generated:
    """XQuAD: the JSON of SQuAD, with answers in another script."""
    places = ["القاهرة", "دمشق", "بغداد", "الرباط"]
    paragraphs = []
    for number in range(N):
        place = rng.choice(places)
        context = f"ولد الكاتب رقم {number} في مدينة {place} قبل مئة عام."
        answer = {"text": place, "answer_start": context.index(place)}
        question = {"id": f"q{number}", "question": "أين ولد الكاتب؟", "answers": [answer]}
        paragraphs.append({"context": context, "qas": [question]})
    text = json.dumps({"data": [{"title": "ا", "paragraphs": paragraphs}]}, ensure_ascii=False)
    return Generated("SpanQA-v0", {"xquad.ar.json": text}, {"samples": N, "gold": N})


def chinese_reviews(rng: random.Random) -> Generated:
    """ChnSentiCorp: tab-separated, the label first, quotes that are text."""
    rows = [
        (rng.choice("01"), f'"房间{number}很{rng.choice("大小")}，服务"好"') for number in range(N)
    ]
    text = "label\ttext_a\n" + "".join(f"{label}\t{review}\n" for label, review in rows)
    options = {"text_column": "text_a"}
    return Generated("Classification-v0", {"train.tsv": text}, {"samples": N, "gold": N}, options)


def french_fasttext(rng: random.Random) -> Generated:
    """fastText: several labels before each text."""
    marks = ["__label__pain", "__label__four", "__label__levure"]
    rows = [rng.sample(marks, k=rng.randint(1, 3)) for _ in range(N)]
    text = "".join(
        f"{' '.join(row)} Comment réussir la recette {number} ?\n"
        for number, row in enumerate(rows)
    )
    counts = {"samples": N, "gold": sum(map(len, rows))}
    return Generated("MultiLabel-v0", {"cuisine.txt": text}, counts)


def joined(words: list[str], entities: list[Entity]) -> tuple[str, list[Entity]]:
    """The text of words, and the entities at its characters."""
    starts, at = [], 0
    for word in words:
        starts.append(at)
        at += len(word) + 1
    spans = [(starts[i], starts[j - 1] + len(words[j - 1]), kind) for i, j, kind in entities]
    return " ".join(words), spans


def portuguese_doccano(rng: random.Random) -> Generated:
    """doccano: character offsets in a list of lists, after an emoji."""
    found = sentences(
        rng, "ontem 😀 chegou à praça então .", {"PER": "João Sá,Inês", "LOC": "Évora"}
    )
    rows = []
    for number, (words, entities) in enumerate(found):
        text, spans = joined(words, entities)
        rows.append({"id": number, "text": text, "label": [list(span) for span in spans]})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Generated("NER-v0", {"admin.jsonl": text}, counted(found))


def ukrainian_label_studio(rng: random.Random) -> Generated:
    """Label Studio: one JSON list of tasks with their annotations."""
    found = sentences(
        rng, "вчора приїхав до міста потім .", {"PER": "Олена Ткач,Іван", "LOC": "Львів"}
    )
    rows = []
    for number, (words, entities) in enumerate(found):
        text, spans = joined(words, entities)
        result = [
            {
                "id": f"r{at}", "type": "labels", "from_name": "label", "to_name": "text",
                "value": {"start": i, "end": j, "text": text[i:j], "labels": [kind]},
            }
            for at, (i, j, kind) in enumerate(spans)
        ]  # fmt: skip
        annotation = {"id": number, "was_cancelled": False, "result": result}
        rows.append({"id": number, "data": {"text": text}, "annotations": [annotation]})
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    return Generated("NER-v0", {"project-1.json": text}, counted(found))


def russian_spacy(rng: random.Random) -> Generated:
    """spaCy: a list of text and annotations a line."""
    found = sentences(rng, "вчера он приехал и сказал .", {"PER": "Анна Лебедева", "LOC": "Тверь"})
    rows = []
    for words, entities in found:
        text, spans = joined(words, entities)
        rows.append([text, {"entities": [list(span) for span in spans]}])
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Generated("NER-v0", {"train.jsonl": text}, counted(found))


def french_spert(rng: random.Random) -> Generated:
    """SpERT: one JSON list; entities and relations at indices of tokens."""
    rows, n_words = [], 0
    for number in range(N):
        filler = [f"hier{number}", *rng.choices(["déjà", "encore", "ici"], k=rng.randint(0, 3))]
        name, place = rng.choice([["Ana"], ["Bo", "Li"]]), rng.choice([["Oslo"], ["La", "Paz"]])
        tokens = [*filler, *name, "habite", "à", *place, "."]
        i, j = len(filler), len(filler) + len(name) + 2
        n_words += len(tokens)
        entities = [
            {"type": "Peop", "start": i, "end": i + len(name)},
            {"type": "Loc", "start": j, "end": j + len(place)},
        ]
        relations = [{"type": "Live_In", "head": 0, "tail": 1}]
        rows.append(
            {"tokens": tokens, "entities": entities, "relations": relations, "orig_id": number}
        )
    text = json.dumps(rows, ensure_ascii=False)
    counts = {"samples": N, "words": n_words, "relations": N}
    return Generated("Relation-v0", {"train.json": text}, counts)


def chinese_triples(rng: random.Random) -> Generated:
    """A knowledge graph of OpenKE or CN-DBpedia: triples with tabs."""
    place, home = rng.choice(["位于", "坐落于"]), "所在国"
    train = [(f"城市{i}", place, f"省份{i % 5}") for i in range(N)]
    train += [(f"省份{i}", "属于", "中国") for i in range(5)]
    train += [(f"城市{i}", home, "中国") for i in range(N // 2)]
    dev = [(f"城市{i}", home, "中国") for i in range(N // 2, N)]
    files = {
        f"{split}.txt": "".join("\t".join(row) + "\n" for row in rows)
        for split, rows in (("train", train), ("dev", dev))
    }
    return Generated("KnowledgeGraph-v0", files, {"samples": len(dev)}, split="dev")


def italian_choices(rng: random.Random) -> Generated:
    """CommonsenseQA: a JSON object a line, the key is a letter."""
    rows = []
    for number in range(N):
        right = rng.randrange(5)
        texts = [f"la risposta {number} {'giusta' if i == right else i}" for i in range(5)]
        choices = [{"label": "ABCDE"[i], "text": text} for i, text in enumerate(texts)]
        question = {"stem": f"Qual è la risposta numero {number}?", "choices": choices}
        rows.append({"id": str(number), "question": question, "answerKey": "ABCDE"[right]})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Generated("ChoiceQA-v0", {"dev_rand_split.jsonl": text}, {"samples": N, "gold": N})


def czech_opus(rng: random.Random) -> Generated:
    """OPUS: two files whose lines belong together; a carriage return inside a line is text."""
    source = [f"Dům číslo {i} je {rng.choice(['malý', 'velký'])}." for i in range(N)]
    target = [f"House number {i} is here." for i in range(N)]
    files = {
        "train.cs": "".join(f"{line}\n" for line in source),
        "train.en": "".join(f"{line}\n" for line in target).replace("number 3 ", "number \r3 "),
    }
    return Generated("Translation-v0", files, {"samples": N, "gold": N}, {"pair": "cs-en"})


STYLES = (
    german_numbered,
    spanish_latin1,
    chinese_characters,
    korean_suffixes,
    bangla_multiconer,
    turkish_universal,
    arabic_questions,
    chinese_reviews,
    french_fasttext,
    portuguese_doccano,
    ukrainian_label_studio,
    russian_spacy,
    french_spert,
    chinese_triples,
    italian_choices,
    czech_opus,
)


def found_counts(task: Any, wanted: Mapping[str, int]) -> dict[str, int]:
    """The numbers of `wanted` in what was read."""
    samples = task.corpus.samples
    labels = [label for sample in samples for label in sample.labels or ()]
    golds = [s.gold if s.gold is not None else s.labels for s in samples]
    found = {
        "samples": len(samples),
        "words": sum(len(sample.words) for sample in samples),
        "entities": sum(label.startswith("B-") for label in labels),
        "relations": sum(label != task.labels[0] for label in labels),
        "gold": sum(len(g) if isinstance(g, (tuple, frozenset)) else 1 for g in golds),
    }
    return {name: found[name] for name in wanted}


@pytest.mark.filterwarnings("ignore::UserWarning")  # what was recognised is told once per file
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
def test_oracle_plays_corpora_of_other_languages_and_tools(
    tmp_path: Path, style: Callable[[random.Random], Generated]
) -> None:
    corpus = style(random.Random(style.__name__))
    for name, content in corpus.files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    first, last = tmp_path / next(iter(corpus.files)), tmp_path / list(corpus.files)[-1]
    data = {"train": first} if corpus.split == "train" else {"train": first, corpus.split: last}
    task = make_task(corpus.env, corpus.split, data=data, encoder="hashed", **corpus.options)
    assert found_counts(task, corpus.counts) == corpus.counts
    score = task.score(rollout(task, "oracle"), bootstrap=0)
    assert score.value == 1.0
    assert score.n == corpus.counts["samples"]
