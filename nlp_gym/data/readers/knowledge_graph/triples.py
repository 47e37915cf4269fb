"""Formats of the family "kg": triples of a head, a relation and a tail, which is the answer."""

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
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_string,
    field,
    json_samples,
)
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.readers.shared.options import Column, Options
from nlp_gym.data.readers.shared.tables.tools import (
    open_table,
    without_comments,
)
from nlp_gym.types import Sample

HEAD = ("head", "subject", "source", "h", "s")
RELATION = ("relation", "predicate", "property", "r", "p")
TAIL = ("tail", "object", "target", "t", "o")
_PARTS = ("head", "relation", "tail")


class _SampleBuilder:
    """Makes the samples of one file of triples; each distinct name is cut into words once."""

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
    """Read one ``head<TAB>relation<TAB>tail`` per line; blank lines are skipped.

    Without gold the tail may be missing. Labels of the entities are read from the file
    ``STEM.labels.tsv`` or ``entity_labels.tsv`` beside it, if one exists.
    """
    parsed = Parsed()
    build = _SampleBuilder(name, read_labels(name, options, parsed))
    least = 3 if options.gold else 2
    for number, line in enumerate(without_comments(lines, options.comments), 1):
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
    build = _SampleBuilder(name, read_labels(name, options, parsed))
    table = open_table(without_comments(lines, options.comments), name, parsed)
    if table is None:
        return parsed
    wanted: list[tuple[Column, tuple[str, ...]]] = [(None, HEAD), (None, RELATION)]
    wanted += [(options.column, TAIL)] if options.gold else []
    columns = [table.column(given, usual, parsed) for given, usual in wanted]
    if None in columns:
        return parsed
    for number, row in table.rows:
        _add(parsed, build, number, [row[column or 0].strip() for column in columns], options)
    return parsed


def _add(
    parsed: Parsed, build: _SampleBuilder, number: int, cells: list[str], options: Options
) -> None:
    """Add the sample of a row's cells, or the problem that one of them is empty."""
    cells = cells[: 3 if options.gold else 2]
    empty = [part for part, cell in zip(_PARTS, cells, strict=False) if not cell]
    if empty:
        parsed.problems.append(Problem(number, f"the {' and the '.join(empty)} is empty"))
    else:
        tail = cells[2] if options.gold else None
        parsed.samples.append(build.sample(number, cells[0], cells[1], tail))


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object per line: ``{"head": "...", "relation": "...", "tail": "..."}``.

    `options.column` names the key of the tail.
    """
    parsed = Parsed()
    build = _SampleBuilder(name, read_labels(name, options, parsed))
    keys = options.label_names(TAIL)

    def text(row: dict[str, Any], names: tuple[str, ...]) -> str:
        value = trim(checked_string(field(row, *names), names[0]))
        if not value:
            raise RowError(f"{names[0]!r} is empty")
        return value

    def sample(row: dict[str, Any], number: int) -> Sample:
        tail = text(row, keys) if options.gold else None
        return build.sample(number, text(row, HEAD), text(row, RELATION), tail)

    return json_samples(lines, parsed, sample)


FORMATS: tuple[Reader, ...] = (
    Reader(
        "triples",
        (".txt", ".tsv", ".triples"),
        parse_triples,
        "head, relation and tail between tabs, no header",
        companions=label_files,
        takes=frozenset(("comments",)),
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_csv,
        "columns head, relation and tail, with a header",
        companions=label_files,
        takes=frozenset(("comments",)),
    ),
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object per line: {"head", "relation", "tail"}',
        companions=label_files,
    ),
)
