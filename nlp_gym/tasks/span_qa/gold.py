"""Gold answers of span question answering: what is right, what the expert does, F1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from nlp_gym.metrics.answers.span_table import SpanF1
from nlp_gym.tasks.core.tables import ragged
from nlp_gym.types import Float64Array, Int64Array, Sample


class SpanGold:
    """Gold answers of N questions, of at most G each.

    Args:
        samples: The questions, with gold.
        max_answer: Most words in an answer.
        form: How F1 cuts tokens, a name in `metrics.answers.squad.ANSWER_TOKENIZERS`.
    """

    def __init__(self, samples: Sequence[Sample], max_answer: int, form: str) -> None:
        self._samples, self.max_answer, self._form = samples, max_answer, form
        width = max(len(sample.gold) for sample in samples)
        self._first = ragged([[answer[1] for answer in s.gold] for s in samples], width)
        self._last = ragged([[answer[2] for answer in s.gold] for s in samples], width)

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
        begins = self._first.take(row, axis=0) == first[:, None]
        ends = (self._last.take(row, axis=0) == last[:, None]) | (last < 0)[:, None]
        return np.asarray((begins & ends).any(1), np.float64)

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
        first, last = self._first.take(row, axis=0), self._last.take(row, axis=0)
        begun, low, top = chosen[:, None] >= 0, low[:, None], stop[:, None] - 1
        reach = (last <= top) & (last >= low) & (begun | (last - first < self.max_answer))
        useful = reach | ~begun | (first == low)
        rank = 1 + 2 * reach + 4 * (begun & (first == low))
        best = np.where(first < 0, 0, rank).argmax(1)[:, None]
        goal = np.where(begun, np.where(useful, last, low), first)
        return np.take_along_axis(np.clip(goal, low, top), best, axis=1)[:, 0]
