"""What every metric shares: the reported score, the bootstrap interval and exact rewards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

GRID = float(2**20)
"""Potentials are rounded to multiples of 1/GRID: differences and sums of those are exact in
floating point, so the dense rewards of an episode add up to the sparse one to the last bit."""

BOOTSTRAP_SEED = 12345


@dataclass(frozen=True)
class Score:
    """A corpus score with what is needed to trust and repeat it.

    Attributes:
        metric: Name, such as ``"entity_f1"``.
        value: The score in [0, 1].
        interval: 95 % percentile bootstrap interval over samples, or None if not asked for.
        n: Number of samples scored.
        signature: Metric, scheme, averaging and versions in one line.
        report: The full tables, JSON-able.
        text: The same for people.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None
    n: int
    signature: str
    report: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


def on_grid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to the grid on which reward sums are exact."""
    return np.rint(values * GRID) / GRID


def bootstrap_interval(
    counts: npt.NDArray[np.int64],
    corpus_score: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    *,
    draws: int = 1000,
    seed: int = BOOTSTRAP_SEED,
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a corpus score over samples (Efron 1979; Koehn 2004).

    Args:
        counts: (N, K) additive counts of each sample.
        corpus_score: Maps (R, K) summed counts to (R,) scores.
        draws: Resamples R.
        seed: Seed of the resampling.

    Returns:
        The 2.5th and 97.5th percentile.
    """
    n = len(counts)
    rng = np.random.default_rng(seed)
    chunk = max(1, min(draws, 4_000_000 // max(n, 1)))
    sums = [
        rng.multinomial(n, np.full(n, 1.0 / n), size=min(chunk, draws - start)) @ counts
        for start in range(0, draws, chunk)
    ]
    low, high = np.percentile(corpus_score(np.concatenate(sums).astype(np.float64)), [2.5, 97.5])
    return float(low), float(high)
