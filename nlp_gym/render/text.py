"""A frame as a string: with the colour codes of terminals, with signs, or as HTML."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from nlp_gym.render.frame import Frame, Piece
from nlp_gym.render.tree import tree_lines, tree_svg

_CODES = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_SIGNS = {
    "plain": ("", ""),
    "dim": ("{", "}"),
    "here": (">", "<"),
    "chosen": ("[", "]"),
    "wrong": ("[", "]"),
}
PALETTE = (
    "#8dd3c7",
    "#ffed6f",
    "#bebada",
    "#b3de69",
    "#80b1d3",
    "#fdb462",
    "#fccde5",
    "#ccebc5",
    "#bc80bd",
    "#fdd0a2",
)
"""Backgrounds of labels, by `Piece.colour`."""

SPOKEN = {"dim": "not reached", "here": "now", "chosen": "chosen", "wrong": "wrong"}
"""What HTML says of a mark to those who hear the page; of a plain piece, nothing."""

# A label's background needs dark letters on any page, and printers need to be told to keep it; the
# edges are seen without it. Where lines have different directions, each has its own.
_STYLE = (
    ".nlp-gym{position:relative;font-family:sans-serif;line-height:2;unicode-bidi:plaintext}"
    ".nlp-gym mark{color:#1f2328;border-bottom:2px solid #59636e;border-radius:3px;padding:0 .2em;"
    "-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    ".nlp-gym mark.wrong{border:2px solid #cf222e}"
    ".nlp-gym .here{font-weight:bold;outline:2px solid currentColor;padding:0 .2em}"
    ".nlp-gym .dim{opacity:.65}"
    ".nlp-gym .arcs{overflow-x:auto}"
    ".nlp-gym .spoken{position:absolute;width:1px;height:1px;overflow:hidden;"
    "clip-path:inset(50%);white-space:nowrap}"
)


def ansi(frame: Frame, reward: float) -> str:
    """The frame with the colour codes of terminals."""
    return _lines(frame, reward, _coloured)


def signs(frame: Frame, reward: float) -> str:
    """The frame for terminals without colour: as `ansi`, with signs in place of the codes.

    ``>word<`` is decided on now, ``[word]`` is decided, ``{word word}`` is not reached yet. As in
    `ansi`, the label follows a ``/``, and a ``!`` says that it is wrong, before what the gold has.
    """
    return _lines(frame, reward, _signed)


def html(frame: Frame, reward: float) -> str:
    """The frame as a `div`, for light and dark pages, for printers and for screen readers."""
    body = _joined(frame, _html_piece, "<br>")
    title, place = escape(frame.title), escape(frame.place)
    drawn = ""
    if frame.arcs:
        drawn = f'<div class="arcs">{tree_svg([p.text for p in frame.pieces], frame.arcs)}</div>'
    return (
        f'<div class="nlp-gym" role="group" aria-label="{title}, {place}">'
        f"<style>{_STYLE}</style>"
        f"<small>{title} &middot; {place} &middot; reward {reward:+.3f}</small><br>{body}{drawn}"
        "</div>"
    )


_Draw = Callable[[Piece, bool, bool], str]
"""Draws a piece, given whether it begins and whether it ends a stretch of one mark."""


def _lines(frame: Frame, reward: float, draw: _Draw) -> str:
    body = _joined(frame, draw, "\n  ")
    if frame.arcs:
        body += "".join(f"\n  {x}" for x in tree_lines([p.text for p in frame.pieces], frame.arcs))
    return f"{frame.title}  {frame.place}  reward {reward:+.3f}\n{body}\n"


def _joined(frame: Frame, draw: _Draw, newline: str) -> str:
    parts: list[str] = []
    begins, pieces = True, frame.pieces
    for i, piece in enumerate(pieces):
        if parts:
            parts.append(newline if piece.line else " ")
        ends = i + 1 == len(pieces) or not _continues(piece, pieces[i + 1])
        parts.append(draw(piece, begins, ends))
        begins = ends
    return "".join(parts)


def _continues(left: Piece, right: Piece) -> bool:
    """Whether two pieces that have not been reached are one stretch of text."""
    plain = not (left.label or left.gold or right.line)
    return left.mark == right.mark == "dim" and plain


def _note(piece: Piece) -> str:
    label = f"/{piece.label}" if piece.label else ""
    return label + (f"!{piece.gold}" if piece.gold or piece.mark == "wrong" else "")


def _coloured(piece: Piece, begins: bool, ends: bool) -> str:
    codes = {"dim": "2", "here": "7", "chosen": f"4;{_CODES[piece.colour]}", "wrong": "4;31"}
    if piece.mark == "plain":
        return piece.text + _note(piece)
    return f"\x1b[{codes[piece.mark]}m{piece.text}\x1b[0m{_note(piece)}"


def _signed(piece: Piece, begins: bool, ends: bool) -> str:
    left, right = _SIGNS[piece.mark]
    return (left if begins else "") + piece.text + (right if ends else "") + _note(piece)


def _html_piece(piece: Piece, begins: bool, ends: bool) -> str:
    gold = f" (gold {piece.gold})" if piece.gold else ""
    note = f" <small>{escape(piece.label + gold)}</small>" if piece.label or gold else ""
    text = escape(piece.text)
    if piece.mark == "plain":
        return text + note
    if begins:
        text = f'<span class="spoken">{SPOKEN[piece.mark]}: </span>{text}'
    if piece.mark in ("here", "dim"):
        return f'<span class="{piece.mark}">{text}</span>{note}'
    colour = PALETTE[piece.colour]
    return f'<mark class="{piece.mark}" style="background:{colour}">{text}{note}</mark>'
