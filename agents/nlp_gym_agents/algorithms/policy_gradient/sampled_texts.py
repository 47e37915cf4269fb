"""Whole episodes in groups: K samples of each text, and what each earned beside the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th

from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.algorithms.buffers import minibatches

_SMALL = 1e-6  # differences between rewards that are rounding errors


def leave_one_out(returns: Float64Array) -> Float64Array:
    """What each sample earned beyond the mean of the other samples of its text.

    The mean of the others does not depend on the sample, so that the gradient stays unbiased (Kool
    et al. 2019, "Buy 4 REINFORCE Samples, Get a Baseline for Free!").

    Args:
        returns: (N, K, ...) of K samples, at least two, of N texts.

    Returns:
        The same shape.
    """
    n_samples = returns.shape[1]
    others = (returns.sum(axis=1, keepdims=True) - returns) / (n_samples - 1)
    difference: Float64Array = returns - others
    return difference


class PackedMasks:
    """Masks (M, 1, A) of M decisions as bits: of thousands of actions they would fill memory."""

    def __init__(self, parts: Sequence[npt.NDArray[np.uint8]], n_actions: int) -> None:
        self.bits, self.n_actions = np.concatenate(parts)[:, None], n_actions

    @staticmethod
    def pack(mask: BoolArray) -> npt.NDArray[np.uint8]:
        """(B, A / 8) bits of (B, A) bools."""
        return np.packbits(mask, axis=-1)

    def __getitem__(self, at: Any) -> BoolArray:
        """Bools with A at the end, of the decisions that an index of (M, 1) names."""
        return np.unpackbits(self.bits[at], axis=-1, count=self.n_actions).astype(bool)


@dataclass(frozen=True)
class SampledDecisions:
    """B decisions of whole groups, to learn from.

    Attributes:
        observations: By key, (B, ...).
        actions: (B,) int64.
        masks: (B, A) bool.
        advantages: (B,) float32.
    """

    observations: dict[str, th.Tensor]
    actions: th.Tensor
    masks: th.Tensor
    advantages: th.Tensor


class SampledTexts:
    """A rollout of N groups of K episodes, one after another; M decisions in all.

    Its arrays have the axes of a rollout buffer of Stable-Baselines3 with M steps of one
    environment, so that callbacks which change rewards find what they know.

    Args:
        n_samples: Samples K of a text.
        device: Where batches go.
        gamma: Discount of later rewards, with `by_decision`.
        by_decision: A decision is credited with what was earned from it on, and compared with what
            others earned from the same step on; else with all that its episode earned.

    Attributes:
        observations: By key, (M, 1, ...).
        actions: (M, 1, 1).
        rewards: (M, 1) float32.
        log_probs: (M, 1) float32, of the policy that played.
        action_masks: See `PackedMasks`.
        episode: (M,) which of the N * K episodes a decision belongs to.
        baseline: (N, T) rewards of the episodes to compare with; None: with each other.
        returns: (N, K) sums of rewards.
        advantages: (M,) of the decisions.
    """

    def __init__(
        self, n_samples: int, device: th.device, *, gamma: float = 1.0, by_decision: bool = False
    ) -> None:
        self.n_samples, self.device = n_samples, device
        self.gamma, self.by_decision = gamma, by_decision
        self.reset()

    def reset(self) -> None:
        """Drop what was collected."""
        self._steps: list[tuple[Any, ...]] = []
        self._n_actions = 0
        self.baseline: Float64Array | None = None

    def add(
        self,
        place: Int64Array,
        observations: Observation,
        mask: BoolArray,
        actions: Int64Array,
        log_probs: npt.NDArray[np.float32],
        rewards: Float64Array,
    ) -> None:
        """Add a step of the (B,) episodes `place` that are not over."""
        self._n_actions = mask.shape[1]
        bits = PackedMasks.pack(mask)
        self._steps.append((place, observations, bits, actions, log_probs, rewards))

    def complete(self, n_texts: int, baseline: Float64Array | None = None) -> None:
        """Put the decisions of each episode side by side once all episodes are over.

        Args:
            n_texts: Texts N.
            baseline: (N, T) rewards, by step, of one more episode of each text, to compare with;
                None: leave-one-out.
        """
        place, observations, bits, actions, log_probs, rewards = zip(*self._steps, strict=True)
        self._steps = []
        self.n_texts, self.baseline = n_texts, baseline
        order = np.argsort(np.concatenate(place), kind="stable")
        self.episode = np.concatenate(place)[order]
        self.step = np.concatenate([np.full(len(p), i) for i, p in enumerate(place)])[order]
        self.observations = {
            key: np.concatenate([one[key] for one in observations])[order][:, None]
            for key in observations[0]
        }
        self.action_masks = PackedMasks([np.concatenate(bits)[order]], self._n_actions)
        self.actions = np.concatenate(actions)[order][:, None, None]
        self.log_probs = np.concatenate(log_probs)[order][:, None]
        self.rewards = np.concatenate(rewards)[order][:, None].astype(np.float32)
        self.compute_returns_and_advantage()

    def compute_returns_and_advantage(
        self, last_values: object = None, dones: object = None
    ) -> None:
        """Compute `returns` and `advantages` from the rewards as they are now.

        Args:
            last_values: Unused: all episodes are whole.
            dones: Unused.
        """
        n_steps = int(self.step.max()) + 1
        if self.baseline is not None:
            n_steps = max(n_steps, self.baseline.shape[1])
        by_episode = np.zeros((self.n_texts * self.n_samples, n_steps))
        by_episode[self.episode, self.step] = self.rewards[:, 0]
        rewards = by_episode.reshape(self.n_texts, self.n_samples, n_steps)
        self.returns: Float64Array = rewards.sum(axis=2)
        earned = self._credited(rewards)
        if self.baseline is None:
            found = leave_one_out(earned)
        else:
            wide = np.zeros((self.n_texts, 1, n_steps))
            wide[:, 0, : self.baseline.shape[1]] = self.baseline
            found = earned - self._credited(wide)
        self.advantages: Float64Array = found.reshape(by_episode.shape)[self.episode, self.step]

    def _credited(self, rewards: Float64Array) -> Float64Array:
        """What each decision is credited with, from (N, K, T) rewards."""
        if not self.by_decision:
            return np.broadcast_to(rewards.sum(axis=2, keepdims=True), rewards.shape)
        ahead = rewards.copy()
        for step in range(rewards.shape[2] - 2, -1, -1):
            ahead[:, :, step] += self.gamma * ahead[:, :, step + 1]
        return ahead

    def __len__(self) -> int:
        return len(self.episode)

    def batches(self, batch_size: int | None) -> Iterator[list[Int64Array]]:
        """Decisions of each update, of whole groups in random order.

        Groups whose samples all earned as much as the baseline say nothing, and are left out.

        Args:
            batch_size: Decisions that complete a batch; None: all are one.

        Yields:
            For each batch the (B,) decisions of each part of it that is computed at once.
        """
        group = self.episode // self.n_samples
        length = np.bincount(group, minlength=self.n_texts)
        first = np.cumsum(length) - length
        says = np.abs(self.advantages) > _SMALL
        told = np.flatnonzero(np.bincount(group, says, self.n_texts))
        told = np.random.permutation(told)  # noqa: NPY002 - SB3 seeds this generator
        if not len(told):
            return
        ends = np.cumsum(length[told])
        size = int(ends[-1]) if batch_size is None else batch_size
        for begin, end in minibatches(length[told], size):
            chosen = told[np.searchsorted(ends, begin, "right") : np.searchsorted(ends, end) + 1]
            parts = minibatches(length[chosen], _AT_ONCE)
            index = np.concatenate([np.arange(first[g], first[g] + length[g]) for g in chosen])
            yield [index[a:b] for a, b in parts]

    def take(self, index: Int64Array) -> SampledDecisions:
        """Decisions (B,) as tensors on the device."""
        own = self.advantages[index].astype(np.float32)
        observations = {
            key: self._tensor(value[index, 0]) for key, value in self.observations.items()
        }
        return SampledDecisions(
            observations,
            self._tensor(self.actions[index, 0, 0]),
            self._tensor(self.action_masks[index, 0]),
            self._tensor(own),
        )

    def _tensor(self, values: npt.NDArray[Any]) -> th.Tensor:
        return th.as_tensor(np.ascontiguousarray(values), device=self.device)


_AT_ONCE = 4096
"""Decisions whose gradients are computed together; more would only take memory."""
