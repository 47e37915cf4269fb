"""Callbacks that change a rollout before it is learned from, and its decisions in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from typing_extensions import override

from nlp_gym.types import Int64Array

_BATCH = 2048  # decisions at a time

StepsAndEnvs = tuple[Int64Array, Int64Array]
"""Steps (B,) and environments (B,) of B decisions."""

BufferObs = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]
"""Observations of B decisions: an array, or a dictionary of arrays."""


class RolloutCallback(BaseCallback):
    """A callback that looks at whole rollouts, not at steps."""

    @property
    def learner(self) -> OnPolicyAlgorithm:
        """The algorithm; that it has rollouts is checked by the subclass."""
        return cast("OnPolicyAlgorithm", self.model)

    @override
    def _on_step(self) -> bool:
        return True


def rollout_batches(buffer: RolloutBuffer) -> Iterator[tuple[StepsAndEnvs, BufferObs]]:
    """Steps and environments (B,) of a full rollout buffer, with the observations there.

    One environment comes after the other, so that decisions on a text are computed together.

    Args:
        buffer: Of T steps in E environments; its observations are an array or a dictionary.
    """
    steps, n_envs = buffer.rewards.shape
    envs, places = np.divmod(np.arange(steps * n_envs), steps)
    for begin in range(0, steps * n_envs, _BATCH):
        at = places[begin : begin + _BATCH], envs[begin : begin + _BATCH]
        seen: BufferObs = buffer.observations
        yield at, {k: v[at] for k, v in seen.items()} if isinstance(seen, dict) else seen[at]


def by_step(values: npt.NDArray[Any], buffer: RolloutBuffer) -> npt.NDArray[Any]:
    """Put values in the order of the buffer.

    Args:
        values: (T * E, ...) in the order of `rollout_batches`.
        buffer: The buffer that they belong to.

    Returns:
        (T, E, ...) the same.
    """
    steps, n_envs = buffer.rewards.shape
    return values.reshape(n_envs, steps, *values.shape[1:]).swapaxes(0, 1)
