"""The task's own metric for a model of plain Stable-Baselines3 code."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import BoolArray, Int64Array, Observation
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.stock import look_into
from nlp_gym_agents.networks.features.observation_keys import POSITION_KEYS
from nlp_gym_agents.networks.features.open_corpora import CORPUS_KEY, corpus_number


def score_model(
    model: BaseAlgorithm, env: Any, *, rows: Sequence[int] | None = None, bootstrap: int = 0
) -> Score:
    """Play every sample of an environment's split once, greedily, and score it as the task does.

    ``evaluate_policy`` gives the mean reward of some episodes, drawn by chance; results of NLP are
    corpus scores.

    Args:
        model: Trained on an environment of the same task. Legal actions alone are played where its
            ``predict`` takes ``action_masks``.
        env: As for `nlp_policy_kwargs`: of the split to score, with observations as in training.
        rows: Samples; None: all.
        bootstrap: Resamples for the interval of the score; 0: none.

    Returns:
        The score, with the metric's signature.

    Raises:
        InvalidArgumentError: `env` is of another suite, or shows other observations than the
            model's.
    """
    space, task, _ = look_into(env)
    known = model.observation_space
    if set(space.spaces) != set(getattr(known, "spaces", {})):
        raise InvalidArgumentError(
            f"env shows {shown(sorted(space.spaces))}, but the model was trained on "
            f"{shown(sorted(getattr(known, 'spaces', {})))}: use the same obs_type and wrappers."
        )
    obs_type = "index" if set(POSITION_KEYS) <= set(space.spaces) else "features"
    act = make_act(model, "action_masks" in inspect.signature(model.predict).parameters)
    number = corpus_number(task) if CORPUS_KEY in space.spaces else None

    def named(obs: Observation, mask: BoolArray) -> Int64Array:
        if number is not None:
            obs = {**obs, CORPUS_KEY: np.full((len(mask), 1), number, np.int32)}
        return act(obs, mask)

    outputs = rollout(task, named, None if rows is None else list(rows), obs_type=obs_type)
    return task.score(outputs, rows=rows, bootstrap=bootstrap)
