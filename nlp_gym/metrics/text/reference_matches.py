"""N-gram matches of texts with each of their references, and the best of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nlp_gym.metrics.text.ngrams import sequence_matches
from nlp_gym.types import Float64Array, Int64Array


@dataclass(frozen=True)
class Pairs:
    """Each text with each of its references, P pairs in all.

    Attributes:
        matches: (P, orders) clipped matches of n-grams.
        length: (P,) words of the text.
        reference: (P,) words of the reference.
        text: (P,) number of the text, in order.
        first: (N,) first pair of each text.
    """

    matches: Int64Array
    length: Int64Array
    reference: Int64Array
    text: Int64Array
    first: Int64Array

    @classmethod
    def of(
        cls,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        cut: Callable[[str], Sequence[str]],
        order: int,
    ) -> Pairs:
        """Count them.

        Args:
            hypotheses: N texts.
            references: One or more for each.
            cut: The words of a text.
            order: Longest n-gram.
        """
        index: dict[str, int] = {}
        golds = [
            [index.setdefault(word, len(index) + 1) for word in cut(text)]
            for texts in references
            for text in texts
        ]
        sizes = np.array([len(texts) for texts in references], np.int64)
        texts = [[index.get(word, 0) for word in cut(text)] for text in hypotheses]
        owner = np.repeat(np.arange(len(texts)), sizes)
        return cls(
            sequence_matches([[gold] for gold in golds], [texts[i] for i in owner], order),
            np.array([len(text) for text in texts], np.int64)[owner],
            np.array([len(gold) for gold in golds], np.int64),
            owner,
            np.cumsum(sizes) - sizes,
        )

    def best(self, scores: Float64Array) -> Int64Array:
        """(N,) the pair of each text with the highest of `scores` (P,), of equal ones the first."""
        highest: Int64Array = np.lexsort((-scores, self.text))[self.first]
        return highest
