"""Exports of annotation tools: a corpus in each schema is read back, or refused with the fix."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nlp_gym
from nlp_gym.data import CheckReport, check, read
from nlp_gym.data.readers.guess.family import guess_family
from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import DataFormatError
from nlp_gym.types import Sample

TEXT = "Ana left Oslo."
NAMES = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")

# Texts with the places and types of their entities.
CORPUS: list[tuple[str, list[tuple[int, int, str]]]] = [
    (TEXT, [(0, 3, "PER"), (9, 13, "LOC")]),
    ("Ana Li met 李雷 in 北京.", [(0, 6, "PER"), (11, 13, "PER"), (17, 19, "LOC")]),
    ("No one left.", []),
    ("🙂 José's New York 🙂 and Rome", [(2, 6, "PER"), (9, 17, "LOC"), (24, 28, "LOC")]),
]


def words_of(text: str) -> list[str]:
    return [word for word, _, _ in split_words(text)]


def expected(text: str, entities: list[tuple[int, int, str]]) -> tuple[str, ...]:
    """Tags of the words of a text."""
    tags = []
    for _, start, end in split_words(text):
        inside = next((e for e in entities if e[0] <= start and end <= e[1]), None)
        letter = "" if inside is None else "B" if inside[0] == start else "I"
        tags.append("O" if inside is None else f"{letter}-{inside[2]}")
    return tuple(tags)


GOLD = [(tuple(words_of(text)), expected(text, entities)) for text, entities in CORPUS]


def token_entities(text: str, entities: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    return entity_spans(expected(text, entities))


def utf16(text: str, at: int) -> int:
    return len(text[:at].encode("utf-16-le")) // 2


def doccano(text: str, entities: Any, n: int) -> Any:
    return {"id": n, "text": text, "label": [list(entity) for entity in entities], "Comments": []}


def doccano_relations(text: str, entities: Any, n: int) -> Any:
    spans = [
        {"id": 7 * n + i, "label": kind, "start_offset": start, "end_offset": end}
        for i, (start, end, kind) in enumerate(entities)
    ]
    return {"id": n, "text": text, "entities": spans, "relations": []}


def label_studio(text: str, entities: Any, n: int) -> Any:
    results = [
        {
            "value": {
                "start": utf16(text, start),
                "end": utf16(text, end),
                "text": text[start:end],
                "labels": [kind],
            },
            "id": f"r{i}",
            "from_name": "ner",
            "to_name": "text",
            "type": "labels",
            "origin": "manual",
        }
        for i, (start, end, kind) in enumerate(entities)
    ]
    skipped = {"id": 1, "result": [], "was_cancelled": True}
    done = {"id": 2, "result": results, "was_cancelled": False, "ground_truth": False}
    return {"id": n, "annotations": [skipped, done], "predictions": [], "data": {"text": text}}


def label_studio_minimal(text: str, entities: Any, n: int) -> Any:
    spans = [
        {"start": start, "end": end, "text": text[start:end], "labels": [kind]}
        for start, end, kind in entities
    ]
    row = {"id": n, "text": text, "annotator": 1, "annotation_id": n, "lead_time": 2.5}
    return {**row, "label": spans} if spans else row


def prodigy(text: str, entities: Any, n: int) -> Any:
    tokens = [
        {"text": word, "start": start, "end": end, "id": i, "ws": False}
        for i, (word, start, end) in enumerate(split_words(text))
    ]
    spans = [
        {"start": start, "end": end, "token_start": a, "token_end": b - 1, "label": kind}
        for (start, end, kind), (a, b, _) in zip(
            entities, token_entities(text, entities), strict=True
        )
    ]
    view = {"_view_id": "ner_manual", "answer": "accept", "_input_hash": n}
    return {"text": text, "tokens": tokens, "spans": spans, **view}


def spacy(text: str, entities: Any, n: int) -> Any:
    return [text, {"entities": [list(entity) for entity in entities]}]


def spacy_document(text: str, entities: Any, n: int) -> Any:
    tokens = [{"id": i, "start": a, "end": b} for i, (_, a, b) in enumerate(split_words(text))]
    ents = [{"start": start, "end": end, "label": kind} for start, end, kind in entities]
    return {"text": text, "ents": ents, "tokens": tokens}


def spacy_2(text: str, entities: Any, n: int) -> Any:
    biluo = list(expected(text, entities))
    for a, b, kind in token_entities(text, entities):
        biluo[b - 1] = f"L-{kind}" if b - a > 1 else f"U-{kind}"
    pairs = zip(words_of(text), biluo, strict=True)
    tokens = [{"id": i, "orth": word, "ner": tag} for i, (word, tag) in enumerate(pairs)]
    return {"id": n, "paragraphs": [{"raw": text, "sentences": [{"tokens": tokens}]}]}


def huggingface(text: str, entities: Any, n: int) -> Any:
    tags = [NAMES.index(tag) for tag in expected(text, entities)]
    return {"id": str(n), "tokens": words_of(text), "ner_tags": tags}


def spert(text: str, entities: Any, n: int) -> Any:
    spans = [{"type": k, "start": a, "end": b} for a, b, k in token_entities(text, entities)]
    return {"tokens": words_of(text), "entities": spans, "relations": [], "orig_id": n}


Write = Callable[[str, Any, int], Any]
SCHEMAS: dict[str, tuple[str, Write]] = {
    "doccano": ("doccano", doccano),
    "doccano with relations": ("doccano", doccano_relations),
    "Label Studio": ("label-studio", label_studio),
    "Label Studio JSON-MIN": ("label-studio", label_studio_minimal),
    "Prodigy": ("prodigy", prodigy),
    "spaCy": ("spacy", spacy),
    "spaCy, Doc.to_json": ("spacy", spacy_document),
    "spaCy 2": ("spacy", spacy_2),
    "Hugging Face": ("huggingface", huggingface),
    "SpERT": ("spert", spert),
}


def in_file(rows: list[Any], form: str) -> str:
    if form == "lines":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return json.dumps(rows, ensure_ascii=False, indent=2 if form == "indented" else None)


@pytest.mark.parametrize("form", ["lines", "list", "indented"])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_exports_of_a_corpus_are_read_back(tmp_path: Path, schema: str, form: str) -> None:
    format, write = SCHEMAS[schema]
    rows = [write(text, entities, n) for n, (text, entities) in enumerate(CORPUS)]
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    for name in ("x.jsonl", "x.json", "x.txt"):  # the content tells
        path = tmp_path / name
        path.write_text(in_file(rows, form), encoding="utf-8")
        report = check(path)
        assert report.ok, report.problems
        assert report.format == format
        samples = read(path)
        assert [(sample.words, sample.labels) for sample in samples] == GOLD
    texts = read(path, gold=False)
    assert [sample.words for sample in texts] == [words for words, _ in GOLD]
    assert all(sample.labels is None for sample in texts)
    if schema != "SpERT":  # its relations are another family's
        assert guess_family(path) == "tagging"


def test_exports_brat_is_read_from_either_file(tmp_path: Path) -> None:
    text, lines, at = "", list[str](), 0
    for content, entities in CORPUS:
        for start, end, kind in entities:
            number = len(lines) + 1
            lines.append(f"T{number}\t{kind} {at + start} {at + end}\t{content[start:end]}")
        text += content + "\n"
        at = len(text)
    lines += ["R1\tLives_In Arg1:T1 Arg2:T2", "#1\tAnnotatorNotes T1\tsure"]
    (tmp_path / "doc.txt").write_text(text, encoding="utf-8")
    (tmp_path / "doc.ann").write_text("\n".join(lines), encoding="utf-8")
    for name in ("doc.ann", "doc.txt"):
        report = check(tmp_path / name)
        assert (report.ok, report.format) == (True, "brat")
        assert [(sample.words, sample.labels) for sample in read(tmp_path / name)] == GOLD
        assert "2 annotation(s) that are no entities" in report.warnings[0].message
    ids = [sample.id for sample in read(tmp_path / "doc.ann")]
    assert ids == [f"doc.txt:{n}" for n in (1, 2, 3, 4)]


def brat(folder: Path, text: str, *lines: str, **options: Any) -> CheckReport:
    (folder / "doc.txt").write_bytes(text.encode())
    (folder / "doc.ann").write_text("\n".join(lines), encoding="utf-8")
    return check(folder / "doc.ann", **options)


def test_exports_brat_entities_over_lines_and_of_several_parts(tmp_path: Path) -> None:
    text = "In New\nYork it rains.\nAna swims.\n"
    city = "T1\tLOC 3 6;7 11\tNew York"
    report = brat(tmp_path, text, city, "T2\tPER 22 25\tAna")
    assert [sample.words for sample in report.samples] == [
        ("In", "New", "York", "it", "rains", "."),
        ("Ana", "swims", "."),
    ]
    assert report.labels == {"O": 6, "B-LOC": 1, "I-LOC": 1, "B-PER": 1}
    parts = brat(
        tmp_path, text, city, "T2\tX 0 2;7 11\tIn York", "T3\tY 7 14\tYork it", bad_rows="skip"
    )
    assert [(problem.line, problem.message[:30]) for problem in parts.problems] == [
        (2, "T2 has several parts (0 2;7 11"),
        (3, "'York it' overlaps another ent"),
    ]
    assert [sample.words[0] for sample in parts.samples] == ["Ana"]
    wrong = brat(tmp_path, text, "T1\tLOC 3 6\tNew", "T2\tPER 22 25\tBob", "nonsense")
    assert [problem.line for problem in wrong.problems] == [2, 3]
    assert "own text is 'Bob'" in wrong.problems[0].message
    ends = brat(tmp_path, text.replace("\n", "\r\n"), "T1\tLOC 3 6\tNew", "T2\tPER 24 27\tAna")
    assert ends.ok
    assert "a line's end has two" in ends.warnings[0].message
    (tmp_path / "doc.txt").unlink()
    assert "doc.txt, is not beside it" in check(tmp_path / "doc.ann").problems[0].message


def written(folder: Path, rows: Any, name: str = "x.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def span(start: int, end: int, *labels: str, source: str = "ner", **value: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": list(labels), **value}
    return {"value": value, "from_name": source, "to_name": "text", "type": "labels"}


def task(*annotations: Any, **data: str) -> dict[str, Any]:
    return {"id": 5, "annotations": list(annotations), "data": data or {"text": TEXT}}


PER, LOC = span(0, 3, "PER"), span(9, 13, "LOC")
PAGE = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 3}


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([task({"result": [LOC], "was_cancelled": True}, {"result": [PER]})], "B-PER O O O", None),
        ([task({"result": [LOC]}, {"result": [PER], "ground_truth": True})], "B-PER O O O", None),
        ([task({"result": [LOC, PER]}, {"result": [PER, LOC]})], "B-PER O B-LOC O", None),
        ([task(), task({"result": [PER]})], "B-PER O O O", "1 task(s) without an annotation"),
        (
            [task({"result": [PER, {"type": "choices", "value": {"choices": ["a"]}}]})],
            "B-PER O O O",
            "1 result(s) that are no spans",
        ),
        (
            [{"id": 1, "completions": [{"result": [PER]}], "data": {"text": TEXT}}],
            "B-PER O O O",
            None,
        ),
        (task({"result": [PER]}), "B-PER O O O", None),  # one task alone
        ([task({"result": [PER]}, body=TEXT)], "B-PER O O O", None),
    ],
)  # fmt: skip
def test_exports_label_studio_takes_the_annotation_that_counts(
    tmp_path: Path, rows: Any, labels: str, message: str | None
) -> None:
    report = check(written(tmp_path, rows))
    assert report.ok, report.problems
    assert report.format == "label-studio"
    assert [sample.labels for sample in report.samples] == [tuple(labels.split())]
    assert report.samples[0].extra["id"] in (1, 5)
    assert [str(message) in note.message for note in report.warnings] == [True] * bool(message)


@pytest.mark.parametrize(
    ("rows", "message", "fix"),
    [
        ([task({"result": [LOC]}, {"result": [PER]})], "2 annotations of one task differ", None),
        (
            [task({"result": [PER, span(0, 3, "NNP", source="pos")]})],
            "several kinds ('ner', 'pos')",
            {"column": "ner"},
        ),
        (
            [task({"result": [PER]}, title=TEXT, body=TEXT)],
            "(texts: 'title', 'body')",
            {"text_column": "body"},
        ),
        ([task({"result": [span(0, 3, "PER", "ORG")]})], "2 labels where one is needed", None),
        ([task({"result": [span(0, 3)]})], "0 labels where one is needed", None),
        ([task({"result": [span(0, 3, "PER", text="Bob")]})], "own text is 'Bob'", None),
        (
            [task({"result": [{"from_name": "n", "type": "hypertextlabels",
                               "value": {**PAGE, "hypertextlabels": ["PER"]}}]})],
            "'hypertextlabels', whose offsets are those of a page",
            None,
        ),
        ([{"id": 1, "text": TEXT, "ner": [{**PAGE, "hypertextlabels": ["PER"]}], "annotator": 1},
          {"id": 1, "text": TEXT, "ner": [{"start": 0, "end": 3, "labels": ["PER"]}]}],
         "the spans are those of a page", None),
    ],
)  # fmt: skip
def test_exports_label_studio_asks_where_two_readings_are_possible(
    tmp_path: Path, rows: Any, message: str, fix: dict[str, str] | None
) -> None:
    path = written(tmp_path, rows)
    report = check(path)
    assert report.format == "label-studio"
    assert message in report.problems[0].message
    if fix is not None:
        assert check(path, **fix).labels == {"B-PER": 1, "O": 3}


def test_exports_prodigy_reads_what_was_accepted(tmp_path: Path) -> None:
    accepted = {"text": TEXT, "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"}
    others = [{**accepted, "answer": answer} for answer in ("reject", "ignore", "reject")]
    path = written(tmp_path, [*others, accepted, {"text": "Bo.", "tokens": []}])
    report = check(path, "prodigy")
    assert [sample.labels for sample in report.samples] == [("B-PER", "O", "O", "O"), ("O", "O")]
    assert [note.message for note in report.warnings] == [
        "2 text(s) whose answer is 'reject' are left out",
        "1 text(s) whose answer is 'ignore' are left out",
    ]
    one = written(tmp_path, [{**accepted, "_view_id": "ner"}])
    with pytest.warns(UserWarning, match="one suggested entity at a time"):
        read(one)
    assert (
        "allowed: accept"
        in check(written(tmp_path, [{**accepted, "answer": 1}])).problems[0].message
    )


def test_exports_prodigy_tokens_have_to_agree(tmp_path: Path) -> None:
    tokens = [
        {"text": "Ana", "start": 0, "end": 3, "id": 0},
        {"text": "\n ", "start": 3, "end": 5, "id": 1},
        {"text": "Li-Mo", "start": 5, "end": 10, "id": 2},
    ]
    both = {"token_start": 0, "token_end": 2, "label": "PER"}
    row = {"text": "Ana\n Li-Mo", "tokens": tokens, "spans": [both], "answer": "accept"}
    report = check(written(tmp_path, [row]))
    assert report.samples[0].words == ("Ana", "Li-Mo")  # white space is no word
    assert report.samples[0].labels == ("B-PER", "I-PER")
    wrong = [
        ({"spans": [{**both, "start": 0, "end": 3}]}, "do not agree"),
        ({"spans": [{**both, "token_end": 3}]}, "token_end"),
        ({"tokens": [{**tokens[0], "text": "Bob"}]}, "the token 'Bob' is not at 0..3"),
        ({"tokens": [tokens[0], {**tokens[0], "id": 1}]}, "overlaps another one"),
    ]
    for change, message in wrong:
        assert message in check(written(tmp_path, [{**row, **change}])).problems[0].message


def test_exports_spacy_annotator_files_and_missing_tags(tmp_path: Path) -> None:
    pairs = [[TEXT, {"entities": [[0, 3, "PER"]]}], None, ["Bo.", {"entities": []}]]
    report = check(written(tmp_path, {"classes": ["PER"], "annotations": pairs}))
    assert (report.format, report.n_samples) == ("spacy", 2)
    assert report.labels == {"B-PER": 1, "O": 5}
    sentences = [
        {"tokens": [{"orth": "Ana", "tag": "NNP", "ner": "U-PER"}]},
        {"tokens": [{"orth": "Bo", "tag": "NNP", "ner": "-"}]},
    ]
    path = written(tmp_path, [{"id": 0, "paragraphs": [{"sentences": sentences}]}])
    assert "its annotation is missing" in check(path).problems[0].message
    assert check(path, bad_rows="skip").labels == {"B-PER": 1}
    assert check(path, column="tag").labels == {"NNP": 2}
    binary = tmp_path / "train.spacy"
    binary.write_bytes(zlib.compress(b"\x83\xa7version\xa30.1"))
    with pytest.raises(DataFormatError, match=r"spaCy's DocBin.*as JSON lines"):
        read(binary)


FEATURES = {
    "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
    "pos_tags": {"feature": {"names": ["DT", "NN"], "_type": "ClassLabel"}, "_type": "Sequence"},
    "ner_tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": "List"},
}
CARD = """---
license: mit
dataset_info:
  features:
  - name: tokens
    sequence: string
  - name: pos_tags
    sequence:
      class_label:
        names:
          '0': DT
          '1': NN
  - name: ner_tags
    sequence:
      class_label:
        names:
          '0': O
          '1': B-PER
  splits:
  - name: train
---
# A card
"""


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dataset_info.json", json.dumps({"features": FEATURES})),
        ("dataset_infos.json", json.dumps({"en": {"features": FEATURES}})),
        ("README.md", CARD),
        ("label2id.json", '{"B-PER": 1, "O": 0}'),
        ("id2label.json", '{"0": "O", "1": "B-PER"}'),
        ("config.json", '{"model_type": "bert", "id2label": {"0": "O", "1": "B-PER"}}'),
        ("labels.json", '["O", "B-PER"]'),
        ("labels.txt", "O\nB-PER\n"),
        ("names.txt", "O\nB-PER\n"),
    ],
)
def test_exports_huggingface_names_lie_beside_the_rows(
    tmp_path: Path, file: str, content: str
) -> None:
    row = {"id": "0", "tokens": ["Ana", "left"], "ner_tags": [1, 0], "pos_tags": [1, 0]}
    path = written(tmp_path, row, "x.jsonl")
    alone = check(path)
    assert alone.format == "huggingface"
    assert "put a file labels.txt beside this one" in alone.problems[0].message
    with pytest.raises(DataFormatError, match="nothing says their names"):
        nlp_gym.make_task("NER-v0", data={"train": path}, encoder="hashed")
    (tmp_path / file).write_text(content)
    report = check(path)
    assert report.labels == {"B-PER": 1, "O": 1}
    assert [note.message.split(":")[0] for note in report.warnings] == [
        f"the names of the labels are those of {file}"
    ]
    if "NN" in content:
        assert check(path, column="pos_tags").labels == {"NN": 1, "DT": 1}
    beyond = written(tmp_path, {**row, "ner_tags": [2, 0]}, "y.jsonl")
    assert "has the number 2" in check(beyond).problems[0].message
    text = written(tmp_path, {**row, "ner_tags": ["B-ORG", "O"]}, "z.jsonl")
    assert check(text).labels == {"B-ORG": 1, "O": 1}


def test_exports_huggingface_names_of_an_environment_are_doubtful(tmp_path: Path) -> None:
    path = written(tmp_path, {"tokens": ["Ana", "left"], "ner_tags": [1, 0]}, "x.jsonl")
    with pytest.warns(UserWarning, match="those of labels=: 0 'O', 1 'B-PER'"):
        made = nlp_gym.make_task(
            "NER-v0", data={"train": path}, labels=["O", "B-PER", "I-PER"], encoder="hashed"
        )
    assert made.corpus.samples[0].labels == ("B-PER", "O")
    (tmp_path / "labels.txt").write_text("B-PER\nO\n")  # it was made for these numbers
    made = nlp_gym.make_task(
        "NER-v0", data={"train": path}, labels=["O", "B-PER", "I-PER"], encoder="hashed"
    )
    assert made.corpus.samples[0].labels == ("O", "B-PER")


def test_exports_huggingface_rows_of_the_viewer_and_several_configurations(tmp_path: Path) -> None:
    row = {"tokens": ["Ana", "left"], "ner_tags": [1, 0]}
    features = [{"feature_idx": 0, "name": "ner_tags", "type": FEATURES["ner_tags"]}]
    rows = [{"row_idx": 0, "row": row, "truncated_cells": []}]
    assert check(written(tmp_path, {"features": features, "rows": rows})).labels == {
        "B-PER": 1,
        "O": 1,
    }
    other = {"ner_tags": {"feature": {"names": ["B-PER", "O"], "_type": "ClassLabel"}}}
    infos = {"a": {"features": FEATURES}, "b": {"features": other}}
    (tmp_path / "dataset_infos.json").write_text(json.dumps(infos))
    assert "several lists of names" in check(written(tmp_path, [row])).problems[0].message


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        ({"type": "P", "start": 0, "end": 3}, "lies outside the 2 words"),
        ({"type": "P", "start": 1, "end": 1}, "is empty"),
        ({"start": 0, "end": 1}, "'label'"),
        ({"type": "P", "start": 0, "end": 1.5}, "whole numbers"),
    ],
)
def test_exports_spert_entities_are_words(tmp_path: Path, entity: Any, message: str) -> None:
    row = {"tokens": ["Ana", "lives"], "entities": [entity], "relations": []}
    assert message in check(written(tmp_path, [row]), "spert").problems[0].message


def test_exports_overlapping_entities_are_refused_in_each(tmp_path: Path) -> None:
    entities = [(0, 3, "PER"), (0, 8, "X")]
    tokens = {"tokens": ["Ana", "left"], "entities": [
        {"type": "P", "start": 0, "end": 1}, {"type": "X", "start": 0, "end": 2}
    ]}  # fmt: skip
    rows = [doccano(TEXT, entities, 1), label_studio(TEXT, entities, 1), spacy(TEXT, entities, 1)]
    for row in (*rows, tokens):
        report = check(written(tmp_path, [row]))
        assert "overlaps another one" in report.problems[0].message


def test_exports_rows_of_one_list_are_left_out_one_by_one(tmp_path: Path) -> None:
    rows: list[Any] = [doccano(TEXT, [(0, 3, "PER")], 1), {"text": 3, "label": [[0, 1, "X"]]}]
    rows.append(doccano(TEXT, [(1, 3, "PER")], 4))
    report = check(written(tmp_path, rows), bad_rows="skip")
    assert (report.format, report.n_samples, report.n_skipped) == ("doccano", 1, 2)


def samples_of(folder: Path, rows: Any, **options: Any) -> list[Sample]:
    return read(written(folder, rows), **options)


def test_exports_train_as_any_file(tmp_path: Path) -> None:
    rows = [doccano(f"Ana{i} left Oslo{i}.", [(0, 3 + len(str(i)), "PER")], i) for i in range(30)]
    made = nlp_gym.make_task("NER-v0", data=written(tmp_path, rows), encoder="hashed")
    assert made.labels == ("O", "B-PER", "I-PER")
    assert made.corpus.samples[0].labels == ("B-PER", "O", "O", "O")
    assert len(samples_of(tmp_path, rows)) == 30


def test_exports_brat_folders_are_split_like_one_file(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "named").mkdir()
    for n in range(12):
        for folder, name in (("all", f"doc{n}"), ("named", ("train", "test")[n % 2])):
            (tmp_path / folder / f"{name}.txt").write_text(f"Ana{n} left.\nOslo{n} is far.\n")
            (tmp_path / folder / f"{name}.ann").write_text(f"T1\tPER 0 {3 + len(str(n))}\tAna{n}\n")
    sizes = {}
    for split in ("train", "dev", "test"):
        made = nlp_gym.make_task("NER-v0", split=split, data=tmp_path / "all", encoder="hashed")
        assert made.labels == ("O", "B-PER", "I-PER")
        sizes[split] = len(made.corpus)
    assert sizes == {"train": 20, "dev": 2, "test": 2}
    made = nlp_gym.make_task("NER-v0", split="test", data=tmp_path / "named", encoder="hashed")
    assert [sample.words for sample in made.corpus.samples] == [
        ("Ana11", "left", "."),
        ("Oslo11", "is", "far", "."),
    ]


def test_an_export_of_choices_is_not_read_as_texts_without_entities(tmp_path: Path) -> None:
    value = {"choices": ["positive"]}
    result = [{"type": "choices", "from_name": "mood", "to_name": "text", "value": value}]
    task = {"id": 1, "data": {"text": "Fine day"}, "annotations": [{"id": 1, "result": result}]}
    path = tmp_path / "project.json"
    path.write_text(json.dumps([task]), encoding="utf-8")
    with pytest.raises(DataFormatError, match="this is an export of choices"):
        read(path, "label-studio")
