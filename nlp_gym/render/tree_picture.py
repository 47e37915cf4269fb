"""A tree as a part of a picture: words in rows, and arcs above them that lead to what depends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from nlp_gym.render.frame import Piece
from nlp_gym.render.glyphs import draw_text, text_width
from nlp_gym.render.layout import shortened
from nlp_gym.render.tree import MOST_WORDS, Arc, leftwards, levels

INK, WRONG = "#1f2328", "#cf222e"
_ARC, _FAINT, _HERE, _HERE_EDGE = "#59636e", "#8c959f", "#fff8c5", "#bf8700"
_LEAST_STEP, _USUAL_LEVELS = 7, 3
_INDENT = 3.5  # room for labels of arcs from the row above, as a share of the size


@dataclass(frozen=True)
class TreeRow:
    """Some words of a tree that stand side by side.

    Attributes:
        first: Place of the first one.
        texts: They, shortened where one is wider than the row.
        lefts: (n,) where the room of each begins.
        widths: (n,) how wide it is.
        heights: Level of each arc, from 1, that begins or ends here; that of the root is above the
            others. Of arcs to other rows the other end is the edge of this one.
    """

    first: int
    texts: Sequence[str]
    lefts: Sequence[float]
    widths: Sequence[float]
    heights: dict[Arc, int]

    @property
    def deep(self) -> int:
        """The highest level."""
        return max(self.heights.values(), default=0)

    def middle(self, place: int) -> float:
        """The middle of a word of this row."""
        return self.lefts[place - self.first] + self.widths[place - self.first] / 2

    def has(self, place: int) -> bool:
        """Whether a word stands in this row."""
        return 0 <= place - self.first < len(self.texts)


class TreeColumn:
    """The rows of a tree in one size of type. Words written from right to left stand so.

    Args:
        pieces: The words; of many the first `MOST_WORDS`.
        arcs: The arcs between them.
        size: Of the words, in pixels.
        width: Of the rows, in pixels.
    """

    def __init__(self, pieces: Sequence[Piece], arcs: Sequence[Arc], size: int, width: int) -> None:
        self.pieces, self.size, self.width = pieces[:MOST_WORDS], size, width
        self.note_size = max(round(size * 0.72), 11)
        self.word_height, self.step = round(size * 1.7), self.note_size + 7
        self._arcs = [a for a in arcs if max(a.ends) < len(self.pieces)]
        self._labels = {arc.word: label_of(arc) for arc in self._arcs}
        self.leftwards = leftwards([piece.text for piece in self.pieces])
        self.rows = self._rows()

    @property
    def usual_height(self) -> int:
        """Height of the rows with arcs of usual depth, which is the same from first to last."""
        return len(self.rows) * (self.word_height + (_USUAL_LEVELS + 1) * self.step)

    def height(self, row: TreeRow) -> int:
        """Height of a row with room for all of its arcs."""
        return self.word_height + self.step * row.deep + self.note_size

    def _rows(self) -> list[TreeRow]:
        gap = self.size * 0.7
        texts = [shortened(piece.text, self.size, self.width - 2 * gap) for piece in self.pieces]
        widths = [
            min(max(text_width(t, self.size), self._label_width(i)), self.width - 2 * gap)
            for i, t in enumerate(texts)
        ]
        rows, first, x = list[TreeRow](), 0, gap
        lefts = list[float]()
        for place, width in enumerate(widths):
            if place > first and x + width + gap > self.width:
                rows.append(self._row(first, texts[first:place], lefts, widths[first:place]))
                first, x, lefts = place, gap + self.size * _INDENT, []
            lefts.append(x)
            x += width + gap
        return [*rows, self._row(first, texts[first:], lefts, widths[first:])]

    def _label_width(self, place: int) -> float:
        label = shortened(self._labels.get(place, ""), self.note_size, self.width)
        return text_width(label, self.note_size)

    def _row(
        self, first: int, texts: list[str], lefts: list[float], widths: list[float]
    ) -> TreeRow:
        if self.leftwards:
            lefts = [self.width - x - width for x, width in zip(lefts, widths, strict=True)]
        stop = first + len(texts)
        clipped = {}
        for arc in self._arcs:
            ends = (arc.word, arc.word if arc.head < 0 else arc.head)
            if any(first <= end < stop for end in ends):
                word, head = (min(max(end, first - 1), stop) for end in ends)
                clipped[arc] = replace(arc, word=word, head=-1 if arc.head < 0 else head)
        known = levels([replace(a, word=a.word + 1, head=a.head + 1) for a in clipped.values()])
        top = max(known.values(), default=0) + 1
        heights = {
            arc: top if arc.head < 0 else known[replace(one, word=one.word + 1, head=one.head + 1)]
            for arc, one in clipped.items()
        }
        return TreeRow(first, texts, lefts, widths, heights)

    def draw(self, image: Image.Image, at: tuple[int, int], row: TreeRow, room: int) -> None:
        """Draw a row.

        Args:
            image: The picture, changed in place.
            at: Left upper corner of the row.
            row: The row.
            room: Its height; arcs stand closer where it is less than they need.
        """
        left, base = at[0], at[1] + room - self.word_height
        most = (room - self.word_height - self.note_size) // max(row.deep, 1)
        step = max(min(self.step, most), _LEAST_STEP)
        pen = ImageDraw.Draw(image)
        for place, text in enumerate(row.texts, row.first):
            self._draw_word(image, text, (left + row.middle(place), base), self.pieces[place].mark)
        for arc, level in row.heights.items():
            self._draw_arc(pen, arc, row, left, (base - step * level, base))
        for arc, level in row.heights.items():  # after the lines, which they interrupt
            if row.has(arc.word):
                self._draw_label(image, arc, row, left, base - step * level)

    def _draw_word(self, image: Image.Image, text: str, at: tuple[float, float], mark: str) -> None:
        wide, (middle, base) = text_width(text, self.size), at
        if mark == "here":
            box = (middle - wide / 2 - 5, base + 2, middle + wide / 2 + 5, base + self.word_height)
            ImageDraw.Draw(image).rounded_rectangle(box, 5, _HERE, _HERE_EDGE, 2)
        ink = _FAINT if mark == "dim" else INK
        draw_text(image, (middle - wide / 2, base + self.size * 1.25), text, self.size, ink)

    def _ends(self, arc: Arc, row: TreeRow) -> tuple[float, float]:
        """Where an arc begins, at the head, and ends; the edge of the row for other rows."""
        found = []
        for place, other in ((arc.head, arc.word), (arc.word, arc.head)):
            beside = 5 if (place == arc.head) else 0  # arcs that leave a word stand beside it
            if row.has(place):
                after = (other > place) is not self.leftwards
                found.append(row.middle(place) + (beside if after else -beside))
            else:
                found.append(0.0 if (place < row.first) is not self.leftwards else self.width)
        return found[0], found[1]

    def _draw_arc(
        self,
        pen: ImageDraw.ImageDraw,
        arc: Arc,
        row: TreeRow,
        left: int,
        heights: tuple[int, int],
    ) -> None:
        colour, (top, base) = WRONG if arc.gold else _ARC, heights
        if arc.head < 0:
            x = left + row.middle(arc.word)
            pen.line((x, top, x, base - 3), colour)
        else:
            start, end = (left + x for x in self._ends(arc, row))
            pen.line((start, top, end, top), colour)
            if row.has(arc.head):
                pen.line((start, top, start, base - 2), colour)
            if not row.has(arc.word):
                return
            x = end
            pen.line((x, top, x, base - 3), colour)
        pen.polygon(((x - 4, base - 7), (x + 4, base - 7), (x, base)), colour)

    def _draw_label(self, image: Image.Image, arc: Arc, row: TreeRow, left: int, top: int) -> None:
        if arc.head < 0:
            middle = row.middle(arc.word)
        else:
            start, end = self._ends(arc, row)
            middle = (start + end) / 2
        size = self.note_size
        text = shortened(label_of(arc), size, self.width)
        wide = text_width(text, size)
        x = left + min(max(middle - wide / 2, 0.0), max(self.width - wide, 0.0))
        pen = ImageDraw.Draw(image)
        pen.rectangle((x - 2, top - size * 0.5, x + wide + 2, top + size * 0.4), "white")
        draw_text(image, (x, top + size * 0.33), text, size, WRONG if arc.gold else INK)


def label_of(arc: Arc) -> str:
    """Relation of an arc, and what the gold says where it is wrong."""
    return f"{arc.label} ({arc.gold})" if arc.gold else arc.label
