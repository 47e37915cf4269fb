"""A frame as terminal codes or as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nlp_gym.render.frame import Frame, Piece

_CODES = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
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


def _joined(frame: Frame, drawn: Sequence[str], newline: str) -> str:
    parts: list[str] = []
    for piece, text in zip(frame.pieces, drawn, strict=True):
        if parts:
            parts.append(newline if piece.line else " ")
        parts.append(text)
    return "".join(parts)


def ansi(frame: Frame, reward: float) -> str:
    """The frame with the colour codes of terminals."""
    body = _joined(frame, [_ansi_piece(piece) for piece in frame.pieces], "\n  ")
    return f"{frame.title}  {frame.place}  reward {reward:+.3f}\n{body}\n"


def _ansi_piece(piece: Piece) -> str:
    codes = {"dim": "2", "here": "7", "chosen": f"4;{_CODES[piece.colour]}", "wrong": "4;31"}
    note = f"/{piece.label}" if piece.label else ""
    note += f"!{piece.gold}" if piece.gold else ""
    if piece.mark == "plain":
        return piece.text + note
    return f"\x1b[{codes[piece.mark]}m{piece.text}\x1b[0m{note}"


def html(frame: Frame, reward: float) -> str:
    """The frame as a `div`."""
    body = _joined(frame, [_html_piece(piece) for piece in frame.pieces], "<br>")
    return (
        f'<div class="nlp-gym" style="font-family:sans-serif;line-height:2">'
        f"<small>{escape(frame.title)} &middot; "
        f"{escape(frame.place)} &middot; reward {reward:+.3f}</small><br>{body}</div>"
    )


def _html_piece(piece: Piece) -> str:
    text = escape(piece.text)
    gold = f" (gold {piece.gold})" if piece.gold else ""
    note = f" <small>{escape(piece.label + gold)}</small>" if piece.label or gold else ""
    if piece.mark == "plain":
        return text + note
    if piece.mark == "here":
        return f'<b style="outline:2px solid #333">{text}</b>{note}'
    if piece.mark == "dim":
        return f'<span style="opacity:.5">{text}</span>{note}'
    edge = "border:2px solid #c00;" if piece.mark == "wrong" else ""
    style = f"background:{PALETTE[piece.colour]};{edge}border-radius:3px"
    return f'<mark style="{style}">{text}{note}</mark>'
