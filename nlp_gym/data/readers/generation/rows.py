"""Readers of sources with reference texts: translations, written summaries, replies, free text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nlp_gym.data.readers.generation import official, parallel, tatoeba
from nlp_gym.data.readers.generation.references import (
    SOURCE,
    TARGET,
    generation_sample,
    reference_texts,
    source_text,
)
from nlp_gym.data.readers.shared import raw_text as plain
from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_string,
    field,
    json_samples,
    with_id,
)
from nlp_gym.data.readers.shared.table_tools import delimiter_of, open_table
from nlp_gym.types import Sample


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object a line, ``{"source": ..., "target": ...}``.

    The source (also a key of `SOURCE`) is a string or a list of turns, which are joined by spaces.
    The target (also a key of `TARGET`; `options.column` names another) is a string or a list of
    references. With `options.pair` keys that are the names of its languages come first.
    """
    sources, targets = _names(options)

    def build(row: dict[str, Any], number: int) -> Sample:
        text, references = source_text(field(row, *sources), _key(row, sources)), None
        if options.gold:
            references = reference_texts(field(row, *targets), _key(row, targets))
        return generation_sample(text, references, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header, columns ``source`` and ``target`` (names as `parse_jsonl`).

    The delimiter is that of the header: comma, semicolon, tab or bar.
    """
    parsed = Parsed()
    table = open_table(lines, name, parsed)
    if table is None:
        return parsed
    sources, targets = _names(options)
    source, target, identity = table.find(*sources), table.find(*targets), table.find("id")
    if source is None:
        parsed.problems.append(table.missing(*sources))
    if options.gold and target is None:
        parsed.problems.append(table.missing(*targets))
    if parsed.problems or source is None:
        return parsed
    for number, cells in table.rows:
        try:
            references = None
            if options.gold and target is not None:
                references = [checked_string(cells[target], table.header[target].strip())]
            text = checked_string(cells[source], table.header[source].strip())
            sample = generation_sample(text, references, f"{name}:{number}")
            parsed.samples.append(with_id(sample, None if identity is None else cells[identity]))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def _names(options: Options) -> tuple[Sequence[str], Sequence[str]]:
    """Keys or columns of the source and of the target, the best first."""
    first, _, second = (options.pair or "").partition("-")
    targets = TARGET if options.column is None else (str(options.column),)
    return (first, *SOURCE) if first else SOURCE, (second, *targets) if second else targets


def _key(row: dict[str, Any], names: Sequence[str]) -> str:
    return next(name for name in names if name in row)


def sniff_jsonl(head: list[str]) -> bool:
    """Whether the file begins as JSON."""
    return bool(head) and head[0].lstrip().startswith("{")


def sniff_csv(head: list[str]) -> bool:
    """Whether the first line is a header with columns of source and target."""
    first = head[0] if head else ""
    names = {cell.strip(' "').lower() for cell in first.split(delimiter_of("", first))}
    return bool(names & set(SOURCE)) and bool(names & set(TARGET))


ROWS: tuple[Reader, ...] = (
    *official.ROWS,
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object a line: {"source": text or turns, "target": text or references}',
        sniff_jsonl,
    ),
    Reader(
        "csv", (".csv", ".tsv"), parse_csv, "columns source and target, with a header", sniff_csv
    ),
    *parallel.ROWS,
    *tatoeba.ROWS,
    Reader("text", (), plain.parse, "one source a line, for prediction"),
)
