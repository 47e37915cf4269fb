"""Roll-ins: states that a learner comes to, with what the oracle would do there.

A roll-in plays texts to their ends and keeps what was seen, the oracle's action at each state and
what the path earned. Rules are deterministic, so that a roll-in is its texts and its actions: these
are saved with a checkpoint, and the states are made again from them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import obs_as_tensor
from typing_extensions import override

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import play, side_by_side
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData, compact, obs_type_of
from nlp_gym_agents.networks.features.open_corpora import with_corpus
from nlp_gym_agents.networks.policies.dueling import action_scores

BATCH = 512
"""Texts that are played side by side."""


@dataclass(frozen=True)
class VisitedData(OracleData):
    """M states that were come to, as tensors on the CPU; `actions` are the oracle's.

    Attributes:
        tried: (M, K) int64 actions whose values are known, or K of 0.
        values: (M, K) float32 discounted reward from there on of each of them; minus infinity for
            a place that is not used.
    """

    tried: th.Tensor
    values: th.Tensor

    @classmethod
    def of(cls, data: OracleData) -> VisitedData:
        """The oracle's decisions as states whose actions have no values."""
        n = len(data)
        tried = th.zeros(n, 0, dtype=th.int64)
        seen, rest = data.observations, (data.actions, data.rewards, data.returns)
        return cls(seen, *rest, tried, th.zeros(n, 0))

    @override
    def take(self, index: th.Tensor, device: th.device) -> VisitedData:
        chosen = (getattr(self, name)[index].to(device) for name in _TENSORS)
        seen = {key: value[index].to(device) for key, value in self.observations.items()}
        return VisitedData(seen, *chosen)


_TENSORS = tuple(item.name for item in fields(VisitedData) if item.name != "observations")


def joined(parts: Sequence[OracleData]) -> OracleData:
    """Data sets one after the other, of one kind."""
    if len(parts) == 1:
        return parts[0]
    kind = type(parts[0])
    names = [item.name for item in fields(kind) if item.name != "observations"]
    seen = {key: th.cat([p.observations[key] for p in parts]) for key in parts[0].observations}
    return kind(seen, *(th.cat([getattr(part, name) for part in parts]) for name in names))


class Decision(NamedTuple):
    """What is done and kept at B states.

    Attributes:
        actions: (B,) what is played.
        labels: (B,) the oracle's actions.
        keep: (B,) which of the states are kept.
        more: Further arrays of the states that are kept, by field of `VisitedData`.
    """

    actions: Int64Array
    labels: Int64Array
    keep: BoolArray
    more: Mapping[str, npt.NDArray[Any]] = {}


Decide = Callable[[Any, Observation, BoolArray], Decision]
"""From the state of B episodes, the observation and the (B, A) mask to a `Decision`."""


def roll_in(
    task: Task, rows: Int64Array, decide: Decide, *, gamma: float, keys: Container[str]
) -> tuple[VisitedData, Int64Array]:
    """Play texts to their ends.

    Args:
        task: It has gold.
        rows: (n,) samples.
        decide: What is played and kept.
        gamma: Discount of the returns.
        keys: Keys of the observations to keep.

    Returns:
        The states that were kept, and all actions that were played, in their order.
    """
    parts: list[Mapping[str, Any]] = []
    played: list[Int64Array] = []
    for places in side_by_side(task.lengths[rows], BATCH):
        own, steps = rows[places], _Steps(task, decide, keys)
        rewards, where = [], []
        for step in play(task, own, steps):
            rewards.append(step.rewards.astype(np.float32))
            where.append(step.place)
        ahead = np.zeros(len(own), np.float32)
        returns: list[npt.NDArray[np.float32]] = []
        for place, earned in zip(reversed(where), reversed(rewards), strict=True):
            ahead[place] = earned + gamma * ahead[place]
            returns.append(ahead[place])
        for seen, decision, earned, later in zip(
            steps.seen, steps.decisions, rewards, reversed(returns), strict=True
        ):
            played.append(decision.actions)
            kept: dict[str, Any] = {"actions": decision.labels, "rewards": earned}
            kept["returns"] = later
            keep = decision.keep
            part: dict[str, Any] = {name: array[keep] for name, array in kept.items()}
            part["observations"] = {key: compact(array)[keep] for key, array in seen.items()}
            parts.append({**part, **decision.more})
    return _data(parts), np.concatenate(played).astype(np.int32)


def _data(parts: Sequence[Mapping[str, Any]]) -> VisitedData:
    def whole(arrays: Iterable[npt.NDArray[Any]]) -> th.Tensor:
        return th.from_numpy(np.concatenate(list(arrays)))

    first: Mapping[str, Any] = parts[0]
    seen = {key: whole(p["observations"][key] for p in parts) for key in first["observations"]}
    found = {name: whole(p[name] for p in parts) for name in first if name != "observations"}
    empty = {"tried": th.int64, "values": th.float32}
    n = len(found["actions"])
    rest = {name: th.zeros(n, 0, dtype=dtype) for name, dtype in empty.items()}
    return VisitedData(seen, **{**rest, **found})


class _Steps:
    """Decides, and remembers what was seen and decided."""

    def __init__(self, task: Task, decide: Decide, keys: Container[str]) -> None:
        self.task, self.decide, self.keys = task, decide, keys
        self.seen: list[Observation] = []
        self.decisions: list[Decision] = []

    def __call__(self, state: Any, place: Int64Array) -> Int64Array:
        seen, mask = seen_by(self.task, state, self.keys)
        decision = self.decide(state, seen, mask)
        self.seen.append(seen)
        self.decisions.append(decision)
        return decision.actions


def seen_by(task: Task, state: Any, keys: Container[str]) -> tuple[Observation, BoolArray]:
    """Observations of B episodes, and (B, A) masks, for a policy whose observations have `keys`."""
    seen, mask = task.views.observe_with_mask(state, obs_type_of(keys))
    return with_corpus(seen, task, keys), mask


class Learner:
    """What a policy holds of every legal action.

    Args:
        policy: An actor-critic policy; it is put into evaluation mode.
    """

    def __init__(self, policy: BasePolicy) -> None:
        self.policy = policy

    @th.no_grad()
    def scores(self, seen: Observation, mask: BoolArray) -> npt.NDArray[np.float32]:
        """(B, A) logits, minus infinity where an action is illegal or not there."""
        self.policy.set_training_mode(False)
        tensors = cast("dict[str, th.Tensor]", obs_as_tensor(seen, self.policy.device))
        found = action_scores(self.policy, tensors, mask)
        assert found is not None
        scores: npt.NDArray[np.float32] = found.float().cpu().numpy()
        return scores


def completed(
    task: Task, state: Any, gamma: float, decide: Callable[[Any], Int64Array]
) -> Float64Array:
    """Play B running episodes to their ends.

    Args:
        task: The rules.
        state: The episodes, none at its end; it is changed in place.
        gamma: Discount.
        decide: From a state to (B,) actions.

    Returns:
        (B,) discounted sum of the rewards from there on.
    """
    place, factor = np.arange(len(state.row)), 1.0
    earned = np.zeros(len(place))
    while len(place):
        rewards, ended = task.transition(state, decide(state))
        earned[place] += factor * rewards
        factor *= gamma
        if ended.any():
            state, place = state.take(~ended), place[~ended]
    return earned


def finds_a_way(task: Task, state: Any) -> BoolArray:
    """(B,) whether an episode ends with a metric above 0 if the oracle goes on from here.

    Args:
        task: The rules.
        state: B running episodes, which stay as they are.
    """
    place = np.arange(len(state.row))
    state, found = state.take(place), np.zeros(len(place), bool)
    while len(place):
        _, ended = task.transition(state, task.oracle(state))
        if ended.any():
            found[place[ended]] = task.potential(state.take(ended)) > 0
            state, place = state.take(~ended), place[~ended]
    return found


def check_rolls_in(task: Task, algo: str) -> None:
    """Refuse a task whose oracle does not know what to do off its own path.

    Raises:
        InvalidArgumentError: Texts are written: their oracle names the token that the reference has
            at a place, whatever was written before it.
    """
    if task.writes:
        raise InvalidArgumentError(
            f"algo={algo!r} asks the oracle what to do where the learner came to, and a written "
            "text's reference does not say how to go on after other words: use bc, and then "
            "maskable_ppo with --warm-start."
        )
