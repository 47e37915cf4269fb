"""Several processes that learn as one does with the sum of their environments.

Each rank plays its share of the environments. The rollouts of all ranks are then exchanged (with
``index`` observations a decision is some tens of bytes), every rank draws the same minibatches from
them, computes the gradient of its share of each, and the sum of the gradients moves the weights of
all ranks by the same bits. Where the encoder learns, a share has whole texts: encoding, in rollouts
and in updates, is what is divided.

What Stable-Baselines3 does between the gradient and the optimizer's step (clipping) is done here
instead, on the sum: the model's own `max_grad_norm` is infinite. Random numbers of a rollout are
drawn for all environments on every rank, as one process would draw them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch.distributions import Categorical

from nlp_gym_agents.algorithms.imitation.bc import BC
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData
from nlp_gym_agents.algorithms.parallel.ranks import Ranks
from nlp_gym_agents.networks.features.swap_source import reads_whole_texts

_PARTS = ("actions", "rewards", "values", "log_probs", "advantages", "returns", "episode_starts")
_PER_ACTION = ("action_masks", "action_values", "action_log_probs")
_EPSILON = 1e-8  # of Stable-Baselines3, where it normalises advantages


class DataParallel:
    """Makes a fresh model learn with those of the other ranks.

    Args:
        model: An on-policy algorithm or `BC`, with this rank's environments.
        ranks: The processes.
        n_envs: Environments of all ranks together.
    """

    def __init__(self, model: BaseAlgorithm, ranks: Ranks, n_envs: int) -> None:
        self.model, self.ranks, self.n_envs = model, ranks, n_envs
        self.whole_texts = reads_whole_texts(model.policy)
        self._weight = 1.0
        learner: Any = model
        self._longest, learner.max_grad_norm = learner.max_grad_norm, math.inf
        optimizer: Any = learner.policy.optimizer
        handle = optimizer.register_step_pre_hook(self._before_step)
        # Before the hook of an encoder that learns, which reads and drops gradients.
        optimizer._optimizer_step_pre_hooks.move_to_end(handle.id, last=False)
        if isinstance(model, OnPolicyAlgorithm):
            self._share_rollouts(model)
        elif isinstance(model, BC):
            model.share = self.share_of
        learner.data_parallel = self
        for p in model.policy.parameters():
            th.distributed.broadcast(p.data, src=0)

    def bounds_of_environments(self) -> tuple[int, int]:
        """First of this rank's environments among all, and one after the last."""
        return self.ranks.bounds(self.n_envs)

    def share(self, n: int, texts: np.ndarray | None) -> slice:
        """This rank's transitions of a minibatch of `n`; `average` weighs them by their number.

        Args:
            n: Transitions.
            texts: (n,) which text each is about: those of one stay together; None: it is not known.
        """
        begin, end = self.ranks.bounds(n)
        if self.whole_texts and texts is not None:
            starts = np.flatnonzero(np.diff(texts, prepend=-1))
            ends = np.append(starts, n)
            begin, end = (int(ends[np.abs(ends - place).argmin()]) for place in (begin, end))
        self._weight = (end - begin) / n
        if begin == end:  # fewer texts than ranks; one transition that does not count
            begin = min(begin, n - 1)
            end = begin + 1
        return slice(begin, end)

    def share_of(self, data: OracleData, index: th.Tensor) -> th.Tensor:
        """This rank's decisions among those at `index` (n,)."""
        rows = data.observations.get("row")
        return index[self.share(len(index), None if rows is None else _numbers(rows[index]))]

    def average(self) -> None:
        """Sum the gradients of all ranks' shares, as those of one minibatch."""
        self.ranks.average(self.model.policy.parameters(), self._weight)

    def _before_step(self, optimizer: Any, args: object, kwargs: object) -> None:
        self.average()
        th.nn.utils.clip_grad_norm_(self.model.policy.parameters(), self._longest)

    def _share_rollouts(self, model: OnPolicyAlgorithm) -> None:
        own: Any = model.rollout_buffer
        self._own = own
        self._whole: Any = type(own)(
            own.buffer_size,
            own.observation_space,
            own.action_space,
            own.device,
            gae_lambda=own.gae_lambda,
            gamma=own.gamma,
            n_envs=self.n_envs,
        )
        own.get = self._minibatches
        policy: Any = model.policy
        distribution = policy.action_dist
        distribution.sample = _JointSampling(self, distribution, distribution.sample)

    def _minibatches(self, batch_size: int | None = None) -> Iterator[Any]:
        """This rank's share of each minibatch of all ranks' rollouts."""
        if not self._own.generator_ready:  # a new rollout
            self._exchange()
            self._own.generator_ready = True
        learner: Any = self.model
        normalised = getattr(learner, "normalize_advantage", False)
        try:
            for minibatch in self._whole.get(batch_size):
                parts = minibatch._asdict()
                advantages = parts["advantages"]
                if normalised and len(advantages) > 1:
                    advantages = advantages - advantages.mean()
                    advantages = advantages / (parts["advantages"].std() + _EPSILON)
                parts["advantages"] = advantages
                if normalised:
                    learner.normalize_advantage = False
                rows = parts["observations"].get("row")
                chosen = self.share(len(advantages), None if rows is None else _numbers(rows))
                yield type(minibatch)(**{k: _cut(v, chosen) for k, v in parts.items()})
        finally:
            if normalised:
                learner.normalize_advantage = True

    def _exchange(self) -> None:
        own, whole = self._own, self._whole
        names = [*_PARTS, *(name for name in _PER_ACTION if hasattr(own, name))]
        sent = {**{name: getattr(own, name) for name in names}, "observations": own.observations}
        received = self.ranks.gathered(sent)  # arrays (T, n, ...), n environments of each
        whole.reset()
        for name in names:
            getattr(whole, name)[...] = np.concatenate([part[name] for part in received], axis=1)
        for key, array in whole.observations.items():
            array[...] = np.concatenate([part["observations"][key] for part in received], axis=1)
        whole.pos, whole.full = whole.buffer_size, True


def _numbers(rows: th.Tensor) -> np.ndarray:
    return rows.flatten().cpu().numpy()


def _cut(value: Any, chosen: slice) -> Any:
    if isinstance(value, dict):
        return {key: tensor[chosen] for key, tensor in value.items()}
    return value[chosen]


class _JointSampling:
    """Draws actions as one process with all environments would, and keeps this rank's.

    `torch.multinomial` divides the probabilities by exponential noise and takes the largest; here
    the noise is drawn for the environments of all ranks.

    Args:
        parallel: Whose environments.
        distribution: Of the policy.
        alone: How it samples by itself, for any other number of rows.
    """

    def __init__(self, parallel: DataParallel, distribution: Any, alone: Callable[[], Any]) -> None:
        self.parallel, self.distribution, self.alone = parallel, distribution, alone

    def __call__(self) -> th.Tensor:
        """(n,) actions."""
        distribution = self.distribution.distribution
        begin, end = self.parallel.bounds_of_environments()
        if not isinstance(distribution, Categorical) or len(distribution.probs) != end - begin:
            sampled: th.Tensor = self.alone()
            return sampled
        probs = distribution.probs
        noise = th.empty(
            self.parallel.n_envs, probs.shape[1], dtype=probs.dtype, device=probs.device
        )
        return (probs / noise.exponential_()[begin:end]).argmax(dim=1)

    def __deepcopy__(self, memo: object) -> _JointSampling:
        """Copies of a policy are not played by all ranks together, but may be sampled alone."""
        return self


class CountsAllRanks(BaseCallback):
    """Counts the steps of all ranks as timesteps; Stable-Baselines3 counts those of this one."""

    def __init__(self, parallel: DataParallel) -> None:
        super().__init__()
        begin, end = parallel.bounds_of_environments()
        self._others = parallel.n_envs - (end - begin)

    def _on_step(self) -> bool:
        self.model.num_timesteps += self._others
        return True


def parallel_of(model: BaseAlgorithm) -> DataParallel | None:
    """How a model learns with others; None: alone."""
    found = getattr(model, "data_parallel", None)
    return found if isinstance(found, DataParallel) else None
