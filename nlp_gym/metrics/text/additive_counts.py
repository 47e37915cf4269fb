"""Additive counts of each text metric, from which the bootstrap computes corpus scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Formula, mean_of_first
from nlp_gym.metrics.text.bleu import BLEU_ORDER, bleu_counts, bleu_formula
from nlp_gym.metrics.text.chrf import chrf_counts, chrf_of_sums
from nlp_gym.metrics.text.gleu import gleu_counts
from nlp_gym.metrics.text.reference_libraries import References
from nlp_gym.types import Float64Array


def additive_counts(
    references: References,
    outputs: Sequence[str],
    tokenize: str,
    value: str,
    figures: Mapping[str, Float64Array],
) -> tuple[npt.NDArray[Any], Formula]:
    """Counts of a metric that add up over texts, for resampling.

    Args:
        references: One or more references of each of N texts.
        outputs: The N texts.
        tokenize: Name of sacreBLEU's tokenizer.
        value: ``"bleu"``, ``"gleu"``, ``"chrf"`` or a key of `figures`.
        figures: (3, N) precision, recall and F1 of each ROUGE.

    Returns:
        (N, K) counts, and the formula of the metric's value from sums of them.
    """
    if value == "bleu":
        matches, length, closest = bleu_counts(outputs, references, tokenize)
        totals = np.maximum(length[:, None] - np.arange(BLEU_ORDER), 0)
        ends = [length[:, None], closest[:, None]]
        return np.concatenate([matches, totals, *ends], axis=1), _bleu_of_sums
    if value == "gleu":
        return gleu_counts(outputs, references, tokenize), mean_of_first
    if value == "chrf":
        return chrf_counts(outputs, references), chrf_of_sums
    return np.stack([figures[value][-1], np.ones(len(outputs))], axis=1), mean_of_first


def _bleu_of_sums(sums: Float64Array) -> Float64Array:
    n = BLEU_ORDER
    return bleu_formula(
        sums[:, :n], sums[:, -2], sums[:, -1], totals=sums[:, n : 2 * n], effective_order=False
    )
