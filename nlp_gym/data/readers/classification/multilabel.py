"""Formats of the family "multilabel": a set of labels per text."""

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
from nlp_gym.data.readers.shared import raw_text
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
"""The labels of GoEmotions in the order of its label numbers."""


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line: ``{"text": "...", "labels": ["a", "b"]}``.

    The labels are a list, which may be empty, or one string in which ``;``, ``|`` or ``,``
    separates them; `options.column` names their key.
    """

    def build(row: dict[str, Any], number: int) -> Sample:
        value, labels = field(row, *TEXT_KEYS), None
        if options.gold:
            keys = options.label_names(LABELS)
            given = field(row, *keys)
            labels = split_labels(given) if isinstance(given, str) else _label_set(given, keys[0])
        return text_sample(value, labels, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header: a column `text` and a column `labels`.

    In a cell ``;``, ``|`` or ``,`` separates the labels; an empty cell is the empty set.
    `options.column` names the label column.
    """
    wanted = options.label_names(LABELS)
    return table_texts(lines, name, options, wanted, split_labels)


def parse_goemotions(lines: list[str], name: str, options: Options) -> Parsed:
    """Read lines ``text<TAB>label numbers joined by commas<TAB>comment id``, without a header.

    A number from 0 is a line of the file `labels.txt` beside this one; without such a file it is an
    index in `GOEMOTIONS`.
    """
    names = [label.strip() for label in options.companions.get("labels.txt", ()) if label.strip()]
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
    """Read one text per line; its labels are on the same line of another file, space-separated.

    The other file has ``label`` in its name where this one has ``text``.
    """
    parsed = Parsed()
    (other,) = aapd_label_file(name, options)
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    label_lines = options.companions.get(other)
    if options.gold and label_lines is None:
        return Parsed(problems=[Problem(None, f"the labels are missing: there is no {other}")])
    for number, line in enumerate(lines, 1):
        try:
            labels = None
            if options.gold and label_lines is not None:
                if number > len(label_lines) or not label_lines[number - 1].strip():
                    raise RowError(f"line {number} of {other} has no label")
                labels = _label_set(label_lines[number - 1].split(), "labels")
            parsed.samples.append(text_sample(line.split() or line, labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def aapd_label_file(name: str, options: Options) -> tuple[str]:
    """Name of the file that has the labels of the file `name`."""
    return (name.replace("text", "label"),)


def split_labels(cell: str) -> tuple[str, ...]:
    """The set of labels in one string, separated by ``;``, else by ``|``, else by ``,``."""
    mark = next((m for m in ";|," if m in cell), ";")
    return _label_set([part for part in cell.split(mark) if part.strip()], "labels")


def _label_set(value: Any, key: str) -> tuple[str, ...]:
    return tuple(sorted({label_text(label, key) for label in checked_list(value, key)}))


def _numbered(cell: str, names: Iterable[str]) -> tuple[str, ...]:
    inventory = tuple(names)
    found = [part.strip() for part in cell.split(",") if part.strip()]
    for part in found:
        if not re.fullmatch(r"[0-9]{1,6}", part) or int(part) >= len(inventory):
            raise RowError(f"the label {part[:40]!r} is no number from 0 to {len(inventory) - 1}")
    return tuple(sorted({inventory[int(part)] for part in found}))


def sniff_goemotions(head: list[str]) -> bool:
    """Whether the second cell of the first lines holds label numbers alone."""
    cells = [line.split("\t") for line in head[:3]]
    return bool(cells) and all(len(c) > 1 and re.fullmatch(r"[\d, ]+", c[1]) for c in cells)


FORMATS: tuple[Reader, ...] = (
    Reader("jsonl", (".jsonl", ".ndjson"), parse_jsonl, 'one object per line: {"text", "labels"}'),
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
        "one text per line, its labels in a file beside (text -> label)",
        None,
        aapd_label_file,
    ),
    raw_text.TEXT,
)
