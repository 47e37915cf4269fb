"""`prediction.agent`: raw text in any script to records with character offsets."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_same_results, tiny_run
from rich.console import Console

from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.errors import (
    DataError,
    DataFormatError,
    DataNotFoundError,
    InvalidArgumentError,
    RunError,
)
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.inputs import (
    Input,
    from_text,
    from_words,
    gather_inputs,
    read_inputs,
)
from nlp_gym_agents.prediction.kinds import entities, tagged
from nlp_gym_agents.prediction.records import choose_format, to_conll, to_json, to_text
from nlp_gym_agents.prediction.results import TaggedText

TEXTS = [
    "Ann Lee lives in Rome. She works for the U.N. there!",
    "王小明在北京大学学习。他喜欢上海。",
    "👩‍👩‍👧 loves 🍕 in Zürich…",
    "",
    " \t ",
    "مرحبا بالعالم",
]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """A barely trained tagger: what it predicts does not matter here."""
    return Agent(tiny_run(tmp_path_factory.mktemp("predict") / "run", window=0))


def records_of(predictor: Agent, given: Any) -> list[dict[str, Any]]:
    return [result.to_dict() for result in predictor.predict(given)]


def tagged_record(item: Input, labels: list[str], *, bio: bool) -> dict[str, Any]:
    fields = tagged(item, labels, [None] * len(labels))
    if bio:
        fields["entities"] = entities(item, fields["tokens"])
    return TaggedText(text=item.text, **fields).to_dict()


def check(record: dict[str, Any]) -> None:
    """Offsets point at what they name, in order, and nothing but white space is left out."""
    text, rest = record["text"], 0
    for token in record["tokens"]:
        assert text[token["start"] : token["end"]] == token["text"]
        assert not text[rest : token["start"]].strip()
        rest = token["end"]
    assert not text[rest:].strip()
    for entity in record["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert "-" not in entity["label"]


def test_predict_any_text(predictor: Agent) -> None:
    records = records_of(predictor, TEXTS)
    assert [record["text"] for record in records] == TEXTS
    for record in records:
        check(record)
    assert records[3]["tokens"] == records[4]["tokens"] == records[4]["entities"] == []
    assert len(records[1]["tokens"]) > 10  # a Chinese character is a word
    assert json.loads(to_json(records).splitlines()[2]) == records[2]
    assert predictor.predict([]) == []


def test_predict_each_text_by_itself_gives_the_same(predictor: Agent) -> None:
    assert_same_results(predictor.predict(TEXTS), [predictor.predict([text])[0] for text in TEXTS])
    assert_same_results(
        Agent(predictor.trained.run).predict(TEXTS[:1]), predictor.predict(TEXTS[:1])
    )


def test_predict_long_text_and_given_words(predictor: Agent) -> None:
    long = "word " * 2000
    record = records_of(predictor, [long])[0]
    assert len(record["tokens"]) == 2000
    check(record)
    words = ["New", "York", "'s", "U.S. style"]
    record = records_of(predictor, [words])[0]
    assert [token["text"] for token in record["tokens"]] == words
    assert record["text"] == "New York 's U.S. style"
    check(record)


def test_predict_leaves_no_cache_files(
    predictor: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path))
    predictor.predict(["A text nobody will ask for again."])
    assert not list(tmp_path.rglob("*.npy"))


def test_predict_missing_run_is_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        Agent(tmp_path / "no").predict(["x"])


def test_predictions_spans_and_records() -> None:
    labels = ["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "B-LOC", "I-PER"]
    assert entity_spans(labels) == [(0, 2, "PER"), (4, 5, "LOC"), (5, 6, "LOC")]
    record = tagged_record(from_text("Ann  Lee sings"), ["B-PER", "I-PER", "O"], bio=True)
    expected = {"text": "Ann  Lee", "start": 0, "end": 8, "label": "PER", "confidence": None}
    assert record["entities"] == [expected]
    assert "entities" not in tagged_record(from_words(["a"]), ["NOUN"], bio=False)
    assert to_conll([record]) == "Ann\tB-PER\nLee\tI-PER\nsings\tO\n\n"


def test_predictions_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    record = tagged_record(from_text("Ann sings"), ["B-PER", "O"], bio=True)

    def shown(**options: Any) -> str:
        console = Console(file=io.StringIO(), **options)
        console.print(to_text(record))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown(force_terminal=False) == "Ann[PER] sings\n"
    terminal = {"force_terminal": True, "color_system": "standard"}
    assert "36m" in shown(**terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "36m" not in shown(**terminal)


def test_predictions_read_files(tmp_path: Path) -> None:
    text, lines = tmp_path / "a.txt", tmp_path / "a.jsonl"
    text.write_bytes("\ufeffAnn sings.\r\n\r\nÜber 北京\u2028x".encode())
    assert [item.text for item in read_inputs(text)] == ["Ann sings.", "", "Über 北京\u2028x"]
    lines.write_text('{"text": "Ann sings."}\n\n{"words": ["a b", "c"]}\n', encoding="utf-8")
    items = read_inputs(lines)
    assert [len(item.words) for item in items] == [3, 2]
    for name in ("a.conll", "b.conll"):
        body = "Ann B-PER\nsings O\n\nBob O\n" if name == "a.conll" else "Ann\nsings\n\nBob\n"
        (tmp_path / name).write_text(body)
        assert [item.text for item in read_inputs(tmp_path / name)] == ["Ann sings", "Bob"]


LINES = (
    "Maria Chen flew to Oslo.\r\n\r\n\u200b\r\n"
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 visited Lagos\u2028and left.\r\n   \r\n"
    "Bo\x85Li.\r\n\f\r\nEnd [SEP] \ufeffof it.\r\n"
)


def test_predictions_read_lines_that_only_line_feeds_end(tmp_path: Path, predictor: Agent) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(LINES.encode())
    records = records_of(predictor, predictor.gather(None, path))
    assert [record["id"] for record in records] == [f"lines.txt:{n}" for n in range(1, 9)]
    assert [record["text"] for record in records] == LINES.split("\r\n")[:-1]
    filled = [bool(record["tokens"]) for record in records]
    assert filled == [True, False, False, True, False, True, False, True]
    path.write_bytes(b"one \rmore\ntwo\r\r\n")
    with pytest.warns(UserWarning, match=r"lines\.txt:[12]: .*carriage return"):
        assert [item.text for item in read_inputs(path)] == ["one \rmore", "two"]


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.txt.gz", "Ann sings.\n\nBob\n", ["Ann sings.", "", "Bob"]),
        ("a.jsonl.gz", '{"text": "Ann sings."}\n', ["Ann sings."]),
        ("a.conll.gz", "Ann\nsings\n\nBob\n", ["Ann sings", "Bob"]),
        ("a.json", '[{"text": "Ann sings."}, {"words": ["a b", "c"]}]', ["Ann sings.", "a b c"]),
        ("a.json", '{"text": "Ann"}\n{"text": "Bob"}\n', ["Ann", "Bob"]),
        ("a.txt", '{"text": "Ann"}\n{"text": "Bob"}\n', ["Ann", "Bob"]),
        ("a.jsonl", '[\n {"text": "Ann"},\n {"text": "Bob"}\n]\n', ["Ann", "Bob"]),
        ("a", "Ann B-PER\nsings O\n\nBob B-PER\n", ["Ann sings", "Bob"]),
        ("a", "Ann sings.\n\nBob is far.\n", ["Ann sings.", "", "Bob is far."]),
        ("a.text", "Ann sings.\n\nBob is far.\n", ["Ann sings.", "", "Bob is far."]),
        ("a.md", "# Ann\n\n- one\n- two\n", ["# Ann", "", "- one", "- two"]),
    ],
)
def test_predictions_read_what_a_file_holds(
    tmp_path: Path, name: str, content: str, texts: list[str]
) -> None:
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    items = read_inputs(tmp_path / name)
    assert [item.text for item in items] == texts
    assert all(str(item.id).startswith(f"{name.removesuffix('.gz')}:") for item in items)


def test_predictions_take_an_encoding_and_the_column_of_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Café \u2014 naïve".encode("cp1252"))
    with pytest.raises(DataFormatError, match=r'a\.txt:1: .*encoding="cp1252"'):
        read_inputs(path)
    assert [item.text for item in read_inputs(path, encoding="cp1252")] == ["Café \u2014 naïve"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n")))
    assert [item.text for item in gather_inputs("-", None, encoding="latin-1")] == ["café"]
    with pytest.raises(InvalidArgumentError, match=r"text_column='text': .*one text per line"):
        read_inputs(path, encoding="cp1252", text_column="text")
    table, rows = tmp_path / "a.csv", tmp_path / "a.jsonl"
    table.write_text("review,stars\nAnn sings.,5\nBob too.,1\n")
    rows.write_text('{"review": "Ann sings.", "stars": 5}\n')
    for file, texts in ((table, ["Ann sings.", "Bob too."]), (rows, ["Ann sings."])):
        with pytest.raises(DataError):
            read_inputs(file)
        assert [item.text for item in read_inputs(file, text_column="review")] == texts


def test_predictions_name_what_they_are_of(tmp_path: Path, predictor: Agent) -> None:
    text, lines = tmp_path / "a.txt", tmp_path / "a.jsonl"
    text.write_text("Ann sings.\n\nBob\n")
    lines.write_text('{"text": "Ann sings.", "id": "x7"}\n\n{"words": ["a b", "c"]}\n')
    for path, names in ((text, ["a.txt:1", "a.txt:2", "a.txt:3"]), (lines, ["x7", "a.jsonl:3"])):
        records = records_of(predictor, predictor.gather(None, path))
        assert [record["id"] for record in records] == names
    assert "id" not in predictor.predict(["Ann sings."])[0].to_dict()


def test_predictions_bad_files_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for bad in ("{", '{"words": "a"}', '{"words": [1]}', "[]", '{"txt": "a"}'):
        path.write_text('{"text": "a"}\n' + bad + "\n")
        with pytest.raises(DataFormatError, match=r"a\.jsonl:2"):
            read_inputs(path)
    for name in ("l1.txt", "l1.jsonl", "l1.conll"):
        (tmp_path / name).write_bytes(b"\ncaf\xe9")
        with pytest.raises(DataFormatError, match=rf"{name}:2: .*UTF-8"):
            read_inputs(tmp_path / name)
        (tmp_path / name).write_bytes(b"\n")
        with pytest.raises(DataFormatError, match=name):
            read_inputs(tmp_path / name)
    with pytest.raises(DataError, match="is a folder"):
        read_inputs(tmp_path)
    with pytest.raises(DataNotFoundError, match=r"no\.txt"):
        read_inputs(tmp_path / "no.txt")


def test_predictions_command_line_inputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def typed(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    typed(b"one\n\ntwo\n")
    assert [item.text for item in gather_inputs("-", None)] == ["one", "", "two"]
    for data, place in ((b"one\ncaf\xe9\n", "stdin:2"), (b"\n", "stdin: there is no text")):
        typed(data)
        with pytest.raises(DataFormatError, match=place):
            gather_inputs("-", None)
    for blank in ("", "  "):
        with pytest.raises(InvalidArgumentError, match="holds no word"):
            gather_inputs(blank, None)
    with pytest.raises(InvalidArgumentError, match="either"):
        gather_inputs(None, None)
    with pytest.raises(InvalidArgumentError, match="either"):
        gather_inputs("x", tmp_path)
    file = tmp_path / "texts.txt"
    file.write_text("one", encoding="utf-8")
    with pytest.warns(UserWarning, match="--input"):
        assert [item.text for item in gather_inputs(str(file), None)] == [str(file)]
    assert gather_inputs("word " * 2000, None)  # too long for the name of a file
    with pytest.raises(InvalidArgumentError, match="Did you mean 'json'"):
        choose_format("jsno", None)
    assert choose_format(None, Path("x.conll")) == "conll"


def test_predictions_half_characters_are_named(tmp_path: Path, predictor: Agent) -> None:
    half = "caf\udce9 au lait"  # how Python passes on an argument that is not UTF-8
    with pytest.raises(InvalidArgumentError, match="character 4 is half of a surrogate pair"):
        gather_inputs(half, None)
    for text in (half, half.split()):
        with pytest.raises(InvalidArgumentError, match="surrogate"):
            predictor.predict([text])
    path = tmp_path / "a.jsonl"
    for row in ('{"text": "a \\ud83d"}', '{"words": ["\\ud83d"]}'):
        path.write_text('{"text": "a"}\n' + row)
        with pytest.raises(DataFormatError, match=r"a\.jsonl:2.*surrogate"):
            read_inputs(path)


def test_predictions_raw_text_of_any_reader_keeps_its_offsets(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"Ann  sings. Bob too."\n')
    (item,) = read_inputs(path)
    assert item == from_text("Ann  sings. Bob too.")
    assert len(item.sentences) == 2
