"""Formats of the family "multilabel": a set of labels per text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from nlp_gym.data.readers.classification.fasttext import parse_many
from nlp_gym.data.readers.classification.label_cells import LabelColumn, label_set
from nlp_gym.data.readers.classification.labelled_text import (
    TEXT_KEYS,
    RefusedLabels,
    table_texts,
    text_sample,
)
from nlp_gym.data.readers.shared import class_names, raw_text
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, field, json_samples
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.rows import table_rows
from nlp_gym.types import Sample

LABELS = ("labels", "label", "categories", "tags", "topics")
_GOEMOTIONS = """
admiration amusement anger annoyance approval caring confusion curiosity desire disappointment
disapproval disgust embarrassment excitement fear gratitude grief joy love nervousness optimism
pride realization relief remorse sadness surprise neutral
"""
GOEMOTIONS = tuple(_GOEMOTIONS.split())
"""The labels of GoEmotions in the order of its label numbers."""
_NUMBERS = re.compile(r"[0-9]{1,3}(?: *, *[0-9]{1,3})*")
_COMMENT = re.compile(r"\w{1,20}")


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line: ``{"text": "...", "labels": ["a", "b"]}``.

    The labels are a list, which may be empty, or one string; of strings see `LabelColumn`.
    `options.column` and `options.text_column` name their keys. Numbers are replaced by their names
    where the file has some, see `class_names.read_names`.
    """
    parsed, keys = Parsed(), options.label_names(LABELS)
    column = LabelColumn(keys[0], options.label_separator)
    names = class_names.read_names(options, keys)

    refused = RefusedLabels()

    def build(row: dict[str, Any], number: int) -> Sample | None:
        if options.gold and refused.leaves_out(row, number):
            return None
        value, where = field(row, *options.text_names(TEXT_KEYS)), f"{name}:{number}"
        labels = None
        if options.gold:
            given = field(row, *keys)
            if names and isinstance(given, list):
                given = [class_names.named(item, names, keys[0]) for item in given]
            labels = column.labels(given, number, where)
        return text_sample(value, labels, where)

    return refused.report(column.finish(json_samples(lines, parsed, build)))


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a column `text` and a column `labels`; of its cells see `LabelColumn`.

    An empty cell is the empty set. `options.column` and `options.text_column` give other columns;
    where both are numbers, the table has no header.
    """
    usual = options.label_names(LABELS)
    column = LabelColumn(usual[0], options.label_separator)

    def labels_of(cell: str, number: int) -> tuple[str, ...]:
        return column.labels(cell, number, f"{name}:{number}")

    return column.finish(table_texts(lines, name, options, LABELS, labels_of))


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
            if len(cells) > 3:
                raise RowError(
                    f"{len(cells)} cells between tabs, where GoEmotions has three: a text, label "
                    "numbers and an id. Of another table, give the columns by number, from 0"
                )
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
    lines = lines[: next((n for n in range(len(lines), 0, -1) if lines[n - 1].strip()), 0)]
    label_lines = options.companions.get(other)
    if options.gold and label_lines is None:
        return Parsed(problems=[Problem(None, f"the labels are missing: there is no {other}")])
    for number, line in enumerate(lines, 1):
        try:
            labels = None
            if options.gold and label_lines is not None:
                if number > len(label_lines) or not label_lines[number - 1].strip():
                    raise RowError(f"line {number} of {other} has no label")
                labels = label_set(label_lines[number - 1].split(), "labels")
            parsed.samples.append(text_sample(line.split() or line, labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    if label_lines is not None and any(line.strip() for line in label_lines[len(lines) :]):
        message = f"{name} has {len(lines)} line(s), but {other} has labels for more"
        return Parsed(problems=[Problem(max(len(lines), 1), message)])
    return parsed


def aapd_label_file(name: str, options: Options) -> tuple[str]:
    """Name of the file that has the labels of the file `name`."""
    return (name.replace("text", "label"),)


def _numbered(cell: str, names: Iterable[str]) -> tuple[str, ...]:
    inventory = tuple(names)
    found = [part.strip() for part in cell.split(",") if part.strip()]
    for part in found:
        if not re.fullmatch(r"[0-9]{1,6}", part) or int(part) >= len(inventory):
            raise RowError(f"the label {part[:40]!r} is no number from 0 to {len(inventory) - 1}")
    return tuple(sorted({inventory[int(part)] for part in found}))


FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object per line: {"text", "labels"}',
        None,
        class_names.name_files,
        frozenset(("text_column", "label_separator")),
    ),
    Reader(
        "goemotions",
        (".tsv",),
        parse_goemotions,
        "GoEmotions: text, label numbers, id; tabs, no header",
        companions=lambda name, options: ("labels.txt",),
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_csv,
        "columns text and labels (a;b), with a header",
        takes=frozenset(("text_column", "label_separator", "comments")),
    ),
    Reader(
        "fasttext",
        (".txt", ".ft", ".fasttext"),
        parse_many,
        "fastText: a text and its labels, each as __label__NAME",
        takes=frozenset(("comments",)),
    ),
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
