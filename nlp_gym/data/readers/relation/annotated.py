"""Texts with entities and relations as JSON gives them, and the samples that are made of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_gym.data.readers.relation.pairs import (
    Pair,
    Span,
    cut_words,
    ordered_pairs,
    pair_sample,
    report_if_empty,
)
from nlp_gym.data.readers.shared import json_tools as tools
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.readers.shared.offsets import Mark, MarkedText, settle_offsets
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.types import Sample


@dataclass
class Annotated:
    """A text while it is read.

    Attributes:
        text: The text, in which offsets count characters; None: there are `words`.
        words: Words, which offsets count; None: there is a `text`.
        entities: The entities, or the arguments of `relations` where a file has no entities.
        relations: Indices in `entities` of the heads and tails, and the labels.
        all_pairs: Whether each ordered pair of entities is to be labelled; False: only those of
            `relations`.
        identity: The user's own id.
    """

    text: str | None
    words: list[str] | None
    entities: list[Mark]
    relations: Mapping[tuple[int, int], str]
    all_pairs: bool = True
    identity: Any = None


ReadRow = Callable[[dict[str, Any]], "Annotated | None"]
"""Reads an object of a file; None leaves it out. Raises `RowError`."""


def read_annotated(lines: list[str], name: str, options: Options, read: ReadRow) -> Parsed:
    """Make samples of the objects of a file, whose offsets are settled together.

    Args:
        lines: The file.
        name: Its name.
        options: How it is read.
        read: Reads an object.
    """
    parsed = Parsed(n_bad=0)
    rows: list[tuple[int, Annotated, MarkedText | None]] = []

    def refuse(line: int, error: RowError) -> None:
        parsed.problems.append(Problem(line, str(error)))
        parsed.n_bad = (parsed.n_bad or 0) + 1

    for line, value in tools.json_rows(lines, parsed):
        try:
            row = read(tools.checked_object(value, "the row"))
        except RowError as error:
            refuse(line, error)
            continue
        if row is not None:
            marked = None if row.text is None else MarkedText(row.text, row.entities, line)
            rows.append((line, row, marked))
    parsed.n_bad = len(parsed.problems)  # those of rows that are not JSON, too
    settle_offsets([marked for _, _, marked in rows if marked is not None], parsed)
    for line, row, marked in rows:
        try:
            if marked is not None and marked.fault is not None:
                raise RowError(marked.fault)
            sample = _sample(row, line, name, options, parsed)
        except RowError as error:
            refuse(line, error)
            continue
        if sample is not None:
            parsed.samples.append(tools.with_id(sample, row.identity))
    return report_if_empty(parsed)


def _sample(
    row: Annotated, line: int, name: str, options: Options, parsed: Parsed
) -> Sample | None:
    spans = [(mark.start, mark.end) for mark in row.entities]
    words, places = _words(row, spans)
    if len(set(places.values())) < len(row.entities):
        raise RowError("two arguments or entities cover the same words")
    # The entities in the order of the text, so that the pairs do not tell that of the file.
    entities = [places[span] for span in spans]
    labels = {(entities[head], entities[tail]): x for (head, tail), x in row.relations.items()}
    pairs: Sequence[Pair] = ordered_pairs(entities) if row.all_pairs else sorted(labels)
    types = None
    if entities and all(mark.label for mark in row.entities):
        kinds = (mark.label for mark in row.entities)
        types = dict(zip(entities, kinds, strict=True)) if row.all_pairs else None
    return pair_sample(
        words,
        pairs,
        labels if options.gold else None,
        name=name,
        line=line,
        parsed=parsed,
        types=types,
    )


def _words(row: Annotated, spans: Sequence[Span]) -> tuple[list[str], dict[Span, Span]]:
    """The text's words, and which of them each span covers."""
    if row.words is not None:
        for span in spans:
            if not 0 <= span[0] < span[1] <= len(row.words):
                raise RowError(
                    f"{shown_span(span)} lies outside the text of {len(row.words)} words, or is "
                    "empty"
                )
        return row.words, {span: span for span in spans}
    assert row.text is not None
    words, places = cut_words(row.text, spans)
    if not words:
        raise RowError("'text' holds no word")
    if empty := set(spans) - set(places):
        raise RowError(f"there is no word at {shown_span(min(empty))}")
    return words, places


def checked_label(value: Any, key: str) -> str:
    """A label without white space and invisible characters at its edges.

    Raises:
        RowError: It is no text, or empty.
    """
    label = trim(tools.checked_string(value, key))
    if not label:
        raise RowError(f"{key!r} is empty")
    return label


def add_relation(
    relations: dict[tuple[int, int], str], head: int, tail: int, label: str, names: Sequence[Mark]
) -> None:
    """Add a relation between two entities.

    Raises:
        RowError: They are the same one, or have a relation already.
    """
    shown = [shown_span((names[i].start, names[i].end)) for i in (head, tail)]
    if head == tail:
        raise RowError(f"head and tail of a relation are both {shown[0]}")
    if (head, tail) in relations:
        raise RowError(f"the pair {shown[0]}, {shown[1]} is there twice")
    relations[head, tail] = label


def shown_span(span: Span) -> str:
    """A span for messages."""
    return "..".join(str(x) if abs(x) < 10**12 else "(huge)" for x in span)
