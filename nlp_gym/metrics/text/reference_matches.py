"""N-gram matches of texts with each of their references, and the best reference of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nlp_gym.metrics.text.ngrams import number_words, sequence_matches, word_ids
from nlp_gym.types import Float64Array, Int64Array


@dataclass(frozen=True)
class ReferencePairs:
    """N-gram matches of each text with each of its references, P pairs in all.

    Attributes:
        matches: (P, orders) clipped matches of n-grams.
        length: (P,) words of the text.
        reference: (P,) words of the reference.
        text: (P,) index of the text, ascending.
        first: (N,) first pair of each text.
    """

    matches: Int64Array
    length: Int64Array
    reference: Int64Array
    text: Int64Array
    first: Int64Array

    @classmethod
    def count(
        cls,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        tokenize: Callable[[str], Sequence[str]],
        order: int,
    ) -> ReferencePairs:
        """Count the matches of all pairs.

        Args:
            hypotheses: N texts.
            references: One or more references of each text.
            tokenize: Cuts a text into words.
            order: Longest n-gram.
        """
        index, rows = number_words(references, tokenize)
        golds = [gold for row in rows for gold in row]
        sizes = np.array([len(row) for row in rows], np.int64)
        texts = word_ids(hypotheses, tokenize, index)
        owner = np.repeat(np.arange(len(texts)), sizes)
        return cls(
            sequence_matches([[gold] for gold in golds], [texts[i] for i in owner], order),
            np.array([len(text) for text in texts], np.int64)[owner],
            np.array([len(gold) for gold in golds], np.int64),
            owner,
            np.cumsum(sizes) - sizes,
        )

    def best(self, scores: Float64Array) -> Int64Array:
        """(N,) pair of each text with the highest of `scores` (P,); the first of equal ones."""
        highest: Int64Array = np.lexsort((-scores, self.text))[self.first]
        return highest
