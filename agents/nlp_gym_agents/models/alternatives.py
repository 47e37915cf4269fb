"""Write texts with the likeliest other tokens at each place, and their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym.tasks.generation.task import WriteText
from nlp_gym.types import BoolArray, Int64Array, Observation
from nlp_gym_agents.models.acting import make_scored_act, score_kind

Place = dict[str, Any]


def with_alternatives(
    model: BaseAlgorithm,
    task: Task,
    *,
    most: int,
    obs_type: str = "index",
    rows: Sequence[int] | None = None,
) -> tuple[list[str], list[list[Place]]]:
    """Write greedily and note the alternatives.

    Args:
        model: A Stable-Baselines3 algorithm, reading the task's corpus.
        task: A task that writes (`Task.writes`).
        most: Alternatives at each place, the chosen token included.
        obs_type: What the model reads; ``"index"``.
        rows: Samples; None: all.

    Returns:
        The texts, and for each of them a place for each token and STOP: ``{"id": ...,
        "token": ..., "alternatives": [{"id": ..., "token": ..., "probability": ...}, ...]}``,
        likeliest first. Q-networks have ``"value"`` in place of the probability.

    Raises:
        InvalidArgumentError: `most` is below 1, or the policy's scores are not known.
    """
    if most < 1:
        raise InvalidArgumentError(f"alternatives={shown(most)} must be an integer from 1.")
    names, kind = token_names(task, range(task.n_actions)), score_kind(model.policy)
    score, figure = make_scored_act(model, True), "value" if kind == "values" else "probability"
    notes: dict[int, list[Place]] = {}

    def act(obs: Observation, mask: BoolArray) -> Int64Array:
        scored = score(obs, mask)
        if scored.scores is None:
            raise InvalidArgumentError(
                f"alternatives: {type(model.policy).__name__} does not say how likely actions are."
            )
        held = th.from_numpy(scored.scores)
        if kind == "logits":
            held = held.softmax(dim=1)
        top = held.topk(min(most, held.shape[1]), dim=1)
        columns = zip(
            obs["row"][:, 0].tolist(), top.indices.tolist(), top.values.tolist(), strict=True
        )
        for row, tokens, figures in columns:
            pairs = zip(tokens, figures, strict=True)
            found = [{"id": t, "token": names[t], figure: f} for t, f in pairs if np.isfinite(f)]
            place = {"id": tokens[0], "token": names[tokens[0]], "alternatives": found}
            notes.setdefault(row, []).append(place)
        return scored.actions

    texts = rollout(task, act, rows, obs_type=obs_type)
    order = range(len(task.corpus)) if rows is None else rows
    return texts, [notes[int(row)] for row in order]


def token_names(task: Task, tokens: Iterable[int]) -> list[str]:
    """Tokens of a task that writes, as text; see `with_alternatives`."""
    name = task.token_text if isinstance(task, WriteText) else task.action_name
    return [name(token) for token in tokens]
