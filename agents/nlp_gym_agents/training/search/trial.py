"""One trial of a search: a short run with hyperparameters that were drawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_gym.errors import RunError
from nlp_gym_agents.config.hyperparams import nested_merge
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.training.train import train

Report = Callable[[int, float], bool]
"""Hears how often `eval_freq` steps are over, from 1, and the dev metric; may end the trial."""


def with_drawn(base: TrainConfig, drawn: Mapping[str, Any]) -> TrainConfig:
    """The settings of a trial: merged ones with what was drawn."""
    return base.with_changes(hyperparams=nested_merge(base.hyperparams, drawn))


def run_trial(
    base: TrainConfig,
    drawn: Mapping[str, Any],
    place: str | Path,
    *,
    report: Report | None = None,
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> float:
    """Train with `drawn` and give the best dev metric after some learning.

    It uses nothing but its arguments: any process may call it, at the same time as others.

    Args:
        base: Merged settings; `n_timesteps` is the length of the trial.
        drawn: From `training.search.spaces.suggest`.
        place: The trial's run folder; checkpoints are removed from it, since nobody resumes it.
        report: Hears of each evaluation after the first learning, and may end the trial.
        progress: Show bars and evaluations on stderr.
        trust: As for `training.train.train`.

    Raises:
        DivergenceError: The hyperparameters make training diverge.
        TrainingInterrupted: A signal stopped it.
        RunError: It ended without an evaluation after some learning.
        NLPGymError: The settings or the data are not usable.
    """
    place = Path(place)
    learned: list[float] = []

    def told(row: Mapping[str, Any]) -> bool:
        if row["timesteps"] == 0:  # chance says nothing of a trial
            return False
        learned.append(float(row["value"]))
        # Rollouts differ in length, and with them the number of evaluations.
        every, total = base.eval_freq or 1, base.n_timesteps or 1
        period = min(int(row["timesteps"]), total) // every
        return report is not None and report(max(period, 1), learned[-1])

    try:
        train(with_drawn(base, drawn), run_dir=place, progress=progress, trust=trust, told=told)
    finally:
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
    if not learned:
        raise RunError(
            f"{place}: the trial ended without an evaluation on dev after some learning, so that "
            "nothing says how good it is: give more timesteps (-n)."
        )
    return max(learned)
