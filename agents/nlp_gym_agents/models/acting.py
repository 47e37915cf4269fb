"""Greedy acting with a trained model over batches of observations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.dqn.policies import DQNPolicy

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import Act
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.networks.policies.dueling import action_scores
from nlp_gym_agents.networks.policies.dueling import masked as apply_mask

LogProbs = Callable[[Observation, BoolArray], Float64Array]
"""From an observation (arrays with B in front) and the (B, A) mask to (B, A) log-probabilities."""

INVERSE_TEMPERATURE = 10.0
"""Values are multiplied by this where they stand in for logits."""


def make_act(model: BaseAlgorithm, masked: bool) -> Act:
    """The model's greedy action, as a function for `nlp_gym.tasks.core.rollout.rollout`.

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

    def act(obs: Observation, mask: BoolArray) -> Int64Array:
        policy = model.policy
        policy.set_training_mode(False)
        with th.no_grad():
            tensors = _tensors(obs, policy.device)
            scores = action_scores(policy, tensors, mask if masked else None)
            if scores is not None:
                chosen: Int64Array = scores.argmax(dim=1).cpu().numpy()
                return chosen
        options: dict[str, Any] = {"action_masks": mask} if masked and accepts_masks else {}
        return np.asarray(model.predict(obs, deterministic=True, **options)[0], np.int64)

    return act


def make_log_probs(model: BaseAlgorithm) -> LogProbs | None:
    """Log-probabilities of a model's actions, as a function for `models.beam_search`.

    Values are no logits; those of a Q-network are taken for some after multiplication by
    `INVERSE_TEMPERATURE`, since returns lie within about -1 and 1.

    Args:
        model: As for `make_act`.

    Returns:
        A function of an observation and a mask that gives (B, A) float64, -inf where illegal; None
        for a model whose scores are not known.
    """
    policy = model.policy
    scale = _scale(policy)
    if scale is None:
        return None

    def log_probs(obs: Observation, mask: BoolArray) -> Float64Array:
        policy.set_training_mode(False)
        with th.no_grad():
            tensors = _tensors(obs, policy.device)
            scores = action_scores(policy, tensors)
            assert scores is not None
            legal = th.as_tensor(mask, device=scores.device)
            scaled = apply_mask(scores.double() * scale, legal)
            found: Float64Array = th.log_softmax(scaled, dim=1).cpu().numpy()
            return found

    return log_probs


def _tensors(obs: Observation, device: th.device) -> dict[str, th.Tensor]:
    return cast("dict[str, th.Tensor]", obs_as_tensor(obs, device))


def _scale(policy: BasePolicy) -> float | None:
    if isinstance(policy, DQNPolicy | QRDQNPolicy):
        return INVERSE_TEMPERATURE
    if isinstance(policy, RecurrentActorCriticPolicy):
        return None
    return 1.0 if isinstance(policy, ActorCriticPolicy | MaskableActorCriticPolicy) else None


def _recurrent_act(model: BaseAlgorithm, masked: bool) -> Act:
    """Act with a recurrent policy, whose memory is zero where an episode begins.

    `rollout` takes episodes out of the batch as they end, so a place in the batch is not enough to
    find the memory of an episode again. An episode begins with a row that was not played just now,
    or back at position 0 (several decisions may be made at one position).
    """
    memory = th.zeros(0), th.zeros(0)  # made at the first batch
    rows, places = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def act(obs: Observation, mask: BoolArray) -> Int64Array:
        nonlocal memory, rows, places
        policy: Any = model.policy  # its observations are typed as tensors, and may be dicts
        policy.set_training_mode(False)
        if "row" not in obs or "position" not in obs:
            raise InvalidArgumentError(
                f"obs has the keys {sorted(obs)}: a recurrent policy is evaluated on "
                "obs_type='index', where `row` and `position` tell the episodes apart."
            )
        now, here = (obs[key].reshape(-1).astype(np.int64) for key in ("row", "position"))
        known, before = _match_rows(rows, now)
        starts = ~known
        starts[known] = (here[known] == 0) & (places[before[known]] > 0)
        if starts.all():
            memory = _zero_memory(policy, len(now))
        else:
            index = th.as_tensor(before, device=policy.device)
            memory = memory[0][:, index], memory[1][:, index]  # `begin` empties what is new
        rows, places = now, here
        with th.no_grad():
            tensors = _tensors(obs, policy.device)
            begin = th.as_tensor(starts, dtype=th.float32, device=policy.device)
            distribution, memory = policy.get_distribution(tensors, memory, begin)
            legal = th.as_tensor(mask, device=policy.device) if masked else None
            scores = apply_mask(distribution.distribution.logits, legal)
            chosen: Int64Array = scores.argmax(dim=1).cpu().numpy()
            return chosen

    return act


def _zero_memory(policy: RecurrentActorCriticPolicy, n: int) -> tuple[th.Tensor, th.Tensor]:
    lstm = policy.lstm_actor
    zeros = th.zeros((lstm.num_layers, n, lstm.hidden_size), device=policy.device)
    return zeros, zeros


def _match_rows(before: Int64Array, now: Int64Array) -> tuple[BoolArray, Int64Array]:
    """(B,) whether each row of `now` is in `before`, and (B,) its place there (else any)."""
    if not len(before):
        return np.zeros(len(now), bool), np.zeros(len(now), np.int64)
    order = np.argsort(before, kind="stable")
    place = order[np.searchsorted(before, now, sorter=order).clip(max=len(before) - 1)]
    return before[place] == now, place
