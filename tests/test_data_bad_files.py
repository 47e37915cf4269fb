"""Bad files: every bad row with its line, and never anything but a `DataError`."""

from __future__ import annotations

import contextlib
import re
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nlp_gym.data import READERS, check, read
from nlp_gym.errors import DataError, DataFormatError

# file name, content, {line: part of the message}
BAD = [
    ("a.conll", "Ana B-PER\nLi\nleft O\n\nIn O O\n北京 B-LOC\n", {2: "1 column", 5: "3 column"}),
    ("a.conll", "Ana\tO\n\tO\n\u3000\tO\nLi\t\tO\n",
     {2: "word is empty", 3: "word is empty", 4: "3 col"}),
    ("a.conll", "Ana O O\nLi  O\nx\ty\t\u3000\nx O O\n", {2: "2 column", 3: "label of"}),
    ("a.conll", "Ana\nleft\n", {1: "one column only"}),
    ("a.conll", "Ana B-PER\nLi PER\nleft o\n", {2: "'PER'", 3: "'o'"}),
    ("a.conll", b"Ana O\nJos\xe9 O\nLi\0 O\n\xff\xfe O\n", {2: "0xe9", 3: "NUL", 4: "not UTF-8"}),
    ("a.conll", "Ana O\n".encode("utf-16"), {1: "UTF-16"}),
    ("a.conll", b"", {None: "empty"}),
    ("a.conll", "\n \n-DOCSTART- -X- -X- O\n", {None: "no text"}),
    ("a.conllu", "1\ta\t_\tX" + "\t_" * 6 + "\n3\tb\t_\tX" + "\t_" * 6 + "\n4 x x\n",
     {2: "expected '2'", 3: "has 10"}),
    ("a.conllu", "1\ta" + "\t_" * 8 + "\n2\t\t_\tX" + "\t_" * 6 + "\n", {1: "UPOS", 2: "FORM"}),
    ("a.csv", "sentence,word,label\n1,a,O,O\n1,,O\n1,b,\n2,c,O\n1,d,O\n",
     {2: "4 cell", 3: "word is empty", 4: "label of 'b'", 6: "together"}),
    ("a.csv", "word,label\na,O\n", {1: "no column sentence"}),
    ("a.csv", 'sentence,word,label\n1,"a,O\n1,b,O\n', {2: "not CSV"}),
    ("a.csv", 'sentence,word,label\n1,"a\nb",O\n1,"x"y,O\n1,c\n', {4: "not CSV", 5: "2 cell"}),
    ("a.csv", "sentence,word,label\n,a,O\n", {2: "id is empty"}),
    ("a.jsonl", '{"words": ["a"], "labels": ["O", "O"]}\n{\n[]\n{"words": ["a"]}\n{"x": 1}\n'
     '{"words": [], "labels": []}\n{"words": [1], "labels": ["O"]}\n'
     '{"words": ["\\ud83d"], "labels": ["O"]}\n'
     '{"words": "a b", "labels": []}\n{"words": ["a"], "labels": [0]}\n',
     {1: "1 words but 2 labels", 2: "not JSON", 3: "a list", 4: "no labels", 5: "neither",
      6: "empty", 7: "a number", 8: "surrogate", 9: "a string", 10: "a number"}),
    ("a.jsonl", '{"text": "Ana left", "entities": [{"start": 0, "end": 2, "label": "PER"}]}\n'
     '{"text": "Ana left", "entities": [[0, 3, "X"], [0, 8, "X"]]}\n'
     '{"text": "Ana", "entities": [[0, 9, "X"]]}\n{"text": "Ana", "entities": [[true, 3, "X"]]}\n'
     '{"text": "Ana", "entities": [[0, 3, ""]]}\n{"text": "Ana"}\n'
     '{"text": "Ana", "entities": 1}\n{"text": "Ana", "entities": [1]}',
     {1: "'An'", 2: "overlaps", 3: "outside", 4: "whole numbers", 5: "empty", 6: "'entities'",
      7: "not a list", 8: "needs"}),
    ("a.jsonl", '{"text": "\\u200b", "entities": []}\n', {1: "no word"}),
    ("a.jsonl", "[" * 100_000 + '\n{"words": ["a"], "labels": ["O"], "id": ' + "9" * 5000 + "}",
     {1: "not JSON", 2: "not JSON"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected"), BAD, ids=range(len(BAD)))
def test_readers_check_reports_every_bad_row(
    tmp_path: Path, name: str, content: str | bytes, expected: dict[int | None, str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    report = check(path)
    assert not report.ok
    assert [problem.line for problem in report.problems] == list(expected)
    for problem in report.problems:
        assert expected[problem.line] in problem.message
    with pytest.raises(DataFormatError) as caught:
        read(path)
    first = next(iter(expected))
    assert str(caught.value).startswith(f"{path}:{first}:" if first else f"{path}: ")


PIECES = [
    *'aO \t\n\r",{}[1_#好🙂\0\u2028\ufeff',
    *("B-X", "I-X", "S-X", '"text"', "text\n", "-DOCSTART-", "sentence,word,label\n"),
    *('{"words": ["a"], "labels": ["O"]}', "1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n"),
]
soup = st.lists(st.sampled_from(PIECES), max_size=25).map(lambda p: "".join(p).encode())


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=60) | soup,
    format=st.sampled_from([None, *READERS["tagging"]]),
    gold=st.booleans(),
)
@example(content=b"\xed\xa0\xbd \xed", format="conll", gold=True)
@example(content=b'text\n"', format="csv", gold=False)
@example(content=b"\x1f\x8b", format=None, gold=True)
def test_readers_raise_nothing_but_data_errors(
    tmp_path: Path, content: bytes, format: str | None, gold: bool
) -> None:
    path = tmp_path / "any.dat"
    path.write_bytes(content)
    report = None
    with contextlib.suppress(DataError):
        report = check(path, format, gold=gold)
    if report is None:
        # It is damaged gzip, or its content is of no format.
        assert content.startswith(b"\x1f\x8b") or format is None
        with pytest.raises(DataError, match=re.escape(str(path))):
            read(path, format, gold=gold)
        return
    if not report.ok:
        with pytest.raises(DataError, match=re.escape(str(path))):
            read(path, format, gold=gold)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # repaired tags
        samples = read(path, format, gold=gold)
    assert len(samples) == report.n_samples > 0
    for sample in samples:
        assert sample.words
        assert all(word and not word.isspace() for word in sample.words)
        assert "".join(sample.words).encode()
        assert (sample.labels is not None) == gold
        if sample.labels is not None:
            assert len(sample.labels) == len(sample.words)
            assert all(sample.labels)
