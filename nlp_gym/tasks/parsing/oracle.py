"""What transitions cost: gold arcs that can no longer be made (Goldberg and Nivre 2012, 2013).

An arc of the gold tree is within reach while its words can still meet. In a projective tree all
arcs that are within reach one by one are so together, in both systems (Goldberg and Nivre 2013), so
the arcs that a transition puts out of reach are what the best tree loses by it. The root is counted
as an arc too: it stays within reach while it is in the buffer or at the bottom of the stack. For
trees that are not projective the counts are an approximation from below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
    values_at,
)
from nlp_gym.types import BoolArray, Int64Array, IntArray, Sample

FORBIDDEN = 1 << 20
"""Cost of a transition that is not legal."""

_PREFERENCE = {SHIFT: 2, REDUCE: 3, LEFT: 4, RIGHT: 5}
"""Order of kinds of the same cost, after arcs of the gold tree, of which left ones come first."""


class GoldFront(NamedTuple):
    """What the gold says of the words of a `Front`, (B,) each.

    Attributes:
        top: Head of s0: a place, -1 for the root, W where there is no word.
        word: Head of b0.
        ahead: Dependents of s0 that are in the buffer.
        top_word: Number of s0, which LEFT-ARC gives a head, see `GoldTrees.words`.
        dependent: Number of the word that RIGHT-ARC gives a head.
        left: Whether the arc of LEFT-ARC is one of the gold, relation apart.
        right: Whether that of RIGHT-ARC is.
    """

    top: Int64Array
    word: Int64Array
    ahead: Int64Array
    top_word: Int64Array
    dependent: Int64Array
    left: BoolArray
    right: BoolArray


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
        begin = np.repeat(self._begins[:-1], lengths)
        head = self.heads[:-1]
        of_right = (head >= 0) & (head < np.arange(n) - begin)
        self._on_right = np.bincount((begin + head)[of_right], minlength=n + 1)

    def words(self, rows: Int64Array, places: IntArray) -> Int64Array:
        """(B,) numbers of words in `heads` and `relations`; W gives the last."""
        return np.where(places < self._system.none, self._begins.take(rows) + places, -1)

    def look(self, state: ParsingState, front: Front) -> GoldFront:
        """What the gold says of the words that the next transitions are about."""
        top, word = self.words(state.row, front.s0), self.words(state.row, front.b0)
        top_head, word_head = self.heads.take(top), self.heads.take(word)
        left = (top_head == front.b0) & (top_head < self._system.none)
        if isinstance(self._system, ArcHybrid):
            dependent, right = top, (top_head == front.s1) & (top_head < self._system.none)
        else:
            dependent, right = word, (word_head == front.s0) & (word_head < self._system.none)
        ahead = self._on_right.take(top) - values_at(state.linked, front.s0)
        return GoldFront(top_head, word_head, ahead, top, dependent, left, right)

    def read(self, state: ParsingState, front: Front, gold: GoldFront, kind: Int64Array) -> None:
        """Note what transitions do to the arcs that are within reach, before they are played.

        Args:
            state: B episodes; `linked` is changed.
            front: Where they are.
            gold: What the gold says of it.
            kind: (B,) what is played.
        """
        system, b, none = self._system, front.b, self._system.none
        pushes = system.pushes(kind)
        # A word that is taken off without a head no longer waits for its own in the buffer.
        leaves = system.takes(kind) & ~front.headed & (gold.top >= front.b0) & (gold.top < none)
        linked = state.linked  # column W takes what is about no word, and is not read
        linked[b, np.where(leaves, gold.top, none)] -= 1
        linked[b, np.where(pushes, front.b0, none)] = 0
        behind = (gold.word >= 0) & (gold.word < front.b0)
        waits = (kind == SHIFT) & (gold.word > front.b0)
        linked[b, np.where(pushes & (behind | waits), gold.word, none)] += 1

    def kinds(self, state: ParsingState, front: Front, gold: GoldFront) -> Int64Array:
        """(B, 4) what `lost_arcs` gives; what is not legal costs `FORBIDDEN`."""
        costs = self.lost_arcs(state, front, gold)
        costs[~self._system.legal.take(state.code, axis=0)] = FORBIDDEN
        return costs

    def lost_arcs(self, state: ParsingState, front: Front, gold: GoldFront) -> Int64Array:
        """(B, 4) arcs that each kind of transition puts out of reach, the relation being right."""
        system, none, b0 = self._system, self._system.none, front.b0
        costs = np.empty((len(b0), 4), np.int64)
        top, word, ahead = gold.top, gold.word, gold.ahead
        in_buffer = (top > b0) & (top < none)
        costs[:, LEFT] = ahead + in_buffer + ((top == -1) & (state.depth == 1))
        on_stack = (word >= 0) & (word < b0) & ~values_at(state.gone, word)
        waiting, root = values_at(state.linked, b0), word == -1
        costs[:, SHIFT] = waiting + (root & (state.depth > 0))
        if isinstance(system, ArcHybrid):
            costs[:, LEFT] += gold.right
            costs[:, RIGHT] = ahead + (in_buffer | gold.left)
            costs[:, SHIFT] += on_stack & (word != front.s0)
        else:
            costs[:, SHIFT] += on_stack
            later = (word > b0) & (word < none)
            costs[:, RIGHT] = waiting + (root | later | (on_stack & ~gold.right))
        costs[:, REDUCE] = ahead
        return costs

    def choose(self, state: ParsingState, front: Front, *, static: bool) -> tuple[IntArray, ...]:
        """(B,) kinds that the expert plays, and (B,) relations, those of the gold.

        Of the cheapest it takes an arc of the gold first, then SHIFT, REDUCE and arcs that are
        wrong. The static oracle does not count: it plays a gold arc, SHIFT where that loses
        nothing, and else REDUCE.
        """
        gold = self.look(state, front)
        costs = self.kinds(state, front, gold)
        order = costs * 8
        for kind, place in _PREFERENCE.items():
            order[:, kind] += place
        order[:, LEFT] -= _PREFERENCE[LEFT] * gold.left
        order[:, RIGHT] -= (_PREFERENCE[RIGHT] - 1) * gold.right
        if static:
            order = np.where(costs < FORBIDDEN, self._canonical(costs, gold), 8)
        kinds = order.argmin(axis=1)
        found = np.where(kinds == LEFT, gold.top_word, gold.dependent)
        return kinds, np.maximum(self.relations.take(found), 0)

    def _canonical(self, costs: Int64Array, gold: GoldFront) -> npt.NDArray[np.int64]:
        """(B, 4) order of kinds for the static oracle."""
        order = np.empty_like(costs)
        order[:, LEFT] = np.where(gold.left, 0, 6)
        order[:, RIGHT] = np.where(gold.right, 1, 5)
        order[:, SHIFT] = np.where(costs[:, SHIFT] == 0, 2, 4)
        order[:, REDUCE] = 3
        if isinstance(self._system, ArcHybrid):  # bottom-up: the word has its own dependents
            order[:, RIGHT] = np.where(gold.right & (costs[:, RIGHT] == 0), 1, 5)
            order[:, SHIFT] = 2
        return order
