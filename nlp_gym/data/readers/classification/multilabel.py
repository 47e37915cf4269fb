"""Readers of multi-label classification: a set of labels a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from nlp_gym.data.readers.classification.labelled_text import (
    TEXT_KEYS,
    label_text,
    table_texts,
    text_sample,
)
from nlp_gym.data.readers.shared import raw_text as plain
from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, checked_list, field, json_samples
from nlp_gym.data.readers.shared.table_tools import table_rows
from nlp_gym.types import Sample

LABELS = ("labels", "label", "categories", "tags", "topics")
_GOEMOTIONS = """
admiration amusement anger annoyance approval caring confusion curiosity desire disappointment
disapproval disgust embarrassment excitement fear gratitude grief joy love nervousness optimism
pride realization relief remorse sadness surprise neutral
"""
GOEMOTIONS = tuple(_GOEMOTIONS.split())
"""Labels of GoEmotions in the order of its numbers."""


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object a line: ``{"text": "...", "labels": ["a", "b"]}``.

    The labels are a list, perhaps empty, or one string in which ``;``, ``|`` or ``,`` separates
    them; `options.column` names their key.
    """

    def build(row: dict[str, Any], number: int) -> Sample:
        value, labels = field(row, *TEXT_KEYS), None
        if options.gold:
            keys = LABELS if options.column is None else (str(options.column),)
            given = field(row, *keys)
            labels = separated(given) if isinstance(given, str) else _set(given, keys[0])
        return text_sample(value, labels, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header: a column `text` and a column `labels`.

    In a cell ``;``, ``|`` or else ``,`` separates the labels; an empty cell is the empty set.
    `options.column` names the label column.
    """
    wanted = LABELS if options.column is None else (str(options.column),)
    return table_texts(lines, name, options, wanted, separated)


def parse_goemotions(lines: list[str], name: str, options: Options) -> Parsed:
    """Read lines ``text<TAB>numbers joined by commas<TAB>comment id``, without a header.

    The numbers count the lines of `labels.txt` beside the file, from 0; where there is no such file
    they are those of GoEmotions.
    """
    names = [label.strip() for label in options.beside.get("labels.txt", ()) if label.strip()]
    parsed, inventory = Parsed(), names or GOEMOTIONS
    for number, cells in table_rows(lines, parsed, delimiter="\t", quoted=False):
        try:
            if len(cells) < 2 and options.gold:
                raise RowError("the line has no tab: needed is text, tab, label numbers")
            labels = _numbered(cells[1], inventory) if options.gold else None
            parsed.samples.append(text_sample(cells[0], labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def parse_aapd(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one text a line; the labels are on the same line of the file beside, space-separated.

    That file has ``label`` in its name where this one has ``text``.
    """
    parsed = Parsed()
    (other,) = beside_aapd(name, options)
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    beside = options.beside.get(other)
    if options.gold and beside is None:
        return Parsed(problems=[Problem(None, f"the labels are missing: there is no {other}")])
    for number, line in enumerate(lines, 1):
        try:
            labels = None
            if options.gold and beside is not None:
                if number > len(beside) or not beside[number - 1].strip():
                    raise RowError(f"line {number} of {other} has no label")
                labels = _set(beside[number - 1].split(), "labels")
            parsed.samples.append(text_sample(line.split() or line, labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def beside_aapd(name: str, options: Options) -> tuple[str]:
    """Name of the file with the labels of the file `name`."""
    return (name.replace("text", "label"),)


def separated(cell: str) -> tuple[str, ...]:
    """The set of labels in one string: ``;`` separates, else ``|``, else ``,``."""
    mark = next((m for m in ";|," if m in cell), ";")
    return _set([part for part in cell.split(mark) if part.strip()], "labels")


def _set(value: Any, key: str) -> tuple[str, ...]:
    return tuple(sorted({label_text(label, key) for label in checked_list(value, key)}))


def _numbered(cell: str, names: Iterable[str]) -> tuple[str, ...]:
    inventory = tuple(names)
    found = [part.strip() for part in cell.split(",") if part.strip()]
    for part in found:
        if not re.fullmatch(r"[0-9]{1,6}", part) or int(part) >= len(inventory):
            raise RowError(f"the label {part[:40]!r} is no number from 0 to {len(inventory) - 1}")
    return tuple(sorted({inventory[int(part)] for part in found}))


def sniff_goemotions(head: list[str]) -> bool:
    """Whether the second of the cells holds numbers only."""
    cells = [line.split("\t") for line in head[:3]]
    return bool(cells) and all(len(c) > 1 and re.fullmatch(r"[\d, ]+", c[1]) for c in cells)


ROWS: tuple[Reader, ...] = (
    Reader("jsonl", (".jsonl", ".ndjson"), parse_jsonl, 'one object a line: {"text", "labels"}'),
    Reader(
        "goemotions",
        (".tsv",),
        parse_goemotions,
        "GoEmotions: text, label numbers, id; tabs, no header",
        sniff_goemotions,
        lambda name, options: ("labels.txt",),
    ),
    Reader("csv", (".csv", ".tsv"), parse_csv, "columns text and labels (a;b), with a header"),
    Reader(
        "aapd",
        (".text",),
        parse_aapd,
        "one text a line, its labels in a file beside (text -> label)",
        None,
        beside_aapd,
    ),
    Reader("text", (), plain.parse, "one text a line, for prediction"),
)
