"""Rollout buffers that keep what every action of a state is worth, beside the one played."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

from nlp_gym_agents.algorithms.buffers import MaskableEpisodeRolloutBuffer

Float32Array = npt.NDArray[np.float32]


class AllActionsSamples(NamedTuple):
    """A minibatch of B decisions.

    Attributes:
        observations: By key, (B, ...).
        actions: (B, 1) what was played.
        old_values: (B,) of the critic.
        old_log_prob: (B,) of what was played.
        advantages: (B,) what the actions that were played turned out to be worth beyond their
            `action_values`.
        returns: (B,) targets of the critic.
        action_masks: (B, A).
        action_values: (B, A) what each legal action is worth.
        action_log_probs: (B, A) of the policy that played.
    """

    observations: dict[str, th.Tensor]
    actions: th.Tensor
    old_values: th.Tensor
    old_log_prob: th.Tensor
    advantages: th.Tensor
    returns: th.Tensor
    action_masks: th.Tensor
    action_values: th.Tensor
    action_log_probs: th.Tensor


class AllActions:
    """Mixin of `MaskableDictRolloutBuffer`, with values of all actions.

    Attributes:
        action_values: (T, E, A) float32 what each legal action is worth.
        action_log_probs: (T, E, A) float32 of the policy that played.
        penalties: (T, E, A) float32 to take off the values, or None; see `KLToStart`.
    """

    per_action = ("action_values", "action_log_probs")
    action_values: Float32Array
    action_log_probs: Float32Array
    penalties: Float32Array | None = None

    def reset(self: Any) -> None:
        """Forget the rollout."""
        super().reset()  # type: ignore[misc]
        self.penalties = None
        for name in self.per_action:
            setattr(self, name, np.zeros(self.action_masks.shape, np.float32))

    def compute_expected_returns(
        self: Any, values: npt.NDArray[np.float64], dones: npt.NDArray[np.bool_], trace: float
    ) -> None:
        """Fill `action_values`, `returns` and `advantages`.

        The return of a state is what the policy expects of it, corrected by how the rest of the
        episode turned out: ``G_t = sum_a pi(a|s_t) Q(s_t, a) + gamma lambda (G_t+1 - V(s_t+1))``,
        expected SARSA with a control variate (De Asis and Sutton 2018). The correction is also the
        advantage of the action that was played over its value Q.

        Args:
            values: (T, E, A) Q of legal actions.
            dones: (E,) whether the states after the rollout begin another episode.
            trace: Lambda.
        """
        legal = self.action_masks > 0
        if self.penalties is not None:
            values = values - self.penalties
        self.action_values = np.where(legal, values, 0.0).astype(np.float32)
        probs = np.where(legal, np.exp(self.action_log_probs), 0.0)
        expected = (probs * self.action_values).sum(axis=2)
        goes_on = 1.0 - np.append(self.episode_starts[1:], dones[None].astype(np.float32), axis=0)
        surplus = np.zeros(self.n_envs, np.float32)  # of the next state's return over its value
        for t in reversed(range(self.buffer_size)):
            self.advantages[t] = self.gamma * trace * goes_on[t] * surplus
            self.returns[t] = expected[t] + self.advantages[t]
            surplus = self.returns[t] - self.values[t]

    def get(self: Any, batch_size: int | None = None) -> Iterator[AllActionsSamples]:
        """As the base class, with values of all actions."""
        if not self.generator_ready:
            for name in self.per_action:
                setattr(self, name, self.swap_and_flatten(getattr(self, name)))
        yield from super().get(batch_size)  # type: ignore[misc]

    def _get_samples(self: Any, batch_inds: np.ndarray, env: Any = None) -> AllActionsSamples:
        taken = super()._get_samples(batch_inds, env)  # type: ignore[misc]
        own = (self.to_torch(getattr(self, name)[batch_inds]) for name in self.per_action)
        return AllActionsSamples(*taken, *own)


class AllActionsRolloutBuffer(AllActions, MaskableDictRolloutBuffer):  # type: ignore[misc]
    """The `rollout_buffer_class` of `ExpectedPG`; arguments as for `MaskableDictRolloutBuffer`."""


class AllActionsEpisodeRolloutBuffer(AllActions, MaskableEpisodeRolloutBuffer):  # type: ignore[misc]
    """The same with minibatches of whole episodes, for encoders that learn and for writing."""
