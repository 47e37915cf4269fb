"""Readers of classification: one label a text."""

from __future__ import annotations

from functools import partial
from typing import Any

from nlp_gym.data.readers.classification import official
from nlp_gym.data.readers.classification.labelled_text import (
    TEXT,
    TEXT_KEYS,
    label_text,
    table_texts,
    text_sample,
)
from nlp_gym.data.readers.shared import raw_text as plain
from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import field, json_samples
from nlp_gym.types import Sample

LABEL = ("label", "category", "intent", "class", "topic", "sentiment", "labels")


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object a line: ``{"text": "...", "label": "..."}``.

    In place of `text` also `sentence`, `words` or `tokens` (a list is taken as the words);
    `options.column` names the key of the label, a string or a whole number.
    """

    def build(row: dict[str, Any], number: int) -> Sample:
        value, labels = field(row, *TEXT_KEYS), None
        if options.gold:
            keys = LABEL if options.column is None else (str(options.column),)
            labels = (label_text(field(row, *keys), keys[0]),)
        return text_sample(value, labels, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header: a column `text` and a column `label`.

    Other usual names are known (`sentence`; `category`, `intent`, ...); `options.column` names the
    label column. The delimiter is that of the header: comma, semicolon, tab or bar.
    """
    wanted = LABEL if options.column is None else (str(options.column),)
    return table_texts(lines, name, options, wanted, lambda cell: (label_text(cell, wanted[0]),))


def sniff_csv(head: list[str]) -> bool:
    """Whether the first line is a header with a text column."""
    names = {cell.strip(' "').lower() for cell in _cells(head)}
    return bool(names & set(TEXT))


def _cells(head: list[str]) -> list[str]:
    first = head[0] if head else ""
    return first.split(max(",;\t|", key=first.count))


def _no_column(lines: list[str], name: str, options: Options, *, reader: Reader) -> Parsed:
    """Read a format that has one label a text, so that no column can be chosen."""
    if options.column is not None and options.gold:
        message = f"column={options.column!r}: {reader.name} has no columns to choose from"
        return Parsed(problems=[Problem(None, message)])
    return reader.parse(lines, name, options)


def _fixed(*readers: Reader) -> tuple[Reader, ...]:
    return tuple(
        Reader(r.name, r.extensions, partial(_no_column, reader=r), r.about, r.sniff)
        for r in readers
    )


ROWS: tuple[Reader, ...] = (
    Reader("jsonl", (".jsonl", ".ndjson"), parse_jsonl, 'one object a line: {"text", "label"}'),
    Reader("csv", (".csv", ".tsv"), parse_csv, "columns text and label, with a header", sniff_csv),
    *_fixed(
        Reader(
            "ag-csv",
            (".csv",),
            official.parse_ag,
            "AG News: class number, title, description; no header",
            official.sniff_ag,
        ),
        Reader(
            "clinc",
            (".json",),
            official.parse_clinc,
            "CLINC150: one JSON object, a list of [text, intent] a split",
            official.sniff_clinc,
        ),
        Reader(
            "snips",
            (".json",),
            official.parse_snips,
            "SNIPS: a JSON object, a list of utterances an intent",
            official.sniff_snips,
        ),
        Reader(
            "sst2",
            (".txt",),
            official.parse_sst2,
            "SST-2: 0 or 1, then the tokenised sentence",
            official.sniff_sst2,
        ),
    ),
    Reader(
        "trec",
        (".txt",),
        official.parse_trec,
        "TREC: COARSE:fine, then the tokenised question",
        official.sniff_trec,
    ),
    *_fixed(
        Reader(
            "label-first",
            (".txt",),
            official.parse_label_first,
            "one text a line after its label and a space or tab",
        )
    ),
    Reader("text", (), plain.parse, "one text a line, for prediction"),
)
