"""Is one agent better than another: the difference of their scores, with a paired bootstrap.

Both are scored on the same samples, so what is hard for one is mostly hard for the other: the
interval of the difference is narrower than two intervals side by side say (Efron 1979; Koehn 2004).
Any metric of this suite can be compared, because every score carries the additive counts of its
samples (`nlp_gym.metrics.base.Score.sums`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.checks import check_int
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score
from nlp_gym.types import Float64Array
from nlp_gym_agents.evaluation.evaluate import evaluate

DRAWS = 2000
_MOST = 100_000
_CELLS = 4_000_000


@dataclass(frozen=True)
class Difference:
    """The mean score of some runs less that of others, on the same samples.

    Attributes:
        metric: Name of the metric.
        value: Mean score of the runs.
        other: Mean score of the others.
        difference: `value` less `other`.
        low: The 2.5th percentile of the difference over resamples.
        high: The 97.5th.
        n: Number of samples.
        runs: Number of runs on each side, such as seeds.
        each: Difference of each pair of runs, where both sides have as many.
    """

    metric: str
    value: float
    other: float
    difference: float
    low: float
    high: float
    n: int
    runs: tuple[int, int]
    each: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """``"better"``, ``"worse"``, or ``"open"`` where the interval has 0 inside."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "open"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "verdict": self.verdict}


def paired_difference(
    scores: Sequence[Score],
    others: Sequence[Score],
    *,
    draws: int = DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> Difference:
    """Compare runs with others by resampling the samples that all of them were scored on.

    Each resample draws the same samples for every run; scores are averaged over the runs of a
    side. The interval is therefore about other texts of the kind, not about other seeds.

    Args:
        scores: One of each run, with counts (made with `bootstrap` above 0).
        others: Those that they are compared with.
        draws: Number of resamples.
        seed: Of the resampling.

    Raises:
        InvalidArgumentError: A score has no counts, or metric, its settings or the number of
            samples differ.
    """
    check_int("draws", draws, 1, _MOST)
    every = [*scores, *others]
    _check(scores, others)
    n = every[0].n
    rng = np.random.default_rng(seed)
    found: list[Float64Array] = []
    widest = max(n, *(score.sums[0].shape[1] for score in every if score.sums is not None))
    chunk = max(1, min(draws, _CELLS // widest))
    for start in range(0, draws, chunk):
        drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=min(chunk, draws - start))
        sides = [np.mean([_of(score, drawn) for score in s], axis=0) for s in (scores, others)]
        found.append(sides[0] - sides[1])
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5])
    value, other = (float(np.mean([score.value for score in side])) for side in (scores, others))
    pairs = zip(scores, others, strict=True) if len(scores) == len(others) else ()
    each = tuple(own.value - theirs.value for own, theirs in pairs)
    return Difference(
        every[0].metric,
        value,
        other,
        value - other,
        float(low),
        float(high),
        n,
        (len(scores), len(others)),
        each,
    )


def _of(score: Score, drawn: Any) -> Float64Array:
    """(R,) scores of (R, N) resamples."""
    assert score.sums is not None
    counts, formula = score.sums
    return formula(np.asarray(drawn @ counts, np.float64))


def _check(scores: Sequence[Score], others: Sequence[Score]) -> None:
    if not scores or not others:
        raise InvalidArgumentError(
            f"A comparison needs runs on both sides: there are {len(scores)} and {len(others)}."
        )
    first = scores[0]
    for score in (*scores, *others):
        if score.sums is None:
            raise InvalidArgumentError(
                f"metric={shown(score.metric)}: a score without counts of its samples cannot be "
                "compared (a mixture of tasks, no samples, or bootstrap=0): compare the tasks one "
                "by one, and score with bootstrap from 1."
            )
        if (score.metric, score.n) != (first.metric, first.n):
            raise InvalidArgumentError(
                f"A score of {score.metric} on {score.n:,} samples cannot be compared with one of "
                f"{first.metric} on {first.n:,}: score both on the same split and corpus."
            )
        if _settings(score) != _settings(first):
            raise InvalidArgumentError(
                f"signature={shown(score.signature)} and {shown(first.signature)}: scores whose "
                "metrics have other settings or versions cannot be compared; score both anew."
            )


def _settings(score: Score) -> str:
    """How a metric was computed, without what its own interval was drawn with."""
    return score.signature.split("|bs:")[0]


def compare_runs(
    runs: Sequence[str | Path],
    others: Sequence[str | Path],
    split: str = "test",
    *,
    draws: int = DRAWS,
    device: str = "auto",
    searches: int | None = None,
    trust: Sequence[str] | str = (),
    progress: bool = False,
    scored: dict[str, Score] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Difference:
    """Score runs and others on a split, and compare them.

    Args:
        runs: Run folders, such as one a seed.
        others: Run folders that they are compared with.
        split: ``"test"``, ``"dev"`` or ``"train"``.
        draws: Number of resamples.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        searches: As for `nlp_gym_agents.evaluation.evaluate.evaluate`.
        trust: As there.
        progress: Show bars on stderr.
        scored: Scores by run folder and split, which are not made again; new ones are added.
        env_kwargs: As for `evaluate`.

    Raises:
        RunError: A run cannot be loaded.
        InvalidArgumentError: They were scored by other metrics or on other samples.
    """
    known = {} if scored is None else scored
    texts: dict[str, Any] = {}
    for run in dict.fromkeys(map(str, (*runs, *others))):
        key = f"{split}:{run}"
        if key not in known:
            known[key] = evaluate(
                run,
                split,
                bootstrap=1,  # for the counts
                device=device,
                searches=searches,
                trust=trust,
                progress=progress,
                env_kwargs=env_kwargs,
            )
        texts[run] = (known[key].report.get("corpus") or {}).get("text_sha256")
    if len(set(texts.values())) > 1:
        raise InvalidArgumentError(
            f"runs={shown(list(texts))} were scored on different texts: compare runs of one corpus."
        )
    sides = [[known[f"{split}:{run}"] for run in side] for side in (runs, others)]
    return paired_difference(sides[0], sides[1], draws=draws)


def difference_line(found: Difference) -> str:
    """A difference in one line, for people."""
    runs, others = found.runs
    return (
        f"{found.metric} {found.value:.4f} ({runs} run{'s' if runs > 1 else ''}) less "
        f"{found.other:.4f} ({others}) = {found.difference:+.4f}, 95 % interval {found.low:+.4f} "
        f"to {found.high:+.4f} by the paired bootstrap over {found.n:,} samples: {found.verdict}"
    )
