"""Arcs between words, as SVG for pages and as brackets beside the words for terminals."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

MOST_WORDS = 120
"""Words that are drawn; of a longer text the first ones."""

_SIZE, _NOTE = 15, 11  # of words and of relations, in pixels
_STEP, _GAP, _TOP = 21, 18, 30  # height of a level, space between words, room above the arcs
_LETTER = 0.61  # width of a letter of a fixed-width font, as a share of its size
_WRONG = "#cf222e"


@dataclass(frozen=True)
class Arc:
    """An arc of a tree.

    Attributes:
        word: Place of the dependent.
        head: Place of its head; -1: it is the root.
        label: The relation.
        gold: What the gold says where it is wrong.
    """

    word: int
    head: int
    label: str
    gold: str = ""

    @property
    def ends(self) -> tuple[int, int]:
        """The two words from left to right."""
        return min(self.word, self.head), max(self.word, self.head)


def levels(arcs: Sequence[Arc]) -> dict[Arc, int]:
    """Height of each arc but the root's, from 1: above all that lie under it."""
    found: dict[Arc, int] = {}
    for arc in sorted((a for a in arcs if a.head >= 0), key=lambda a: a.ends[1] - a.ends[0]):
        first, last = arc.ends
        under = (n for a, n in found.items() if first < a.ends[1] and a.ends[0] < last)
        found[arc] = 1 + max(under, default=0)
    return found


def leftwards(words: Sequence[str]) -> bool:
    """Whether a text is written from right to left, by its first letter."""
    kinds = (unicodedata.bidirectional(letter) for word in words for letter in word)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def tree_svg(words: Sequence[str], arcs: Sequence[Arc]) -> str:
    """A tree as an `<svg>` element that reads on light and dark pages; texts are escaped.

    Args:
        words: The words.
        arcs: The arcs that there are.
    """
    shown, kept, more = _kept(words, arcs)
    heights = levels(kept)
    above = {arc.word: arc.label for arc in kept}
    widths = [max(_width(w, _SIZE), _width(above.get(i, ""), _NOTE)) for i, w in enumerate(shown)]
    lefts = [float(_GAP)]
    for width in widths:
        lefts.append(lefts[-1] + width + _GAP)
    middles = [left + width / 2 for left, width in zip(lefts, widths, strict=False)]
    if leftwards(shown):
        middles = [lefts[-1] - middle for middle in middles]
    base = _TOP + _STEP * max(heights.values(), default=0)
    parts = []
    for arc in kept:
        parts.append(_svg_arc(arc, middles, base, heights.get(arc, 0)))
    for x, word in zip(middles, shown, strict=True):
        parts.append(_text(x, base + _SIZE + 6, word, _SIZE))
    if more:
        parts.append(_text(lefts[-1] + 40, base + _SIZE + 6, f"… {more} more", _NOTE))
    width, height = lefts[-1] + (90 if more else 0), base + _SIZE + 16
    said = "; ".join(f"{shown[a.word]}: {a.label} of {_head(a, shown)}" for a in kept)
    return (
        f'<svg class="tree" role="img" aria-label="{escape(said)}" width="{width:.0f}" '
        f'height="{height}" viewBox="0 0 {width:.0f} {height}" '
        f'font-family="monospace" fill="currentColor">{"".join(parts)}</svg>'
    )


def _head(arc: Arc, words: Sequence[str]) -> str:
    return "the sentence" if arc.head < 0 else words[arc.head]


def _svg_arc(arc: Arc, middles: Sequence[float], base: int, level: int) -> str:
    to = middles[arc.word]
    colour = _WRONG if arc.gold else "currentColor"
    gold = f" (gold {arc.gold})" if arc.gold else ""
    title = f"<title>{escape(arc.label + gold)}</title>"
    if arc.head < 0:
        path, at, top = f"M{to:.1f} 12V{base - 4}", to, 10.0
    else:
        start = middles[arc.head] + (4 if middles[arc.head] < to else -4)
        top = base - _STEP * level - 2.0
        bend = min(12.0, abs(to - start) / 2)
        inner = bend if to > start else -bend
        path = (
            f"M{start:.1f} {base - 2}V{top + bend:.1f}Q{start:.1f} {top:.1f} {start + inner:.1f} "
            f"{top:.1f}H{to - inner:.1f}Q{to:.1f} {top:.1f} {to:.1f} {top + bend:.1f}V{base - 4}"
        )
        at, top = (start + to) / 2, top - 3
    tip = f"M{to - 3:.1f} {base - 7}L{to:.1f} {base - 1}L{to + 3:.1f} {base - 7}Z"
    label = _text(at, top, arc.label, _NOTE, colour)
    return (
        f'<g>{title}<path d="{path}" fill="none" stroke="{colour}"/>'
        f'<path d="{tip}" fill="{colour}"/>{label}</g>'
    )


def _text(x: float, y: float, text: str, size: int, colour: str = "currentColor") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="middle" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def tree_lines(words: Sequence[str], arcs: Sequence[Arc]) -> list[str]:
    """A tree in lines of text: a word a line, arcs as brackets on the left that point to it.

    Args:
        words: The words.
        arcs: The arcs that there are.
    """
    shown, kept, more = _kept(words, arcs)
    heights = levels(kept)
    deep = max(heights.values(), default=0)
    cells = [[" "] * (2 * deep + 1) for _ in shown]
    for arc, level in sorted(heights.items(), key=lambda item: item[1]):
        column, (first, last) = 2 * (deep - level), arc.ends
        for row in range(first + 1, last):
            cells[row][column] = "│" if cells[row][column] == " " else cells[row][column]
        for end, corner in ((first, "┌"), (last, "└")):
            cells[end][column] = corner
            for further in range(column + 1, 2 * deep + 1):
                if cells[end][further] == " ":
                    cells[end][further] = "─"
        cells[arc.word][-1] = "→"
    by_word = {arc.word: arc for arc in kept}
    wide = max(map(_cells, shown), default=0)
    lines = []
    for place, (word, drawn) in enumerate(zip(shown, cells, strict=True)):
        made = by_word.get(place)
        said = "" if made is None else made.label + (f"!{made.gold}" if made.gold else "")
        lines.append(f"{''.join(drawn)} {word}{' ' * (wide - _cells(word))}  {said}".rstrip())
    return [*lines, f"… {more} more words"] if more else lines


def _kept(words: Sequence[str], arcs: Sequence[Arc]) -> tuple[list[str], list[Arc], int]:
    """The words that are drawn, the arcs between them, and how many words are left out."""
    n = min(len(words), MOST_WORDS)
    kept = [arc for arc in arcs if arc.word < n and arc.head < n]
    return list(words[:n]), kept, len(words) - n


def _cells(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _width(text: str, size: int) -> float:
    return _cells(text) * size * _LETTER
