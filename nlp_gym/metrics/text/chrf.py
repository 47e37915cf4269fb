"""chrF of many texts at once, equal to sacreBLEU's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.text.reference_matches import ReferencePairs
from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer
from nlp_gym.types import Float64Array, Int64Array

CHRF_ORDER = 6
CHRF_BETA = 2


def chrf_formula(
    matches: npt.NDArray[Any], length: npt.NDArray[Any], reference: npt.NDArray[Any]
) -> Float64Array:
    """(B, R) chrF in [0, 1] (Popović 2015), as sacreBLEU computes it by default.

    Precision and recall are averaged over the orders that both texts are long enough for.

    Args:
        matches: (B, R, orders) matches of character n-grams.
        length: (B,) characters of the hypotheses, without white space.
        reference: (B, R) characters of the references.
    """
    orders = np.arange(matches.shape[-1])
    written = np.maximum(length[:, None, None] - orders, 0)
    wanted = np.maximum(reference[:, :, None] - orders, 0)
    return _from_ngrams(matches, written, wanted)


def _from_ngrams(
    matches: npt.NDArray[Any], written: npt.NDArray[Any], wanted: npt.NDArray[Any]
) -> Float64Array:
    """(...) chrF from (..., orders) n-grams that match, of the hypothesis and of the reference."""
    both = (written > 0) & (wanted > 0)
    n = both.sum(axis=-1)
    precision = _ratio(_ratio(matches, written * both).sum(axis=-1), n)
    recall = _ratio(_ratio(matches, wanted * both).sum(axis=-1), n)
    weight = CHRF_BETA**2
    return _ratio((1 + weight) * precision * recall, weight * precision + recall)


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Float64Array:
    """`part` / `whole`, 0 where `whole` is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    ratio: Float64Array = np.divide(part, whole, out=np.zeros(shape), where=whole > 0)
    return ratio


def chrf_counts(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Int64Array:
    """(N, 18) additive counts: n-grams, by order, of the text, of its best reference, of both."""
    tokenize = scoring_tokenizer("bleu", "char").tokenize
    pairs = ReferencePairs.count(hypotheses, references, tokenize, CHRF_ORDER)
    scores = chrf_formula(pairs.matches[:, None], pairs.length, pairs.reference[:, None])[:, 0]
    best = pairs.best(scores)
    orders = np.arange(CHRF_ORDER)
    wanted = np.maximum(pairs.reference[best, None] - orders, 0)
    written = np.maximum(pairs.length[best, None] - orders, 0) * (wanted > 0)
    return np.concatenate([written, wanted, pairs.matches[best]], axis=1)


def chrf_of_sums(sums: Float64Array) -> Float64Array:
    """(R,) corpus chrF from (R, 18) sums of `chrf_counts`."""
    written, wanted, matches = np.split(sums, 3, axis=1)
    return _from_ngrams(matches, written, wanted)
