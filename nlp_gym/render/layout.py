"""Where the words of a frame stand in a picture: rows, directions of writing, what is left out."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from nlp_gym.render.frame import Piece
from nlp_gym.render.glyphs import text_width

PAD = 6
"""Pixels between the edge of a box and the text in it."""
_NO_BREAK_BEFORE = frozenset("，。、；：！？）」』】》〉”’…ー々,.;:!?)]}%")
_NO_BREAK_AFTER = frozenset("（「『【《〈“‘([{")
_JOINED = ("Mn", "Me", "Mc", "Cf", "Sk")
_MOST_NOTE = 0.6
"""Share of a row that a note can take; what is longer is cut."""
_LONGEST = 1000
"""Characters that are measured at once; Pillow takes a million."""
_NARROWEST = 0.25
"""Width of the narrowest letters as a share of the size: far too long texts are not laid out."""


class Unit(NamedTuple):
    """What a row does not break: a word, or one character of a script without spaces.

    Attributes:
        piece: Number of its piece.
        text: The characters.
        space: A space goes before it.
        note: Label and gold of the piece, beside its last unit in smaller type.
    """

    piece: int
    text: str
    space: bool = True
    note: str = ""


class Placed(NamedTuple):
    """A unit with its place in the row.

    Attributes:
        unit: The unit.
        x: Its left edge.
        width: Its width with the note.
    """

    unit: Unit
    x: float
    width: float


@dataclass(frozen=True)
class Row:
    """One row of the picture.

    Attributes:
        placed: Its units from left to right.
        first: It begins a line of the frame; more room is left above it.
    """

    placed: Sequence[Placed]
    first: bool


class Column:
    """The rows of a frame in one size of type.

    Args:
        pieces: What the frame shows.
        size: Of the type, in pixels.
        width: Of the rows, in pixels.
    """

    def __init__(self, pieces: Sequence[Piece], size: int, width: int) -> None:
        self.pieces, self.size, self.width = pieces, size, width
        self.note_size = max(round(size * 0.7), 12)
        self.row_height, self.line_gap = round(size * 1.66), round(size * 0.3)
        self._space = text_width(" ", size)
        self._edges = [PAD if boxed(piece) else 0 for piece in pieces]

    @cached_property
    def rows(self) -> list[Row]:
        """All rows, from top to bottom."""
        return [row for line, first in _lines(self.pieces) for row in self._broken(line, first)]

    def fits(self, height: int) -> bool:
        """Whether all rows together are no higher than `height`."""
        letters = sum(len(piece.text) for piece in self.pieces)
        least = letters * self.size * _NARROWEST / self.width * self.row_height
        return least <= height and self.height(self.rows) <= height

    def height(self, rows: Sequence[Row]) -> int:
        """Height of some rows, one below the other."""
        return self.row_height * len(rows) + self.line_gap * sum(row.first for row in rows[1:])

    def unit_width(self, unit: Unit) -> float:
        """Width of a unit with its note."""
        return text_width(unit.text, self.size) + self._note_width(unit)

    def offsets(self, unit: Unit) -> tuple[float, float]:
        """Where text and note of a unit begin, from its left edge; a note stands where it ends."""
        if unit.note and _direction(unit.text) == "R":
            return self._note_width(unit), 0.0
        return 0.0, self.unit_width(unit) - text_width(unit.note, self.note_size)

    def _note_width(self, unit: Unit) -> float:
        """Width of a note with the space between it and its text."""
        if not unit.note:
            return 0.0
        return text_width(unit.note, self.note_size) + (self.size * 0.3 if unit.text else 0.0)

    def _between(self, left: Unit, right: Unit) -> float:
        if left.piece == right.piece:
            return self._space if right.space else 0.0
        return self._space + self._edges[left.piece] + self._edges[right.piece]

    def _broken(self, line: Sequence[Unit], first: bool) -> Iterator[Row]:
        """The rows of a line, each as full as it can be."""
        base = next(filter(None, (_direction(unit.text) for unit in line)), "L")
        row: list[Unit] = []
        reached = 0.0
        for unit in (part for whole in line for part in self._cut(whole)):
            edge = self._edges[unit.piece]
            step = self._between(row[-1], unit) if row else edge
            if row and reached + step + self.unit_width(unit) + edge > self.width:
                yield Row(self._placed(row, base), first)
                row, reached, step, first = [], 0.0, edge, False
            row.append(unit)
            reached += step + self.unit_width(unit)
        yield Row(self._placed(row, base), first)

    def _cut(self, unit: Unit) -> Iterator[Unit]:
        """The unit in parts, none of which is wider than a row."""
        room = self.width - 2 * PAD
        unit = unit._replace(note=shortened(unit.note, self.note_size, room * _MOST_NOTE))
        while len(unit.text) > 1 and self.unit_width(unit) > room:
            most = min(max(_fitting(unit.text, self.size, room), 1), len(unit.text) - 1)
            yield unit._replace(text=unit.text[:most], note="")
            unit = unit._replace(text=unit.text[most:], space=False)
        yield unit

    def _placed(self, row: Sequence[Unit], base: str) -> list[Placed]:
        """The units of a row from left to right."""
        placed: list[Placed] = []
        x, before = 0.0, -1
        for i in _visual_order([_direction(unit.text) for unit in row], base):
            low, high = sorted((before, i))
            if before < 0:
                x = self._edges[row[i].piece]
            elif high - low == 1:
                x += self._between(row[low], row[high])
            else:
                x += self._space + self._edges[row[low].piece] + self._edges[row[high].piece]
            placed.append(Placed(row[i], x, self.unit_width(row[i])))
            x, before = x + placed[-1].width, i
        if base == "L":
            return placed
        shift = self.width - x - self._edges[row[before].piece]
        return [Placed(unit, left + shift, width) for unit, left, width in placed]


def boxed(piece: Piece) -> bool:
    """Whether a piece is drawn in a box."""
    return piece.mark in ("here", "chosen", "wrong")


def shortened(text: str, size: int, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than `width`."""
    if len(text) <= _LONGEST and text_width(text, size) <= width:
        return text
    kept = text[:_LONGEST]
    return kept[: _fitting(kept, size, width - text_width("…", size))].rstrip() + "…"


def clipped(column: Column, height: int) -> list[Row | int]:
    """The rows that fit into `height`, and in place of others how many are left out there.

    The latest decisions are kept, and the first row and the last two: questions and answers stand
    there. What room is left goes to the rows around them.
    """
    rows = column.rows
    if column.fits(height):
        return [*rows]
    here, *others = _decided(column)
    wanted = [here, len(rows) - 1, len(rows) - 2, 0, *others]
    distance = _distances(sorted({here, *others}), len(rows))
    near = sorted(range(len(rows)), key=distance.__getitem__)
    kept: set[int] = set()
    taken = 0
    for i in dict.fromkeys([*wanted, *near]):
        trial = _height(column, _with_gaps(rows, kept | {i}))
        if trial <= height:
            kept.add(i)
            taken = trial
        if height - taken < column.row_height:
            break
    return _with_gaps(rows, kept)


def _distances(marked: Sequence[int], n: int) -> list[int]:
    """How far each of n rows is from the nearest of the `marked` ones, which are sorted."""
    edges = [(left + right) // 2 for left, right in pairwise(marked)]
    return [abs(i - marked[bisect_left(edges, i)]) for i in range(n)]


def _decided(column: Column) -> list[int]:
    """In each line of the frame the row of the latest decision; the most telling one first."""
    marks = [piece.mark for piece in column.pieces]
    now = marks.index("here") if "here" in marks else None
    boxes: list[list[int]] = []
    current = None
    for i, row in enumerate(column.rows):
        if row.first or not boxes:
            boxes.append([])
        pieces = [placed.unit.piece for placed in row.placed]
        if current is None and now in pieces:
            current = i
        boxes[-1] += [i] if any(boxed(column.pieces[piece]) for piece in pieces) else []
    last = [line[-1] for line in reversed(boxes) if line]
    return list(dict.fromkeys([*([] if current is None else [current]), *last])) or [0]


def _with_gaps(rows: Sequence[Row], kept: set[int]) -> list[Row | int]:
    """The rows that are kept; a gap of one row would take as much room as the row."""
    shown: list[Row | int] = []
    before = -1
    for i in [*sorted(kept), len(rows)]:
        if i - before == 2:
            shown.append(rows[before + 1])
        elif i - before > 2:
            shown.append(i - before - 1)
        if i < len(rows):
            shown.append(rows[i])
        before = i
    return shown


def _height(column: Column, shown: Sequence[Row | int]) -> int:
    gaps = sum(isinstance(row, int) for row in shown)
    return column.height([row for row in shown if isinstance(row, Row)]) + gaps * column.row_height


def _lines(pieces: Sequence[Piece]) -> Iterator[tuple[list[Unit], bool]]:
    """The units of each line, and whether the frame, not a line break in the text, begins it."""
    line: list[Unit] = []
    first = True
    for number, piece in enumerate(pieces):
        if piece.line and line:
            yield line, first
            line, first = [], True
        for i, paragraph in enumerate(piece.text.splitlines()):
            if i and line:
                yield line, first
                line, first = [], False
            line += [
                Unit(number, part, not k)
                for word in paragraph.split()
                for k, part in enumerate(_parts(word))
            ]
        note = note_of(piece)
        if line and line[-1].piece == number:
            line[-1] = line[-1]._replace(note=note)
        elif note or boxed(piece):
            line.append(Unit(number, "", note=note))
    if line:
        yield line, first


def note_of(piece: Piece) -> str:
    """Label and gold of a piece, for people."""
    gold = f"(gold {piece.gold})" if piece.gold else ""
    return " ".join(filter(None, (piece.label, gold)))


def _parts(word: str) -> Iterator[str]:
    """A word in the parts between which a row may end: beside wide characters, or far apart."""
    if word.isascii() and len(word) <= _LONGEST:
        yield word
        return
    part = ""
    for character in word:
        if part and (len(part) == _LONGEST or _may_break(part[-1], character)):
            yield part
            part = ""
        part += character
    yield part


def _may_break(left: str, right: str) -> bool:
    wide = any(unicodedata.east_asian_width(c) in "WF" for c in (left, right))
    joined = unicodedata.category(right) in _JOINED or left == "\u200d"
    return wide and not joined and right not in _NO_BREAK_BEFORE and left not in _NO_BREAK_AFTER


def _fitting(text: str, size: int, width: float) -> int:
    """How many characters of the text are no wider than `width`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle], size) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _direction(text: str) -> str:
    """Direction of the first letter, ``"L"`` or ``"R"``; empty where there is no letter."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return "L" if kind == "L" else "R"
    return ""


def _visual_order(directions: Sequence[str], base: str) -> list[int]:
    """The order from left to right of what is read in the order 0, 1, 2, ...

    Words that run against the direction of the line are turned around together; inside a word,
    Pillow orders the characters.
    """
    order: list[int] = []
    against: list[int] = []
    current = base
    for i, direction in enumerate(directions):
        current = direction or current
        if current == base:
            order += [*reversed(against), i]
            against = []
        else:
            against.append(i)
    order += reversed(against)
    return order if base == "L" else order[::-1]
