"""Rules of a mixture: every rule is that of the task each episode plays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.tasks.base import Output, Played, State, Task
from nlp_gym.tasks.mixture import MixedState, Mixture
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation


class DispatchTask(Task):
    """A task whose rows are samples of other tasks.

    Attributes:
        tasks: The tasks.
        which: (N,) task of each row.
        local: (N,) sample of that task.
        mixture: Their units and tables.
    """

    tasks: Sequence[Task]
    which: Int64Array
    local: Int64Array
    mixture: Mixture

    @property
    def n_actions(self) -> int:
        """Most actions of any task."""
        return max(task.n_actions for task in self.tasks)

    @property
    def n_positions(self) -> int:
        """See `Task.n_positions`."""
        return max(task.n_positions for task in self.tasks)

    @cached_property
    def _kinds(self) -> list[type[State]]:
        return [type(task.initial(np.zeros(0, np.int64))) for task in self.tasks]

    def initial(self, rows: Int64Array) -> MixedState:
        """See `Task.initial`."""
        arrays = {**self.blank(rows), "played": np.zeros((len(rows), self.n_actions), np.int32)}
        arrays["last"] = arrays["played"].copy()
        for k, task in enumerate(self.tasks):
            local = np.where(self.which[rows] == k, self.local[rows], 0)
            arrays |= {f"{k}/{name}": a for name, a in vars(task.initial(local)).items()}
        return MixedState(**arrays)

    def _parts(self, state: MixedState) -> Iterator[tuple[int, Task, Int64Array, State]]:
        """(k, task, episodes that play it, their state) for each task that is played."""
        which = self.which[state.row]
        for k, task in enumerate(self.tasks):
            at = np.flatnonzero(which == k)
            if len(at):
                yield k, task, at, state.part(k, self._kinds[k], at)

    def _collect(self, state: MixedState, out: Any, rule: str) -> Any:
        """`out` (B, ...) filled with what a rule of each task gives for its episodes."""
        for _, task, at, part in self._parts(state):
            out[at] = getattr(task, rule)(part)
        return out

    def mask(self, state: MixedState) -> BoolArray:
        """See `Task.mask`."""
        legal = np.zeros((len(state.row), self.n_actions), bool)
        for _, task, at, part in self._parts(state):
            legal[at, : task.n_actions] = task.mask(part)
        return legal

    def repair(self, state: MixedState, actions: Int64Array, illegal: BoolArray) -> Int64Array:
        """As the task that is played repairs; for an action it does not have, its first one."""
        played = actions.copy()
        for _, task, at, part in self._parts(state):
            own = np.where(actions[at] < task.n_actions, actions[at], 0)
            bad = task.illegal(part, own)
            played[at] = task.repair(part, own, bad) if bad.any() else own
        return played

    def play(self, state: MixedState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        b = len(actions)
        right, cost, ended = np.zeros(b), np.zeros(b), np.zeros(b, bool)
        for k, task, at, part in self._parts(state):
            good, cost[at], ended[at] = task.play(part, actions[at])
            right[at] = 0.0 if good is None else good
            state.put_part(k, at, part)
            state.slot[at] = part.slot + self.mixture.slots[k]
        state.last[:] = 0
        for seen in (state.last, state.played):
            seen[np.arange(b), actions] = 1
        return right if self.has_gold else None, cost, ended

    def potential(self, state: MixedState) -> Float64Array:
        """See `Task.potential`."""
        return np.asarray(self._collect(state, np.zeros(len(state.row)), "potential"))

    def oracle(self, state: MixedState) -> Int64Array:
        """See `Task.oracle`."""
        return np.asarray(self._collect(state, np.zeros(len(state.row), np.int64), "oracle"))

    def extra(self, state: MixedState) -> Observation:
        """The last action and all so far."""
        return {"last": state.last.copy(), "played": state.played.copy()}

    def outputs(self, state: MixedState) -> list[Output]:
        """See `Task.outputs`: what the task that is played gives."""
        outputs: list[Output] = [None] * len(state.row)
        for _, task, at, part in self._parts(state):
            for place, output in zip(at, task.outputs(part), strict=True):
                outputs[place] = output
        return outputs

    def frame(self, state: MixedState, i: int) -> Any:
        """The frame of the task that is played."""
        k, at = int(self.which[state.row[i]]), np.array([i])
        return self.tasks[k].frame(state.part(k, self._kinds[k], at), 0)
