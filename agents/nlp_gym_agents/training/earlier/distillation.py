"""Distillation: hold the policy that training began with, on new texts and among its own labels.

Where the data of an earlier stage is gone, the earlier policy is what is left of it. What it holds
of the new texts is added to what is learned: ``coef * KL(pi_before || pi)`` over the labels that
the earlier policy knew, both normalised over them (Li and Hoiem 2016, "Learning without
Forgetting"). Values of Q-learning are compared as the policies that they stand for, a softmax with
a low temperature (Rusu et al. 2016, "Policy Distillation").

The divergence enters through its gradient, which is added to that of the head's output. So it is
one rule for every algorithm, costs one pass of the earlier policy per update, and needs no reward:
`KLToStart`, which takes a divergence off rewards, is for rollouts alone.
"""

from __future__ import annotations

from typing import Any

import torch as th
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.models.grow import Growth
from nlp_gym_agents.networks.features.observation_keys import MASK_KEY
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.features.swap_source import clear_caches, reads_whole_texts
from nlp_gym_agents.networks.policies.dueling import action_scores, has_scores

TEMPERATURE = 0.1
"""Of the softmax of values. Rewards of a decision are of the order of 1."""


def check_distils(model: BaseAlgorithm, coef: float) -> None:
    """Refuse a model whose decisions cannot be held.

    Raises:
        InvalidArgumentError: It is recurrent, or of a family without scores of its actions.
    """
    if not has_scores(model.policy):
        raise InvalidArgumentError(
            f"distill={shown(coef)}: {type(model).__name__} has a memory, or no scores of actions, "
            "that an earlier policy could be compared with on single decisions: use "
            "--replay."
        )


class Distillation:
    """Adds the gradient of the divergence to that of a policy's head while it learns.

    Args:
        model: What is trained; its policy has just the weights of the earlier one.
        before: A copy of that policy that does not learn.
        coef: The coefficient.
        growth: Which of the actions the earlier policy knew.
        new_rows: Samples below this one are new texts; None: all are.
    """

    def __init__(
        self,
        model: BaseAlgorithm,
        before: Any,
        coef: float,
        growth: Growth,
        new_rows: int | None = None,
    ) -> None:
        check_distils(model, coef)
        self.model, self.before, self.coef, self.new_rows = model, before, coef, new_rows
        self._known = th.zeros(growth.actions[1], dtype=th.bool, device=model.device)
        self._known[growth.moved(growth.actions[0])] = True
        self._values = isinstance(model, DQN | QRDQN)
        self._seen: dict[str, th.Tensor] | None = None
        policy: Any = model.policy
        if isinstance(model, DQN):
            head, extractor = policy.q_net, policy.q_net.features_extractor
        elif isinstance(model, QRDQN):
            head, extractor = policy.quantile_net, policy.quantile_net.features_extractor
        else:
            head, extractor = policy.action_net, policy.pi_features_extractor
        extractor.register_forward_pre_hook(self._look)
        head.register_forward_hook(self._hold)

    def _look(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Remember which observations are learned from."""
        if th.is_grad_enabled():
            self._seen = inputs[0]

    def _hold(self, module: nn.Module, inputs: tuple[Any, ...], scores: th.Tensor) -> None:
        """Add the divergence's gradient to that of (B, A) scores, or (B, Q, A) quantiles."""
        seen = self._seen
        if seen is None or not (th.is_grad_enabled() and scores.requires_grad):
            return
        own = scores.detach().float()
        own = own.mean(dim=1) if own.ndim == 3 else own
        self._seen = None
        with th.no_grad():
            gradient, divergence = self._divergence(own, seen)
        if getattr(self.model, "_logger", None) is not None:  # None outside learn()
            self.model.logger.record_mean("train/distillation", float(divergence))
        if scores.ndim == 3:
            gradient = (gradient / scores.shape[1])[:, None].expand_as(scores)
        scores.register_hook(lambda given: given + gradient.to(given.dtype))

    def _divergence(
        self, own: th.Tensor, seen: dict[str, th.Tensor]
    ) -> tuple[th.Tensor, th.Tensor]:
        """(B, A) gradient of the mean divergence with respect to scores `own`, and that mean."""
        theirs = action_scores(self.before, seen)
        assert theirs is not None
        if reads_whole_texts(self.before):
            clear_caches(self.before)
        allowed = self._known & real(own) & real(theirs)
        if MASK_KEY in seen:
            allowed &= seen[MASK_KEY].to(own.device) > 0
        counts = allowed.sum(dim=1) > 1  # else there is nothing to differ in
        if self.new_rows is not None and "row" in seen:
            counts &= seen["row"].to(own.device).flatten() < self.new_rows
        scale = TEMPERATURE if self._values else 1.0
        logs = [_log_softmax(s.float() / scale, allowed) for s in (theirs, own)]
        chances = [log.exp() * allowed for log in logs]
        weight = (counts / counts.sum().clamp(min=1))[:, None]
        each = (chances[0] * (logs[0] - logs[1])).sum(dim=1)
        gradient = self.coef * weight * (chances[1] - chances[0])
        return gradient, (each * weight[:, 0]).sum()


def _log_softmax(scores: th.Tensor, allowed: th.Tensor) -> th.Tensor:
    """Logarithms of the chances among allowed actions; 0 elsewhere."""
    logs = scores.masked_fill(~allowed, -1e9).log_softmax(dim=1)
    return logs.masked_fill(~allowed, 0.0)
