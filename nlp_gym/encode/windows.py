"""Cutting long texts into overlapping windows, and windows into batches; numpy only.

A text that fits is one window. A longer one is read through windows that overlap by half, and each
word takes its vector from the window whose centre is nearest: the one where the context on the
poorer side is largest (nothing is missing beyond the text's own ends).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.subwords import SubWords

_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """K windows over the flat token sequence, in text order.

    Attributes:
        starts: (K,) first token of each window.
        stops: (K,) one past its last token.
        token_window: (S,) window that each token's vector is taken from.
    """

    starts: _I64
    stops: _I64
    token_window: _I64


def plan_windows(tokens: SubWords, room: int) -> Windows:
    """Cover every text with windows of at most `room` tokens (special tokens not counted)."""
    lengths = np.diff(tokens.offsets)
    stride = max(1, room // 2)
    counts = np.where(lengths > room, -(-(lengths - room) // stride) + 1, lengths > 0)
    first = np.cumsum(counts) - counts
    text = np.repeat(np.arange(len(lengths)), counts)
    place = np.arange(counts.sum()) - first[text]
    # The last window of a long text ends with the text, so that all its windows are full.
    latest = np.maximum(lengths[text] - room, 0)
    starts = tokens.offsets[text] + np.minimum(place * stride, latest)
    stops = np.minimum(starts + room, tokens.offsets[text + 1])
    window = np.repeat(first, lengths)
    for i in np.flatnonzero(counts > 1):
        own = slice(int(first[i]), int(first[i] + counts[i]))
        span = slice(int(tokens.offsets[i]), int(tokens.offsets[i + 1]))
        window[span] += _nearest(starts[own], stops[own], _centres(tokens, span, stride))
    return Windows(starts, stops, window)


def _centres(tokens: SubWords, span: slice, longest: int) -> npt.NDArray[np.float64]:
    """Centre of the word that each token of the span belongs to.

    A word too long to lie in one window for certain (over `longest` tokens) has each of its tokens
    placed by itself.
    """
    positions = np.arange(span.start, span.stop)
    word = np.searchsorted(tokens.word_starts, positions, side="right") - 1
    begin, end = tokens.word_starts[word], tokens.word_starts[word + 1]
    return np.where(end - begin <= longest, (begin + end) / 2, positions + 0.5)


def _nearest(starts: _I64, stops: _I64, centres: npt.NDArray[np.float64]) -> _I64:
    middle = (starts + stops) / 2
    return np.searchsorted((middle[:-1] + middle[1:]) / 2, centres, side="left")


def batches(windows: Windows, extra: int, budget: int) -> Iterator[_I64]:
    """Yield window indices by length, longest first, so that a batch has at most `budget` slots.

    Args:
        windows: The plan.
        extra: Special tokens a window gets.
        budget: Slots in a batch, padding included; a single window may exceed it.
    """
    lengths = windows.stops - windows.starts + extra
    # Longest first: if memory is too small it shows at once, not after an hour.
    order = np.argsort(-lengths, kind="stable")
    at = 0
    while at < len(order):
        size = max(1, budget // int(lengths[order[at]]))
        yield order[at : at + size]
        at += size
