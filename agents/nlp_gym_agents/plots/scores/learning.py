"""What learning curves are made of: evaluations on dev of several runs, and their mean over seeds.

Runs that differ in their seed alone are repetitions of one experiment. Their mean is taken over the
decisions (or seconds) that all of them reached, each run interpolated linearly between its
evaluations, with the interval of Student's t at 95 %: n runs, n - 1 degrees of freedom.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nlp_gym.errors import RunError, shown
from nlp_gym.types import Float64Array
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.folder import check_run, read_config
from nlp_gym_agents.runs.metrics_log import read_metrics

Axis = Literal["steps", "seconds"]
"""What a curve is drawn over: decisions of training, or its wall time."""

_NOT_LEARNT_FROM = frozenset(
    ("seed", "tensorboard_log", "device", "data_dir", "eval_freq", "save_freq")
)
"""Settings that make no other experiment of a run."""
_MOST_POINTS = 400
_MOST_DIFFERENCES = 2


@dataclass(frozen=True)
class LearningRun:
    """The evaluations of one run.

    Attributes:
        run: Its folder.
        env_id: What it was trained on.
        algo: Its algorithm, with ``+bc`` where it was started from cloning.
        seed: Its seed.
        metric: Name of the metric.
        steps: (n,) decisions of training until each evaluation, ascending.
        seconds: (n,) wall time until then.
        values: (n,) the metric on dev.
        settings: What was learned from, flat: ``{"hyperparams.gamma": 0.0}``.
        corpus: Hash of the dev text; empty where it is not on record.
        planned: Decisions that it was to have; None: not known.
        finished: Whether it has a report, or all its decisions.
        baselines: Scores on test of baselines, from its report.
    """

    run: Path
    env_id: str
    algo: str
    seed: int | None
    metric: str
    steps: Float64Array
    seconds: Float64Array
    values: Float64Array
    settings: Mapping[str, Any]
    corpus: str = ""
    planned: int | None = None
    finished: bool = True
    baselines: Mapping[str, float] = field(default_factory=dict)

    def along(self, axis: Axis) -> Float64Array:
        """(n,) places of the evaluations on an axis; time never runs backwards."""
        return self.steps if axis == "steps" else np.maximum.accumulate(self.seconds)


@dataclass(frozen=True)
class Series:
    """Runs that differ in their seed alone.

    Attributes:
        name: The algorithm, and the settings that tell it from others of the algorithm.
        algo: The algorithm.
        runs: At least one.
    """

    name: str
    algo: str
    runs: tuple[LearningRun, ...]

    def best(self) -> float:
        """Mean over the runs of the best value on dev, which is that of ``best/``."""
        return float(np.mean([run.values.max() for run in self.runs]))


@dataclass(frozen=True)
class Panel:
    """Series whose values can be compared: of one id, metric and dev text.

    Attributes:
        env_id: The id.
        metric: The metric.
        corpus: Hash of the dev text; empty where it is not on record.
        series: At least one.
        baselines: Values of what does not learn here, by name.
        baselines_split: Where `baselines` were scored.
    """

    env_id: str
    metric: str
    corpus: str
    series: tuple[Series, ...]
    baselines: Mapping[str, float] = field(default_factory=dict)
    baselines_split: str = "test"


@dataclass(frozen=True)
class Mean:
    """The mean of several runs with its interval.

    Attributes:
        at: (m,) decisions or seconds.
        mean: (m,) mean over runs.
        low: (m,) lower end of the 95 % interval; NaN of a single run.
        high: (m,) upper end.
    """

    at: Float64Array
    mean: Float64Array
    low: Float64Array
    high: Float64Array


def read_learning(run: str | Path, *, trust: Sequence[str] | str = ()) -> LearningRun:
    """The evaluations of a run folder, also of one that is still trained.

    Args:
        run: The folder.
        trust: Modules that its settings may have imported; see `nlp_gym_agents.runs.files.trust`.

    Raises:
        RunError: Missing, not a run, damaged, or without an evaluation yet.
    """
    run = check_run(run)
    config = read_config(run, trust=trust)
    # A resumed run may have evaluated twice at one place: the later one counts.
    rows = {row["timesteps"]: row for row in read_metrics(run)}
    kept = [rows[at] for at in sorted(rows) if isinstance(rows[at].get("value"), int | float)]
    if not kept:
        raise RunError(
            f"run={shown(run)} has no evaluation on dev yet, and no curve: training stopped before "
            "the first one, or has just begun. Give it some seconds, or resume it with "
            "`nlp-gym train --resume`."
        )
    report = _object(run / "report.json")
    facts = _object(run / "versions.json").get("corpora")
    dev = facts.get("dev") if isinstance(facts, dict) else None
    planned = config.get("n_timesteps")
    planned = planned if isinstance(planned, int) else None
    steps = [float(row["timesteps"]) for row in kept]
    start = config.get("warm_start")
    seed = config.get("seed")
    return LearningRun(
        run=run,
        env_id=str(config.get("env", "")),
        algo=str(config.get("algo", "")) + (f"+{start}" if start else ""),
        seed=seed if isinstance(seed, int) else None,
        metric=str(kept[-1].get("metric", "value")),
        steps=np.array(steps),
        seconds=np.array([float(row.get("seconds") or 0.0) for row in kept]),
        values=np.array([float(row["value"]) for row in kept]),
        settings=dict(_flat({k: v for k, v in config.items() if k not in _NOT_LEARNT_FROM})),
        corpus=str(dev.get("text_sha256", "")) if isinstance(dev, dict) else "",
        planned=planned,
        finished=bool(report) or planned is None or steps[-1] >= planned,
        baselines=_values(report.get("baselines")),
    )


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file that a figure can do without; empty where it cannot be read."""
    with suppress(RunError, OSError):
        found = read_json(path)
        return found if isinstance(found, dict) else {}
    return {}


def _values(baselines: Any) -> dict[str, float]:
    rows = baselines.items() if isinstance(baselines, dict) else ()
    found = {str(name): row.get("value") for name, row in rows if isinstance(row, dict)}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def panels(runs: Sequence[LearningRun]) -> list[Panel]:
    """Runs sorted into what can be drawn together, in the order in which they were given."""
    groups: dict[tuple[str, str, str], list[LearningRun]] = {}
    for run in runs:
        groups.setdefault((run.env_id, run.metric, run.corpus), []).append(run)
    return [
        Panel(*key, series=_series(members), baselines=_baselines(members))
        for key, members in groups.items()
    ]


def _series(runs: Sequence[LearningRun]) -> tuple[Series, ...]:
    groups: dict[str, list[LearningRun]] = {}
    for run in runs:
        key = json.dumps([run.algo, run.settings], sort_keys=True, default=str)
        groups.setdefault(key, []).append(run)
    members = list(groups.values())
    found = []
    for own in members:
        algo = own[0].algo
        rivals = [other[0] for other in members if other is not own and other[0].algo == algo]
        found.append(Series(algo + _differences(own[0], rivals), algo, tuple(own)))
    return tuple(found)


def _differences(run: LearningRun, others: Sequence[LearningRun]) -> str:
    """The settings that tell a run from others of its algorithm, as the end of its name."""
    keys = [
        key
        for key, value in run.settings.items()
        if any(other.settings.get(key) != value for other in others)
    ]
    if not keys:
        return "" if not others else " (default)"
    parts = [f"{key.rpartition('.')[2]} {run.settings[key]}" for key in keys[:_MOST_DIFFERENCES]]
    more = ", ..." if len(keys) > _MOST_DIFFERENCES else ""
    return f" ({', '.join(parts)}{more})"


def _baselines(runs: Sequence[LearningRun]) -> dict[str, float]:
    """Baselines of the reports; where seeds differ, their mean."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.baselines.items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def mean_of(runs: Sequence[LearningRun], axis: Axis) -> Mean:
    """The mean of runs where all of them have been, with its interval.

    Args:
        runs: At least one.
        axis: What the curve is drawn over.

    Returns:
        As many places as the runs have evaluations, at most 400.
    """
    from scipy.stats import t as student  # type: ignore[import-untyped]

    places = [run.along(axis) for run in runs]
    low, high = max(p[0] for p in places), min(p[-1] for p in places)
    at = np.unique(np.concatenate([*places, [low, high]]))
    at = at[(at >= low) & (at <= high)] if low <= high else np.array([high])
    if len(at) > _MOST_POINTS:
        at = np.linspace(low, high, _MOST_POINTS)
    table = np.stack([np.interp(at, p, run.values) for p, run in zip(places, runs, strict=True)])
    mean, n = table.mean(axis=0), len(runs)
    if n == 1:
        unknown = np.full(len(at), np.nan)
        return Mean(at, mean, unknown, unknown)
    half = student.ppf(0.975, n - 1) * table.std(axis=0, ddof=1) / np.sqrt(n)
    return Mean(at, mean, mean - half, mean + half)
