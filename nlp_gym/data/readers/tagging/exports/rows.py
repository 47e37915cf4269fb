"""What the readers of exports share: the first rows, keys of any of several names, own tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText
from nlp_gym.data.readers.shared.head import Head
from nlp_gym.data.readers.shared.json_tools import RowError, json_rows
from nlp_gym.data.readers.shared.offsets import Mark, Span
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts, read_marked

_FIRST = 50
"""So many rows are looked at to recognise a format."""

AddRow = Callable[[Any, int, MarkedTexts], None]
"""Adds the text of a row, (value, line, texts); raises `RowError` for a bad one."""


def first_values(lines: list[str]) -> list[Any]:
    """The first JSON values of a file from its first lines; lines that are none are left out."""
    if isinstance(lines, Head):
        return lines.values[:_FIRST]
    found = list[Any]()
    for line in lines[:_FIRST]:
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return found


def first_objects(lines: list[str]) -> list[dict[str, Any]]:
    """Those of the first JSON values that are objects."""
    return [value for value in first_values(lines) if isinstance(value, dict)]


def read_rows(lines: list[str], name: str, options: Options, add: AddRow) -> Parsed:
    """Read JSON rows, each of which is a text, with `add`."""

    def fill(texts: MarkedTexts) -> None:
        for number, value in json_rows(lines, texts.parsed):
            try:
                add(value, number, texts)
            except RowError as error:
                texts.add_bad(number, str(error))

    return read_marked(fill, name, options)


def is_spans(value: Any) -> bool:
    """Whether a value is a list of ``[start, end, label]``, one at least."""
    return isinstance(value, list) and any(
        isinstance(item, list) and len(item) == 3 and type(item[0]) is int for item in value
    )


def is_objects(value: Any, *keys: str) -> bool:
    """Whether a value is a list of objects, one at least, each of which has all the keys."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and item.keys() >= set(keys) for item in value)
    )


def text_of_tokens(text: str, tokens: Iterable[Span], line: int) -> TaggedText:
    """A text that is cut into given words; those that are blank are left out.

    Raises:
        RowError: There is no word, or words overlap or lie outside the text.
    """
    spans = list[Span]()
    end = 0
    for start, stop in tokens:
        if not end <= start < stop <= len(text):
            raise RowError(
                f"the token {start}..{stop} is empty, overlaps another one or lies outside the "
                f"text of {len(text)} characters"
            )
        end = stop
        if not text[start:stop].isspace():
            spans.append((start, stop))
    if not spans:
        raise RowError("the text holds no word")
    words = [text[start:stop] for start, stop in spans]
    return TaggedText(words, [], [line] * len(words), {"text": text, "spans": tuple(spans)})


def tags_of_words(marks: Iterable[Mark], n_words: int) -> list[str]:
    """IOB2 tags of words from entities that begin and end at words, ends exclusive.

    Raises:
        RowError: An entity lies outside of the words, or overlaps another one.
    """
    tags = ["O"] * n_words
    for mark in marks:
        if not 0 <= mark.start < mark.end <= n_words:
            raise RowError(
                f"entity {mark.start}..{mark.end} lies outside the {n_words} words, or is empty"
            )
        if any(tag != "O" for tag in tags[mark.start : mark.end]):
            raise RowError(
                f"entity {mark.start}..{mark.end} overlaps another one, which tags of words cannot "
                "say"
            )
        rest = [f"I-{mark.label}"] * (mark.end - mark.start - 1)
        tags[mark.start : mark.end] = [f"B-{mark.label}", *rest]
    return tags
