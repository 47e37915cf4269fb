"""Offsets of entities: checked against their texts, corrected by what the whole file counts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nlp_gym.data import CheckReport, check, read
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.offsets import Mark, MarkedText, settle_offsets
from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import DataFormatError

TEXT = "😀我在北京工作，她在上海。"


def checked(folder: Path, *rows: dict[str, Any]) -> CheckReport:
    path = folder / "x.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return check(path)


def row(text: str, *entities: Any) -> dict[str, Any]:
    """A row with entities (start, end) or (start, end, own text), of the type X."""
    keys = ("start", "end", "text")
    return {
        "text": text,
        "entities": [{**dict(zip(keys, given, strict=False)), "label": "X"} for given in entities],
    }


def found(report: CheckReport) -> list[list[str]]:
    """The texts of the entities of each sample."""
    return [
        [
            sample.extra["text"][sample.extra["spans"][a][0] : sample.extra["spans"][b - 1][1]]
            for a, b, _ in entity_spans(sample.labels or ())
        ]
        for sample in report.samples
    ]


def test_offsets_are_utf16_units_where_the_own_texts_say_so(tmp_path: Path) -> None:
    report = checked(tmp_path, row(TEXT, (4, 6, "北京")), row("我在上海。", (2, 4, "上海")))
    assert report.ok
    assert found(report) == [["北京"], ["上海"]]
    (note,) = report.warnings
    assert note.line == 1
    assert "UTF-16 code units" in note.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is proved: only `check` says it
        assert len(read(tmp_path / "x.jsonl")) == 2


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda text, at: len(text[:at].encode("utf-16-le")) // 2, "UTF-16 code units"),
        (lambda text, at: len(text[:at].encode()), "bytes of UTF-8"),
        (lambda text, at: at, None),
    ],
)
def test_offsets_of_other_units_are_corrected(tmp_path: Path, encode: Any, message: Any) -> None:
    texts = [
        ("😀 Ana left Zürich 🙂 today", ["Ana", "Zürich"]),
        ("She met José.", ["José"]),
        ("No one", []),
    ]
    for own in (True, False):
        rows = []
        for text, names in texts:
            spans = [(text.index(name), text.index(name) + len(name), name) for name in names]
            rows.append(
                row(
                    text,
                    *((encode(text, a), encode(text, b), *([x] * own)) for a, b, x in spans),
                )
            )
        report = checked(tmp_path, *rows)
        assert report.ok, report.problems
        assert found(report) == [names for _, names in texts]
        assert [message in warning.message for warning in report.warnings] == [True] * bool(message)
        if message and not own:  # only the edges of words say so
            with pytest.warns(UserWarning, match="the entities begin and end with words"):
                read(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("shift", "longer", "message"),
    [
        (0, -1, "characters with inclusive ends"),
        (1, 0, "characters from 1 with inclusive ends"),
        (1, 1, "characters from 1 with exclusive ends"),
    ],
)
def test_offsets_from_one_or_with_inclusive_ends_need_proof(
    tmp_path: Path, shift: int, longer: int, message: str
) -> None:
    def entity(start: int, end: int, *own: str) -> tuple[Any, ...]:
        return (start + shift, end + longer, *own)

    text = "Ana left Oslo"
    report = checked(tmp_path, row(text, entity(0, 3, "Ana"), entity(9, 13, "Oslo")))
    assert report.ok, report.problems
    assert found(report) == [["Ana", "Oslo"]]
    assert [message in note.message for note in report.warnings] == [True]
    report = checked(tmp_path, row(text, entity(0, 3, "Ana"), entity(9, 13)))
    assert not report.ok  # one entity does not say its text


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        ((4, 8, "Oslo"), "entity 4..8 is 'left', but its own text is 'Oslo', which is at 9..13"),
        ((4, 8, "Rome"), "entity 4..8 is 'left', but its own text is 'Rome'"),
        ((0, 30, "Ana"), "lies outside the text of 14 characters"),
        ((-1, 3), "lies outside"),
        ((3, 3), "lies outside"),
        ((3, 4), "does not begin and end with a word"),
        ((1, 3), "does not begin and end with a word"),
        ((0, 2), "does not begin and end with a word"),
    ],
)
def test_offsets_that_fit_no_text_are_refused(tmp_path: Path, entity: Any, message: str) -> None:
    report = checked(tmp_path, row("Ana left Oslo.", (0, 3, "Ana")), row("Ana left Oslo.", entity))
    assert [problem.line for problem in report.problems] == [2]
    assert message in report.problems[0].message
    with pytest.raises(DataFormatError, match=r"x\.jsonl:2: "):
        read(tmp_path / "x.jsonl")
    samples = check(tmp_path / "x.jsonl", bad_rows="skip").samples
    assert len(samples) == 1


def test_offsets_one_bad_row_does_not_change_what_others_count(tmp_path: Path) -> None:
    report = checked(tmp_path, row(TEXT, (4, 6, "北京")), row("我在上海。", (0, 1, "上海")))
    assert [problem.line for problem in report.problems] == [1, 2]
    assert "which is at 3..5" in report.problems[0].message


def test_offsets_doubtful_units_are_pointed_out(tmp_path: Path) -> None:
    report = checked(tmp_path, row(TEXT, (4, 6)), row("我在上海。", (2, 4)))
    assert found(report) == [["京工"], ["上海"]]
    (warning,) = report.warnings
    assert "('京工' here), but UTF-16 code units, as in JavaScript, would fit too ('北京')" in (
        warning.message
    )
    # A row that only characters fit decides.
    report = checked(tmp_path, row(TEXT, (4, 6)), row("🙂 Ana left", (2, 5)))
    assert not report.warnings


@pytest.mark.parametrize(
    ("text", "entities", "expected"),
    [
        ("Ana  left Oslo .", [(0, 4), (9, 15)], ["Ana", "Oslo"]),
        ("Ana\u00a0 left", [(0, 5)], ["Ana"]),
        ("Ana\n left", [(0, 5), (4, 9)], ["Ana", "left"]),
        ("In \u3000北京\u3000 now", [(2, 7)], ["北京"]),
        ("\ufeffAna left", [(0, 4)], ["Ana"]),
        ("Ana\u200b left", [(0, 4)], ["Ana"]),
        ("שלום\u200f עולם", [(0, 4), (5, 10)], ["שלום\u200f", "עולם"]),
        ("I ❤\ufe0f it", [(2, 3)], ["❤\ufe0f"]),
        ("I ❤\ufe0f it", [(2, 5)], ["❤\ufe0f"]),
    ],
)
def test_offsets_blanks_at_the_edges_are_no_part(
    tmp_path: Path, text: str, entities: list[Any], expected: list[str]
) -> None:
    report = checked(tmp_path, row(text, *entities))
    assert report.ok, report.problems
    assert found(report) == [expected]
    blank = checked(tmp_path, row("Ana  left", (3, 5)))
    assert "does not begin and end with a word" in blank.problems[0].message


def test_offsets_own_texts_may_differ_in_what_cannot_be_seen(tmp_path: Path) -> None:
    text = "Jose\u0301 met\u00a0Ana\nLi ."
    report = checked(tmp_path, row(text, (0, 5, "Jos\u00e9"), (10, 16, "Ana Li")))
    assert report.ok, report.problems
    assert found(report) == [["Jose\u0301", "Ana\nLi"]]


def test_offsets_overlapping_and_nested_entities_are_refused(tmp_path: Path) -> None:
    for second in ((0, 8), (4, 13), (0, 3)):
        report = checked(tmp_path, row("Ana left Oslo", (0, 3), (4, 8), second))
        assert "overlaps another one" in report.problems[0].message


def test_offsets_tags_in_the_place_of_types_are_pointed_out(tmp_path: Path) -> None:
    report = checked(tmp_path, {"text": "Ana left", "entities": [[0, 3, "B-PER"]]})
    assert "begin as tags do ('B-PER')" in report.warnings[0].message
    mixed = [[0, 1, "B-cell"], [2, 3, "virus"]]
    assert not checked(tmp_path, {"text": "T X", "entities": mixed}).warnings


@pytest.mark.parametrize(
    "entity",
    [
        [9, 13, "X"],
        {"start": 9, "end": 13, "label": "X"},
        {"start": 9, "end": 13, "type": "X", "surface": "Oslo"},
        {"start_offset": 9, "end_offset": 13, "label": "X", "id": 3},
        {"start_char": 9, "end_char": 13, "label": "X", "word": "Oslo"},
        {"begin": 9, "end": 13, "labels": ["X"], "value": "Oslo"},
    ],
)
def test_offsets_keys_of_an_entity(tmp_path: Path, entity: Any) -> None:
    report = checked(tmp_path, {"text": "Ana left Oslo", "entities": [entity]})
    assert report.ok, report.problems
    assert report.labels == {"O": 2, "B-X": 1}
    other = {"body": "Ana left Oslo", "names": [entity]}
    (tmp_path / "y.jsonl").write_text(json.dumps(other))
    report = check(tmp_path / "y.jsonl", "jsonl", text_column="body", column="names")
    assert report.labels == {"O": 2, "B-X": 1}


def test_offsets_of_spans_that_need_not_be_words() -> None:
    rows = [
        MarkedText("😀pre-war", [Mark(6, 9, "X", "war")], 1),
        MarkedText("a b", [Mark(0, 2, "X", "a")], 2),
        MarkedText("none", [], 3),
    ]
    parsed = Parsed()
    settle_offsets(rows, parsed)
    assert [row.fault for row in rows] == [None] * 3
    assert [(mark.start, mark.end) for row in rows for mark in row.marks] == [(5, 8), (0, 1)]
    assert [(note.line, "UTF-16" in note.message) for note in parsed.notes] == [(1, True)]


CHARACTERS = st.sampled_from([*"ab é北😀🙂\u00a0 \u200b.\u0301\ufe0f", "\u05d0", "-"])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(CHARACTERS, min_size=1, max_size=12), min_size=1, max_size=4),
    st.sampled_from(["utf-16-le", "utf-8", None]),
    st.data(),
)
def test_offsets_in_any_unit_give_the_entities_of_their_texts(
    texts: list[str], encoding: str | None, data: st.DataObject
) -> None:
    """With their own texts, entities are found whatever unit the offsets count."""
    rows, expected = list[MarkedText](), list[tuple[int, int]]()
    for line, text in enumerate(texts, 1):
        words = tuple((start, end) for _, start, end in split_words(text))
        if not words:
            continue
        first = data.draw(st.integers(0, len(words) - 1))
        last = data.draw(st.integers(first, len(words) - 1))
        start, end = words[first][0], words[last][1]
        unit = 2 if encoding == "utf-16-le" else 1
        given = [
            at if encoding is None else len(text[:at].encode(encoding)) // unit
            for at in (start, end)
        ]
        rows.append(MarkedText(text, [Mark(*given, "X", text[start:end])], line, words))
        expected.append((start, end))
    assume(rows)
    settle_offsets(rows, Parsed())
    spans = [(row.marks[0].start, row.marks[0].end) for row in rows]
    for row, span, right in zip(rows, spans, expected, strict=True):
        assert row.fault is None
        # Where a text occurs more than once, another unit may fit every row as well.
        assert row.text[slice(*span)] == row.text[slice(*right)]
