"""The loss of behaviour cloning, for training and for warm starts."""

from __future__ import annotations

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch.nn import functional as F

from agents.algorithms.oracle import OracleData
from agents.pointer import real
from agents.policies import masked


def cloning_loss(
    policy: ActorCriticPolicy,
    batch: OracleData,
    *,
    mask: th.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    """Cross-entropy on the oracle's actions, squared error of the value head, accuracy.

    Args:
        policy: Any actor-critic policy with one extractor for both heads.
        batch: B decisions on the policy's device.
        mask: (B, A) bool; the loss is then over legal actions.
        label_smoothing: As in `torch.nn.functional.cross_entropy`, over real candidates.
    """
    latent = BasePolicy.extract_features(policy, batch.observations, policy.pi_features_extractor)
    logits = policy.action_net(policy.mlp_extractor.forward_actor(latent))  # (B, A)
    # The repair the environment makes means that even the oracle's action can be masked where gold
    # is not well-formed; its own logit stays in.
    if mask is not None:
        mask = mask.scatter(1, batch.actions[:, None], True)
    scores = masked(logits, mask)
    loss = F.cross_entropy(scores, batch.actions)
    if label_smoothing:
        loss = loss + label_smoothing * (_spread_loss(scores) - loss)
    values = policy.value_net(policy.mlp_extractor.forward_critic(latent.detach())).flatten()
    accuracy = (scores.argmax(dim=1) == batch.actions).float().mean()
    return loss, F.mse_loss(values, batch.returns), accuracy


def _spread_loss(scores: th.Tensor) -> th.Tensor:
    """Cross-entropy with a target spread evenly over the actions that are there."""
    there = real(scores)
    logs = F.log_softmax(scores, dim=1).masked_fill(~there, 0.0)
    return -(logs.sum(dim=1) / there.sum(dim=1)).mean()
