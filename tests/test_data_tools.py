"""What the readers share: strict JSON with line numbers, tables, counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_gym.data.readers.report.counts import count_items
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_object,
    checked_string,
    checked_strings,
    field,
    json_document,
    json_samples,
    load_json,
    text_words,
)
from nlp_gym.data.readers.shared.tables.tools import open_table, table_rows
from nlp_gym.types import Sample

TEXT = '{"a": [1, {"b": "{[\\"]"},\n  {}\n],\n\n"c": {"d":\n[]}}'


def test_tools_document_knows_the_line_of_each_container() -> None:
    parsed = Parsed()
    document = json_document(TEXT.split("\n"), parsed)
    assert document is not None
    value = document.value
    found = [value, value["a"], value["a"][1], value["a"][2], value["c"], value["c"]["d"]]
    assert [document.line(part) for part in found] == [1, 1, 1, 2, 5, 6]
    assert parsed.problems == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


@given(values)
def test_tools_document_lines_of_any_value(value: Any) -> None:
    """Each list and object says in its text on which line it stands."""
    text = json.dumps(value, indent=1)
    document = json_document(text.split("\n"), Parsed())
    assert document is not None
    assert document.value == value
    stack, lines = [document.value], []
    while stack:
        item = stack.pop()
        if isinstance(item, (dict, list)):
            lines.append(document.line(item))
            stack += reversed(list(item.values()) if isinstance(item, dict) else item)
    assert lines == sorted(lines)
    for line in lines:
        assert text.split("\n")[line - 1].rstrip("]},")[-1] in "[{"


@pytest.mark.parametrize(
    ("text", "line", "match"),
    [
        ('{"a": 1,\n"b": }', 2, "Expecting value"),
        ('{"a": "NaN",\n\n"b": NaN}', 3, "NaN is no JSON"),
        ('{"a":\n{"b": 1,\n"b": 2}}', 3, "key 'b' twice"),
        ("[" * 100_000, 1, "not JSON"),
        ("9" * 5000, 1, "not JSON"),
        ("", 1, "not JSON"),
    ],
)
def test_tools_document_that_is_none(text: str, line: int, match: str) -> None:
    parsed = Parsed()
    assert json_document(text.split("\n"), parsed) is None
    assert [problem.line for problem in parsed.problems] == [line]
    assert match in parsed.problems[0].message


def test_tools_objects_a_line_with_every_problem() -> None:
    def build(row: dict[str, Any], number: int) -> Sample | None:
        text = checked_string(field(row, "text"), "text")
        return Sample((text,)) if text != "skip" else None

    lines = ['{"text": "a"}', "", "[1]", '{"text": "skip"}', "{", '{"x": 1}', '{"text": 3}']
    parsed = json_samples(lines, Parsed(), build)
    assert [sample.words for sample in parsed.samples] == [("a",)]
    assert [problem.line for problem in parsed.problems] == [3, 5, 6, 7]
    assert "a list" in parsed.problems[0].message
    assert parsed.problems[2].message == "there is no 'text' (keys: 'x')"


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: checked_list({}, "k"), "'k' is an object, not a list"),
        (lambda: checked_list([], "k", least=1), "at least 1"),
        (lambda: checked_object(None, "the row"), "the row is null"),
        (lambda: checked_string("", "k"), "'k' is empty"),
        (lambda: checked_string("\ud83d", "k"), "surrogate"),
        (lambda: checked_string("a\0", "k"), "NUL"),
        (lambda: checked_strings(["a", True], "k"), "a boolean"),
        (lambda: checked_int(True, "k"), "a boolean"),
        (lambda: checked_int(1.0, "k"), "a number"),
        (lambda: checked_int(5, "k", high=4), "'k' is 5, allowed: from 0 to 4"),
        (lambda: checked_int(-(10**4000), "k"), "a huge number"),
        (lambda: text_words("\u200b", "k"), "no word"),
        (lambda: text_words([], "k"), "at least 1"),
        (lambda: load_json('{"a": Infinity}'), "Infinity is no JSON"),
    ],
)
def test_tools_checks_name_key_and_value(call: Any, match: str) -> None:
    with pytest.raises(RowError, match=match):
        call()


def test_tools_words_have_their_places() -> None:
    words, text, spans = text_words("Ana's 北京", "k")
    assert words == ("Ana", "'s", "北", "京")
    assert [text[slice(*span)] for span in spans] == list(words)
    words, text, spans = text_words(["a b", "c"], "k")
    assert (words, text) == (("a b", "c"), "a b c")
    assert [text[slice(*span)] for span in spans] == ["a b", "c"]


def test_tools_table_has_lines_header_and_width() -> None:
    parsed = Parsed()
    lines = ["", 'Text;"Label"', '"a', 'b";x', "", "only", "c;y;z", "d;w"]
    table = open_table(lines, "x.csv", parsed)
    assert table is not None
    assert (table.line, table.find("label"), table.find("nothing", "TEXT")) == (2, 1, 0)
    assert table.find("other") is None
    assert list(table.rows) == [(3, ["a\nb", "x"]), (8, ["d", "w"])]
    assert [problem.line for problem in parsed.problems] == [6, 7]
    assert table.missing("id", "key") == Problem(
        2, "the header has no column 'id' or 'key' (columns: 'Text', 'Label')"
    )
    assert open_table(["", " "], "x.csv", parsed) is None


def test_tools_table_delimiter_by_ending_and_quotes() -> None:
    table = open_table(["a,b,c\tlabel", "x\ty"], "x.TSV", Parsed())
    assert table is not None
    assert table.header == ["a,b,c", "label"]
    rows = table_rows(['"x\ty', 'z"\tw'], Parsed(), delimiter="\t", quoted=False)
    assert list(rows) == [(1, ['"x', "y"]), (2, ['z"', "w"])]


def test_tools_facts_count_what_is_there() -> None:
    extra = {"choices": (("a",), ("b",)), "head": "x"}
    assert count_items([Sample(("q",), extra=extra, gold=0), Sample(("q",), extra=extra)]) == {
        "choices": 4, "distinct heads": 1, "samples with gold": 1, "gold items": 1
    }  # fmt: skip
    assert count_items([Sample(("q",), ("A",))]) == {}
