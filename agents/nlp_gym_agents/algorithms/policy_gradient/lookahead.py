"""What every legal action of a state is worth, by branching the task's states.

A state of the rules is a handful of index arrays, so that it can be copied and each copy be played
on. What an action earns at once is then known exactly, and what it leads to is valued by a policy.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.utils import obs_as_tensor
from torch.distributions import Categorical

from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.algorithms.imitation.demonstrations import obs_type_of
from nlp_gym_agents.networks.features.open_corpora import with_corpus

Float32Array = npt.NDArray[np.float32]

_PLAYED = 2**16  # actions that are tried at a time
_VALUED = 2048  # states that a policy looks at at a time
_MOSTLY = 0.5  # share of the actions above which the illegal ones are tried, too


class Outcomes(NamedTuple):
    """What each action of B states does at once.

    Attributes:
        rewards: (B, A) float64; those of illegal actions mean nothing.
        ended: (B, A) bool whether the episode ends with it, as far as that was looked at.
    """

    rewards: Float64Array
    ended: BoolArray


def outcomes(task: Task, state: Any, masks: BoolArray) -> Outcomes:
    """Try every legal action of B states, which stay as they are.

    Args:
        task: The rules.
        state: B episodes, none at its end.
        masks: (B, A) legal actions.
    """
    if task.writes:  # thousands of tokens, of which nearly all earn the same
        return Outcomes(task.action_rewards(state), np.zeros(masks.shape, bool))
    rewards, ended = np.zeros(masks.shape), np.zeros(masks.shape, bool)
    for part, actions, legal in _legal_blocks(masks):
        after = task.branch(state.take(part), actions)
        owner, place = legal.nonzero()
        at = part[owner], actions[owner, place]
        rewards[at], ended[at] = after.rewards[owner, place], after.ended[owner, place]
    return Outcomes(rewards, ended)


def _legal_blocks(masks: BoolArray) -> Iterator[tuple[Int64Array, Int64Array, BoolArray]]:
    """Blocks of states: which (b,), actions (b, K) that cover the legal ones, which count (b, K).

    Rows that have few legal actions are padded by the first of theirs.
    """
    counts = masks.sum(axis=1)
    width = int(counts.max(initial=1))
    block = max(1, _PLAYED // width)
    for first in range(0, len(masks), block):
        part = np.arange(first, min(first + block, len(masks)))
        own = masks[part]
        if width > _MOSTLY * masks.shape[1]:
            every = np.arange(masks.shape[1])
            yield part, np.broadcast_to(every, own.shape), own
            continue
        owner, action = own.nonzero()
        place = np.arange(len(owner)) - (np.cumsum(counts[part]) - counts[part])[owner]
        actions = np.repeat(own.argmax(axis=1)[:, None], width, axis=1)
        actions[owner, place] = action
        yield part, actions, np.arange(width) < counts[part][:, None]


class LookAhead:
    """Values of all actions: what they earn, and what a policy expects of where they lead.

    Args:
        venv: The environments that are learned from; its task is branched.
        keys: Keys of their observations, as the policy sees them.
        gamma: Discount; with 0 nothing is branched.
        branches: Actions of a state whose successors are valued.
        temperature: Of the choice of these, see `values`.
    """

    def __init__(
        self,
        venv: TaskVectorEnv,
        keys: Container[str],
        *,
        gamma: float,
        branches: int,
        temperature: float,
    ) -> None:
        self.task = venv.task
        self.keys, self.obs_type = keys, obs_type_of(keys)
        self.gamma, self.branches, self.temperature = gamma, branches, temperature
        # One decision is left after one: its value is an expectation over what can be decided.
        self.exact = int(self.task.lengths.max()) <= 2

    def values(
        self,
        policy: MaskableActorCriticPolicy,
        state: Any,
        masks: BoolArray,
        log_probs: Float32Array,
        values: Float32Array,
        taken: Int64Array,
    ) -> Float64Array:
        """(B, A) what each legal action of B states is worth; what illegal ones have means nothing.

        With a discount, successors are valued of the `branches` actions that are likeliest after
        what they earn is taken into account, by ``log pi + reward / temperature``, the taken one
        among them; actions that end the episode have none. The others share a control variate:
        they are credited with the mean value of the successors that were valued, weighted by the
        policy, so that they differ in what they earn at once.

        Args:
            policy: Values successors; in evaluation mode.
            state: B episodes.
            masks: (B, A) legal actions.
            log_probs: (B, A) of the policy.
            values: (B,) of the states themselves, where no successor goes on.
            taken: (B,) actions that were played.
        """
        rewards, ended = outcomes(self.task, state, masks)
        if not self.gamma:
            return rewards
        following = masks & ~ended
        some = max(1, min(self.branches, int(following.sum(axis=1).max(initial=1))))
        order = np.where(following, log_probs + rewards / self.temperature, -np.inf)
        each = np.arange(len(taken))
        order[each, taken] = np.where(following[each, taken], np.inf, -np.inf)
        chosen = np.argpartition(-order, some - 1, axis=1)[:, :some]
        legal = np.take_along_axis(masks, chosen, axis=1)
        branched = self.task.branch(state, chosen)
        goes_on = (legal & ~branched.ended).ravel().nonzero()[0]
        values_after: Float64Array = np.zeros(chosen.size)
        values_after[goes_on] = self._following(policy, branched.state.take(goes_on))
        after = values_after.reshape(chosen.shape)
        weights = np.exp(np.take_along_axis(log_probs, chosen, axis=1)) * legal * ~branched.ended
        total = weights.sum(axis=1)
        known = total > 1e-12
        shared = np.where(known, (weights * after).sum(axis=1) / np.where(known, total, 1), 0)
        shared = np.where(known, shared, values)
        worth = rewards + self.gamma * shared[:, None] * ~ended
        own = np.take_along_axis(rewards, chosen, axis=1) + self.gamma * after
        np.put_along_axis(worth, chosen, own, axis=1)
        return worth

    def _following(self, policy: MaskableActorCriticPolicy, state: Any) -> Float64Array:
        """(N,) values of N successors."""
        found = np.zeros(len(state.row))
        for first in range(0, len(found), _VALUED):
            part = state.take(np.arange(first, min(first + _VALUED, len(found))))
            where = slice(first, first + len(part.row))
            found[where] = (
                self._expected(policy, part) if self.exact else self._valued(policy, part)
            )
        return found

    def _valued(self, policy: MaskableActorCriticPolicy, state: Any) -> Float64Array:
        values: Float64Array = (
            policy.predict_values(self._seen(policy, state)).flatten().numpy(force=True)
        )
        return values

    def _expected(self, policy: MaskableActorCriticPolicy, state: Any) -> Float64Array:
        """(N,) what the policy earns on average by one more decision."""
        masks = self.task.mask(state)
        policy.get_distribution(self._seen(policy, state), action_masks=masks)
        probs = distribution_of(policy).probs.numpy(force=True)
        return np.where(masks, probs * outcomes(self.task, state, masks).rewards, 0).sum(axis=1)

    def _seen(self, policy: MaskableActorCriticPolicy, state: Any) -> dict[str, th.Tensor]:
        seen = with_corpus(self.task.observe(state, self.obs_type), self.task, self.keys)
        return obs_as_tensor(seen, policy.device)  # type: ignore[return-value]


def distribution_of(policy: MaskableActorCriticPolicy) -> Categorical:
    """The distribution over actions that a policy's last call filled."""
    distribution: Any = policy.action_dist.distribution
    assert isinstance(distribution, Categorical)
    return distribution


def branching_venv(env: Any) -> TaskVectorEnv:
    """The native vector environment behind a Stable-Baselines3 `VecEnv`, whose states branch.

    Raises:
        InvalidArgumentError: There is none, or its corpus has no gold.
    """
    inner = getattr(env, "unwrapped", env)
    venv = getattr(getattr(inner, "venv", None), "unwrapped", None)
    if not isinstance(venv, TaskVectorEnv):
        raise InvalidArgumentError(
            f"env={shown(env)}: rewards of every action come from the native vector environments "
            "of this package: use make_sb3_env."
        )
    venv.task.require_gold("the reward of every action")
    return venv
