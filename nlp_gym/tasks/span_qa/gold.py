"""Gold answers of span question answering: what is right, what the expert does, F1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from nlp_gym.metrics.answers.span_table import SpanF1
from nlp_gym.metrics.base import spread
from nlp_gym.types import Float64Array, Int64Array, Sample


class SpanGold:
    """Gold answers of N questions.

    Args:
        samples: The questions, with gold.
        max_answer: Most words in an answer.
        form: How F1 cuts tokens, a name in `metrics.answers.squad.ANSWER_TOKENIZERS`.
    """

    def __init__(self, samples: Sequence[Sample], max_answer: int, form: str) -> None:
        self._samples, self.max_answer, self._form = samples, max_answer, form
        counts = np.array([len(sample.gold) for sample in samples], np.int64)
        self._offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        spans = [answer[1:] for sample in samples for answer in sample.gold]
        self._first, self._last = np.array(spans, np.int64).reshape(-1, 2).T.copy()
        # What is looked up: a first word, or a first and a last one, of a question.
        self._n = int(self._last.max(initial=0)) + 2
        owner = np.repeat(np.arange(len(samples)), counts)
        self._keys = np.unique(
            np.concatenate(
                [
                    self._key(owner, self._first, np.full(len(owner), -1)),
                    self._key(owner, self._first, self._last),
                ]
            )
        )

    def _key(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Int64Array:
        return (row * self._n + first) * self._n + last + 1

    @cached_property
    def f1(self) -> SpanF1:
        """F1 of spans; built when it is first needed."""
        passages = {s.extra["text"]: s.extra["spans"] for s in self._samples}
        number = {text: i for i, text in enumerate(passages)}
        return SpanF1(
            list(passages.items()),
            np.array([number[s.extra["text"]] for s in self._samples], np.int64),
            [[answer[0] for answer in s.gold] for s in self._samples],
            self.max_answer,
            self._form,
        )

    def right(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Float64Array:
        """(B,) 1 where a span is gold, or, with `last` -1, where a gold answer begins there."""
        inside = (first < self._n) & (last < self._n - 1)
        keys = self._key(row, first, last)
        found = self._keys.take(np.searchsorted(self._keys, keys), mode="clip") == keys
        return np.asarray(found & inside, np.float64)

    def expert(
        self, row: Int64Array, chosen: Int64Array, low: Int64Array, stop: Int64Array
    ) -> Int64Array:
        """(B,) best next word.

        The first gold answer that can be reached, else what of it can. After a first word of its
        own choice the agent is led to the end of an answer that begins there, or of one that can
        still be reached, else to an answer of one word.

        Args:
            row: (B,) questions.
            chosen: (B,) first word of the answer, or -1.
            low: (B,) first legal word.
            stop: (B,) one past the last.
        """
        begins = self._offsets.take(row)
        which, at = spread(begins, self._offsets.take(row + 1))
        first, last = self._first.take(at), self._last.take(at)
        low, top = low.take(which), stop.take(which) - 1
        begun = chosen.take(which) >= 0
        reach = (last <= top) & (last >= low) & (begun | (last - first < self.max_answer))
        useful = reach | ~begun | (first == low)
        rank = 1 + 2 * reach + 4 * (begun & (first == low))
        goal = np.clip(np.where(begun, np.where(useful, last, low), first), low, top)
        # The answer of the highest rank, the first of equal ones.
        counts = self._offsets.take(row + 1) - begins
        most = int(counts.max(initial=1))
        starts = np.cumsum(counts) - counts
        place = np.arange(len(at)) - starts.take(which)
        best = np.maximum.reduceat(rank * most + most - 1 - place, starts) % most
        return np.asarray(goal.take(starts + most - 1 - best), np.int64)
