"""Readers of triples: a head, a relation and the tail that is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nlp_gym.data.readers.knowledge_graph.names import (
    entity_words,
    label_files,
    read_labels,
    relation_words,
)
from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, checked_string, field, json_samples
from nlp_gym.data.readers.shared.table_tools import open_table
from nlp_gym.types import Sample

HEAD = ("head", "subject", "source", "h", "s")
RELATION = ("relation", "predicate", "property", "r", "p")
TAIL = ("tail", "object", "target", "t", "o")
_PARTS = ("head", "relation", "tail")


class _Builder:
    """Makes samples of one file's triples; equal names are cut into words once."""

    def __init__(self, name: str, labels: Mapping[str, str] | None) -> None:
        self.name, self.labels = name, labels
        self._entity = lru_cache(maxsize=None)(lambda entity: entity_words(entity, labels))
        self._relation = lru_cache(maxsize=None)(relation_words)

    def sample(self, number: int, head: str, relation: str, tail: str | None) -> Sample:
        words = self._entity(head) + self._relation(relation)
        extra: dict[str, Any] = {"head": head, "relation": relation}
        if self.labels is not None:
            extra["names"] = self.labels
        gold = None if tail is None else (tail,)
        return Sample(words, None, f"{self.name}:{number}", extra, gold)


def parse_triples(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``head<TAB>relation<TAB>tail`` a line; blank lines are skipped.

    Without gold the tail may be missing. Labels of the entities are taken from the file
    ``STEM.labels.tsv`` or ``entity_labels.tsv`` beside it, where there is one.
    """
    parsed = Parsed()
    build = _Builder(name, read_labels(name, options, parsed))
    least = 3 if options.gold else 2
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if not least <= len(cells) <= 3:
            message = (
                f"{len(cells)} cell(s) between tabs where {least} are needed: "
                f"{', '.join(_PARTS[:least])}"
            )
            parsed.problems.append(Problem(number, message))
        else:
            _add(parsed, build, number, cells, options)
    return parsed


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header: columns `head`, `relation` and, with gold, `tail`.

    Other usual names are known (`subject`, `predicate`, `object`, ...); `options.column` names the
    column of the tail. The delimiter is that of the header: comma, semicolon, tab or bar.
    """
    parsed = Parsed()
    build = _Builder(name, read_labels(name, options, parsed))
    table = open_table(lines, name, parsed)
    if table is None:
        return parsed
    tail = TAIL if options.column is None else (str(options.column),)
    wanted = (HEAD, RELATION, tail) if options.gold else (HEAD, RELATION)
    places = [table.find(*names) for names in wanted]
    for place, names in zip(places, wanted, strict=True):
        if place is None:
            parsed.problems.append(table.missing(*names))
    if None in places:
        return parsed
    for number, row in table.rows:
        _add(parsed, build, number, [row[place or 0].strip() for place in places], options)
    return parsed


def _add(parsed: Parsed, build: _Builder, number: int, cells: list[str], options: Options) -> None:
    """Add the sample of a row's cells, or the problem that one of them is empty."""
    cells = cells[: 3 if options.gold else 2]
    empty = [part for part, cell in zip(_PARTS, cells, strict=False) if not cell]
    if empty:
        parsed.problems.append(Problem(number, f"the {' and the '.join(empty)} is empty"))
    else:
        tail = cells[2] if options.gold else None
        parsed.samples.append(build.sample(number, cells[0], cells[1], tail))


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object a line: ``{"head": "...", "relation": "...", "tail": "..."}``.

    `options.column` names the key of the tail.
    """
    parsed = Parsed()
    build = _Builder(name, read_labels(name, options, parsed))
    keys = TAIL if options.column is None else (str(options.column),)

    def text(row: dict[str, Any], names: tuple[str, ...]) -> str:
        value = checked_string(field(row, *names), names[0]).strip()
        if not value:
            raise RowError(f"{names[0]!r} is empty")
        return value

    def sample(row: dict[str, Any], number: int) -> Sample:
        tail = text(row, keys) if options.gold else None
        return build.sample(number, text(row, HEAD), text(row, RELATION), tail)

    return json_samples(lines, parsed, sample)


def _is_triples(head: list[str]) -> bool:
    return bool(head) and head[0].count("\t") == 2 and not _is_csv(head)


def _is_csv(head: list[str]) -> bool:
    """Whether the first line is a header with columns of head and relation."""
    first = head[0] if head else ""
    cells = first.split(max(",;\t|", key=first.count))
    names = {cell.strip(' "').lower() for cell in cells}
    return bool(names & set(HEAD)) and bool(names & set(RELATION))


def _is_jsonl(head: list[str]) -> bool:
    return bool(head) and head[0].lstrip().startswith("{")


ROWS: tuple[Reader, ...] = (
    Reader(
        "triples",
        (".txt", ".tsv", ".triples"),
        parse_triples,
        "head, relation and tail between tabs, no header",
        _is_triples,
        label_files,
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_csv,
        "columns head, relation and tail, with a header",
        _is_csv,
        label_files,
    ),
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object a line: {"head", "relation", "tail"}',
        _is_jsonl,
        label_files,
    ),
)
