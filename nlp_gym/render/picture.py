"""A frame as a picture: pixels for videos, pages and agents that look at the screen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nlp_gym.render.frame import Frame, Piece
from nlp_gym.render.glyphs import draw_text, text_width
from nlp_gym.render.layout import PAD, Column, Placed, Row, boxed, clipped, shortened
from nlp_gym.render.text import PALETTE
from nlp_gym.render.tree_picture import TreeColumn

WIDTH, HEIGHT = 960, 432
"""Pixels; multiples of 16, as video encoders like them."""
SIZES = (34, 30, 26, 22, 19, 16)
"""Of the type: the largest with which all of the text is seen, else the last."""

TREE_SIZES = (22, 19, 16, 14, 12)
"""The same of the words of a tree."""

_MARGIN, _HEADER, _HEADER_SIZE = 32, 60, 18
_INK, _GREY, _FAINT, _LINE = "#1f2328", "#59636e", "#8c959f", "#d1d9e0"
_HERE, _HERE_EDGE, _WRONG = "#fff8c5", "#bf8700", "#cf222e"
_NOTE, _WRONG_NOTE = "#424a53", "#a40e26"
_REWARD = {1: ("#dafbe1", "#116329"), -1: ("#ffebe9", "#a40e26"), 0: ("#eff2f5", "#59636e")}

_PASTEL = [
    "#" + "".join(f"{(int(colour[i : i + 2], 16) + 255) // 2:02x}" for i in (1, 3, 5))
    for colour in PALETTE
]
"""The colours of labels, lighter: what is written on them is small."""


def picture(frame: Frame, reward: float) -> npt.NDArray[np.uint8]:
    """The frame as an array (`HEIGHT`, `WIDTH`, 3) of red, green and blue."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    _draw_header(image, frame, reward)
    room = HEIGHT - _HEADER - _MARGIN
    if frame.tree:
        _draw_tree(image, frame, room)
        return np.array(image)
    for size in SIZES:
        column = Column(frame.pieces, size, WIDTH - 2 * _MARGIN)
        if column.fits(room):
            break
    _draw_rows(image, column, clipped(column, room))
    return np.array(image)


def _draw_header(image: Image.Image, frame: Frame, reward: float) -> None:
    pen = ImageDraw.Draw(image)
    size, baseline, right = _HEADER_SIZE, 37, WIDTH - _MARGIN
    shown = f"reward {reward:+.3f}"
    fill, ink = _REWARD[int(np.sign(reward))]
    left = right - text_width(shown, size) - 24
    pen.rounded_rectangle((left, 15, right, 46), 15, fill)
    draw_text(image, (left + 12, baseline), shown, size, ink)
    left -= text_width(frame.place, size) + 20
    draw_text(image, (left, baseline), frame.place, size, _INK)
    title = shortened(frame.title, size, left - 20 - _MARGIN)
    draw_text(image, (_MARGIN, baseline), title, size, _GREY)
    pen.line((0, _HEADER, WIDTH, _HEADER), _LINE)


def _draw_tree(image: Image.Image, frame: Frame, room: int) -> None:
    """The tree in the largest type with which all of it is seen, else what is near now."""
    for size in TREE_SIZES:
        column = TreeColumn(frame.pieces, frame.arcs, size, WIDTH - 2 * _MARGIN)
        if column.usual_height <= room:
            break
    rows = column.rows
    n = min(max(room // (column.usual_height // len(rows)), 1), len(rows))
    marked = [i for i, piece in enumerate(column.pieces) if piece.mark == "here"]
    latest = max(marked, default=len(column.pieces) - 1 if frame.arcs else 0)
    current = next((i for i, row in enumerate(rows) if row.has(latest)), 0)
    begin = min(max(current - n // 2, 0), len(rows) - n)
    for i, row in enumerate(rows[begin : begin + n]):
        column.draw(image, (_MARGIN, _HEADER + i * (room // n)), row, room // n)
    shown = sum(len(row.texts) for row in rows[begin : begin + n])
    if left_out := len(frame.pieces) - shown:
        text = f"⋯  {left_out} more word{'s' if left_out > 1 else ''}"
        draw_text(image, (_MARGIN, HEIGHT - 11), text, 14, _FAINT)


def _draw_rows(image: Image.Image, column: Column, rows: Sequence[Row | int]) -> None:
    y = float(_HEADER + 12)
    for i, row in enumerate(rows):
        if isinstance(row, int):
            left_out = f"⋯  {row} more line{'s' if row > 1 else ''}"
            draw_text(image, (_MARGIN, y + column.size * 1.1), left_out, column.note_size, _FAINT)
        else:
            y += column.line_gap if i and row.first else 0
            for piece, placed in groupby(row.placed, key=lambda p: p.unit.piece):
                _draw_stretch(image, column, column.pieces[piece], [*placed], y)
        y += column.row_height


def _draw_stretch(
    image: Image.Image, column: Column, piece: Piece, placed: Sequence[Placed], top: float
) -> None:
    """What one row shows of a piece."""
    size = column.size
    baseline = top + size * 1.21
    if boxed(piece):
        left, right = placed[0].x, placed[-1].x + placed[-1].width
        box = (
            _MARGIN + left - PAD,
            baseline - size * 1.05,
            _MARGIN + right + PAD,
            baseline + size * 0.4,
        )
        fill, edge = (_HERE, _HERE_EDGE) if piece.mark == "here" else (_PASTEL[piece.colour], None)
        edge = _WRONG if piece.mark == "wrong" else edge
        ImageDraw.Draw(image).rounded_rectangle(box, 6, fill, edge, 2 if edge else 0)
    for unit, x, _ in placed:
        ink = _FAINT if piece.mark in ("dim", "dropped") else _INK
        text_at, note_at = column.offsets(unit)
        draw_text(image, (_MARGIN + x + text_at, baseline), unit.text, size, ink)
        if piece.mark == "dropped":
            start, height = _MARGIN + x + text_at, baseline - size * 0.3
            end = start + text_width(unit.text, size)
            ImageDraw.Draw(image).line((start, height, end, height), _GREY, 2)
        if unit.note:
            ink = _WRONG_NOTE if piece.mark == "wrong" else _NOTE
            draw_text(image, (_MARGIN + x + note_at, baseline), unit.note, column.note_size, ink)
