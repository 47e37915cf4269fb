"""Scores of a benchmark over many ids: interquartile mean, profiles, probability of improvement.

As Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
have them: scores are normalised per id, and the uncertainty is that over seeds, from a bootstrap
that draws the runs of each id anew (stratified by id). Their library, rliable, does not import
beside today's pandas, and all that is needed of it is in this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import trim_mean  # type: ignore[import-untyped]

from nlp_gym.types import Float64Array
from nlp_gym_agents.evaluation.benchmark.table import BASELINES

DRAWS = 2000
_SEED = 12345
_LEAST = 1e-3
"""Distance of the two scores that a scale is made of, below which there is no scale."""
LEVELS = np.linspace(-0.2, 1.4, 161)
"""Normalised scores at which performance profiles are taken."""

Scores = Mapping[str, Float64Array]
"""By id, the (n,) normalised scores of an algorithm, one per seed."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number.
        low: Lower end of the 95 % interval; None: one seed, from which none can be had.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Normalised:
    """Test scores on a scale where random play is 0 and a reference is 1.

    Attributes:
        scores: By algorithm, its scores on `ids`.
        ids: Ids on which every algorithm of `scores` has results.
        reference: What is 1: ``"bc"`` or ``"oracle"``.
        left_out: Why an id or an algorithm is not part of it.
    """

    scores: Mapping[str, Scores]
    ids: tuple[str, ...]
    reference: str
    left_out: tuple[str, ...]

    @property
    def seeds(self) -> int:
        """Fewest seeds that an algorithm has on an id."""
        return min((len(s) for own in self.scores.values() for s in own.values()), default=0)


def normalised(table: Mapping[str, Any]) -> Normalised:
    """Normalise the test scores of a benchmark.

    `bc`, which is supervised learning on the same features, is 1 where every id has it; else the
    oracle, whose score is taken for 1 where it was not measured.

    Args:
        table: As `nlp_gym_agents.evaluation.benchmark.table.build_table` makes it.
    """
    rows = {row["id"]: _values(row) for row in table["rows"]}
    reference = "bc" if rows and all("bc" in values for values in rows.values()) else "oracle"
    left_out, scaled = [], {}
    for env_id, values in rows.items():
        if "random" not in values:
            left_out.append(f"{env_id}: random was not measured, which is 0 of the scale")
            continue
        low = float(values["random"].mean())
        high = float(values[reference].mean()) if reference in values else 1.0
        if high - low < _LEAST:
            left_out.append(f"{env_id}: {reference} is no better than random, so there is no scale")
            continue
        learnt = {name: v for name, v in values.items() if name not in BASELINES}
        scaled[env_id] = {name: (v - low) / (high - low) for name, v in learnt.items()}
    algos = list(dict.fromkeys(name for own in scaled.values() for name in own))
    # One that was measured here and there would take the ids of all others away.
    algos, few = _split(
        algos, lambda name: 2 * sum(name in s for s in scaled.values()) >= len(scaled)
    )
    left_out += [f"{name}: measured on fewer than half of the ids" for name in few]
    ids, partly = _split(list(scaled), lambda env_id: all(a in scaled[env_id] for a in algos))
    left_out += [f"{env_id}: not every algorithm has a result" for env_id in partly]
    scores = {name: {env_id: scaled[env_id][name] for env_id in ids} for name in algos if ids}
    return Normalised(scores, tuple(ids), reference, tuple(left_out))


def _values(row: Mapping[str, Any]) -> dict[str, Float64Array]:
    done = {algo: column for algo, column in row["columns"].items() if "test" in column}
    return {algo: np.array(column["test"]["values"], float) for algo, column in done.items()}


def _split(names: Sequence[str], keep: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    return [n for n in names if keep(n)], [n for n in names if not keep(n)]


def interquartile_mean(scores: Scores) -> Estimate:
    """Mean of the middle half of all scores, which single ids and seeds move little."""
    return _estimate(_middle, scores)


def profile(scores: Scores) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Share of runs with a score above each of `LEVELS`, averaged over ids, and its interval.

    Returns:
        Three arrays (len(LEVELS),): the shares, and the ends of the interval (NaN: one seed).
    """
    own = list(scores.values())
    value = _shares(own)
    if min(map(len, own)) < 2:
        unknown = np.full(len(LEVELS), np.nan)
        return value, unknown, unknown
    low, high = np.quantile(_shares(_drawn(own, _SEED)), [0.025, 0.975], axis=0)
    return value, low, high


def improvements(found: Normalised) -> list[tuple[str, str, Estimate]]:
    """Probability that a run of one algorithm beats a run of another on the same id, ties half.

    Returns:
        Each pair of algorithms once, the better one first. Empty with one seed: a single run
        against a single run says nothing of a probability.
    """
    if found.seeds < 2:
        return []
    pairs = []
    for first, second in combinations(found.scores, 2):
        a, b = found.scores[first], found.scores[second]
        estimate = _estimate(_better, a, b)
        if estimate.value < 0.5:
            first, second, estimate = second, first, _estimate(_better, b, a)
        pairs.append((first, second, estimate))
    return sorted(pairs, key=lambda pair: -pair[2].value)


# Each of these takes for every id an array (..., n) of the scores of n runs, and gives (...).


def _middle(own: Sequence[Float64Array]) -> Float64Array:
    return np.asarray(trim_mean(np.concatenate(own, axis=-1), 0.25, axis=-1))


def _shares(own: Sequence[Float64Array]) -> Float64Array:
    """Gives (..., len(LEVELS))."""
    return np.asarray(sum((scores[..., None] > LEVELS).mean(axis=-2) for scores in own) / len(own))


def _better(a: Sequence[Float64Array], b: Sequence[Float64Array]) -> Float64Array:
    chances = 0.0
    for first, second in zip(a, b, strict=True):
        x, y = first[..., :, None], second[..., None, :]
        chances = chances + ((x > y) + 0.5 * (x == y)).mean(axis=(-2, -1))
    return np.asarray(chances / len(a))


def _estimate(statistic: Callable[..., Float64Array], *groups: Scores) -> Estimate:
    """A statistic of one or two algorithms, with the percentile interval of the bootstrap."""
    own = [list(scores.values()) for scores in groups]
    value = float(statistic(*own))
    if min(len(scores) for group in own for scores in group) < 2:
        return Estimate(value)
    drawn = statistic(*(_drawn(group, _SEED + i) for i, group in enumerate(own)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _drawn(own: Sequence[Float64Array], seed: int) -> list[Float64Array]:
    """For each id (DRAWS, n) scores, its n runs drawn with replacement."""
    rng = np.random.default_rng(seed)
    return [scores[rng.integers(0, len(scores), (DRAWS, len(scores)))] for scores in own]
