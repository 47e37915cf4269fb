"""Formats of the family "generation": sources with reference texts to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nlp_gym.data.readers.generation import official, parallel, tatoeba
from nlp_gym.data.readers.generation.references import (
    SOURCE,
    TARGET,
    generation_sample,
    reference_texts,
    source_text,
)
from nlp_gym.data.readers.shared import raw_text
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.json_tools import (
    checked_string,
    field,
    json_samples,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.tools import (
    open_text_table,
    table_samples,
)
from nlp_gym.types import Sample


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object per line, ``{"source": ..., "target": ...}``.

    The source is a string, or a list of turns, which are joined by spaces. It stands under a key of
    `SOURCE`, or the one that `options.text_column` names. The target (under a key of `TARGET`, or
    the one that `options.column` names) is a string or a list of references. With `options.pair`,
    keys named like its languages take precedence.
    """
    sources, targets = _names(options)

    def build(row: dict[str, Any], number: int) -> Sample:
        text, references = source_text(field(row, *sources), _key(row, sources)), None
        if options.gold:
            references = reference_texts(field(row, *targets), _key(row, targets))
        return generation_sample(text, references, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table, columns ``source`` and ``target`` (names as `parse_jsonl`).

    `options.text_column` and `options.column` give other columns; where both are numbers, the table
    has no header. The delimiter is that of the header: comma, semicolon, tab or bar.
    """
    parsed = Parsed()
    sources, targets = _names(options)
    found = open_text_table(lines, name, options, parsed, text=sources, answer=targets)
    if found is None:
        return parsed
    table, source, target = found

    def build(cells: list[str], number: int) -> Sample:
        references = None
        if target is not None:
            references = [checked_string(cells[target], table.title(target))]
        text = checked_string(cells[source], table.title(source))
        return generation_sample(text, references, f"{name}:{number}")

    return table_samples(table, parsed, build)


def _names(options: Options) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys or columns of the source and of the target, the best first."""
    first, _, second = (options.pair or "").partition("-")
    sources, targets = options.text_names(SOURCE), options.label_names(TARGET)
    return (first, *sources) if first else sources, (second, *targets) if second else targets


def _key(row: dict[str, Any], names: Sequence[str]) -> str:
    return next(name for name in names if name in row)


FORMATS: tuple[Reader, ...] = (
    *official.FORMATS,
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object per line: {"source": text or turns, "target": text or references}',
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_csv,
        "columns source and target, with a header",
        takes=frozenset(("text_column", "comments")),
    ),
    *parallel.FORMATS,
    *tatoeba.FORMATS,
    replace(raw_text.TEXT, description="one source per line, for prediction"),
)
