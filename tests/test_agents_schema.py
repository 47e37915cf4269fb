"""The check of a run's files: types, limits, and parsers that read plain data and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
import yaml

from nlp_gym.errors import RunError
from nlp_gym.files import parse_json
from nlp_gym_agents.evaluation.benchmark.table import Cell, read_cell, read_cells, write_cell
from nlp_gym_agents.runs.files.plain_files import parse_yaml, read_json
from nlp_gym_agents.runs.files.schema import Count, Range, check, misfit
from nlp_gym_agents.runs.folder import read_config_file, write_settings


class Part(TypedDict):
    name: str
    sizes: list[Count]


class _Whole(TypedDict):
    kind: Literal["a", "b"]
    part: Part | None


class Whole(_Whole, total=False):
    share: Annotated[float, Range(0, 1)]
    pair: tuple[int, str]
    more: dict[str, bool | None]
    open: Any


@dataclass
class Loop:
    steps: Count
    best: float | None = None


GOOD: dict[str, Any] = {"kind": "a", "part": {"name": "x", "sizes": [0, 3]}}


@pytest.mark.parametrize(
    "more", [{}, {"share": 1}, {"pair": [1, "x"]}, {"more": {"x": None}}, {"open": [{}]}]
)
def test_schema_takes_what_fits(more: dict[str, Any]) -> None:
    check({**GOOD, **more}, Whole, "f")
    check({"kind": "b", "part": None}, Whole, "f")
    check({"steps": 3}, Loop, "f")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], r"f is damaged: \[\] is list, but a mapping is wanted"),
        ({"kind": "a"}, "it lacks part"),
        ({**GOOD, "kid": 1}, "the key 'kid' is not known .did you mean 'kind'"),
        ({**GOOD, "kind": "c"}, "kind: 'c' must be one of 'a', 'b'"),
        ({**GOOD, "kind": None}, "kind: None is NoneType"),
        ({**GOOD, "part": {"name": "x", "sizes": [1, -1]}}, r"part\['sizes'\]\[1\]: -1 must be"),
        ({**GOOD, "part": {"name": "x", "sizes": [True]}}, "True is bool, but a whole number"),
        ({**GOOD, "part": {"name": "x", "sizes": [1.0]}}, "1.0 is float"),
        ({**GOOD, "part": {"name": "x", "sizes": [10**13]}}, "from 0 to 1,000,000,000,000"),
        ({**GOOD, "part": {"name": "x"}}, r"part: it lacks sizes"),
        ({**GOOD, "part": []}, "a mapping or null is wanted"),
        ({**GOOD, "share": 1.5}, "share: 1.5 must be a number from 0 to 1"),
        ({**GOOD, "share": "1"}, "share: '1' is str"),
        ({**GOOD, "pair": [1]}, "pair: 1 values, but 2 are wanted"),
        ({**GOOD, "pair": ["x", 1]}, r"pair\[0\]: 'x' is str"),
        ({**GOOD, "more": {"x": 1}}, r"more\['x'\]: 1 is int, but true or false or null"),
    ],
)
def test_schema_names_the_place_and_what_is_wanted(value: Any, words: str) -> None:
    with pytest.raises(RunError, match=words):
        check(value, Whole, "f")


def test_schema_of_a_dataclass_and_of_one_value() -> None:
    with pytest.raises(RunError, match="it lacks steps"):
        check({"best": 1.0}, Loop, "f")
    with pytest.raises(RunError, match="not known"):
        check({"steps": 1, "x": 1}, Loop, "f")
    assert misfit(3, Count) is None
    assert "must be a whole number" in str(misfit(-3, Count))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 10**6, "deeper"),
        ("[" * 65 + "]" * 65, "deeper"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ("NaN", "NaN is no number"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "not finite"),
        ("9" * 10**6, "digits"),
        (r'"\ud800"', "surrogate"),
        (r'{"\u0000": 1}', "NUL"),
        ("{} {}", "Extra data"),
    ],
)
def test_json_is_strict(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RunError, match=rf"x\.json is missing or damaged .*{words}"):
        read_json(tmp_path / "x.json")


def test_json_within_the_limits() -> None:
    deep = "[" * 63 + "]" * 63
    assert parse_json(f'{{"a": {deep}, "b": [1e308, -0.0, {2**127}, "é"]}}')["b"][2] == 2**127


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x", "line 1 has the anchor or alias 'x'"),
        ("a: *x", "anchor or alias"),
        ("[" * 10**6, "deeper"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice"),
        ("1: a\n'1': b", "twice"),
        ("a: " + "1:1" * 10**5, "digits"),
        ("a: 0x" + "f" * 10**5, "digits"),
        ("seed: 1:30", "line 1: 1:30 is a number to the base 60"),
        ("[" + "a," * 10**6 + "]", "more than 100,000 values"),
        ("!!python/object/apply:os.system [true]", "tag"),
        ("a: !!bool x", "does not fit its tag"),
        ("a: !!timestamp x", "does not fit its tag"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: [", "line 2"),
    ],
)
def test_yaml_is_plain(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x: 2001-01-01", "date"),
        ("x: !!binary aGk=", "bytes"),
        ("x: !!set {a}", "set"),
        ("x: .nan", "not finite"),
        ('x: "\\0"', "NUL"),
        ("- x", "mapping"),
        ("", "mapping"),
    ],
)
def test_yaml_of_settings_holds_plain_values(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(RunError, match=words):
        read_config_file(tmp_path / "config.yml")


def test_yaml_keys_are_texts_as_they_are_written() -> None:
    assert parse_yaml("{1: a, yes: b, null: c}") == {"1": "a", "yes": "b", "null": "c"}


def test_settings_are_written_without_aliases(tmp_path: Path) -> None:
    shared = [1, 2]
    write_settings(tmp_path / "config.yml", {"a": shared, "b": {"c": shared}})
    assert "&" not in (tmp_path / "config.yml").read_text()
    assert read_config_file(tmp_path / "config.yml") == {"a": shared, "b": {"c": shared}}
    assert yaml.safe_load((tmp_path / "config.yml").read_text())["format_version"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"test": {"value": "high", "interval": None, "n": 1, "corpus": {}}},
        {"test": []},
        {"seed": None},
        {"status": "perhaps"},
        {"seconds": -1e400},
        {"metric": 5},
    ],
)
def test_benchmark_result_of_another_shape_counts_as_none(
    change: dict[str, Any], tmp_path: Path
) -> None:
    cell = Cell("NER-v0", "bc", 0, {})
    score = {"value": 0.5, "interval": None, "n": 3, "corpus": {}}
    result = {"status": "done", "seconds": 1.0, "metric": "f1", "dev": score, "test": score}
    write_cell(cell, tmp_path, result)
    assert read_cell(cell, tmp_path) is not None
    assert len(read_cells(tmp_path)) == 1
    file = cell.file(tmp_path)
    record = {**read_json(file), **change}
    file.write_text(json.dumps(record))
    assert read_cell(cell, tmp_path) is None
    assert read_cells(tmp_path) == []
