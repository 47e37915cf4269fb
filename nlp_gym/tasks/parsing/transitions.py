"""Transition systems: what a stack, a buffer and arcs become, over B sentences at once.

A word is a place in its sentence, from 0. Arrays have one column more than the longest sentence W
has words: column W stands for no word, so that what is not there is read and written like the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.tasks.core.tables import index_type
from nlp_gym.tasks.core.task import State
from nlp_gym.types import BoolArray, Int64Array, IntArray

SHIFT, REDUCE, LEFT, RIGHT = range(4)
"""Kinds of transitions."""
KINDS = ("shift", "reduce", "left-arc", "right-arc")

_BELOW = 3
"""Columns of the stack below its first word, which hold no word: of a stack that is not deep, the
second and third word are read as well."""

_BUFFER = 6
"""What a buffer that is not empty adds to `ParsingState.code`."""

Small = npt.NDArray[np.signedinteger[Any]]


@dataclass
class ParsingState(State):
    """State of B sentences; W as in the module, L relations.

    Attributes:
        stack: (B, W+5) words on the stack: the bottom is column 3, the top column `depth` + 2.
        depth: (B,) int64 words on the stack.
        front: (B,) int64 first word of the buffer; W: it is empty.
        code: (B,) int64 which transitions are legal, see `System.code`.
        heads: (B, W+1) head of each word: a place, W while it has none, -1 for the root.
        relations: (B, W+1) relation of each word to its head; L: none.
        first: (B, W+1) leftmost dependent of each word so far, on its left; W: none.
        last: (B, W+1) rightmost dependent of each word so far, on its right; W: none.
        gone: (B, W+1) bool words that were taken off the stack.
        linked: (B, W+1) of a word in the buffer how many of its gold dependents are on the stack
            without a head, of the others how many of those on the right have been read.
        counts: (B, 2) int32 words whose head is right, and those whose relation is right as well.
    """

    stack: Small
    depth: Int64Array
    front: Int64Array
    code: Int64Array
    heads: Small
    relations: Small
    first: Small
    last: Small
    gone: BoolArray
    linked: Small
    counts: npt.NDArray[np.int32]


class Front(NamedTuple):
    """Where B episodes are: words that the next transition is about; W for none.

    Attributes:
        b: (B,) numbers of the episodes.
        s0: (B,) top of the stack.
        s1: (B,) word below it.
        b0: (B,) first word of the buffer.
        headed: (B,) whether s0 has a head.
    """

    b: Int64Array
    s0: IntArray
    s1: IntArray
    b0: Int64Array
    headed: BoolArray


class System:
    """A transition system over sentences of at most W words, with L relations.

    Args:
        longest: W.
        n_relations: L.
    """

    kinds: ClassVar[tuple[int, ...]]
    """Kinds of transitions there are, in the order of the actions."""

    def __init__(self, longest: int, n_relations: int) -> None:
        self.none, self.n_relations = longest, n_relations
        self.place_type, self.relation_type = index_type(longest + 2), index_type(n_relations + 1)
        self.legal = np.array([self._legal(code) for code in range(2 * _BUFFER)])
        """(12, 4) which kinds are legal, by the number that `code` gives."""

    def fields(self, b: int) -> dict[str, Any]:
        """The fields of `ParsingState` besides those of `State`, for B fresh episodes."""
        width, place = self.none + 1, self.place_type
        return {
            "stack": np.full((b, width + _BELOW + 1), self.none, place),
            "depth": np.zeros(b, np.int64),
            "front": np.zeros(b, np.int64),
            "code": np.full(b, _BUFFER),
            "heads": np.full((b, width), self.none, place),
            "relations": np.full((b, width), self.n_relations, self.relation_type),
            "first": np.full((b, width), self.none, place),
            "last": np.full((b, width), self.none, place),
            "gone": np.zeros((b, width), bool),
            "linked": np.zeros((b, width), place),
            "counts": np.zeros((b, 2), np.int32),
        }

    def stacked(self, state: ParsingState, below: int) -> IntArray:
        """(B,) words of the stack that have `below` (0, 1 or 2) words above them."""
        return values_at(state.stack, state.depth + (_BELOW - 1 - below))

    def bottom(self, state: ParsingState) -> IntArray:
        """(B,) words at the bottom of the stack."""
        return state.stack[:, _BELOW]

    def look(self, state: ParsingState) -> Front:
        """Where the episodes are."""
        s0, s1 = self.stacked(state, 0), self.stacked(state, 1)
        return Front(np.arange(len(s0)), s0, s1, state.front, state.code // 3 % 2 == 1)

    def code(self, state: ParsingState) -> Int64Array:
        """(B,) which row of `legal` holds: the stack's depth to 2, a head of its top, a buffer."""
        headed = values_at(state.heads, self.stacked(state, 0)) != self.none
        code: Int64Array = np.minimum(state.depth, 2) + 3 * headed
        code += _BUFFER * (state.front < self.none)
        return code

    def ends(self, state: ParsingState) -> BoolArray:
        """(B,) whether the episodes are over."""
        raise NotImplementedError

    def arc(self, kind: Int64Array, front: Front) -> tuple[IntArray, IntArray]:
        """(B,) heads and (B,) dependents of the arcs that transitions make; W where none."""
        raise NotImplementedError

    def takes(self, kind: Int64Array) -> BoolArray:
        """(B,) whether transitions take a word off the stack."""
        raise NotImplementedError

    def pushes(self, kind: Int64Array) -> BoolArray:
        """(B,) whether transitions put the buffer's first word on the stack."""
        raise NotImplementedError

    def apply(
        self,
        state: ParsingState,
        kind: Int64Array,
        relation: Int64Array,
        front: Front,
        lengths: Int64Array,
    ) -> tuple[BoolArray, IntArray, IntArray]:
        """Play legal transitions, changing `state` in place but for its slots.

        Args:
            state: B episodes.
            kind: (B,) kinds.
            relation: (B,) relations of the arcs that are made; L where none is.
            front: Where the episodes are.
            lengths: (B,) words of their sentences.

        Returns:
            (B,) whether the buffer's first word is taken, and `arc` of the transitions.
        """
        b, none = front.b, self.none
        head, word = self.arc(kind, front)
        state.heads[b, word] = head
        state.relations[b, word] = relation
        to_left = kind == LEFT
        state.first[b, np.where(to_left, head, none)] = np.where(to_left, word, none)
        to_right = kind == RIGHT
        state.last[b, np.where(to_right, head, none)] = np.where(to_right, word, none)
        takes, pushes = self.takes(kind), self.pushes(kind)
        state.gone[b, np.where(takes, front.s0, none)] = True
        state.depth += pushes
        state.depth -= takes
        top = np.where(pushes, state.depth + (_BELOW - 1), state.stack.shape[1] - 1)
        state.stack[b, top] = np.where(pushes, front.b0, none)
        after = front.b0 + pushes
        state.front = np.where(after < lengths, after, none)
        state.code = self.code(state)
        return pushes, head, word

    def _legal(self, code: int) -> list[bool]:
        """Which kinds are legal, by what `code` counts."""
        deep, headed, buffer = code % 3, code // 3 % 2 == 1, code // _BUFFER == 1
        return self.legal_kinds(deep, headed=headed, buffer=buffer)

    def legal_kinds(self, deep: int, *, headed: bool, buffer: bool) -> list[bool]:
        """Which of the kinds are legal.

        Args:
            deep: Words on the stack, 2 for more.
            headed: Whether the top has a head.
            buffer: Whether the buffer has a word.
        """
        raise NotImplementedError


class ArcEager(System):
    """Arc-eager (Nivre 2003, 2008): a word gets its head as soon as both are in reach.

    SHIFT puts b0 on the stack; RIGHT-ARC does so and makes s0 its head; LEFT-ARC makes b0 the head
    of s0 and takes s0 off; REDUCE takes s0 off, which has a head. An episode ends with the buffer.
    """

    kinds = (SHIFT, REDUCE, LEFT, RIGHT)

    @override
    def legal_kinds(self, deep: int, *, headed: bool, buffer: bool) -> list[bool]:
        return [
            buffer,
            deep > 0 and headed,
            buffer and deep > 0 and not headed,
            buffer and deep > 0,
        ]

    @override
    def ends(self, state: ParsingState) -> BoolArray:
        return np.asarray(state.front == self.none)

    @override
    def arc(self, kind: Int64Array, front: Front) -> tuple[IntArray, IntArray]:
        left, right = kind == LEFT, kind == RIGHT
        head = np.where(left, front.b0, np.where(right, front.s0, self.none))
        return head, np.where(left, front.s0, np.where(right, front.b0, self.none))

    @override
    def takes(self, kind: Int64Array) -> BoolArray:
        return np.asarray((kind == LEFT) | (kind == REDUCE))

    @override
    def pushes(self, kind: Int64Array) -> BoolArray:
        return np.asarray((kind == SHIFT) | (kind == RIGHT))


class ArcHybrid(System):
    """Arc-hybrid (Kuhlmann et al. 2011): bottom-up, a word gets its head after its dependents.

    SHIFT puts b0 on the stack; LEFT-ARC makes b0 the head of s0, RIGHT-ARC makes s1 that, and both
    take s0 off. An episode ends where the buffer is empty and one word is left.
    """

    kinds = (SHIFT, LEFT, RIGHT)

    @override
    def legal_kinds(self, deep: int, *, headed: bool, buffer: bool) -> list[bool]:
        return [buffer, False, buffer and deep > 0, deep > 1]

    @override
    def ends(self, state: ParsingState) -> BoolArray:
        return np.asarray((state.front == self.none) & (state.depth == 1))

    @override
    def arc(self, kind: Int64Array, front: Front) -> tuple[IntArray, IntArray]:
        left, right = kind == LEFT, kind == RIGHT
        head = np.where(left, front.b0, np.where(right, front.s1, self.none))
        return head, np.where(left | right, front.s0, self.none)

    @override
    def takes(self, kind: Int64Array) -> BoolArray:
        return np.asarray(kind != SHIFT)

    @override
    def pushes(self, kind: Int64Array) -> BoolArray:
        return np.asarray(kind == SHIFT)


def values_at(values: npt.NDArray[Any], places: IntArray) -> npt.NDArray[Any]:
    """(B,) one value of each of B rows, or (B, n) several."""
    starts = _starts(*values.shape)
    if places.ndim > 1:
        starts = starts[:, None]
    return values.take(starts + places)


@lru_cache(maxsize=16)
def _starts(rows: int, width: int) -> Int64Array:
    """(rows,) where each row begins in the flat array."""
    return np.arange(rows) * width


SYSTEMS: dict[str, type[System]] = {"arc-eager": ArcEager, "arc-hybrid": ArcHybrid}
