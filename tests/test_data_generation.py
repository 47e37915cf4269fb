"""Readers of sources with reference texts, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nlp_gym.data import check, load_corpus, read
from nlp_gym.data.readers import READERS, Options
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.errors import DataError, DataFormatError, InvalidArgumentError
from nlp_gym.types import SPLITS, Sample
from nlp_gym_agents.cli.data.command import app

FAMILY = "generation"


def parse(format: str, text: str, name: str = "f", **options: Any) -> Parsed:
    return READERS[FAMILY][format].parse(text.split("\n"), name, Options(**options))


def rows(parsed: Parsed) -> list[tuple[str, Any]]:
    return [(sample.extra["text"], sample.gold) for sample in parsed.samples]


def problems(parsed: Parsed) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.message) for problem in parsed.problems]


@pytest.mark.parametrize("source", ["source", "text", "document", "prompt", "context"])
@pytest.mark.parametrize(
    "target",
    ["target", "targets", "reference", "references", "summary", "response", "continuation"],
)
def test_generation_jsonl_names_of_keys(source: str, target: str) -> None:
    parsed = parse("jsonl", json.dumps({source: "Good day.", target: " Guten\n Tag. "}))
    assert parsed.problems == []
    assert parsed.samples == [
        Sample(("Good", "day", "."), None, "f:1", {"text": "Good day."}, ("Guten\n Tag.",))
    ]


def test_generation_jsonl_turns_references_and_ids() -> None:
    row = {"context": ["Hi!", " ", "How are you?"], "targets": ["Fine.", "", "Fine. ", "So so."]}
    parsed = parse("jsonl", f"{json.dumps({**row, 'id': 7})}\n\n{json.dumps(row)}")
    assert rows(parsed) == [("Hi! How are you?", ("Fine.", "So so."))] * 2
    assert [sample.id for sample in parsed.samples] == ["f:1", "f:3"]
    assert [sample.extra.get("id") for sample in parsed.samples] == [7, None]
    assert rows(parse("jsonl", '{"context": ["Hi!"]}', gold=False)) == [("Hi!", None)]


def test_generation_jsonl_column_and_pair() -> None:
    row = json.dumps({"en": "Day.", "de": "Tag.", "source": "x", "target": "y", "other": "z"})
    assert rows(parse("jsonl", row)) == [("x", ("y",))]
    assert rows(parse("jsonl", row, pair="en-de")) == [("Day.", ("Tag.",))]
    assert rows(parse("jsonl", row, pair="de-en")) == [("Tag.", ("Day.",))]
    assert rows(parse("jsonl", row, pair="en-fr")) == [("Day.", ("y",))]
    assert rows(parse("jsonl", row, column="other")) == [("x", ("z",))]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"target": "a"}', "there is no 'source' or 'text' or"),
        ('{"source": "a"}', "there is no 'target' or 'targets' or"),
        ('{"prompt": 3, "target": "a"}', "'prompt' is a number where a string is needed"),
        ('{"source": ["a", 1], "target": "a"}', "'source[1]' is a number"),
        ('{"source": [], "target": "a"}', "'source' has 0 item(s), at least 1 needed"),
        ('{"source": "a", "target": ["", " "]}', "'target' holds nothing but empty strings"),
        ('{"source": "a", "reference": " "}', "'reference' is empty"),
        ('{"source": "\\u200b", "target": "a"}', "the source holds no word"),
        ('{"source": "a", "target": "\\u200b"}', "holds no word"),
        ('{"source": "\\ud83d", "target": "a"}', "half of a surrogate pair"),
        ('{"source": "a", "target": "b\\u0000"}', "NUL"),
        ('["a", "b"]', "the row is a list, not a JSON object"),
    ],
)
def test_generation_jsonl_bad_rows(row: str, message: str) -> None:
    parsed = parse("jsonl", f'{{"source": "a", "target": "!"}}\n{row}')
    assert rows(parsed) == [("a", ("!",))]
    assert [line for line, _ in problems(parsed)] == [2]
    assert message in parsed.problems[0].message


def test_generation_csv() -> None:
    table = 'id,Source,Target\nx,"Good,\nday.", Guten  Tag. \ny,,Tag.\nz,Day.,\nw,Day.\n'
    parsed = parse("csv", table)
    assert rows(parsed) == [("Good,\nday.", ("Guten  Tag.",))]
    assert problems(parsed) == [
        (4, "'Source' is empty"),
        (5, "'Target' is empty"),
        (6, "2 cell(s) where the header has 3"),
    ]
    assert parsed.samples[0].extra["id"] == "x"
    named = "zh\ten\n你好。\tHello.\n"
    assert rows(parse("csv", named, "f.tsv", pair="zh-en")) == [("你好。", ("Hello.",))]
    assert rows(parse("csv", named, "f.tsv", pair="en-zh")) == [("Hello.", ("你好。",))]
    messages = [message for _, message in problems(parse("csv", named, "f.tsv"))]
    assert [message.partition(" (")[0][:39] for message in messages] == [
        "the header has no column 'source' or 't", "the header has no column 'target' or 't"
    ]  # fmt: skip
    assert rows(parse("csv", "text\nDay.\n", gold=False)) == [("Day.", None)]


def test_generation_pairs() -> None:
    text = "Hi.\t嗨。\tCC-BY 2.0 (France)\n\nRun\t \n\tx\nno tab\nGo on.\t继续。"
    parsed = parse("pairs", text)
    assert rows(parsed) == [("Hi.", ("嗨。",)), ("Go on.", ("继续。",))]
    assert problems(parsed) == [
        (3, "the target is empty"),
        (4, "the source is empty"),
        (5, "there is no tab: source, tab, target are needed"),
    ]
    assert [text for text, _ in rows(parse("pairs", text, gold=False))] == [
        "Hi.", "Run", "no tab", "Go on."
    ]  # fmt: skip


def test_generation_aeslc_references_are_the_subject_and_the_annotations() -> None:
    row = {"body": "Dear all,\nthe lift is out.", "subject": "Lift", "id": "a"}
    parsed = parse("aeslc", json.dumps({**row, "annotations": ["No lift", "", "Lift", "Walk up"]}))
    assert rows(parsed) == [(row["body"], ("Lift", "No lift", "Walk up"))]
    assert rows(parse("aeslc", json.dumps(row))) == [(row["body"], ("Lift",))]
    assert problems(parse("aeslc", '{"body": "a", "subject": "b", "annotations": [1]}')) == [
        (1, "'annotations[0]' is a number where a string is needed")
    ]


def test_generation_replies_are_all_references_of_one_context() -> None:
    row = {"context": ["Hi.", "Yes?"], "positive_responses": ["A.", "B."], "dialog_id": 1}
    parsed = parse("replies", json.dumps({**row, "random_negative_responses": ["C."]}))
    assert rows(parsed) == [("Hi. Yes?", ("A.", "B."))]
    assert parsed.samples[0].words == ("Hi", ".", "Yes", "?")


def test_generation_dialogsum_and_scitldr() -> None:
    many = {"dialogue": "#Person1#: Hi!\n#Person2#: Hm.", "summary10": "c", "summary2": "b"}
    parsed = parse("dialogsum", json.dumps({**many, "summary1": "a", "fname": "t_0", "topic1": 1}))
    assert rows(parsed) == [(many["dialogue"], ("a", "b", "c"))]
    assert parsed.samples[0].extra["id"] == "t_0"
    assert "'summary' or 'summary1'" in problems(parse("dialogsum", '{"dialogue": "a"}'))[0][1]
    row = {"source": ["We test.", "It works."], "target": ["Good.", ""], "paper_id": "p"}
    parsed = parse("scitldr", json.dumps(row))
    assert rows(parsed) == [("We test. It works.", ("Good.",))]
    assert parsed.samples[0].extra["id"] == "p"


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("x.jsonl", '{"source": "a", "target": "b"}', "jsonl"),
        ("x.jsonl", '{"context": ["a"], "response": "b"}', "jsonl"),
        ("x.jsonl", '{"source": ["a"], "target": ["b"]}', "scitldr"),
        ("x.jsonl", '{"body": "a", "subject": "b"}', "aeslc"),
        ("x.jsonl", 'broken\n{"body": "a", "subject": "b"}', "aeslc"),
        ("x.json", '{"context": ["a"], "positive_responses": ["b"]}', "replies"),
        ("x.jsonl", '{"dialogue": "a", "summary": "b"}', "dialogsum"),
        ("x.csv", "source,target\na,b\n", "csv"),
        ("x.tsv", "source\ttarget\na\tb\n", "csv"),
        ("x.tsv", "en\tde\na\tb\n", "pairs"),
        ("x.txt", "a\tb\n", "pairs"),
        ("x", "a\tb\n", "pairs"),
        ("x", '{"source": "a", "target": "b"}', "jsonl"),
        ("x.en", "a\n", "parallel"),
    ],
)
def test_generation_formats_are_guessed(
    tmp_path: Path, name: str, content: str, format: str
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "x.de").write_text("b\n")
    assert check(tmp_path / name, family=FAMILY).format == format


def test_generation_text_is_for_prediction(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("Good day.\n\nBye.\n")
    found = read(tmp_path / "x.txt", family=FAMILY, gold=False)
    assert [(s.extra["text"], s.gold) for s in found] == [("Good day.", None), ("Bye.", None)]


def test_generation_users_file_is_split_and_checked(tmp_path: Path) -> None:
    lines = [json.dumps({"source": f"text {i % 30}", "target": f"t {i}"}) for i in range(60)]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines))
    found = {s: load_corpus(None, s, family=FAMILY, data=path) for s in SPLITS}
    assert {s: len(corpus) for s, corpus in found.items()} == {"train": 48, "dev": 6, "test": 6}
    assert not {s.words for s in found["dev"].samples} & {s.words for s in found["train"].samples}
    assert found["train"].labels == ()
    with pytest.raises(InvalidArgumentError, match=r"pair='en' is not allowed.*'en-de'"):
        load_corpus(None, family=FAMILY, data=path, pair="en")
    path.write_text("\n".join([*lines, '{"source": 1}', '{"target": ""}']))
    with pytest.raises(DataFormatError, match=r"x\.jsonl:61.*1 more .*--family generation"):
        load_corpus(None, family=FAMILY, data=path)
    result = CliRunner().invoke(app, ["check", str(path), "--family", FAMILY])
    assert result.exit_code == 1
    assert f"{path}:61: " in result.output
    assert f"{path}:62: " in result.output
    assert "60 texts, 120 words, 2 bad rows" in result.output
    with pytest.raises(DataError):
        load_corpus(None, family=FAMILY, data=[Sample(())])
