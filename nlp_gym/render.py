"""Drawing an episode: marked pieces of text, as terminal codes or as HTML."""

from __future__ import annotations

import html
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from nlp_gym.checks import check_name

RENDER_MODES = ("ansi", "human", "html")
MARKS = ("plain", "dim", "here", "chosen", "wrong")

_ANSI = (36, 33, 35, 32, 34, 96, 93, 95)
_HTML = ("#8dd3c7", "#ffed6f", "#bebada", "#b3de69", "#80b1d3", "#fdb462", "#fccde5", "#ccebc5")


@dataclass(frozen=True)
class Piece:
    """A stretch of text with one mark.

    Attributes:
        text: The text.
        mark: ``"plain"``; ``"dim"``: not reached yet; ``"here"``: what is decided on now;
            ``"chosen"``: decided; ``"wrong"``: decided, and not as the gold has it.
        label: The decision, shown beside the text; it also sets the colour.
        gold: What the gold says where the decision is wrong.
        line: Begins a line of its own.
    """

    text: str
    mark: str = "plain"
    label: str = ""
    gold: str = ""
    line: bool = False

    def __post_init__(self) -> None:
        """Check `mark`."""
        check_name("mark", self.mark, MARKS)

    @property
    def colour(self) -> int:
        """Index of the label's colour; B-X and I-X share one, the same in every process."""
        kind = self.label.removeprefix("B-").removeprefix("I-")
        return zlib.crc32(kind.encode()) % len(_ANSI)


@dataclass(frozen=True)
class Frame:
    """What a person sees of an episode.

    Attributes:
        title: Corpus, split and sample.
        place: How far the episode is, such as ``"word 3/12"``.
        pieces: The text.
    """

    title: str
    place: str
    pieces: Sequence[Piece]


def tagging_frame(
    title: str,
    words: Sequence[str],
    labels: Sequence[str],
    gold: Sequence[str] | None,
    *,
    neutral: str | None = None,
) -> Frame:
    """The frame of a text that is labelled word by word.

    Args:
        title: As in `Frame`.
        words: The text.
        labels: Decisions so far, one for each of the first words.
        gold: Gold labels, or None.
        neutral: Label that is not drawn where it is right (``"O"``), or None.
    """
    pieces = []
    for i, word in enumerate(words):
        if i >= len(labels):
            pieces.append(Piece(word, "here" if i == len(labels) else "dim"))
        elif gold is not None and labels[i] != gold[i]:
            pieces.append(Piece(word, "wrong", labels[i], gold[i]))
        elif labels[i] == neutral:
            pieces.append(Piece(word))
        else:
            pieces.append(Piece(word, "chosen", labels[i]))
    return Frame(title, f"word {len(labels)}/{len(words)}", pieces)


def draw(mode: str, frame: Frame, reward: float) -> str | None:
    """Draw a frame: a string for `ansi` and `html`; `human` prints to standard output."""
    if mode == "html":
        return _html(frame, reward)
    text = _ansi(frame, reward)
    if mode == "human":
        sys.stdout.write(text)
        return None
    return text


def _joined(frame: Frame, drawn: Sequence[str], newline: str) -> str:
    parts: list[str] = []
    for piece, text in zip(frame.pieces, drawn, strict=True):
        if parts:
            parts.append(newline if piece.line else " ")
        parts.append(text)
    return "".join(parts)


def _ansi(frame: Frame, reward: float) -> str:
    body = _joined(frame, [_ansi_piece(piece) for piece in frame.pieces], "\n  ")
    return f"{frame.title}  {frame.place}  reward {reward:+.3f}\n{body}\n"


def _ansi_piece(piece: Piece) -> str:
    codes = {"dim": "2", "here": "7", "chosen": f"4;{_ANSI[piece.colour]}", "wrong": "4;31"}
    note = f"/{piece.label}" if piece.label else ""
    note += f"!{piece.gold}" if piece.gold else ""
    if piece.mark == "plain":
        return piece.text + note
    return f"\x1b[{codes[piece.mark]}m{piece.text}\x1b[0m{note}"


def _html(frame: Frame, reward: float) -> str:
    body = _joined(frame, [_html_piece(piece) for piece in frame.pieces], "<br>")
    return (
        f'<div class="nlp-gym" style="font-family:sans-serif;line-height:2">'
        f"<small>{html.escape(frame.title)} &middot; "
        f"{html.escape(frame.place)} &middot; reward {reward:+.3f}</small><br>{body}</div>"
    )


def _html_piece(piece: Piece) -> str:
    text = html.escape(piece.text)
    gold = f" (gold {piece.gold})" if piece.gold else ""
    note = f" <small>{html.escape(piece.label + gold)}</small>" if piece.label or gold else ""
    if piece.mark == "plain":
        return text + note
    if piece.mark == "here":
        return f'<b style="outline:2px solid #333">{text}</b>{note}'
    if piece.mark == "dim":
        return f'<span style="opacity:.5">{text}</span>{note}'
    edge = "border:2px solid #c00;" if piece.mark == "wrong" else ""
    style = f"background:{_HTML[piece.colour]};{edge}border-radius:3px"
    return f'<mark style="{style}">{text}{note}</mark>'
