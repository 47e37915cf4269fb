"""The texts behind a task's units, as sub-words."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch as th

from nlp_gym.encode.base import text_offsets
from nlp_gym.encode.transformer.encoder import TransformerEncoder
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
        pretrained: (U+1, D) float16 vectors of the pretrained encoder, if they are known: until the
            encoder moves, nothing has to be encoded.
    """

    def __init__(self, task: Encodable) -> None:
        units = task.units
        self.encoder, self.n_units, self.rescaled = task.encoder, len(units), units.rescaled
        self.tokens = self.encoder.split(units.texts)
        self.windows = self.encoder.windows(self.tokens)
        self.words = text_offsets(len(text) for text in units.texts)
        encoded = vars(task).get("encoded")
        self.pretrained = None if encoded is None else shared_tensor(encoded.features)
        owner = np.searchsorted(self.tokens.offsets, self.windows.starts, side="right") - 1
        self._windows = np.searchsorted(owner, np.arange(len(units.texts) + 1))
        self._spans = units.spans
        if units.spans is not None:
            self._by_text = np.argsort(units.spans[:, 0], kind="stable")
            sorted_texts = units.spans[self._by_text, 0]
            self._units = np.searchsorted(sorted_texts, np.arange(len(units.texts) + 1))

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
