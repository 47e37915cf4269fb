"""Greedy acting with a trained model over batches of observations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.utils import obs_as_tensor

from agents.policies import action_scores
from agents.policies import masked as apply_mask
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.types import BoolArray, Observation

Act = Callable[[Observation, BoolArray], npt.NDArray[np.int64]]


def make_act(model: Any, masked: bool) -> Act:
    """The model's greedy action as a function, for `nlp_gym.tasks.rollout.rollout`.

    Policies of Stable-Baselines3 and sb3-contrib are asked for their scores directly: `predict`
    copies the observation deeply and checks it against its space at every call, which takes longer
    than a small network. Any other model goes through `predict`.

    Args:
        model: A Stable-Baselines3 algorithm, or anything with its `predict`.
        masked: Only choose legal actions. A model whose scores are not known and whose `predict`
            takes no `action_masks` chooses freely all the same; the environment repairs that.

    Returns:
        `act(obs, mask)` with `obs` arrays (B, ...) and `mask` (B, A) bool; gives actions (B,).
    """
    if getattr(model.policy, "lstm_actor", None) is not None:
        return _recurrent_act(model, masked)
    accepts_masks = "action_masks" in inspect.signature(model.predict).parameters

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        policy = model.policy
        policy.set_training_mode(False)
        with th.no_grad():
            tensors: Any = obs_as_tensor(obs, policy.device)
            scores = action_scores(policy, tensors)
            if scores is not None:
                legal = th.as_tensor(mask, device=scores.device) if masked else None
                chosen: npt.NDArray[np.int64] = (
                    apply_mask(scores, legal).argmax(dim=1).cpu().numpy()
                )
                return chosen
        options = {"action_masks": mask} if masked and accepts_masks else {}
        return np.asarray(model.predict(obs, deterministic=True, **options)[0], np.int64)

    return act


def _recurrent_act(model: Any, masked: bool) -> Act:
    """Acting with a memory: emptied where a text begins, and carried along by the text's row.

    `rollout` takes episodes out of the batch as they end, so a place in the batch is not enough to
    find the memory of an episode again.
    """
    memory: Any = None
    rows: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        nonlocal memory, rows
        policy = model.policy
        policy.set_training_mode(False)
        if "row" not in obs or "position" not in obs:
            raise InvalidArgumentError(
                f"obs has the keys {sorted(obs)}: a recurrent policy is evaluated on "
                "obs_type='index', where `row` and `position` tell the episodes apart."
            )
        now, starts = obs["row"].reshape(-1).astype(np.int64), obs["position"].reshape(-1) == 0
        memory = _carry(policy, memory, rows, now) if not starts.all() else _blank(policy, len(now))
        rows = now
        with th.no_grad():
            tensors: Any = obs_as_tensor(obs, policy.device)
            begin = th.as_tensor(starts, dtype=th.float32, device=policy.device)
            distribution, memory = policy.get_distribution(tensors, memory, begin)
            legal = th.as_tensor(mask, device=policy.device) if masked else None
            scores = apply_mask(distribution.distribution.logits, legal)
            chosen: npt.NDArray[np.int64] = scores.argmax(dim=1).cpu().numpy()
            return chosen

    return act


def _blank(policy: Any, n: int) -> tuple[th.Tensor, th.Tensor]:
    lstm = policy.lstm_actor
    zeros = th.zeros((lstm.num_layers, n, lstm.hidden_size), device=policy.device)
    return zeros, zeros


def _carry(
    policy: Any, memory: Any, before: npt.NDArray[np.int64], now: npt.NDArray[np.int64]
) -> tuple[th.Tensor, th.Tensor]:
    """The memory (hidden, cell), each (layers, B, width), of the rows that are still played."""
    order = np.argsort(before, kind="stable")
    place = order[np.searchsorted(before, now, sorter=order).clip(max=len(before) - 1)]
    index = th.as_tensor(place, device=policy.device)
    return memory[0][:, index], memory[1][:, index]
