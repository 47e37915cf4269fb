"""A minibatch of one transition, whose advantages have no standard deviation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


def normalise_only_several(model: BaseAlgorithm) -> None:
    """Leave the advantage of a minibatch of one transition as it is, in any on-policy algorithm.

    Where `batch_size` leaves a remainder of one, the last minibatch of a rollout has one advantage.
    Its standard deviation is NaN, and divided by it all weights become NaN. Stable-Baselines3's PPO
    does not normalise there (its issue 325); MaskablePPO, RecurrentPPO, A2C and TRPO do.

    Algorithms read `normalize_advantage` after they have taken a minibatch from the buffer, so it
    is switched off from there for those of one transition.

    Args:
        model: Any algorithm; those without rollouts or without the option are left alone.
    """
    if not isinstance(model, OnPolicyAlgorithm) or not getattr(model, "normalize_advantage", False):
        return
    learner: Any = model
    minibatches = learner.rollout_buffer.get

    def get(batch_size: int | None = None) -> Iterator[Any]:
        try:
            for minibatch in minibatches(batch_size):
                learner.normalize_advantage = _transitions(minibatch) > 1
                yield minibatch
        finally:
            learner.normalize_advantage = True

    learner.rollout_buffer.get = get


def _transitions(minibatch: Any) -> int:
    """Transitions of a minibatch, without the padding that recurrent ones have."""
    padding = getattr(minibatch, "mask", None)
    return len(minibatch.advantages) if padding is None else int((padding > 0).sum())
