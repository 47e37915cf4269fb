"""One right candidate out of several, shown one at a time or all at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlp_gym.tasks.base import Played
from nlp_gym.tasks.checks import check_bool
from nlp_gym.tasks.picking import PickState
from nlp_gym.tasks.selection import Selection
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

ANSWER, CONTINUE = 0, 1


class Browsing(Selection):
    """Candidates one at a time, to ANSWER with or to CONTINUE; or one decision, one of all.

    Browsing, position k of a row shows candidate k; otherwise a row has one position.

    Args:
        browse: Whether candidates are shown one at a time.
        **kwargs: Those of `Selection`.
    """

    def __init__(self, *, browse: bool = True, **kwargs: Any) -> None:
        self.browse = check_bool("browse", browse)
        super().__init__(**kwargs)

    def select(self, *, argument: str, width: int, limit: int = 1) -> None:
        """See `Selection.select`."""
        super().select(argument=argument, width=width, limit=limit)
        each = self._sizes if self.browse else np.ones_like(self._sizes)
        self.offsets: Int64Array = np.cumsum(each) - each
        self.extras = {"left": Extra(1, width - 1)} if self.browse else {}

    @property
    def n_actions(self) -> int:
        """2 or C."""
        return 2 if self.browse else self.n_candidates

    @property
    def lengths(self) -> Int64Array:
        """(N,) choices of each question, or 1."""
        return self._sizes if self.browse else self._limits

    def left(self, state: PickState) -> Int64Array:
        """(B,) choices still to come."""
        return self._sizes.take(state.row) - 1 - self.place(state)

    def extra(self, state: PickState) -> Observation:
        """Choices still to come."""
        return {"left": self.left(state).astype(np.int32)[:, None]} if self.browse else {}

    def mask(self, state: PickState) -> BoolArray:
        """See the class's Action Mask."""
        if not self.browse:
            return super().mask(state)
        legal = np.ones((len(state.row), 2), bool)
        legal[:, CONTINUE] = self.left(state) > 0
        return legal

    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the right choice; browsing, CONTINUE up to it (or, once missed, to the end)."""
        if not self.browse:
            return super().oracle(state)
        self.require_gold("oracle")
        here = self._right[state.row, self.place(state)]
        return np.where(here | (self.left(state) == 0), ANSWER, CONTINUE)

    def play(self, state: PickState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        if self.browse:
            ended = actions == ANSWER
            self.pick(state, self.place(state), ended)
            state.slot += ~ended
        else:
            ended = self.pick(state, actions)
        return (self.potential(state) if self.has_gold else None), 0.0, ended

    def potential(self, state: PickState) -> Float64Array:
        """(B,) 1 where the right candidate was picked."""
        right: BoolArray = np.any(self._right[state.row] & state.chosen, axis=1)
        return right.astype(np.float64)
