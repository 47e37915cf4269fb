"""Losses of a warm start: on the oracle's actions, or on values that order actions as it does."""

from __future__ import annotations

from typing import cast

import torch as th
from sb3_contrib import QRDQN
from sb3_contrib.common.utils import quantile_huber_loss
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn import functional as F

from nlp_gym_agents.algorithms.imitation.bc import cloning_loss
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.features.swap_source import is_pointer


def q_targets(batch: OracleData, margin: th.Tensor, n_actions: int) -> th.Tensor:
    """Targets (B, A) of Q(s, a) at the oracle's states.

    The oracle's action is worth the oracle's return G; every other action is worth G - margin, with
    the margin what one decision earns the oracle. In words: a wrong decision forfeits its own
    reward and no later one, which is what the `correctness` reward says as long as the text goes
    on. The regression's answer is then G - margin * P(a is wrong | s): values on the scale of the
    real returns that order the actions as a classifier would, so that the first temporal-difference
    updates find errors of the size of the noise, not of the size of G. A large fixed margin (as in
    DQfD, Hester et al. 2018) would order them too but leave all but one value far too low.

    Args:
        batch: B of the oracle's decisions.
        margin: Scalar.
        n_actions: Number A of actions.
    """
    targets = (batch.returns - margin)[:, None].repeat(1, n_actions)
    return targets.scatter(1, batch.actions[:, None], batch.returns[:, None])


_MANY = 256
_SHARP = 10.0


def _few_or_many(values: th.Tensor, batch: OracleData, margin: th.Tensor) -> th.Tensor:
    """The loss of (B, A) values: a regression on `q_targets` unless actions are thousands.

    There the oracle's would have a share of one in A, and nothing would be learned of it. So values
    are read as logits too, in units of a tenth of the margin: they then order the actions as a
    classifier would, and the oracle's is regressed on its return.
    """
    if values.shape[1] < _MANY:
        return F.smooth_l1_loss(values, q_targets(batch, margin, values.shape[1]))
    own = values.gather(1, batch.actions[:, None])[:, 0]
    logits = values * (_SHARP / margin.clamp(min=1e-3))
    return F.smooth_l1_loss(own, batch.returns) + F.cross_entropy(logits, batch.actions)


def imitation_loss(model: BaseAlgorithm, batch: OracleData, margin: th.Tensor) -> th.Tensor:
    """The loss of one batch of a warm start; see `algorithms.pretraining.warm_start`."""
    if isinstance(model, DQN):
        values = model.q_net(batch.observations)  # (B, A)
        if not is_pointer(model.q_net):
            return _few_or_many(values, batch, margin)
        there = real(values)  # nothing can be learned of a candidate that is not there
        targets = q_targets(batch, margin, values.shape[1])
        return F.smooth_l1_loss(values[there], targets[there])
    if isinstance(model, QRDQN):
        quantiles = model.quantile_net(batch.observations)  # (B, Q, A)
        each = quantiles.transpose(1, 2).reshape(-1, quantiles.shape[1])  # (B*A, Q)
        targets = q_targets(batch, margin, quantiles.shape[2])
        loss: th.Tensor = quantile_huber_loss(each, targets.view(-1, 1))
        return loss
    # Over all actions, not the legal ones alone: PPO and A2C know no masks and would be left with
    # whatever scores the illegal actions started with.
    policy = cast("ActorCriticPolicy", model.policy)
    loss, value_loss, _ = cloning_loss(policy, batch)
    return loss + 0.5 * value_loss
