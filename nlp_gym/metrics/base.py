"""A corpus score with its bootstrap interval, and the rounding that makes reward sums exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_int
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.progress import progress_bar
from nlp_gym.types import Float64Array, Int64Array

GRID = float(2**20)
"""Potentials are rounded to multiples of 1/GRID: differences and sums of those are exact in
floating point, so the dense rewards of an episode add up to the sparse one to the last bit."""

BOOTSTRAP_SEED = 12345
_MOST_DRAWS = 100_000

Formula = Callable[[Float64Array], Float64Array]
"""Maps (R, K) sums of additive counts to (R,) corpus scores."""


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
        text: The report as text for people.
        sums: (N, K) additive counts of the samples and the formula of the score, for comparisons on
            the same samples; None where no interval was asked for.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None
    n: int
    signature: str
    report: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    sums: tuple[Any, Formula] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_counts(
        cls,
        metric: str,
        counts: Any,
        formula: Formula,
        *,
        signature: str,
        bootstrap: int,
        value: float | None = None,
        report: Mapping[str, Any] | None = None,
        text: str = "",
    ) -> Score:
        """Score a corpus from the additive counts of its samples.

        Args:
            metric: Name of the metric.
            counts: (N, K) additive counts of each sample, an array or a sparse array of SciPy.
            formula: Maps (R, K) summed counts to (R,) corpus scores.
            signature: Metric, scheme, averaging and versions; the bootstrap is added to it.
            bootstrap: Number of resamples of the interval over samples; 0: no interval.
            value: The score where a library has computed it; None: `formula` of the summed counts.
            report: The tables.
            text: The report as text.
        """
        interval, sums, bootstrap = None, None, check_draws(bootstrap)
        n = int(counts.shape[0])
        if bootstrap and n:
            sums = (counts, formula)
            interval = bootstrap_interval(counts, formula, draws=bootstrap)
            signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
        if value is None:
            value = corpus_value(counts, formula)
        return cls(metric, value, interval, n, signature, report or {}, text, sums)


def check_draws(bootstrap: object) -> int:
    """Return a number of resamples; raise `InvalidArgumentError` unless it is from 0."""
    return check_int("bootstrap", bootstrap, 0, _MOST_DRAWS)


def corpus_value(counts: Any, formula: Formula) -> float:
    """Score of a corpus from the (N, K) counts of its samples."""
    return float(formula(counts.sum(axis=0).astype(np.float64)[None])[0])


def bootstrap_interval(
    counts: Any,
    formula: Formula,
    *,
    draws: int = 1000,
    seed: int = BOOTSTRAP_SEED,
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a corpus score over samples (Efron 1979; Koehn 2004).

    Args:
        counts: (N, K) additive counts of each sample, an array or a sparse array of SciPy.
        formula: Maps (R, K) summed counts to (R,) scores.
        draws: Number of resamples R.
        seed: Seed of the resampling.

    Returns:
        The 2.5th and 97.5th percentile.
    """
    n = counts.shape[0]
    rng = np.random.default_rng(seed)
    chunk = max(1, min(draws, 4_000_000 // max(counts.shape)))
    scores = []
    with progress_bar(draws, "interval of the score", unit="resamples") as advance:
        for start in range(0, draws, chunk):
            drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=min(chunk, draws - start))
            scores.append(formula((drawn @ counts).astype(np.float64)))
            advance(len(drawn))
    low, high = np.percentile(np.concatenate(scores), [2.5, 97.5])
    return float(low), float(high)


def mean_of_first(sums: Float64Array) -> Float64Array:
    """(R,) mean per item of the first of (R, K) summed counts; the last is the number of items."""
    return np.asarray(sums[:, 0] / np.maximum(sums[:, -1], 1), np.float64)


def f1(
    right: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    gold: npt.NDArray[Any],
    *,
    empty: float = 0.0,
) -> Float64Array:
    """F1 from numbers of right, predicted and gold items, of any shapes that broadcast.

    Args:
        right: Predicted items that are gold items too.
        predicted: Predicted items.
        gold: Gold items.
        empty: Value where there are neither predicted nor gold items.
    """
    items = predicted + gold
    ratio: Float64Array = 2 * right / np.maximum(items, 1)
    return np.where(items > 0, ratio, empty) if empty else ratio


def micro_f1(sums: npt.NDArray[Any]) -> Float64Array:
    """(R,) F1 from (R, 3) right, predicted and gold items; 1 where there are neither."""
    return f1(*sums.T, empty=1.0)


def on_grid(values: Float64Array) -> Float64Array:
    """Round to the grid on which sums of rewards are exact; see `GRID`."""
    return np.rint(values * GRID) / GRID


def check_same_lengths(gold: Sequence[Sized], predicted: Sequence[Sized]) -> None:
    """Raise `ValueError` unless both have as many sequences, of the same lengths."""
    if [len(labels) for labels in gold] != [len(labels) for labels in predicted]:
        raise InvalidArgumentError("gold and predicted sequences differ in number or length")


def spread(first: Int64Array, stop: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The numbers of P ranges, one range after the other.

    Args:
        first: (P,) first number of each range.
        stop: (P,) one past the last.

    Returns:
        (E,) the range that each number is of, and (E,) the numbers.
    """
    sizes = stop - first
    which = np.repeat(np.arange(len(sizes)), sizes)
    return which, np.arange(len(which)) + (first - np.cumsum(sizes) + sizes).take(which)
