"""`--warm-start`: clone the oracle, or a `bc` run, before learning from rewards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from nlp_gym.errors import InvalidArgumentError, RunError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.pretraining import DEFAULT_EPOCHS, Watch, warm_start
from nlp_gym_agents.config.learning import StartOptions
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.decoder.copying import CopyHead, TiedHead
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.training.callbacks.value_fit import FittedValues


def check_start(model: BaseAlgorithm, options: StartOptions) -> None:
    """Refuse a model that cannot go on from a warm start like this.

    Raises:
        InvalidArgumentError: Its actions have no head of their own, or see `FittedValues`.
    """
    head = getattr(model.policy, "action_net", None)
    if options.temperature != 1 and not isinstance(head, th.nn.Linear | CopyHead | TiedHead):
        raise InvalidArgumentError(
            f"start.temperature={shown(options.temperature)}: {type(model).__name__} has no linear "
            "head of actions here. It is for ppo, maskable_ppo and a2c where actions are "
            "labels or tokens."
        )
    if options.fit_values:
        FittedValues().check(model)


@th.no_grad()
def sharpen(policy: th.nn.Module, temperature: float) -> None:
    """Divide the logits of a policy by a temperature."""
    head = getattr(policy, "action_net", None)
    if isinstance(head, CopyHead | TiedHead):
        head.sharpen(1.0 / temperature)
    elif temperature != 1:
        assert isinstance(head, th.nn.Module)
        for parameter in head.parameters():
            parameter.div_(temperature)


def start_warm(
    model: BaseAlgorithm,
    config: TrainConfig,
    task: Task,
    *,
    trust: Sequence[str] | str = (),
    teacher: BasePolicy | int | None = None,
    watch: Watch | None = None,
) -> None:
    """Apply ``config.warm_start``: ``"bc"``, ``"bc:EPOCHS"`` or the run folder of a `bc` run.

    Args:
        model: An algorithm that was just built.
        config: Merged settings.
        task: What the model is trained on.
        trust: Modules that the settings of that run may have imported.
        teacher: From `load_teacher`; None: it is loaded.
        watch: Saves it, or goes on with one that was stopped.

    Raises:
        InvalidArgumentError: None of these forms, or a run of another task.
        RunError: The run cannot be loaded.
    """
    teacher = load_teacher(config, task, trust) if teacher is None else teacher
    follows = config.n_timesteps if config.warm_start == "bc" else None
    warm_start(model, teacher, seed=config.seed, n_timesteps=follows, watch=watch)
    sharpen(model.policy, config.learning.start.temperature)


def load_teacher(
    config: TrainConfig, task: Task, trust: Sequence[str] | str = ()
) -> BasePolicy | int:
    """Whom ``config.warm_start`` names: a policy, or the oracle for a number of passes.

    Args:
        config: Merged settings.
        task: What the model is trained on.
        trust: Modules that the settings of a run may have imported.

    Raises:
        InvalidArgumentError: None of these forms, or a run of another task.
        RunError: The run cannot be loaded.
    """
    text = config.warm_start or ""
    name, colon, epochs = text.partition(":")
    if name == "bc":
        if colon and not (epochs.isdigit() and int(epochs) > 0):
            raise InvalidArgumentError(
                f"warm_start={shown(text)}: EPOCHS in bc:EPOCHS is a whole number from 1."
            )
        return int(epochs) if colon else DEFAULT_EPOCHS
    if not os.path.isdir(text):
        raise InvalidArgumentError(
            f"warm_start={shown(text)} is neither 'bc', 'bc:EPOCHS' nor an existing run folder."
        )
    agent = load_trained(text, device=config.device, trust=trust)
    if agent.labels != task.labels:
        raise RunError(
            f"warm_start={shown(text)} was trained on other labels ({', '.join(agent.labels)}) "
            f"than this task's ({', '.join(task.labels)})."
        )
    if agent.settings.get("learnt", {}) != task.learnt:
        raise RunError(
            f"warm_start={shown(text)} writes with another vocabulary than this task: they differ "
            "in data, pair, tokens or vocabulary_size. Use those of that run."
        )
    _check_arguments(text, agent.settings["env_kwargs"], task)
    agent.check_encoder(task)
    _check_tuning(text, agent.tuning, config.learning.tuning)
    return agent.model(task).policy


def _check_arguments(text: str, theirs: Mapping[str, Any], task: Task) -> None:
    """Refuse a teacher that sees more or less of a state than this run."""
    for name in task.later_arguments:
        if theirs[name] != getattr(task, name):
            raise RunError(
                f"warm_start={shown(text)} was trained with {name}={shown(theirs[name])}, and this "
                f"task has {shown(getattr(task, name))}: give --env-kwargs "
                f"{name}:{str(theirs[name]).lower()}, or train it again."
            )


_SHAPE = ("mode", "rank", "alpha", "targets", "bottleneck", "pairs")
"""Options of a learning encoder that say what its weights mean."""


def _check_tuning(text: str, teacher: Tuning | None, own: Tuning | None) -> None:
    """Refuse a teacher whose encoder's weights mean something else in this run."""
    if teacher is None or own is None or teacher.mode != own.mode:
        return  # what a frozen or another encoder has is left as it is, see `warm_start`
    for name in _SHAPE:
        values = getattr(teacher, name), getattr(own, name)
        if values[0] != values[1]:
            raise RunError(
                f"warm_start={shown(text)} was trained with tuning.{name}={shown(values[0])}, and "
                f"this run has {shown(values[1])}: give --hyperparams tuning.{name}:{values[0]}."
            )
