"""The state of a mixture of tasks: one state of each, of which a rule takes what it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.task import State
from nlp_gym.types import Int64Array

_SHARED = frozenset(field.name for field in fields(State))


class MixedState(State):
    """State of a mixture: which task each episode plays, and what each task adds to `State`.

    Arrays of task k are called ``k/name``; only those of the task that is played mean something.

    Attributes:
        last: (B, A) int8, 1 at the last action.
        played: (B, A) int8, 1 at every action so far.
    """

    last: npt.NDArray[np.int8]
    played: npt.NDArray[np.int8]
    # Beside the arrays, so that it is neither taken, put nor saved with them.
    __slots__ = ("parts",)
    parts: list[Any] | None
    """What `DispatchTask.parts` made of this state: several rules ask for it at every step."""

    def __init__(self, **arrays: npt.NDArray[Any]) -> None:
        vars(self).update(arrays)
        self.parts = None

    def put(self, indices: Any, other: MixedState) -> None:
        """As `State.put`."""
        super().put(indices, other)
        self.parts = None

    def __getstate__(self) -> dict[str, npt.NDArray[Any]]:
        return vars(self)

    def __setstate__(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        vars(self).update(arrays)
        self.parts = None

    def put_part(self, part: Part) -> None:
        """Put back what the task changed in `part`, which was made of this state."""
        for name in part.own:
            if name in vars(part):
                vars(self)[f"{part.task_number}/{name}"][part.where] = vars(part)[name]


class Part:
    """Episodes of one task, whose arrays are taken from the mixture's when a rule asks for them.

    Most rules read one or two of a state's arrays, and every step applies several rules.

    Args:
        arrays: Those of the mixture.
        task_number: Of the task, k.
        where: (b,) places of the episodes in the mixture.
        row: (b,) samples of the task that are played.
        slot: (b,) places in the task's tables.
    """

    own: ClassVar[Sequence[str]]
    """Names of the arrays that the task adds to `State`."""

    def __init__(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        task_number: int,
        where: Int64Array,
        *,
        row: Int64Array,
        slot: Int64Array,
    ) -> None:
        self.arrays, self.task_number, self.where = arrays, task_number, where
        self.row, self.slot = row, slot

    def take(self, indices: Int64Array) -> Any:
        """As `State.take`."""
        row, slot, where = self.row[indices], self.slot[indices], self.where[indices]
        return type(self)(self.arrays, self.task_number, where, row=row, slot=slot)

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        try:
            whole = self.arrays[f"{self.task_number}/{name}"]
        except KeyError:
            raise AttributeError(name) from None
        array = whole.take(self.where, axis=0)
        setattr(self, name, array)
        return array


def own_arrays(state: State) -> dict[str, npt.NDArray[Any]]:
    """The arrays that a task adds to `State`; the others a mixture has once for all tasks."""
    return {name: array for name, array in vars(state).items() if name not in _SHARED}


def part_of(state: State) -> type[Part]:
    """A `Part` that has the methods of a task's states, of which `state` is one."""
    kind = type(state)
    return type(kind.__name__, (Part, kind), {"own": tuple(own_arrays(state))})
