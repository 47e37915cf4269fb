"""Formats of the family "classification": one label per text."""

from __future__ import annotations

from dataclasses import replace
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
from nlp_gym.data.readers.shared import raw_text
from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import field, json_samples
from nlp_gym.data.readers.shared.table_tools import header_names
from nlp_gym.types import Sample

LABEL = ("label", "category", "intent", "class", "topic", "sentiment", "labels")


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line: ``{"text": "...", "label": "..."}``.

    Other keys of the text are `sentence`, `words`, `tokens`, ... (a list is taken as the words).
    The label is a string or a whole number; `options.column` names its key.
    """

    def build(row: dict[str, Any], number: int) -> Sample:
        value, labels = field(row, *TEXT_KEYS), None
        if options.gold:
            keys = options.label_names(LABEL)
            labels = (label_text(field(row, *keys), keys[0]),)
        return text_sample(value, labels, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header: a column `text` and a column `label`.

    Other usual names are known (`sentence`; `category`, `intent`, ...); `options.column` names the
    label column. The delimiter is that of the header: comma, semicolon, tab or bar.
    """
    wanted = options.label_names(LABEL)
    return table_texts(lines, name, options, wanted, lambda cell: (label_text(cell, wanted[0]),))


def sniff_csv(head: list[str]) -> bool:
    """Whether the first line is a header with a text column."""
    return bool(head) and bool(header_names(head[0]) & set(TEXT))


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
    Reader("jsonl", (".jsonl", ".ndjson"), parse_jsonl, 'one object per line: {"text", "label"}'),
    Reader("csv", (".csv", ".tsv"), parse_csv, "columns text and label, with a header", sniff_csv),
    *_without_columns(
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
    *_without_columns(
        Reader(
            "label-first",
            (".txt",),
            official.parse_label_first,
            "one text per line after its label and a space or tab",
        )
    ),
    raw_text.TEXT,
)
