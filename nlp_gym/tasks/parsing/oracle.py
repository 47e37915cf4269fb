"""What transitions cost: gold arcs that can no longer be made (Goldberg and Nivre 2012, 2013).

An arc of the gold tree is within reach while its words can still meet. In a projective tree all
arcs that are within reach one by one are so together, in both systems (Goldberg and Nivre 2013), so
the arcs that a transition puts out of reach are what the best tree loses by it. The root is counted
as an arc too: it stays within reach while it is in the buffer or at the bottom of the stack. For
trees that are not projective the counts are an approximation from below.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.parsing.transitions import (
    LEFT,
    REDUCE,
    RIGHT,
    SHIFT,
    ArcHybrid,
    Front,
    ParsingState,
    System,
)
from nlp_gym.types import BoolArray, Int64Array, IntArray, Sample

FORBIDDEN = 1 << 20
"""Cost of a transition that is not legal."""

_PREFERENCE = {SHIFT: 2, REDUCE: 3, LEFT: 4, RIGHT: 5}
"""Order of kinds of the same cost, after arcs of the gold tree, of which left ones come first."""


class GoldTrees:
    """The gold trees of a corpus, and what is known of every word of them.

    Args:
        samples: They have heads (`gold`, from 1, 0 for the root) and relations (`labels`).
        relations: The L relations; others are -1.
        system: The transition system.

    Attributes:
        heads: (words + 1,) place of each word's head in its sentence, -1 for the root; the last
            entry, W, stands for no word.
        relations: (words + 1,) index of each word's relation.
    """

    def __init__(self, samples: Sequence[Sample], relations: Sequence[str], system: System) -> None:
        self._system, none = system, system.none
        lengths = np.fromiter((len(sample.words) for sample in samples), np.int64, len(samples))
        self._begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        index = {name: i for i, name in enumerate(relations)}
        n = int(self._begins[-1])
        flat = (head - 1 for sample in samples for head in sample.gold)
        self.heads = np.append(np.fromiter(flat, np.int64, n), none)
        names = (index.get(name, -1) for sample in samples for name in sample.labels or ())
        self.relations = np.append(np.fromiter(names, np.int64, n), -1)
        # Dependents on the right of each word, as sorted numbers: how many lie at a place or
        # further on is the difference of two places in this list.
        row = np.repeat(np.arange(len(samples)), lengths)
        place = np.arange(n) - self._begins[row]
        head = self.heads[:-1]
        right = (head >= 0) & (head < place)
        self._span = none + 1
        self._right = np.sort((self._begins[row] + head)[right] * self._span + place[right])

    def words(self, rows: Int64Array, places: IntArray) -> Int64Array:
        """(B,) numbers of words in `heads` and `relations`; W gives the last."""
        return np.where(places < self._system.none, self._begins.take(rows) + places, -1)

    def dependents_from(self, rows: Int64Array, words: IntArray, place: Int64Array) -> Int64Array:
        """(B,) gold dependents of `words` (B,) at `place` (B,) or further on."""
        key = self.words(rows, words) * self._span
        ahead = self._right.searchsorted(key + place)
        return np.where(key < 0, 0, self._right.searchsorted(key + self._span) - ahead)

    def kinds(self, state: ParsingState, front: Front) -> Int64Array:
        """(B, 4) arcs that each kind of transition puts out of reach, the label being right.

        What is not legal costs `FORBIDDEN`.
        """
        system, none = self._system, self._system.none
        hybrid = isinstance(system, ArcHybrid)
        b, s0, b0 = front.b, front.s0, front.b0
        rows = state.row
        top = self.heads.take(self.words(rows, s0))
        next_word = self.heads.take(self.words(rows, b0))
        costs = np.empty((len(b), 4), np.int64)
        after = self.dependents_from(rows, s0, b0)
        in_buffer = (top > b0) & (top < none)
        is_bottom = state.depth == 1
        costs[:, LEFT] = in_buffer + after + ((top == -1) & is_bottom)
        on_stack = (next_word >= 0) & (next_word < b0) & ~state.gone[b, next_word]
        waiting = state.waiting[b, b0]
        root = next_word == -1
        costs[:, SHIFT] = waiting + (root & (state.depth > 0))
        if hybrid:
            costs[:, LEFT] += (top == front.s1) & (front.s1 < none)
            costs[:, RIGHT] = after + (in_buffer | (top == b0))
            costs[:, SHIFT] += on_stack & (next_word != s0)
        else:
            costs[:, SHIFT] += on_stack
            ahead = (next_word > b0) & (next_word < none)
            costs[:, RIGHT] = waiting + root + ahead + (on_stack & (next_word != s0))
        costs[:, REDUCE] = after
        costs[~system.legal.take(system.code(state, front), axis=0)] = FORBIDDEN
        return costs

    def arcs(self, state: ParsingState, front: Front) -> tuple[Int64Array, BoolArray]:
        """Dependents of the arcs that could be made, and whether the gold has them.

        Returns:
            (B, 2) numbers of the words that LEFT-ARC and RIGHT-ARC give a head, as in `words`, and
            (B, 2) whether that is the gold one.
        """
        rows, hybrid = state.row, isinstance(self._system, ArcHybrid)
        top = self.words(rows, front.s0)
        under = top if hybrid else self.words(rows, front.b0)
        above = front.s1 if hybrid else front.s0
        words = np.stack([top, under], axis=1)
        heads = self.heads.take(words)
        there = (heads >= 0) & (heads < self._system.none)
        right = np.stack([heads[:, 0] == front.b0, heads[:, 1] == above], axis=1)
        return words, right & there

    def choose(self, state: ParsingState, front: Front, *, static: bool) -> tuple[IntArray, ...]:
        """(B,) kinds that the expert plays, and (B,) relations, those of the gold.

        Of the cheapest it takes an arc of the gold first, then SHIFT, REDUCE and arcs that are
        wrong. The static oracle does not count: it plays a gold arc, SHIFT where that loses
        nothing, and else REDUCE.
        """
        costs = self.kinds(state, front)
        words, right = self.arcs(state, front)
        order = costs * 8
        for kind, place in _PREFERENCE.items():
            order[:, kind] += place
        order[:, LEFT] -= _PREFERENCE[LEFT] * right[:, 0]
        order[:, RIGHT] -= (_PREFERENCE[RIGHT] - 1) * right[:, 1]
        if static:
            order = np.where(costs < FORBIDDEN, self._canonical(costs, right), 8)
        kinds = order.argmin(axis=1)
        found = words[front.b, (kinds == RIGHT).astype(np.int64)]
        return kinds, np.maximum(self.relations.take(found), 0)

    def _canonical(self, costs: Int64Array, right: BoolArray) -> npt.NDArray[np.int64]:
        """(B, 4) order of kinds for the static oracle."""
        order = np.empty_like(costs)
        order[:, LEFT] = np.where(right[:, 0], 0, 6)
        order[:, RIGHT] = np.where(right[:, 1], 1, 5)
        order[:, SHIFT] = np.where(costs[:, SHIFT] == 0, 2, 4)
        order[:, REDUCE] = 3
        if isinstance(self._system, ArcHybrid):  # bottom-up: the word has its own dependents
            order[:, RIGHT] = np.where(right[:, 1] & (costs[:, RIGHT] == 0), 1, 5)
            order[:, SHIFT] = 2
        return order
