"""Readers of relations: SemEval-2010 Task 8, CoNLL04 and the user's JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import READERS, load_corpus, read
from nlp_gym.data.readers.relation.pairs import cut_words
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.options import Options

SEMEVAL = (
    '7\t"The <e1>pump\'s</e1> handle, pre-<e2>war</e2> style."\nComponent-Whole(e2,e1)\n'
    "Comment: x\n\n"
    '8\t"A <e1>dog</e1> and a <e2>big cat</e2>"\nOther\nComment:\n'
)
CONLL04 = (
    "#doc 5\n0\tAna\tB-Peop\t['Work_For', 'Live_In']\t[3, 5]\n1\tof\tO\t['N']\t[1]\n"
    "2\tOld\tB-Org\t['N']\t[2]\n3\tMill\tI-Org\t['N']\t[3]\n4\tin\tO\t['N']\t[4]\n"
    "5\tRome\tI-Loc\t['N']\t[5]\n"
)


def parse(name: str, text: str, **options: Any) -> Parsed:
    return READERS["relation"][name].parse(text.split("\n"), "f", Options(**options))


def rows(*objects: Any) -> str:
    return "\n".join(json.dumps(row) for row in objects)


def test_semeval_marks_become_spans_of_words() -> None:
    first, second = parse("semeval", SEMEVAL).samples
    assert first.words == ("The", "pump", "'s", "handle", ",", "pre-", "war", "style", ".")
    assert first.extra["pairs"] == ((1, 3, 6, 7),)  # "pre-war" is cut where e2 begins
    assert first.labels == ("Component-Whole(e2,e1)",)
    assert (first.id, second.id) == ("f:1", "f:5")
    assert second.extra["pairs"] == ((1, 2, 4, 6),)
    assert second.labels == ("Other",)


def test_semeval_without_gold_needs_the_sentences_alone() -> None:
    lines = '1\t"A <e1>b</e1> <e2>c</e2>"\n2\t"<e2>D</e2> e <e1>f</e1>"\n'
    first, second = parse("semeval", lines, gold=False).samples
    assert (first.labels, second.labels) == (None, None)
    assert second.extra["pairs"] == ((2, 3, 0, 1),)
    assert [p.line for p in parse("semeval", lines).problems] == [1, 2]


@pytest.mark.parametrize(
    ("block", "line", "message"),
    [
        ('1\t"A <e1>b</e1> c"\nOther', 1, "<e2>"),
        ('1\t"A <e1>b</e1> <e2></e2> c"\nOther', 1, "no word between <e2>"),
        ('1\t"A <e1>b</e1> <e1>x</e1> <e2>d</e2> c"\nOther', 1, "<e1> is there twice"),
        ('1\t"A <e1>b</e1> <e2>d</e2>"\nCause(e1,e3)', 2, "'Cause(e1,e3)' is no relation"),
        ('1\t"A <e1>b</e1> <e2>d</e2>"\nComment: x', 1, "relation is missing"),
        ("Other\n", 1, "'Other' is neither a sentence"),
    ],
)
def test_semeval_problems_name_line_and_fault(block: str, line: int, message: str) -> None:
    parsed = parse("semeval", block)
    assert not parsed.samples
    assert parsed.problems[0].line == line
    assert message in parsed.problems[0].message


def test_conll04_gives_all_ordered_pairs_with_types() -> None:
    (sample,) = parse("conll04", CONLL04).samples
    ana, mill, rome = (0, 1), (2, 4), (5, 6)  # an I- tag that continues nothing begins an entity
    wanted = [(ana, mill), (ana, rome), (mill, ana), (mill, rome), (rome, ana), (rome, mill)]
    assert sample.extra["pairs"] == tuple((*head, *tail) for head, tail in wanted)
    assert sample.extra["types"][:2] == (("Peop", "Org"), ("Peop", "Loc"))
    assert sample.labels == ("Work_For", "Live_In", "NONE", "NONE", "NONE", "NONE")


def test_conll04_without_gold_keeps_the_entities() -> None:
    short = "\n".join("\t".join(line.split("\t")[:3]) for line in CONLL04.split("\n"))
    (sample,) = parse("conll04", short, gold=False).samples
    assert sample.labels is None
    assert sample.extra == parse("conll04", CONLL04).samples[0].extra
    assert parse("conll04", short).problems


def test_a_sentence_without_two_entities_is_left_out_with_a_note() -> None:
    lonely = "#doc 6\n0\tAna\tB-Peop\t['N']\t[0]\n1\tsang\tO\t['N']\t[1]\n"
    parsed = parse("conll04", CONLL04 + lonely)
    assert len(parsed.samples) == 1
    assert [note.line for note in parsed.notes] == [8]
    assert not parsed.problems
    (problem,) = parse("conll04", lonely).problems
    assert "no text of the file has two entities" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("[3, 5]", "[3, 4]", 2, "'Live_In' goes from word 0 to 4, where no entity ends"),
        ("[3, 5]", "[3]", 2, "2 relation(s) but 1 place(s)"),
        ("[3, 5]", "[3, 3]", 2, "with itself, or twice"),
        ("[3, 5]", "[0, 5]", 2, "with itself, or twice"),
        ("[3, 5]", "[3, x]", 2, "no list of places"),
        ("B-Peop", "Peop", 2, "'Peop' is no entity tag"),
        ("1\tof\tO\t['N']\t[1]", "1\tof\tO", 3, "3 column(s)"),
        ("\tof\t", "\t \t", 3, "the word is empty"),
        ("#doc 5", "", 2, "before the first '#doc'"),
    ],
)
def test_conll04_problems_name_line_and_fault(old: str, new: str, line: int, message: str) -> None:
    parsed = parse("conll04", CONLL04.replace(old, new))
    assert parsed.problems[0].line == line
    assert message in parsed.problems[0].message


def test_jsonl_offsets_are_characters_with_text_and_words_with_words() -> None:
    relation = {"head": [0, 3], "tail": [9, 13], "label": "Work_For"}
    text = {"text": "Ana runs Bolt in Oslo.", "relations": [relation]}
    words = {"words": ["Li", "of", "Old", "Rome"], "id": 4}
    words["relations"] = [{"head": [2, 4], "tail": [0, 1], "label": "NONE"}]
    first, second = parse("jsonl", rows(text, words)).samples
    assert first.extra["pairs"] == ((0, 1, 2, 3),)
    assert first.labels == ("Work_For",)
    assert second.extra == {"pairs": ((2, 4, 0, 1),), "id": 4}
    assert second.labels == ("NONE",)


def test_jsonl_entities_stand_for_all_their_pairs() -> None:
    relation = {"head": {"start": 9, "end": 13}, "tail": [0, 3], "label": "Led_By"}
    row = {"text": "Ana runs Bolt.", "entities": [[9, 13, "Org"], [0, 3, "Peop"]]}
    for entities in (
        row["entities"],
        [{"start": s, "end": e, "label": t} for s, e, t in row["entities"]],
    ):
        row = {**row, "entities": entities, "relations": [relation]}
        (sample,) = parse("jsonl", rows(row)).samples
        assert sample.extra["pairs"] == ((0, 1, 2, 3), (2, 3, 0, 1))
        assert sample.extra["types"] == (("Peop", "Org"), ("Org", "Peop"))
        assert sample.labels == ("NONE", "Led_By")
    del row["relations"]
    (sample,) = parse("jsonl", rows(row), gold=False).samples
    assert (sample.labels, len(sample.extra["pairs"])) == (None, 2)
    row = {"text": "Ana runs Bolt.", "entities": [[9, 13], [0, 3, "Peop"]], "relations": []}
    assert "types" not in parse("jsonl", rows(row)).samples[0].extra


def test_jsonl_pairs_do_not_tell_the_order_of_the_file() -> None:
    pairs = [
        {"head": [2, 3], "tail": [0, 1], "label": "b"},
        {"head": [0, 1], "tail": [2, 3], "label": "a"},
    ]
    (sample,) = parse("jsonl", rows({"words": ["x", "y", "z"], "relations": pairs})).samples
    assert sample.extra["pairs"] == ((0, 1, 2, 3), (2, 3, 0, 1))
    assert sample.labels == ("a", "b")


def test_jsonl_column_names_the_label() -> None:
    row = {"words": ["x", "y"], "relations": [{"head": [0, 1], "tail": [1, 2], "kind": "R"}]}
    assert parse("jsonl", rows(row), column="kind").samples[0].labels == ("R",)
    assert "'label'" in parse("jsonl", rows(row)).problems[0].message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relations": None}, "'relations' is null"),
        ({"relations": [{"head": [0, 1], "tail": [0, 1], "label": "R"}]}, "head and tail"),
        ({"relations": [{"head": [0, 1], "tail": [1, 9], "label": "R"}]}, "1..9 lies outside"),
        ({"relations": [{"head": [0, True], "tail": [1, 2], "label": "R"}]}, "whole numbers"),
        ({"relations": [{"head": [0, 1], "tail": [2, 2], "label": "R"}]}, "or is empty"),
        ({"relations": [{"head": [0, 1], "tail": [1, 2], "label": " "}]}, "'label' is empty"),
        ({"relations": [{"head": [0, 1], "tail": [1, 2], "label": "\ud83d"}]}, "surrogate"),
        ({"entities": [[0, 1], [0, 1]]}, "0..1 is there twice"),
        ({"entities": [[0, 1], [2, 3]]}, "none of the entities"),
        ({"words": []}, "'words' has 0 item(s)"),
    ],
)
def test_jsonl_problems_name_key_and_value(change: dict[str, Any], message: str) -> None:
    good = {"words": ["x", "y", "z"], "relations": [{"head": [0, 1], "tail": [1, 2], "label": "R"}]}
    parsed = parse("jsonl", rows(good, {**good, **change}))
    assert len(parsed.samples) == 1
    assert parsed.problems[0].line == 2
    assert message in parsed.problems[0].message


def test_cut_words_finds_each_span_and_loses_no_character() -> None:
    text = "Über-Vater saß, 北京!"
    words, places = cut_words(text, [(5, 10), (16, 18), (17, 18), (14, 15), (10, 11)])
    assert "".join(words) == text.replace(" ", "")
    assert [words[slice(*places[span])] for span in [(5, 10), (16, 18)]] == [
        ["Vater"],
        ["北", "京"],
    ]
    assert (10, 11) not in places  # a space


def test_bundled_samples_hold_every_label() -> None:
    for name, sizes in {"semeval2010_task8": (60, 20, 20), "conll04": (40, 15, 15)}.items():
        for split, size in zip(("train", "dev", "test"), sizes, strict=True):
            corpus = load_corpus(name, split, corpus="sample", family="relation")
            assert len(corpus) == size
            assert {x for s in corpus.samples for x in s.labels or ()} == set(corpus.labels)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "split", "sentences", "relations"),
    [
        ("semeval2010_task8", "train", 7200, None),
        ("semeval2010_task8", "dev", 800, None),
        ("semeval2010_task8", "test", 2717, 2717 - 454),
        ("conll04", "train", 910, 1273),
        ("conll04", "dev", 243, 353),
        ("conll04", "test", 288, 422),
    ],
)
def test_real_corpora_are_read_whole(
    real_data: Path, name: str, split: str, sentences: int, relations: int | None
) -> None:
    corpus = load_corpus(name, split, data_dir=real_data, corpus="full", family="relation")
    assert len(corpus) == sentences
    labels = [x for s in corpus.samples for x in s.labels or () if x not in ("Other", "NONE")]
    assert relations is None or len(labels) == relations
    assert set(labels) <= set(corpus.labels)


@pytest.mark.filterwarnings("default")
def test_texts_without_a_pair_are_told_where_predictions_would_skip_them(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    pair = {"words": ["Ana", "met", "Bo"], "entities": [[0, 1], [2, 3]], "relations": []}
    none = {"words": ["Rain"], "entities": [], "relations": []}
    path.write_text(rows(pair, none, pair, none, none))
    message = r"x\.jsonl:2: fewer than two entities.*predictions skip it \(2 more such rows\)"
    with pytest.warns(UserWarning, match=message):
        samples = read(path, family="relation", gold=False)
    assert [sample.id for sample in samples] == ["x.jsonl:1", "x.jsonl:3"]
    parsed = parse("jsonl", path.read_text())
    assert not parsed.warnings  # with gold nothing has to line up
    assert [note.line for note in parsed.notes] == [2, 4, 5]
