"""Cuts long texts into overlapping windows, and makes padded batches of these; numpy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.transformer.subwords import SubWords, WordTokenizer

_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """K windows over the flat token sequence, in text order.

    Attributes:
        starts: (K,) first token of each window.
        stops: (K,) one past its last token.
        token_window: (S,) the window that each token's vector is taken from.
    """

    starts: _I64
    stops: _I64
    token_window: _I64


def plan_windows(tokens: SubWords, size: int) -> Windows:
    """Cover every text with windows of at most `size` tokens (special tokens not counted)."""
    lengths = np.diff(tokens.offsets)
    stride = max(1, size // 2)
    counts = np.where(lengths > size, -(-(lengths - size) // stride) + 1, lengths > 0)
    first = np.cumsum(counts) - counts
    text = np.repeat(np.arange(len(lengths)), counts)
    place = np.arange(counts.sum()) - first[text]
    # The last window of a long text ends with the text, so that all windows of it are full.
    latest = np.maximum(lengths[text] - size, 0)
    starts = tokens.offsets[text] + np.minimum(place * stride, latest)
    stops = np.minimum(starts + size, tokens.offsets[text + 1])
    window = np.repeat(first, lengths)
    for i in np.flatnonzero(counts > 1):
        own = slice(int(first[i]), int(first[i] + counts[i]))
        span = slice(int(tokens.offsets[i]), int(tokens.offsets[i + 1]))
        window[span] += _nearest(starts[own], stops[own], _centres(tokens, span, stride))
    return Windows(starts, stops, window)


def _centres(tokens: SubWords, span: slice, longest: int) -> npt.NDArray[np.float64]:
    """Centre of the word of each token in the span.

    A word of more than `longest` tokens may not lie in one window; the centres of its tokens are
    their own.
    """
    positions = np.arange(span.start, span.stop)
    word = np.searchsorted(tokens.word_starts, positions, side="right") - 1
    begin, end = tokens.word_starts[word], tokens.word_starts[word + 1]
    return np.where(end - begin <= longest, (begin + end) / 2, positions + 0.5)


def _nearest(starts: _I64, stops: _I64, centres: npt.NDArray[np.float64]) -> _I64:
    """Index of the window whose middle is nearest to each of `centres`."""
    middle = (starts + stops) / 2
    return np.searchsorted((middle[:-1] + middle[1:]) / 2, centres, side="left")


def batches(windows: Windows, extra: int, budget: int) -> Iterator[_I64]:
    """Yield the window indices of each batch, longest windows first.

    Args:
        windows: The windows.
        extra: Number of special tokens added to a window.
        budget: Most tokens in a batch, padding included; a single window may exceed it.
    """
    lengths = windows.stops - windows.starts + extra
    # Longest first: if memory is too small, the first batch fails and not one after an hour.
    order = np.argsort(-lengths, kind="stable")
    at = 0
    while at < len(order):
        size = max(1, budget // int(lengths[order[at]]))
        yield order[at : at + size]
        at += size


@dataclass(frozen=True)
class Batch:
    """B padded windows, and the bags of their sub-words that are pooled to words.

    Attributes:
        ids: (B, L) sub-words, special tokens and padding included.
        mask: (B, L) attention mask: 0 for padding, 1 for all else.
        slots: (S,) indices in the flattened batch of the sub-words that are pooled.
        weights: (S,) float32 weight of each in its word's vector.
        starts: (K,) index in `slots` of the first sub-word of each bag.
        words: (K,) the word that each bag belongs to; a very long word has several bags.
        segments: (B, L) 1 in the second part of a text of two; None: all texts have one.
    """

    ids: _I64
    mask: _I64
    slots: _I64
    weights: npt.NDArray[np.float32]
    starts: _I64
    words: _I64
    segments: _I64 | None = None


@dataclass(frozen=True)
class Batcher:
    """Makes batches of windows.

    Attributes:
        tokenizer: Tokenizer with the special tokens and the padding id.
        first: Whether a word's vector is that of its first sub-word, not the mean.
    """

    tokenizer: WordTokenizer
    first: bool = False

    @property
    def extra(self) -> int:
        """Number of special tokens added to a window."""
        return len(self.tokenizer.prefix) + len(self.tokenizer.suffix)

    def batch(self, tokens: SubWords, windows: Windows, chosen: _I64) -> Batch:
        """Make a batch of the windows `chosen` (B,), in that order."""
        ids, mask = self._padded(tokens, windows, chosen)
        lengths = (windows.stops - windows.starts)[chosen]
        row = np.repeat(np.arange(len(chosen)), lengths)
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        token = windows.starts[chosen][row] + place
        word = np.searchsorted(tokens.word_starts, token, side="right") - 1
        used = windows.token_window[token] == chosen[row]
        if self.first:
            used &= token == tokens.word_starts[word]
        row, place, word = row[used], place[used], word[used]
        size = tokens.word_starts[word + 1] - tokens.word_starts[word]
        begins = np.ones(len(word), bool)
        begins[1:] = (word[1:] != word[:-1]) | (row[1:] != row[:-1])
        return Batch(
            ids,
            mask,
            slots=row * ids.shape[1] + len(self.tokenizer.prefix) + place,
            weights=(np.ones(len(word)) if self.first else 1 / size).astype(np.float32),
            starts=np.flatnonzero(begins),
            words=word[begins],
        )

    def _padded(self, tokens: SubWords, windows: Windows, chosen: _I64) -> tuple[_I64, _I64]:
        """The (B, L) ids and attention mask of a batch."""
        prefix, suffix = self.tokenizer.prefix, self.tokenizer.suffix
        lengths = (windows.stops - windows.starts)[chosen]
        total = len(prefix) + int(lengths.max()) + len(suffix)
        column = np.arange(total)[None, :] - len(prefix)
        source = np.clip(windows.starts[chosen][:, None] + column, 0, len(tokens.ids) - 1)
        inside = column < lengths[:, None]
        ids = np.where(inside, tokens.ids[source], self.tokenizer.pad_id).astype(np.int64)
        ids[:, : len(prefix)] = prefix
        for place, special in enumerate(suffix):
            ids[np.arange(len(chosen)), len(prefix) + lengths + place] = special
        return ids, (column < lengths[:, None] + len(suffix)).astype(np.int64)
