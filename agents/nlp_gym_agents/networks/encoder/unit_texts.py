"""The texts behind a task's units, as sub-words, and passes over them that are kept."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch as th

from nlp_gym.encode.base import text_offsets
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.encode.transformer.pooling import send
from nlp_gym.encode.transformer.subwords import SubWords
from nlp_gym.encode.transformer.windows import Batch
from nlp_gym.types import Int64Array, Units


class Encodable(Protocol):
    """The part of a task that `UnitTexts` reads."""

    @property
    def units(self) -> Units:
        """What is encoded."""

    @property
    def encoder(self) -> TransformerEncoder:
        """Splits and pools."""


class UnitTexts:
    """N texts, their windows of sub-words, and the words that each unit is the mean of.

    Args:
        task: A task whose encoder is a transformer.

    Attributes:
        encoder: The task's encoder.
        n_units: Number U of units.
        rescaled: Whether units are standardised once more, as means of whole texts.
        tokens: Sub-words of all texts.
        windows: Windows over them.
        words: (N+1,) where each text's words begin.
        segments: (S,) 1 for sub-words in the second part of a text of two; None: all have one part,
            or the parts are read as one text.
        pretrained: (U+1, D) float16 vectors of the pretrained encoder, if they are known: until the
            encoder moves, nothing has to be encoded.
    """

    def __init__(self, task: Encodable) -> None:
        units = task.units
        self.encoder, self.n_units, self.rescaled = task.encoder, len(units), units.rescaled
        self.segments: npt.NDArray[np.int8] | None = None
        self._origin: UnitTexts | None = None
        self._seconds = units.seconds
        self._read(self.encoder.split(units.texts))
        self.words = text_offsets(len(text) for text in units.texts)
        encoded = vars(task).get("encoded")
        self.pretrained = None if encoded is None else shared_tensor(encoded.features)
        self._spans = units.spans
        if units.spans is not None:
            self._by_text = np.argsort(units.spans[:, 0], kind="stable")
            sorted_texts = units.spans[self._by_text, 0]
            self._units = np.searchsorted(sorted_texts, np.arange(len(units.texts) + 1))

    def _read(self, tokens: SubWords) -> None:
        """Take `tokens` for the sub-words of the texts."""
        self.tokens, self.windows = tokens, self.encoder.windows(tokens)
        owner = np.searchsorted(tokens.offsets, self.windows.starts, side="right") - 1
        self._windows = np.searchsorted(owner, np.arange(len(tokens.offsets)))

    @property
    def origin(self) -> UnitTexts:
        """The texts of which this is a view, see `paired`; elsewhere itself."""
        return self._origin or self

    @cached_property
    def paired(self) -> UnitTexts:
        """The same units, read with a separator between the two parts of a text and with segments.

        The separator belongs to the last word of the first part. Itself where texts have one part.
        """
        if self._seconds is None:
            return self
        view, tokens = copy.copy(self), self.tokens
        view._origin, view.pretrained = self, None
        two = np.flatnonzero(self._seconds > 0)
        at = tokens.word_starts[self.words[two] + self._seconds[two]]  # where second parts begin
        added = self.encoder.batcher.tokenizer.suffix[:1]
        ids = np.insert(tokens.ids, np.repeat(at, len(added)), np.tile(added, len(at)))

        def moved(places: Int64Array) -> Int64Array:
            return places + np.searchsorted(at, places, side="right") * len(added)

        view._read(SubWords(ids, moved(tokens.offsets), moved(tokens.word_starts)))
        second = np.zeros(len(ids) + 1, np.int8)
        second[moved(at)] += 1
        second[view.tokens.offsets[two + 1]] -= 1
        view.segments = np.cumsum(second[:-1], dtype=np.int8)
        return view

    def batch(self, windows: Int64Array) -> Batch:
        """A batch of windows by number, in that order."""
        batch = self.encoder.batcher.batch(self.tokens, self.windows, windows)
        if self.segments is None:
            return batch
        start, stop = (a[windows][:, None] for a in (self.windows.starts, self.windows.stops))
        column = np.arange(batch.ids.shape[1]) - len(self.encoder.batcher.tokenizer.prefix)
        segments = self.segments[np.clip(start + column, start, stop - 1)].astype(np.int64)
        return replace(batch, segments=segments)

    def __len__(self) -> int:
        """Number N of texts."""
        return len(self.words) - 1

    def texts_of(self, units: Int64Array) -> Int64Array:
        """(n,) text of each unit."""
        if self._spans is None:
            return np.searchsorted(self.words, units, side="right") - 1
        texts: Int64Array = self._spans[units, 0]
        return texts

    def units_of(self, texts: Int64Array) -> Int64Array:
        """All units of some texts, text by text."""
        if self._spans is None:
            return ranges(self.words[texts], self.words[texts + 1])
        return self._by_text[ranges(self._units[texts], self._units[texts + 1])]

    def windows_of(self, texts: Int64Array) -> Int64Array:
        """All windows of some texts."""
        return ranges(self._windows[texts], self._windows[texts + 1])

    def words_of(self, units: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The words of units one after the other, and (n,) where each unit's begin."""
        if self._spans is None:
            return units, np.arange(len(units))
        text, first, stop = self._spans[units].T
        lengths = stop - first
        start = self.words[text]
        return ranges(start + first, start + stop), np.cumsum(lengths) - lengths


def ranges(starts: Int64Array, stops: Int64Array) -> Int64Array:
    """``starts[0], ..., stops[0] - 1, starts[1], ...``."""
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def shared_tensor(array: npt.NDArray[Any]) -> th.Tensor:
    """A tensor over the array's own memory. Nothing here writes into it."""
    with warnings.catch_warnings():
        # A read-only memory map: torch cannot mark tensors read-only and says so.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return th.from_numpy(np.asarray(array))


Weights = tuple[float, ...]
"""Numbers that differ where weights differ, see `TrainableEncoder`."""


@dataclass(frozen=True)
class KeptPass:
    """A pass that was made to act, kept for the update that learns from it.

    It has the vectors of all units of some texts, with the graph that leads to the weights.

    Attributes:
        texts: The book of the texts.
        weights: Those of the encoder then.
        rows: (n,) the texts.
        units: (U,) all their units.
        vectors: (U, D) float32.
    """

    texts: UnitTexts
    weights: Weights
    rows: Int64Array
    units: Int64Array
    vectors: th.Tensor


def gathered(parts: list[tuple[Int64Array, th.Tensor]], units: Int64Array) -> th.Tensor:
    """(n, D) vectors of `units` from parts that have them all."""
    if len(parts) == 1 and np.array_equal(parts[0][0], units):
        return parts[0][1]
    known = np.concatenate([own for own, _ in parts])
    order = np.argsort(known, kind="stable")
    place = order[np.searchsorted(known, units, sorter=order)]
    vectors = th.cat([part for _, part in parts])
    return vectors.index_select(0, send(place, vectors.device))
