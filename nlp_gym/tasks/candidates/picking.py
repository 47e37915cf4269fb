"""Tasks that pick among the candidates of a row: one, or one after the other without repeats."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.data.text.hash_order import hash_ranker
from nlp_gym.tasks.core.kinds import UnitTask
from nlp_gym.tasks.core.task import State
from nlp_gym.types import BoolArray, Int64Array


@dataclass
class PickState(State):
    """State of B episodes in which candidates are picked.

    Attributes:
        chosen: (B, C) bool candidates picked so far.
        picked: (B, P) int16 the same in the order of picking, P the most picks; -1: none.
        count: (B,) int64 picks so far.
    """

    chosen: BoolArray
    picked: npt.NDArray[np.int16]
    count: Int64Array


class PickTask(UnitTask):
    """Base class of the tasks whose actions 0 to C-1 are the candidates of the row.

    Each candidate can be picked once. Action C, where `stop` says so, ends the episode; it is legal
    once something was picked. Subclasses call `set_candidates` when they are made.
    """

    stop: ClassVar[bool] = False
    """Whether action C is STOP."""

    def set_candidates(self, sizes: Any, width: int, limits: Any) -> None:
        """Declare the candidates.

        Args:
            sizes: (N,) candidates of each row.
            width: C, at least the largest of `sizes`.
            limits: (N,) or a number, most picks of an episode; cut to `sizes`.
        """
        self._sizes: Int64Array = np.asarray(sizes, np.int64)
        self._limits: Int64Array = np.minimum(self._sizes, limits)
        self._there: BoolArray = np.arange(width) < self._sizes[:, None]  # (N, C)

    @property
    def n_candidates(self) -> int:
        """Number C of candidates that a row has room for."""
        return int(self._there.shape[1])

    @property
    @override
    def n_actions(self) -> int:
        """C, and one more with STOP."""
        return self.n_candidates + self.stop

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) most picks; STOP comes in place of one."""
        return self._limits

    @abc.abstractmethod
    def texts(self, row: int) -> list[str]:
        """The candidates of a row in the order shown."""

    @override
    def action_text(self, state: Any, i: int, action: int) -> str:
        """The text of the candidate."""
        if action == self.n_candidates:
            return "STOP"
        row = int(state.row[i])
        return self.texts(row)[action] if action < self._sizes[row] else ""

    @override
    def initial(self, rows: Int64Array) -> Any:
        b = len(rows)
        return PickState(
            **self.state_fields(rows),
            chosen=np.zeros((b, self.n_candidates), bool),
            picked=np.full((b, int(self._limits.max())), -1, np.int16),
            count=np.zeros(b, np.int64),
        )

    @override
    def mask(self, state: Any) -> BoolArray:
        """(B, A): candidates not picked yet; STOP after a pick. If all are picked, any again."""
        there = self._there.take(state.row, axis=0)
        free: BoolArray = there & ~state.chosen
        if self.stop:
            return np.concatenate([free, (state.count > 0)[:, None]], axis=1)
        none = state.count >= self._sizes.take(state.row)
        return free | (there & none[:, None]) if none.any() else free

    def pick(self, state: Any, places: Int64Array, picks: BoolArray | None = None) -> BoolArray:
        """Note the candidates picked, in place.

        Args:
            state: B episodes.
            places: (B,) candidates.
            picks: (B,) False where nothing is picked; None: everywhere.

        Returns:
            (B,) whether the episode has no pick left.
        """
        at = np.arange(len(places)) if picks is None else picks.nonzero()[0]
        place, count = places.take(at), state.count.take(at)
        turn = np.minimum(count, state.picked.shape[1] - 1)
        state.chosen[at, place] = True
        state.picked[at, turn] = place
        state.count[at] = count + 1
        ended: BoolArray = state.count >= self._limits.take(state.row)
        return ended

    def picks(self, state: Any) -> list[list[int]]:
        """Candidates picked in each of the B episodes, in order."""
        counts = np.minimum(state.count, state.picked.shape[1])
        picked: list[list[int]] = state.picked.tolist()
        return [some[:n] for some, n in zip(picked, counts.tolist(), strict=True)]


def shuffled(
    words: Sequence[str], candidates: Sequence[Sequence[str]], seed: int | None
) -> list[int]:
    """An order of candidates in which a place says nothing: by their hash with the row's text.

    Args:
        words: The row's text.
        candidates: Words of each candidate.
        seed: Other seeds give other orders; None keeps the given one.

    Returns:
        Indices of the candidates; equal ones stay in their given order.
    """
    if seed is None:
        return list(range(len(candidates)))
    rank = hash_ranker(seed, words)
    return sorted(range(len(candidates)), key=lambda i: rank(candidates[i]))
