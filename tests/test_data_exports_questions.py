"""Questions as Hugging Face's datasets and tables have them: answers that lack, keys of choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import check, read
from nlp_gym.errors import DataFormatError

CONTEXT = "Built in 1850."


def put(folder: Path, name: str, *rows: Any) -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def question(answers: Any, **more: Any) -> dict[str, Any]:
    return {"context": CONTEXT, "question": "When?", "answers": answers, **more}


RIGHT = question({"text": ["1850"], "answer_start": [9]})


@pytest.mark.parametrize(
    "row",
    [
        question({"text": [], "answer_start": []}),
        question([]),
        question([{"text": "1850", "answer_start": 9}], is_impossible=True),
        question({"text": [""], "answer_start": [-1]}),
        question([{"text": "1920", "answer_start": -1}]),
        question({"text": [""], "answer_start": [0]}),
    ],
)
def test_questions_without_an_answer_are_left_out_and_counted(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    path = put(tmp_path, "a.jsonl", row, RIGHT, row)
    with pytest.warns(UserWarning, match=r"a\.jsonl:1: 2 question\(s\) are left out"):
        (sample,) = read(path, family="spanqa")
    assert sample.gold == (("1850", 2, 2),)
    assert len(read(path, family="spanqa", gold=False)) == 3
    squad = {"data": [{"paragraphs": [{"context": CONTEXT, "qas": [row, RIGHT, row]}]}]}
    report = check(put(tmp_path, "a.json", squad), family="spanqa")
    assert (report.ok, report.n_samples) == (True, 1)
    assert "2 question(s) are left out" in report.warnings[0].message
    report = check(put(tmp_path, "b.jsonl", row), family="spanqa")
    assert "no question of the file has an answer" in report.problems[0].message


def test_an_answer_without_a_place_is_left_out_of_others(tmp_path: Path) -> None:
    row = question({"text": ["1850", "1920"], "answer_start": [9, -1]})
    assert read(put(tmp_path, "a.jsonl", row), family="spanqa")[0].gold == (("1850", 2, 2),)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_only_the_bad_answer_of_several_is_left_out(tmp_path: Path, name: str) -> None:
    bad, right = {"text": "1850", "answer_start": 3}, {"text": "1850", "answer_start": 9}
    rows = [question([bad, right]), question([bad, bad]), question([right])]
    document = {"data": [{"paragraphs": [{"context": CONTEXT, "qas": rows}]}]}
    path = put(tmp_path, name, *(rows if name == "a.jsonl" else [document]))
    with pytest.raises(DataFormatError, match="answer_start 3 points at"):
        read(path, family="spanqa")
    with pytest.warns(UserWarning, match="left out") as warned:
        samples = read(path, family="spanqa", bad_rows="skip")
    assert [sample.gold for sample in samples] == [(("1850", 2, 2),)] * 2
    messages = [str(warning.message) for warning in warned]
    assert "1 sample(s) with bad rows are left out (bad_rows='skip'), 2 are read" in messages[0]
    assert "a bad answer is left out of a question that has others" in messages[1]
    report = check(path, family="spanqa", bad_rows="skip")
    assert (report.ok, report.n_skipped, report.n_samples) == (True, 1, 2)


def test_questions_of_a_bad_passage_are_counted(tmp_path: Path) -> None:
    paragraphs = [{"context": CONTEXT, "qas": [RIGHT]}, {"context": 3, "qas": [RIGHT] * 4}]
    document = {"data": [{"paragraphs": paragraphs}, {"title": "x"}]}
    path = put(tmp_path, "a.json", document)
    with pytest.warns(UserWarning, match=r"5 sample\(s\) with bad rows are left out"):
        assert len(read(path, family="spanqa", bad_rows="skip")) == 1


CHOICES: list[tuple[dict[str, Any], int | str]] = [
    (
        {
            "question": {
                "stem": "What is hot?",
                "choices": [
                    {"text": t, "label": str(i + 1)} for i, t in enumerate(["ice", "fire"])
                ],
            },
            "answerKey": "2",
        },
        1,
    ),
    (
        {"question": "q", "choices": {"text": ["a1", "b1"], "label": ["A", "B"]}, "answerKey": "A"},
        0,
    ),
    (
        {
            "question_stem": "q",
            "choices": {"text": ["a1", "b1"], "label": ["A", "B"]},
            "answerKey": "A",
        },
        0,
    ),
    ({"question": "Legs?", "choices": ["2", "3", "4", "8"], "answer": "4"}, 2),
    ({"question": "Legs?", "choices": ["4", "1", "2", "3"], "answer": "4"}, 0),
    ({"question": "lower?", "choices": ["x", "y"], "answerKey": "b"}, 1),
    ({"question": "five", "choices": ["a1", "b1", "c1", "d1", None], "answer": 0}, 0),
    (
        {
            "question": "q",
            "choices": {"text": ["a", "b", None], "label": ["A", "B", "C"]},
            "answerKey": "B",
        },
        1,
    ),
    (
        {"question": "Group?", "choices": ["B", "A", "AB", "O"], "answer": "B"},
        "fits the choices 0 (A) and 1 (B)",
    ),
    (
        {"question": "Twice?", "choices": ["yes", "no", "yes"], "answer": "yes"},
        "fits the choices 0",
    ),
    ({"question": "idx", "choices": ["x", "y", "z"], "answer": "1"}, "allowed: A, B, C"),
    ({"question": "true?", "choices": ["True", "False"], "answer": True}, "a boolean"),
    ({"question": "q", "choices": ["dog", None, "cat"], "answer": 0}, "'choices[1]' is null"),
    (
        {
            "question": "q",
            "choices": {"text": ["dog", "cat"], "label": ["dog", "cat"]},
            "answerKey": "B",
        },
        "allowed: dog, cat",
    ),
    (
        {
            "question": "q",
            "choices": [{"text": "x", "label": "1"}, {"text": "y", "label": "2"}],
            "answer": 1,
        },
        "may count from 0 or be the label of choice 0",
    ),
]


@pytest.mark.parametrize(("row", "expected"), CHOICES)
def test_answers_name_choices_in_many_ways(
    tmp_path: Path, row: dict[str, Any], expected: int | str
) -> None:
    report = check(put(tmp_path, "a.jsonl", row), "jsonl", family="choice")
    if isinstance(expected, int):
        assert [sample.gold for sample in report.samples] == [expected]
        assert "None" not in report.samples[0].extra["choice_texts"]
    else:
        assert expected in report.problems[0].message


def test_choices_of_a_table_have_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "question,A,B,C,D,E,answer\nWhat?,ice,fire,snow,rain,,B\nWho?,me,you,,it,,A\n"
        "Five?,a,b,c,d,e,E\nNum?,1,2,3,4,,3\n"
    )
    report = check(path, family="choice")
    assert [(p.line, p.message) for p in report.problems] == [(3, "'choice 2' is empty")]
    assert [(len(s.extra["choices"]), s.gold) for s in report.samples] == [(4, 1), (5, 4), (4, 2)]


def test_questions_with_the_answer_minus_one_are_left_out_and_counted(tmp_path: Path) -> None:
    row = {"question": "q", "choices": ["x", "y"], "answer": 1}
    path = put(tmp_path, "a.jsonl", row, {**row, "answer": -1}, row)
    with pytest.warns(UserWarning, match=r"a\.jsonl:2: 1 question\(s\) have the answer -1"):
        assert [sample.gold for sample in read(path, family="choice")] == [1, 1]
