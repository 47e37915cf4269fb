"""F-measures of chrF and ROUGE from counts, for many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.text.reference_matches import Pairs
from nlp_gym.metrics.text.scoring_tokens import scoring_words
from nlp_gym.types import Float64Array, Int64Array

CHRF_ORDER = 6
CHRF_BETA = 2


def share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Float64Array:
    """`part` / `whole`, 0 where `whole` is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    ratio: Float64Array = np.divide(part, whole, out=np.zeros(shape), where=whole > 0)
    return ratio


def f1(
    matches: npt.NDArray[Any], found: npt.NDArray[Any], wanted: npt.NDArray[Any]
) -> Float64Array:
    """F1 of `matches` among `found` and `wanted` things; 0 where there is nothing."""
    return share(2 * matches, np.where(matches > 0, found + wanted, 0))


def chrf_formula(
    matches: npt.NDArray[Any], length: npt.NDArray[Any], reference: npt.NDArray[Any]
) -> Float64Array:
    """(B, R) chrF in [0, 1] (Popović 2015), as sacreBLEU has it by default.

    Precision and recall are averaged over the orders that both texts are long enough for.

    Args:
        matches: (B, R, orders) matches of character n-grams.
        length: (B,) characters of the hypotheses, without white space.
        reference: (B, R) characters of the references.
    """
    orders = np.arange(matches.shape[-1])
    found = np.maximum(length[:, None, None] - orders, 0)
    wanted = np.maximum(reference[:, :, None] - orders, 0)
    return _chrf(matches, found, wanted)


def _chrf(
    matches: npt.NDArray[Any], found: npt.NDArray[Any], wanted: npt.NDArray[Any]
) -> Float64Array:
    both = (found > 0) & (wanted > 0)
    n = both.sum(axis=-1)
    precision = share(share(matches, found * both).sum(axis=-1), n)
    recall = share(share(matches, wanted * both).sum(axis=-1), n)
    weight = CHRF_BETA**2
    return share((1 + weight) * precision * recall, weight * precision + recall)


def chrf_counts(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Int64Array:
    """(N, 18) what chrF is made of: n-grams of the text, of its best reference and of both."""
    pairs = Pairs.of(hypotheses, references, scoring_words("bleu", "char").of, CHRF_ORDER)
    scores = chrf_formula(pairs.matches[:, None], pairs.length, pairs.reference[:, None])[:, 0]
    best = pairs.best(scores)
    orders = np.arange(CHRF_ORDER)
    wanted = np.maximum(pairs.reference[best, None] - orders, 0)
    found = np.maximum(pairs.length[best, None] - orders, 0) * (wanted > 0)
    return np.concatenate([found, wanted, pairs.matches[best]], axis=1)


def chrf_of_sums(sums: Float64Array) -> Float64Array:
    """(R,) corpus chrF from sums (R, 18) of `chrf_counts`."""
    found, wanted, matches = np.split(sums, 3, axis=1)
    return _chrf(matches, found, wanted)
