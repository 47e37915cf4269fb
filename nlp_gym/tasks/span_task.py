"""The rules of pointing at a span of a text: first its first word, then its last."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlp_gym.tasks.base import Output, State, Task
from nlp_gym.tasks.checks import check_int
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Int64Array, Observation

FEW = 0.01
"""Share of texts that may be longer than can be reached without a warning."""


@dataclass
class SpanState(State):
    """Adds `first` and `last` (B,) int64: words chosen, -1 before."""

    first: Int64Array
    last: Int64Array


class SpanTask(Task):
    """A task whose actions are the words of a text: two of them make a span.

    Args:
        max_words: Words C that can be chosen; later ones are out of reach.
        max_answer: Most words in a span.
        **kwargs: Those of `Task`.
    """

    def __init__(self, max_words: int, max_answer: int, **kwargs: Any) -> None:
        self.max_words = check_int("max_words", max_words, 1, 4096)
        self.max_answer = check_int("max_answer", max_answer, 1, 1000)
        super().__init__(**kwargs)
        words = np.array([len(sample.words) for sample in self.corpus.samples], np.int64)
        cut = int((words > max_words).sum())
        if cut > FEW * len(words):
            warnings.warn(
                f"{cut} of {len(words)} texts are longer than max_words={max_words}: what comes "
                f"after cannot be chosen. Give max_words={words.max()} to reach all of it.",
                UserWarning,
                stacklevel=3,
            )
        self._sizes = np.minimum(words, self.max_words)
        c = self.max_words
        # Row k is true below k: rows are taken many times faster than compared.
        self._below = np.tri(c + 1, c, -1, dtype=bool)
        self.extras = {"start": Extra(c, 1), "step": Extra(1, 2)}

    @property
    def n_actions(self) -> int:
        """Number C of words that can be chosen."""
        return self.max_words

    @property
    def lengths(self) -> Int64Array:
        """(N,) two decisions."""
        return np.full(len(self.corpus), 2, np.int64)

    def initial(self, rows: Int64Array) -> SpanState:
        """See `Task.initial`."""
        none = np.full(len(rows), -1, np.int64)
        return SpanState(**self.blank(rows), first=none, last=none.copy())

    def _bounds(self, state: SpanState) -> tuple[Int64Array, Int64Array]:
        """(B,) first legal word and (B,) one past the last."""
        size = self._sizes.take(state.row)
        stop = np.where(state.first < 0, size, np.minimum(size, state.first + self.max_answer))
        return np.maximum(state.first, 0), stop

    def mask(self, state: SpanState) -> BoolArray:
        """See `Task.mask`."""
        low, stop = self._bounds(state)
        legal: BoolArray = self._below.take(stop, axis=0)
        if low.any():
            legal ^= self._below.take(low, axis=0)
        return legal

    def repair(self, state: SpanState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """See `Task.repair`."""
        low, stop = self._bounds(state)
        illegal = (actions < low) | (actions >= stop)
        return np.where(illegal, low, actions), illegal

    def extra(self, state: SpanState) -> Observation:
        """Where the span begins, as a flag a word, and how many words are chosen."""
        begun = state.first >= 0
        (at,) = begun.nonzero()
        start = np.zeros((len(begun), self.max_words), np.int8)
        start[at, state.first.take(at)] = 1
        step = begun.astype(np.int32) + (state.last >= 0)
        return {"start": start, "step": step[:, None]}

    def outputs(self, state: SpanState) -> list[Output]:
        """See `Task.outputs`: (first, last) word of each answer; (-1, -1) where there is none."""
        last = np.maximum(state.last, state.first)
        return list(zip(state.first.tolist(), last.tolist(), strict=True))
