"""Buffers whose minibatches hold the decisions on a text together.

A trainable encoder encodes each distinct text of a batch once. Stable-Baselines3 shuffles single
transitions, so that nearly every transition of a minibatch comes from another text and a pass over
the experience encodes each text several times. Here minibatches hold whole episodes, and batches
of replayed experience short runs of consecutive transitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from stable_baselines3.common.buffers import DictReplayBuffer, DictRolloutBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from typing_extensions import override

from nlp_gym.checks import check_int
from nlp_gym.types import Int64Array

_LONG = 2  # an episode of more than this many minibatches is cut
_MAX_RUN = 2**20
RUN = 16
"""Transitions that a replay buffer draws together by default."""


def segments(starts: np.ndarray, longest: int | None = None) -> tuple[Int64Array, Int64Array]:
    """Find the stretches of a rollout that belong to one episode each.

    Args:
        starts: (T, E), non-zero where environment e began an episode at step t.
        longest: Cut longer stretches into pieces of about the same length, each of `longest` / 2
            steps or more; None for never.

    Returns:
        First index and length of each of S stretches, (S,) each, in an order in which index
        e * T + t is step t of environment e.
    """
    steps = len(starts)
    begins = starts.T != 0  # (E, T)
    begins[:, 0] = True
    first = np.flatnonzero(begins)
    length = np.diff(first, append=begins.size)
    if longest is not None and length.max(initial=0) > longest:
        pieces = np.where(length > longest, 2 * length // longest, 1)
        place = np.arange(begins.size) - np.repeat(first, length)
        piece = place * np.repeat(pieces, length) // np.repeat(length, length)
        cut = np.diff(piece, prepend=-1) != 0
        first = np.flatnonzero(begins.reshape(-1) | cut)
        length = np.diff(first, append=steps * starts.shape[1])
    return first, length


def minibatches(lengths: Int64Array, batch_size: int) -> Iterator[tuple[int, int]]:
    """Cut S stretches, in the given order, into minibatches of whole stretches.

    Args:
        lengths: (S,) transitions in each stretch.
        batch_size: Transitions that complete a minibatch. The last one may have fewer; with fewer
            than half it goes into the one before.

    Yields:
        First transition and the one after the last of each minibatch.
    """
    ends = np.cumsum(lengths)
    total, begin = int(ends[-1]), 0
    while begin < total:
        enough = int(np.searchsorted(ends, begin + batch_size))
        end = int(ends[min(enough, len(ends) - 1)])
        if 2 * (total - end) < batch_size:
            end = total
        yield begin, end
        begin = end


class _WholeEpisodes:
    """Mixin of rollout buffers: minibatches of whole episodes, in random order.

    Attributes:
        collecting: A rollout has begun, and nothing was learned from it yet.
    """

    collecting = False
    _flattened: tuple[str, ...] = ("actions", "values", "log_probs", "advantages", "returns")

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # which calls `reset`
        self.collecting = False

    def reset(self: Any) -> None:
        """Begin a rollout."""
        super().reset()  # type: ignore[misc]  # the class that it is mixed into has it
        self.collecting = True

    def get(self: Any, batch_size: int | None = None) -> Iterator[Any]:
        """One pass over the rollout; each transition is in one minibatch.

        Episodes are cut at the rollout's edges, and where they are longer than twice `batch_size`.

        Args:
            batch_size: Transitions that complete a minibatch; None for all at once.

        Yields:
            As the base class, with the transitions of an episode in their order.
        """
        assert self.full, "the rollout is not complete"
        self.collecting = False
        self._flatten()
        size = self.buffer_size * self.n_envs if batch_size is None else batch_size
        first, length = segments(self.episode_starts, _LONG * size)
        chosen = np.random.permutation(len(first))  # noqa: NPY002 - SB3 seeds this generator
        first, length = first[chosen], length[chosen]
        before = np.cumsum(length) - length
        order = np.repeat(first - before, length) + np.arange(length.sum())
        for begin, end in minibatches(length, size):
            yield self._get_samples(order[begin:end])

    def _flatten(self: Any) -> None:
        """Reshape (T, E, ...) to (E * T, ...), once per rollout; `episode_starts` stays."""
        if self.generator_ready:
            return
        for key, values in self.observations.items():
            self.observations[key] = self.swap_and_flatten(values)
        for name in self._flattened:
            setattr(self, name, self.swap_and_flatten(getattr(self, name)))
        self.generator_ready = True


class EpisodeRolloutBuffer(_WholeEpisodes, DictRolloutBuffer):  # type: ignore[misc]
    """A `rollout_buffer_class` of PPO and A2C with minibatches of whole episodes.

    Arguments as for `DictRolloutBuffer`.
    """


class MaskableEpisodeRolloutBuffer(_WholeEpisodes, MaskableDictRolloutBuffer):  # type: ignore[misc]
    """A `rollout_buffer_class` of MaskablePPO with minibatches of whole episodes.

    Arguments as for `MaskableDictRolloutBuffer`.
    """

    _flattened = (*_WholeEpisodes._flattened, "action_masks")


class EpisodeReplayBuffer(DictReplayBuffer):
    """A `replay_buffer_class` of DQN whose batches are runs of consecutive transitions.

    A run starts at a transition drawn uniformly and goes round the filled part of the ring, so that
    every stored transition is drawn equally often. The few runs that pass the place where writing
    goes on hold the newest and the oldest experience of their environment.

    Args:
        *args: As for `DictReplayBuffer`.
        run: Transitions per run; 1 draws each by itself, as `DictReplayBuffer` does.
        **kwargs: As for `DictReplayBuffer`.

    Raises:
        InvalidArgumentError: `run` is no whole number from 1.
    """

    def __init__(self, *args: Any, run: int = RUN, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.run = check_int("run", run, 1, _MAX_RUN)

    @override
    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> DictReplayBufferSamples:
        """Runs with `batch_size` transitions in all; the last run may be shorter.

        Args:
            batch_size: Transitions B.
            env: A `VecNormalize`, or None.

        Returns:
            `DictReplayBufferSamples`.
        """
        runs = -(-batch_size // self.run)
        size = self.size()
        # Both draws from the generator that Stable-Baselines3 seeds and checkpoints hold.
        step = np.random.randint(0, size, runs)  # noqa: NPY002
        place = np.random.randint(0, self.n_envs, runs)  # noqa: NPY002
        steps = (step[:, None] + np.arange(self.run)) % size  # (runs, run)
        index = steps * self.n_envs + place[:, None]
        return self._get_samples(index.reshape(-1)[:batch_size], env)

    @override
    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env: VecNormalize | None = None
    ) -> DictReplayBufferSamples:
        """Transitions (B,), where index t * E + e is step t of environment e."""
        step, place = np.divmod(batch_inds, self.n_envs)
        before, after = (
            self._normalize_obs({key: values[step, place] for key, values in part.items()}, env)
            for part in (self.observations, self.next_observations)
        )
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        # An episode that was only cut short goes on: its last transition is no end.
        ended = self.dones[step, place] * (1 - self.timeouts[step, place])
        rewards = self._normalize_reward(self.rewards[step, place].reshape(-1, 1), env)
        return DictReplayBufferSamples(
            observations={key: self.to_torch(values) for key, values in before.items()},
            actions=self.to_torch(self.actions[step, place]),
            next_observations={key: self.to_torch(values) for key, values in after.items()},
            dones=self.to_torch(ended).reshape(-1, 1),
            rewards=self.to_torch(rewards),
        )
