"""The state of a mixture of tasks: the arrays of every task, and the parts that tasks play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.tasks.core.task import State, Task
from nlp_gym.types import Int64Array

_SHARED = frozenset(field.name for field in fields(State))


@dataclass
class Part:
    """The episodes of a mixture that play one task.

    Attributes:
        number: Which of the tasks it is, k.
        task: The task.
        where: (b,) places of the episodes in the mixture.
        state: Their state, in which rows and slots are those of the task.
    """

    number: int
    task: Task
    where: Int64Array
    state: Any


class MixedState(State):
    """State of a mixture: the arrays of `State`, and for task k what it adds, named ``k/name``.

    Of those, only the arrays of the task that an episode plays mean something.

    Attributes:
        last: (B, A) int8, 1 at the last action.
        played: (B, A) int8, 1 at every action so far.
    """

    last: npt.NDArray[np.int8]
    played: npt.NDArray[np.int8]
    # Beside the arrays, so that it is neither taken, put nor saved with them.
    __slots__ = ("parts",)
    parts: list[Part] | None
    """What `MultiTask.parts` made of this state: several rules ask for it at every step."""

    def __init__(self, **arrays: npt.NDArray[Any]) -> None:
        vars(self).update(arrays)
        self.parts = None

    @override
    def put(self, indices: Any, other: MixedState) -> None:
        super().put(indices, other)
        self.parts = None

    def __getstate__(self) -> dict[str, npt.NDArray[Any]]:
        return vars(self)

    def __setstate__(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        vars(self).update(arrays)
        self.parts = None

    def taken(self, names: Mapping[str, str], where: Int64Array) -> dict[str, npt.NDArray[Any]]:
        """What the state of one task has of the episodes at `where`, besides rows and slots.

        Args:
            names: Of the arrays that the task adds, by their names here.
            where: (b,) places of the episodes.
        """
        arrays = vars(self)
        own = {name: arrays[here].take(where, axis=0) for here, name in names.items()}
        return {"value": self.value.take(where), "cost": self.cost.take(where), **own}

    def put_back(self, names: Mapping[str, str], part: Part) -> None:
        """Write down what a task changed in the state of `part`; see `taken`."""
        arrays, changed = vars(self), vars(part.state)
        for here, name in names.items():
            arrays[here][part.where] = changed[name]


def mixed_names(number: int, state: State) -> dict[str, str]:
    """Names of the arrays that task k adds to `State`, by their names in the mixture.

    Args:
        number: Of the task, k.
        state: One of its states.
    """
    return {f"{number}/{name}": name for name in vars(state) if name not in _SHARED}
