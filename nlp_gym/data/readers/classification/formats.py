"""Formats of the family "classification": one label per text."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

from nlp_gym.data.readers.classification import official
from nlp_gym.data.readers.classification.fasttext import parse_one
from nlp_gym.data.readers.classification.label_cells import MARKS, is_list, joined_labels
from nlp_gym.data.readers.classification.labelled_text import (
    TEXT_KEYS,
    RefusedLabels,
    label_text,
    table_texts,
    text_sample,
)
from nlp_gym.data.readers.shared import class_names, raw_text
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, field, json_samples
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import shown
from nlp_gym.types import Sample

LABEL = ("label", "category", "intent", "class", "topic", "sentiment", "labels")


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line: ``{"text": "...", "label": "..."}``.

    Other keys of the text are `sentence`, `words`, `tokens`, ... (a list is taken as the words).
    The label is a string or a whole number; `options.column` and `options.text_column` name the
    keys. Numbers are replaced by their names where the file has some, see `class_names.read_names`.
    Texts with the label -1 have none, as in Hugging Face's datasets, and are left out.
    """
    keys = options.label_names(LABEL)
    names = class_names.read_names(options, keys)
    unlabelled = dict[str, int]()  # by id of the sample, its line
    refused = RefusedLabels()

    def build(row: dict[str, Any], number: int) -> Sample | None:
        if options.gold and refused.leaves_out(row, number):
            return None
        value, labels = field(row, *options.text_names(TEXT_KEYS)), None
        if options.gold:
            given = field(row, *keys)
            if type(given) is int and given == class_names.UNLABELLED:
                unlabelled[f"{name}:{number}"] = number
            else:
                given = class_names.named(given, names, keys[0])
            labels = (label_text(given, keys[0]),)
        return text_sample(value, labels, f"{name}:{number}")

    parsed = refused.report(json_samples(lines, Parsed(), build))
    _leave_out(unlabelled, parsed)
    return _doubt_joined(parsed)


def _leave_out(unlabelled: dict[str, int], parsed: Parsed) -> None:
    """Leave out the texts with the label -1 where all other labels are numbers from 0 or names."""
    if not unlabelled:
        return
    labelled = [sample for sample in parsed.samples if sample.id not in unlabelled]
    if any((sample.labels or ("",))[0].startswith("-") for sample in labelled):
        return  # -2, -1, 0, ...: a scale
    first, n = next(iter(unlabelled.values())), len(unlabelled)
    if not labelled:
        message = (
            "every text has the label -1, which Hugging Face's datasets give where none is known"
        )
        parsed.problems.append(Problem(first, message))
        return
    message = (
        f"{n} text(s) have the label -1, which Hugging Face's datasets give where none is known, "
        'and are left out. If -1 is a label, write it as text: "-1"'
    )
    parsed.warnings.append(Problem(first, message))
    parsed.samples = labelled


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a column `text` and a column `label`.

    Other usual names are known (`sentence`; `category`, `intent`, ...). `options.column` and
    `options.text_column` give other columns; where both are numbers, the table has no header. The
    delimiter is that of the header: comma, semicolon, tab or bar.
    """
    keys = options.label_names(LABEL)
    names = class_names.read_names(options, keys)
    unlabelled = dict[str, int]()  # by id of the sample, its line

    def labels_of(cell: str, number: int) -> tuple[str, ...]:
        if is_list(cell):
            raise RowError(
                f"{keys[0]!r} is the list {shown(cell)} where one label is needed: sets of labels "
                "are of the family 'multilabel'"
            )
        if names and cell.strip() == str(class_names.UNLABELLED):
            unlabelled[f"{name}:{number}"] = number
            return (cell.strip(),)
        return (label_text(class_names.named(cell, names, keys[0]), keys[0]),)

    parsed = table_texts(lines, name, options, LABEL, labels_of)
    _leave_out(unlabelled, parsed)
    if not unlabelled:
        _doubt_minus_one(parsed)
    return _doubt_joined(parsed)


def _doubt_minus_one(parsed: Parsed) -> None:
    """Warn of a label -1 beside 0, 1, ..., which may mean that no label is known."""
    counts = Counter(label for sample in parsed.samples for label in sample.labels or ())
    n = counts.pop(str(class_names.UNLABELLED), 0)
    if n and counts and all(map(str.isdecimal, counts)):
        message = (
            f"{n} text(s) have the label -1, which is read as a label; Hugging Face's datasets "
            "give it where none is known: take these rows out if that is meant"
        )
        parsed.warnings.append(Problem(None, message))


def _doubt_joined(parsed: Parsed) -> Parsed:
    """Warn where a label may be several labels that a mark separates; return `parsed`."""
    counts = Counter(label for sample in parsed.samples for label in sample.labels or ())
    found = joined_labels(counts, (*MARKS, "#"), strict=True)
    if found is not None:
        label, mark = found
        message = (
            f"{shown(label)} is read as one label, but its parts between {mark!r} are labels of "
            "other texts: sets of labels are of the family 'multilabel' (MultiLabel-v0)"
        )
        parsed.warnings.append(Problem(None, message))
    return parsed


def _parse_without_column(
    lines: list[str], name: str, options: Options, *, reader: Reader
) -> Parsed:
    """Parse a format without columns: it is a problem if `options` names one."""
    if options.column is not None and options.gold:
        message = f"column={options.column!r}: {reader.name} has no columns to choose from"
        return Parsed(problems=[Problem(None, message)])
    return reader.parse(lines, name, options)


def _without_columns(*readers: Reader) -> tuple[Reader, ...]:
    """The readers, made to refuse `Options.column`."""
    return tuple(
        replace(reader, parse=partial(_parse_without_column, reader=reader)) for reader in readers
    )


FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object per line: {"text", "label"}',
        companions=class_names.name_files,
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_csv,
        "columns text and label, with a header",
        companions=class_names.name_files,
        takes=frozenset(("text_column", "comments")),
    ),
    *_without_columns(
        Reader(
            "ag-csv",
            (".csv",),
            official.parse_ag,
            "AG News: class number, title, description; no header",
        ),
        Reader(
            "clinc",
            (".json",),
            official.parse_clinc,
            "CLINC150: one JSON object, a list of [text, intent] per split",
            official.sniff_clinc,
        ),
        Reader(
            "snips",
            (".json",),
            official.parse_snips,
            "SNIPS: a JSON object, a list of utterances per intent",
            official.sniff_snips,
        ),
        Reader(
            "sst2",
            (".txt",),
            official.parse_sst2,
            "SST-2: 0 or 1, then the tokenised sentence",
        ),
    ),
    Reader(
        "trec",
        (".txt",),
        official.parse_trec,
        "TREC: COARSE:fine, then the tokenised question",
        official.sniff_trec,
    ),
    *_without_columns(
        Reader(
            "fasttext",
            (".txt", ".ft", ".fasttext"),
            parse_one,
            "fastText: __label__NAME and a text",
            takes=frozenset(("comments",)),
        ),
        Reader(
            "label-first",
            (".txt",),
            official.parse_label_first,
            "one text per line after its label and a tab or, where lines have none, a space",
            takes=frozenset(("comments",)),
        ),
    ),
    raw_text.TEXT,
)
