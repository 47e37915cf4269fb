"""`Head`, the beginning of a file, by which its format is recognised."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import text_name
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.rows import table_rows
from nlp_gym.data.readers.shared.tables.tools import table_start

_CHARACTERS = 200_000  # number of characters that are examined, but whole lines
_LINES = 1000  # number of lines that are examined
_SPREAD = 600  # number of lines of the whole file that are examined
_PRIME = 7919
_LONGEST = 20_000  # longer lines are cut off, but not JSON
_ROWS = 100  # number of JSON values that are examined
_LARGEST = 1_000_000  # longer JSON objects are not parsed only to be recognised
_OBJECT = re.compile(r"\s*\{\s*\"")
_JSON = re.compile(r"\s*(?:\{\s*(?:[\"}]|$)|\[\s*(?:[{\[\"\]]|$))")


@dataclass(frozen=True)
class HeadTable:
    """The first rows of a table.

    Attributes:
        delimiter: What separates its cells.
        header: Cells of its first row.
        rows: Cells of the rows below it.
    """

    delimiter: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> dict[str, int]:
        """Index of each column by its name in lower case."""
        names = [trim(cell.strip(' "')).lower() for cell in self.header]
        return {name: i for i, name in reversed(list(enumerate(names))) if name}

    @property
    def regular(self) -> bool:
        """Whether nearly all rows have as many cells as the first one, two at least."""
        return len(self.header) > 1 and self._fitting >= 0.9

    @property
    def mostly_regular(self) -> bool:
        """Whether a third of the rows, some of which may be broken, have as many cells as it."""
        return self._fitting >= 1 / 3

    @cached_property
    def _fitting(self) -> float:
        fitting = sum(len(row) == len(self.header) for row in self.rows)
        return fitting / len(self.rows) if self.rows else 1.0

    def column(self, index: int) -> list[str]:
        """The cells of a column below the header."""
        return [row[index].strip() for row in self.rows if len(row) > index]


class Head(list[str]):
    """The first lines of a file that are not blank; what else they show is found when asked for.

    Args:
        lines: The lines of the file.
        path: The file.
        options: How it is to be read.

    Attributes:
        lines: All lines of the file.
        raw: The first of them, with the blank ones in between, without those that are comments.
        path: The file.
        name: Its name, without the ``.gz`` of a packed one.
        ending: Ending of the name, in lower case.
        options: How it is to be read.
    """

    def __init__(self, lines: list[str], path: Path, options: Options | None = None) -> None:
        self.path, self.name = path, text_name(path)
        self.ending = Path(self.name).suffix.lower()
        self.options = Options() if options is None else options
        self.lines = lines
        comments = self.options.comments
        self.raw: list[str] = []
        left = _CHARACTERS
        for line in lines[:_LINES]:
            if comments is None or not line.startswith(comments):
                self.raw.append(line)
            left -= len(line) + 1
            if left <= 0:
                break
        super().__init__(line[:_LONGEST] for line in self.raw if line and not line.isspace())

    @property
    def start(self) -> str:
        """The first characters."""
        return "\n".join(self[:20])[:20_000]

    @cached_property
    def spread(self) -> list[str]:
        """Lines that are not blank, spread over the whole file, whose rows may be sorted."""
        comments = self.options.comments
        filled = [line for line in self.lines if line and not line.isspace()]
        if comments is not None:
            filled = [line for line in filled if not line.startswith(comments)]
        step = -(-len(filled) // _SPREAD) or 1
        # Not every step-th line: two kinds of rows may take turns.
        places = (i * step + i * _PRIME % step for i in range(-(-len(filled) // step)))
        return [filled[place][:_LONGEST] for place in places if place < len(filled)]

    @cached_property
    def is_json(self) -> bool:
        """Whether the file begins as JSON does: an object, or a list of objects, lists or texts."""
        if _JSON.match(self.start) is None:  # a first line may be broken
            objects = sum(_OBJECT.match(line) is not None for line in self[:20])
            return objects > 0 and 2 * objects >= len(self[:20])
        # "[" may be a token of its own: then the next line holds none of JSON's.
        return len(self) < 2 or self[0].strip() != "[" or self[1].lstrip()[:1] in '{["]'

    @cached_property
    def values(self) -> list[Any]:
        """The first JSON values: of the lines, of one list, or one after the other."""
        if not self.is_json:
            return []
        lines = [line for line in self.raw if line.strip()][:_ROWS]
        found = [value for line in lines if (value := _parsed(line)) is not None]
        if 2 * len(found) > len(lines) and not (len(lines) == 1 and _is_rows(found[0])):
            return found
        if self.start.lstrip().startswith("{"):  # objects of several lines
            size = sum(map(len, self.lines)) + len(self.lines)
            return _first_values("\n".join(self.lines)) if size <= _LARGEST else []
        return _first_values("\n".join(self.raw))

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Those of the JSON values that are objects."""
        return [value for value in self.values if isinstance(value, dict)]

    @cached_property
    def json_lines(self) -> list[str]:
        """The first JSON values, one on each line."""
        return [json.dumps(value, ensure_ascii=False) for value in self.values]

    @cached_property
    def table(self) -> HeadTable | None:
        """The first rows as a table; None for JSON, and where no line has a delimiter."""
        if self.is_json or not self:
            return None
        start = table_start(self.raw, self.name)
        if start is None:
            return None
        first, delimiter = start
        if delimiter not in self.raw[first]:
            return None
        cut = table_rows(self.raw, Parsed(), delimiter=delimiter, first=first)
        rows = [tuple(cells) for _, cells in cut]
        return HeadTable(delimiter, rows[0], tuple(rows[1:])) if rows else None


def _is_rows(value: object) -> bool:
    """Whether a JSON value is a list of rows rather than a row."""
    return isinstance(value, list) and all(isinstance(item, (dict, list)) for item in value)


def _parsed(text: str) -> Any:
    """A JSON value; None if a text is none, or too large."""
    if len(text) > _LARGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _first_values(text: str) -> list[Any]:
    """The first items of a JSON list, or JSON values one after the other."""
    found, at = list[Any](), 0
    decoder, blank = json.JSONDecoder(), re.compile(r"[\s,]*")
    opening = re.compile(r"\s*\[").match(text)
    if opening is not None:
        at = opening.end()
    while len(found) < _ROWS:
        start = blank.match(text, at)
        assert start is not None  # it matches nothing, too
        try:
            value, at = decoder.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            break
        found.append(value)
    return found
