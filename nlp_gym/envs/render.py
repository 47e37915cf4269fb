"""Drawing an episode: coloured decisions over the text, as terminal codes or as HTML."""

from __future__ import annotations

import html
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

RENDER_MODES = ("ansi", "human", "html")

_ANSI = (36, 33, 35, 32, 34, 96, 93, 95)
_HTML = ("#8dd3c7", "#ffed6f", "#bebada", "#b3de69", "#80b1d3", "#fdb462", "#fccde5", "#ccebc5")


@dataclass(frozen=True)
class Frame:
    """What a person sees of an episode.

    Attributes:
        title: Corpus, split and sample.
        words: The text.
        labels: Decisions so far, one for each of the first words.
        gold: Gold labels, or None.
        cursor: Index of the word that is decided next; the text's length at its end.
        neutral: Label that is not drawn (``"O"``), or None.
    """

    title: str
    words: Sequence[str]
    labels: Sequence[str]
    gold: Sequence[str] | None
    cursor: int
    neutral: str | None = None

    def colour(self, label: str) -> int:
        """Index of a label's colour; B-X and I-X share one, the same in every process."""
        return zlib.crc32(label.removeprefix("B-").removeprefix("I-").encode()) % len(_ANSI)


def draw(mode: str, frame: Frame, reward: float) -> str | None:
    """Draw a frame: a string for `ansi` and `html`; `human` prints to standard output."""
    if mode == "html":
        return _html(frame, reward)
    text = _ansi(frame, reward)
    if mode == "human":
        sys.stdout.write(text)
        return None
    return text


def _wrong(frame: Frame, i: int) -> bool:
    return frame.gold is not None and frame.labels[i] != frame.gold[i]


def _ansi(frame: Frame, reward: float) -> str:
    parts = []
    for i, word in enumerate(frame.words):
        if i < len(frame.labels):
            label = frame.labels[i]
            if label == frame.neutral and not _wrong(frame, i):
                parts.append(word)
                continue
            style = f"4;{31 if _wrong(frame, i) else _ANSI[frame.colour(label)]}"
            gold = f"!{frame.gold[i]}" if frame.gold is not None and _wrong(frame, i) else ""
            parts.append(f"\x1b[{style}m{word}\x1b[0m/{label}{gold}")
        elif i == frame.cursor:
            parts.append(f"\x1b[7m{word}\x1b[0m")
        else:
            parts.append(f"\x1b[2m{word}\x1b[0m")
    place = f"word {frame.cursor}/{len(frame.words)}"
    return f"{frame.title}  {place}  reward {reward:+.3f}\n{' '.join(parts)}\n"


def _html(frame: Frame, reward: float) -> str:
    parts = []
    for i, word in enumerate(frame.words):
        text = html.escape(word)
        if i < len(frame.labels):
            label = frame.labels[i]
            if label == frame.neutral and not _wrong(frame, i):
                parts.append(text)
                continue
            edge = "border:2px solid #c00;" if _wrong(frame, i) else ""
            gold = f" (gold {frame.gold[i]})" if frame.gold is not None and _wrong(frame, i) else ""
            parts.append(
                f'<mark style="background:{_HTML[frame.colour(label)]};{edge}border-radius:3px">'
                f"{text} <small>{html.escape(label + gold)}</small></mark>"
            )
        elif i == frame.cursor:
            parts.append(f'<b style="outline:2px solid #333">{text}</b>')
        else:
            parts.append(f'<span style="opacity:.5">{text}</span>')
    return (
        f'<div class="nlp-gym" style="font-family:sans-serif;line-height:2">'
        f"<small>{html.escape(frame.title)} &middot; "
        f"word {frame.cursor}/{len(frame.words)} &middot; reward {reward:+.3f}</small><br>"
        f"{' '.join(parts)}</div>"
    )
