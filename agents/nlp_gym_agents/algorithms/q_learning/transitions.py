"""Decisions that are stored as states of a task, and what they led to n steps later.

A `State` is a handful of index arrays. Observations, masks and successors are made of it when they
are needed, so that a stored decision takes tens of bytes whatever is observed of it, and the reward
of every other action can still be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.task import State, Task
from nlp_gym.types import BoolArray, Int64Array

Arrays = dict[str, npt.NDArray[Any]]
"""The fields of a `State` by name."""


def empty_fields(task: Task, shape: tuple[int, ...]) -> Arrays:
    """Room for the states of `shape` decisions of a task."""
    one = vars(task.initial(np.zeros(1, np.int64)))
    return {name: np.zeros((*shape, *a.shape[1:]), a.dtype) for name, a in one.items()}


def state_bytes(task: Task) -> int:
    """Bytes that a stored decision takes: its state, action, reward and end."""
    one = vars(task.initial(np.zeros(1, np.int64)))
    return sum(array.nbytes for array in one.values()) + 8 + 4 + 1


class Ahead(NamedTuple):
    """What B stored decisions led to, up to n steps later.

    Attributes:
        rewards: (B,) float32 discounted sum of what was earned on the way.
        discounts: (B,) float32 what a value at `state` is worth today: gamma ** steps.
        state: The B episodes after the last of these steps.
        ended: (B,) bool whether they have ended, so that nothing follows.
    """

    rewards: npt.NDArray[np.float32]
    discounts: npt.NDArray[np.float32]
    state: Any
    ended: BoolArray


@dataclass
class Transitions:
    """Decisions in T steps of E episodes side by side, in the order in which they were made.

    Attributes:
        task: Whose states they are.
        kind: Class of the states.
        states: Fields of the state before each decision, (T, E, ...).
        actions: (T, E) int64.
        rewards: (T, E) float32.
        dones: (T, E) bool, True where the next step is of another episode.
    """

    task: Task
    kind: type[State]
    states: Arrays
    actions: Int64Array
    rewards: npt.NDArray[np.float32]
    dones: BoolArray

    def state(self, index: Int64Array) -> Any:
        """State before the decisions at `index` (B,), where t * E + e is step t of episode e."""
        return self.kind(**{name: self._flat(a).take(index, axis=0) for name, a in self._fields()})

    def _fields(self) -> Any:
        return self.states.items()

    @staticmethod
    def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])

    def taken(self, index: Int64Array) -> Int64Array:
        """(B,) actions."""
        return self.actions.reshape(-1).take(index)

    def ahead(
        self, index: Int64Array, *, n_steps: int, gamma: float, left: Int64Array | None = None
    ) -> Ahead:
        """What follows the decisions at `index` (B,).

        The state after the last step is played anew from the one before it (transitions have no
        chance in them), so that no successor is stored, and an episode that was only cut short goes
        on where it was cut.

        Args:
            index: As for `state`.
            n_steps: Most steps; there are fewer where an episode ends, or nothing newer is stored.
            gamma: Discount.
            left: (B,) steps that are stored after each decision; None: as many as are wanted.
        """
        steps, episodes = self.actions.shape
        rewards = np.zeros(len(index), np.float32)
        discounts = np.ones(len(index), np.float32)
        last = index.copy()
        going = np.ones(len(index), bool)
        for k in range(n_steps):
            where = (index + k * episodes) % (steps * episodes)
            if left is not None:
                going &= left >= k
            last[going] = where[going]
            rewards[going] += discounts[going] * self.rewards.reshape(-1)[where[going]]
            discounts[going] *= np.float32(gamma)
            going &= ~self.dones.reshape(-1)[where]
        after, _, ended = self.task.branch(self.state(last), self.taken(last)[:, None])
        return Ahead(rewards, discounts, after, ended[:, 0])
