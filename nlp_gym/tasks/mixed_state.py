"""The state of a mixture of tasks: one state of each, of which a rule takes what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.base import State
from nlp_gym.types import Int64Array


class MixedState(State):
    """State of a mixture: which task each episode plays, and one state of each task.

    Arrays of task k are called ``k/name``; only those of the task that is played mean something.

    Attributes:
        last: (B, A) int32, 1 at the last action.
        played: (B, A) int32, 1 at every action so far.
    """

    last: npt.NDArray[np.int32]
    played: npt.NDArray[np.int32]

    def __init__(self, **arrays: npt.NDArray[Any]) -> None:
        vars(self).update(arrays)

    def part(self, k: int, kind: type[Part], where: Int64Array) -> Any:
        """The state of task k in the episodes at `where`; `kind` is `part_of` its class."""
        return kind(vars(self), k, where)

    def put_part(self, k: int, where: Int64Array, state: Any) -> None:
        """Put back what `part` gave."""
        for name, array in vars(state).items():
            if not name.startswith("_"):
                vars(self)[f"{k}/{name}"][where] = array


class Part:
    """Episodes of one task, whose arrays are taken from the mixture's when a rule asks for them.

    Most rules read two or three of a state's arrays, and every step applies several rules.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], k: int, where: Int64Array) -> None:
        self._arrays, self._k, self._where = arrays, k, where

    def take(self, indices: Int64Array) -> Any:
        """As `State.take`."""
        return type(self)(self._arrays, self._k, self._where[indices])

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        try:
            whole = self._arrays[f"{self._k}/{name}"]
        except KeyError:
            raise AttributeError(name) from None
        array = whole.take(self._where, axis=0)
        setattr(self, name, array)
        return array


def part_of(kind: type[State]) -> type[Part]:
    """A `Part` that has the methods of a class of states."""
    return type(kind.__name__, (Part, kind), {})
