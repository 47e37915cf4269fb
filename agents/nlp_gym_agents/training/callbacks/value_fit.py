"""Fit the value head to the policy that training begins with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.networks.features.layers import LatentHead
from nlp_gym_agents.training.callbacks.rollout_parts import (
    BufferObs,
    RolloutCallback,
    by_step,
    rollout_batches,
)

_ROUNDS = 10
"""Of computing targets and fitting: with a lambda of .95 hardly a target but the last of a rollout
depends on the values of the round before."""
_RIDGE = 0.01
"""Penalty on the weights, in units of the mean square of a feature times the decisions: from .0001
to .1 the explained variance of other decisions of a writer was .34 to .35."""

_Floats = npt.NDArray[np.float64]


class FittedValues(RolloutCallback):
    """Fit the value head to the first rollout by least squares, before anything is learned from it.

    A policy that comes from cloning has learned the oracle's returns, which are higher than its
    own, and small steps would take long to bring them down: until then the advantages are noise,
    and what was cloned is lost to it. (Yuan et al. 2025, "What's Behind PPO's Collapse in Long-CoT?
    Value Optimization Holds the Secret", train the value network first for this reason.)

    The targets are lambda-returns, which use values themselves where the rollout breaks off; so
    they are computed and fitted by turns. Where an episode is cut short (`max_episode_steps`) the
    value it breaks off at stays what it was, since it is among the rewards by then. A run that is
    resumed has its values already.
    """

    def __init__(self) -> None:
        super().__init__()
        self._due = False

    def _init_callback(self) -> None:
        self.check(self.model)

    def check(self, model: BaseAlgorithm) -> None:
        """Refuse a model without a value head that could be fitted.

        Raises:
            InvalidArgumentError: The algorithm has no rollouts, or its values are no linear
                function of the extractor's features.
        """
        rollouts = getattr(model, "rollout_buffer", None) is not None
        memory = hasattr(model.policy, "lstm_actor")
        if not rollouts or memory or _linear(model.policy) is None:
            raise InvalidArgumentError(
                f"start.fit_values=True: {type(model).__name__} has no rollouts with a linear "
                "value head. It is for ppo, maskable_ppo and a2c."
            )

    def _on_training_start(self) -> None:
        self._due = self.model._n_updates == 0

    @th.no_grad()
    def _on_rollout_end(self) -> None:
        if not self._due:
            return
        self._due = False
        buffer, seen = self.learner.rollout_buffer, self.learner._last_obs
        assert isinstance(seen, np.ndarray | dict)
        batches = rollout_batches(buffer)
        features = _with_one(np.concatenate([self._features(own) for _, own in batches]))
        last = _with_one(self._features(seen))
        gram = features.T @ features
        ridge = np.eye(len(gram)) * _RIDGE * gram.trace() / len(gram)
        ridge[-1, -1] = 0.0  # the offset is free
        values, weights = np.zeros(len(last)), np.zeros(len(gram))
        buffer.values[:] = 0.0
        for _ in range(_ROUNDS):
            self._advantages(values)
            returns = buffer.returns.T.reshape(-1).astype(np.float64)
            weights = np.linalg.solve(gram + ridge, features.T @ returns)
            buffer.values[:] = by_step(features @ weights, buffer)
            values = last @ weights
        self._advantages(values)
        head = _linear(self.model.policy)
        assert head is not None
        head.weight.copy_(th.as_tensor(weights[None, :-1]))
        head.bias.copy_(th.as_tensor(weights[-1:]))

    def _advantages(self, last_values: _Floats) -> None:
        self.learner.rollout_buffer.compute_returns_and_advantage(
            last_values=th.as_tensor(last_values, dtype=th.float32),
            dones=np.asarray(self.model._last_episode_starts),
        )

    def _features(self, observations: BufferObs) -> _Floats:
        """(B, W) what the value head reads."""
        policy, head = self.learner.policy, _linear(self.model.policy)
        assert head is not None
        tensors = obs_as_tensor(observations, self.model.device)
        found = BasePolicy.extract_features(policy, tensors, policy.vf_features_extractor)
        read = policy.mlp_extractor.forward_critic(found)[:, : head.in_features]
        features: _Floats = read.double().cpu().numpy()
        return features


def _linear(policy: BasePolicy) -> th.nn.Linear | None:
    """The linear layer that values come from, which reads the first of the features; or None."""
    head = getattr(policy, "value_net", None)
    head = head.linear if isinstance(head, LatentHead) else head
    return head if isinstance(head, th.nn.Linear) else None


def _with_one(features: _Floats) -> _Floats:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)
