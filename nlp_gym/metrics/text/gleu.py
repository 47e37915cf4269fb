"""GLEU of many sentences at once, equal to NLTK's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.text.bleu import BLEU_ORDER
from nlp_gym.metrics.text.reference_matches import ReferencePairs
from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer
from nlp_gym.types import Float64Array, Int64Array

GLEU_ORDER = BLEU_ORDER


def count_ngrams(length: npt.NDArray[Any]) -> Int64Array:
    """(...) number of n-grams of all orders in texts of `length` (...) words."""
    orders = np.arange(GLEU_ORDER)
    total: Int64Array = np.maximum(length[..., None] - orders, 0).sum(axis=-1)
    return total


def gleu_formula(
    matches: npt.NDArray[Any], length: npt.NDArray[Any], reference: npt.NDArray[Any]
) -> Float64Array:
    """(...) GLEU in [0, 1] (Wu et al. 2016): the lower one of n-gram precision and recall.

    GLEU is symmetric in text and reference: a text twice as long loses as much as one half as long.
    It needs no smoothing for single sentences and was proposed as a reward in place of BLEU.

    Args:
        matches: (..., orders) clipped matches of n-grams.
        length: (...) words of the hypotheses.
        reference: (...) words of the references.
    """
    most = count_ngrams(np.maximum(length, reference))
    score: Float64Array = matches.sum(axis=-1) / np.maximum(most, 1)
    return score


def gleu_counts(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> Int64Array:
    """(N, 2) additive counts: n-grams shared with the best reference, and the most there can be."""
    cut = scoring_tokenizer("bleu", tokenize).tokenize
    pairs = ReferencePairs.count(hypotheses, references, cut, GLEU_ORDER)
    possible = count_ngrams(np.maximum(pairs.length, pairs.reference))
    scores = gleu_formula(pairs.matches, pairs.length, pairs.reference)
    best = pairs.best(np.where(possible > 0, scores, -1.0))
    return np.stack([pairs.matches[best].sum(axis=1), possible[best]], axis=1)
