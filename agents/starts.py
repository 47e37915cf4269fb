"""`--warm-start`: teach the model the oracle's behaviour before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.utils import ConstantSchedule

from agents.algorithms.warm import warm_start
from agents.loading import load_agent
from agents.models import tuning_of
from agents.settings import TrainConfig
from agents.tuning.options import Tuning
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.base import Task


def start_warm(model: Any, config: TrainConfig, task: Task) -> None:
    """Apply ``config.warm_start``: ``"bc"``, ``"bc:EPOCHS"`` or the run folder of a `bc` run.

    Raises:
        InvalidArgumentError: None of these forms, or a run of another task.
        RunError: The run cannot be loaded.
    """
    text = config.warm_start or ""
    name, colon, epochs = text.partition(":")
    if name == "bc":
        if colon and not (epochs.isdigit() and int(epochs) > 0):
            raise InvalidArgumentError(
                f"warm_start={text!r}: EPOCHS in bc:EPOCHS is a whole number from 1."
            )
        options = {"seed": config.seed}
        if colon:
            warm_start(model, int(epochs), **options)
        else:
            warm_start(model, **options)
        return
    if not Path(text).is_dir():
        raise InvalidArgumentError(
            f"warm_start={text!r} is neither 'bc', 'bc:EPOCHS' nor an existing run folder."
        )
    agent = load_agent(text, device=config.device)
    if agent.labels != task.labels:
        raise RunError(
            f"warm_start={text!r} was trained on other labels ({', '.join(agent.labels)}) than "
            f"this task's ({', '.join(task.labels)})."
        )
    if agent.settings.get("learnt", {}) != task.learnt:
        raise RunError(
            f"warm_start={text!r} writes with another vocabulary than this task: they differ in "
            "data, pair, tokens or vocabulary_size. Use those of that run."
        )
    agent.check_encoder(task)
    _check_tuning(text, agent.tuning, tuning_of(config.hyperparams))
    warm_start(model, agent.model(task).policy, seed=config.seed)


def keep_exploration(model: Any) -> None:
    """What a warm start does to the exploration of a Q-learning model; a resumed run repeats it."""
    if hasattr(model, "exploration_schedule"):
        model.exploration_schedule = ConstantSchedule(model.exploration_final_eps)


_SHAPE = ("mode", "rank", "alpha", "targets", "bottleneck")
"""Options of a learning encoder that say what its weights mean."""


def _check_tuning(text: str, teacher: Tuning | None, own: Tuning | None) -> None:
    """Refuse weights that would mean something else here."""
    if teacher is None or own is None or teacher.mode != own.mode:
        return  # what a frozen or another encoder has is left as it is, see `warm_start`
    for name in _SHAPE:
        values = getattr(teacher, name), getattr(own, name)
        if values[0] != values[1]:
            raise RunError(
                f"warm_start={text!r} was trained with tuning.{name}={values[0]!r}, and this run "
                f"has {values[1]!r}: give --hyperparams tuning.{name}:{values[0]}."
            )
