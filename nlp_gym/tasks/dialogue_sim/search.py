"""Queries of the table of entities; what was asked before is remembered."""

from __future__ import annotations

import numpy as np

from nlp_gym.tasks.dialogue_sim.acts import FIRST_VALUE, NONE
from nlp_gym.tasks.dialogue_sim.world import World
from nlp_gym.types import Int32Array, Int64Array

_MOST = 2**15
"""Queries that are remembered; then all are forgotten."""


class Queries:
    """Answers to queries, by what was asked.

    Users of one service ask for the same things over and over: a query is looked up by the bytes of
    its intent and values, and only a new one goes to the table.

    Args:
        world: Has the table.
        results: Entities R of an answer that are kept.
    """

    def __init__(self, world: World, results: int) -> None:
        self.world, self.results = world, results
        self._forget()

    def _forget(self) -> None:
        self._number: dict[bytes, int] = {}
        self._found = np.empty((64, self.results + 1), np.int64)

    def search(self, intent: Int64Array, belief: Int32Array) -> tuple[Int64Array, Int64Array]:
        """As `World.search` of the first R entities."""
        asked = np.empty((len(intent), belief.shape[1] + 1), np.int32)
        asked[:, 0] = intent
        asked[:, 1:] = np.where(self.world.inside[intent] & (belief >= FIRST_VALUE), belief, NONE)
        keys = asked.view(f"V{asked.itemsize * asked.shape[1]}").ravel().tolist()
        if not self._number.keys() >= set(keys):
            self._ask(asked, keys)
        numbers = np.fromiter(map(self._number.__getitem__, keys), np.int64, len(keys))
        answers: Int64Array = self._found.take(numbers, axis=0)
        return answers[:, :-1], answers[:, -1]

    def _ask(self, asked: Int32Array, keys: list[bytes]) -> None:
        """Let the table answer what is new."""
        if len(self._number) > _MOST:
            self._forget()
        new = {key: place for place, key in enumerate(keys) if key not in self._number}
        places, first = np.array(list(new.values())), len(self._number)
        found, count = self.world.search(asked[places, 0], asked[places, 1:], self.results)
        self._number |= dict(zip(new, range(first, first + len(new)), strict=True))
        if len(self._number) > len(self._found):
            more = np.empty((max(len(self._found), len(new)), self.results + 1), np.int64)
            self._found = np.concatenate([self._found, more])
        self._found[first : first + len(new), :-1] = found
        self._found[first : first + len(new), -1] = count
