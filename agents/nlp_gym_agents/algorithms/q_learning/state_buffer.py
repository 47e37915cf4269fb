"""A replay buffer that keeps states instead of observations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from typing_extensions import override

from nlp_gym.checks import check_int
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Float64Array, Int64Array
from nlp_gym_agents.algorithms.q_learning.priorities import Priorities, importance
from nlp_gym_agents.algorithms.q_learning.replayed_demonstrations import oracle_transitions
from nlp_gym_agents.algorithms.q_learning.transitions import Ahead, Transitions, empty_fields

_MAX_RUN = 2**20
_RESTORED = 4096
"""States that are made anew at a time when a run goes on."""


class Decisions(NamedTuple):
    """B decisions drawn from replay: those of the agent, then those of the oracle.

    Attributes:
        places: (B,) where they are stored, the index of `Transitions.state`.
        n_own: How many are the agent's.
        state: The B states before them.
        actions: (B,) int64.
        weights: (B,) float32 importance weights.
    """

    places: Int64Array
    n_own: int
    state: Any
    actions: Int64Array
    weights: npt.NDArray[np.float32]


class StateReplayBuffer(ReplayBuffer):
    """The last decisions of E environments, as states of their task.

    Args:
        buffer_size: Decisions.
        observation_space: Of the environments; nothing of it is stored.
        action_space: Of the environments.
        device: As for `ReplayBuffer`; states are arrays on the CPU.
        n_envs: Environments E.
        optimize_memory_usage: Without effect.
        task: Whose states are stored.
        run: Decisions that are drawn together, one after the other; see `EpisodeReplayBuffer`.
        share: Share of the oracle's decisions in what is drawn.
        alpha: Exponent of priorities; None: all are drawn equally often.

    Raises:
        InvalidArgumentError: `run` is no whole number from 1.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: th.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        task: Task,
        run: int = 1,
        share: float = 0.0,
        alpha: float | None = None,
    ) -> None:
        BaseBuffer.__init__(
            self, buffer_size, observation_space, action_space, device, n_envs=n_envs
        )
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.task, self.share = task, share
        # Priorities are those of single decisions.
        self.run = check_int("run", run, 1, _MAX_RUN) if alpha is None else 1
        shape = self.buffer_size, n_envs
        self.states = empty_fields(task, shape)
        self.actions = np.zeros(shape, np.int64)
        self.rewards = np.zeros(shape, np.float32)
        self.dones = np.zeros(shape, bool)
        kind = type(task.initial(np.zeros(1, np.int64)))
        self._own = Transitions(task, kind, self.states, self.actions, self.rewards, self.dones)
        self._alpha = alpha
        self._priorities = None if alpha is None else Priorities(shape, alpha)
        if self._priorities is not None:
            self.priorities = self._priorities.powered  # under this name in checkpoints
        self._upcoming: Any = None

    @cached_property
    def demonstrations(self) -> Transitions:
        """The oracle's decisions, collected at first use."""
        return oracle_transitions(self.task)

    @cached_property
    def _shown(self) -> Priorities | None:
        """Priorities of the oracle's decisions."""
        if self._alpha is None:
            return None
        found = Priorities(self.demonstrations.actions.shape, self._alpha)
        found.expect(slice(None))
        return found

    @property
    def whole_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays of a checkpoint that do not grow as the buffer is filled."""
        if not self.share or self._shown is None:
            return {}
        return {"shown": self._shown.powered}

    @property
    def limits(self) -> Mapping[str, int]:
        """The highest number that an array of a checkpoint may have."""
        tables = self.task.tables
        return {
            "states/row": len(self.task.corpus) - 1,
            "states/slot": len(tables.context) - 1,
        }

    def before(self, state: Any) -> None:
        """Say what the state is in which the next decision is made."""
        self._upcoming = state

    @override
    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a decision of each environment; `before` was told the state."""
        state, self._upcoming = self._upcoming, None
        if state is None:
            raise InvalidArgumentError(
                "add() needs the state of the decision: call before(state) first."
            )
        for name, array in self.states.items():
            array[self.pos] = getattr(state, name)
        self.actions[self.pos] = np.asarray(action).reshape(self.n_envs)
        self.rewards[self.pos] = reward
        self.dones[self.pos] = done
        if self._priorities is not None:
            self._priorities.expect((self.pos,))
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0

    @override
    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None, *, beta: float = 1.0
    ) -> Decisions:
        """Draw decisions.

        Args:
            batch_size: Decisions B.
            env: Without effect.
            beta: Of the importance weights, where there are priorities.
        """
        n_shown = round(self.share * batch_size)
        n_own = batch_size - n_shown
        own, own_odds = self._draw(n_own)
        index, state, actions, odds = own, self._own.state(own), self._own.taken(own), own_odds
        if n_shown:
            shown, shown_odds = self._draw_shown(n_shown)
            states = [self._own.state(own), self.demonstrations.state(shown)]
            index, state = np.concatenate([own, shown]), type(states[0]).joined(states)
            actions = np.concatenate([actions, self.demonstrations.taken(shown)])
            odds = np.concatenate([own_odds, shown_odds])
        return Decisions(index, n_own, state, actions, importance(odds, beta))

    def _draw(self, n: int) -> tuple[Int64Array, Float64Array]:
        if self._priorities is not None:
            return self._priorities.draw(n)
        size, runs = self.size(), -(-n // self.run)
        # The generator that Stable-Baselines3 seeds and checkpoints hold.
        step = np.random.randint(0, size, runs)  # noqa: NPY002
        place = np.random.randint(0, self.n_envs, runs)  # noqa: NPY002
        steps = (step[:, None] + np.arange(self.run)) % size
        index = (steps * self.n_envs + place[:, None]).reshape(-1)[:n]
        return index, np.ones(n)

    def _draw_shown(self, n: int) -> tuple[Int64Array, Float64Array]:
        if self._shown is not None:
            return self._shown.draw(n)
        size, runs = len(self.demonstrations.actions), -(-n // self.run)
        first = np.random.randint(0, size, runs)  # noqa: NPY002
        return ((first[:, None] + np.arange(self.run)) % size).reshape(-1)[:n], np.ones(n)

    def ahead(self, drawn: Decisions, *, n_steps: int, gamma: float) -> Ahead:
        """What the decisions that were drawn led to."""
        own, shown = drawn.places[: drawn.n_own], drawn.places[drawn.n_own :]
        newest = self.buffer_size + self.pos - 1 if self.full else self.pos - 1
        left = (newest - own // self.n_envs) % self.buffer_size
        options: dict[str, Any] = {"n_steps": n_steps, "gamma": gamma}
        found = self._own.ahead(own, left=left, **options)
        if not len(shown):
            return found
        other = self.demonstrations.ahead(shown, **options)
        return Ahead(
            np.concatenate([found.rewards, other.rewards]),
            np.concatenate([found.discounts, other.discounts]),
            type(found.state).joined([found.state, other.state]),
            np.concatenate([found.ended, other.ended]),
        )

    def update(self, drawn: Decisions, errors: npt.NDArray[np.floating]) -> None:
        """Set the priorities of what was drawn, where there are any, to its errors (B,)."""
        if self._priorities is not None:
            self._priorities.update(drawn.places[: drawn.n_own], errors[: drawn.n_own])
        if self._shown is not None and self.share:
            self._shown.update(drawn.places[drawn.n_own :], errors[drawn.n_own :])

    def restored(self) -> None:
        """Make anew what in the states was of another process, after they were read."""
        filled = self.size() * self.n_envs
        for first in range(0, filled, _RESTORED):
            index = np.arange(first, min(first + _RESTORED, filled))
            state = self.task.restored(self._own.state(index))
            for name, array in self.states.items():
                array.reshape(-1, *array.shape[2:])[index] = getattr(state, name)
