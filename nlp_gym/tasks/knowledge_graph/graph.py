"""Graphs to walk on: padded tables of outgoing edges, known facts, shortest paths.

Axis letters: E entities, R relations, F facts, C edges shown per entity (NO-OP first), B walkers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.memory import check_memory
from nlp_gym.types import BoolArray

Ints = npt.NDArray[np.int64]
_CHUNK = 256
_NEVER = 127


@dataclass(frozen=True)
class Graph:
    """Directed edges of facts, forth and back, as padded tables.

    Relation r of a fact gives the edges r (head to tail) and R + r (tail to head); 2R is NO-OP, the
    edge of every entity to itself at place 0.

    Attributes:
        facts: (F, 3) int64 distinct (head, relation, tail).
        n_entities: E; entities without a fact have NO-OP alone.
        n_relations: R.
        relation: (E, C) int32 relation of each edge; -1 where there is none.
        target: (E, C) int32 where each edge leads; -1 where there is none.
    """

    facts: Ints
    n_entities: int
    n_relations: int
    relation: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]

    @classmethod
    def build(cls, facts: Ints, n_entities: int, n_relations: int, max_degree: int) -> Graph:
        """Tables of the facts with at most `max_degree` edges per entity.

        Where an entity has more, those to the targets with the most edges are kept (equal ones: the
        smaller numbers of relation and target): as MultiHopKG (Lin et al. 2018) keeps those of high
        PageRank, since hubs lead on to most places. The kept edges are in order of relation, then
        target.
        """
        facts = np.unique(np.asarray(facts, np.int64).reshape(-1, 3), axis=0)
        head, relation, tail = facts.T
        source = np.concatenate([head, tail])
        kind = np.concatenate([relation, relation + n_relations])
        target = np.concatenate([tail, head])
        degree = np.bincount(source, minlength=n_entities)
        kept = np.lexsort((target, kind, -degree[target], source))
        kept = kept[_places(source[kept], degree) < max_degree]
        kept = kept[np.lexsort((target[kept], kind[kept], source[kept]))]
        source, kind, target = source[kept], kind[kept], target[kept]
        shown = np.bincount(source, minlength=n_entities)
        width = 1 + int(shown.max(initial=0))
        size = 2 * n_entities * width * np.dtype(np.int32).itemsize
        check_memory("max_degree", max_degree, 2 * size, f"a table of {n_entities:,} entities")
        tables = np.full((2, n_entities, width), -1, np.int32)
        tables[0, :, 0], tables[1, :, 0] = 2 * n_relations, np.arange(n_entities)
        places = 1 + _places(source, shown)
        tables[0, source, places], tables[1, source, places] = kind, target
        return cls(facts, n_entities, n_relations, tables[0], tables[1])

    @property
    def width(self) -> int:
        """Edges C in a row of the tables, NO-OP included."""
        return int(self.relation.shape[1])

    def place(self, source: Ints, relation: Ints, target: Ints) -> Ints:
        """(n,) place of an edge among those shown of its source; -1: it is not shown."""
        places = np.full(len(source), -1)
        for start in range(0, len(source), _CHUNK):
            part = slice(start, start + _CHUNK)
            kinds, targets = (x.take(source[part], axis=0) for x in (self.relation, self.target))
            found = (kinds == relation[part, None]) & (targets == target[part, None])
            at = np.flatnonzero(found.any(axis=1) & (target[part] >= 0))
            places[start + at] = found[at].argmax(axis=1)
        return places

    @cached_property
    def incoming(self) -> Any:
        """(E, E) sparse float32: entry (t, s) counts the edges shown that lead from s to t."""
        from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

        source, place = np.nonzero(self.target[:, 1:] >= 0)
        ones = np.ones(len(source), np.float32)
        shape = (self.n_entities, self.n_entities)
        return csr_matrix((ones, (self.target[source, place + 1], source)), shape=shape)

    def distances(self, goals: Ints, hidden: Ints, hops: int) -> npt.NDArray[np.int8]:
        """(B, E) hops from every entity to each goal, at most `hops`; hops + 1: farther.

        Args:
            goals: (B,) entities; -1: nowhere.
            hidden: (B,) entities of which one edge to the goal may not be used; -1: none.
            hops: The longest path.
        """
        near = np.full((len(goals), self.n_entities), hops + 1, np.int8)
        rows = np.flatnonzero(goals >= 0)
        goal, hide = goals[rows], hidden[rows]
        reached = self.incoming[goal]
        for hop in range(1, hops + 1):
            if hop > 1:
                reached = reached @ self.incoming
            at = np.repeat(np.arange(len(rows)), np.diff(reached.indptr))
            if hop == 1:
                reached.data[reached.indices == hide[at]] -= 1
            # A shortest path leaves no goal behind, so it cannot take a hidden edge on its way.
            reached.data[reached.indices == goal[at]] = 0
            there = reached.data > 0
            where = rows[at[there]], reached.indices[there]
            near[where] = np.minimum(near[where], hop)
            reached.eliminate_zeros()
        near[rows, goal] = 0
        return near

    def towards(
        self, goals: Ints, hidden: Ints, places: Ints, left: Ints, legal: BoolArray
    ) -> Ints:
        """(B,) the legal edge on a shortest path to each goal, the first of equal ones.

        Args:
            goals: (B,) entities; -1: nowhere.
            hidden: As in `distances`.
            places: (B,) where walkers stand.
            left: (B,) hops they have left.
            legal: (B, C) edges they may take.

        Returns:
            NO-OP where it is the way, or no way is short enough; the first legal edge where NO-OP
            is not legal.
        """
        chosen = np.zeros(len(goals), np.int64)
        for start in range(0, len(goals), _CHUNK):
            part = slice(start, start + _CHUNK)
            hops = max(int(left[part].max()) - 1, 0)
            near = self.distances(goals[part], hidden[part], hops)
            target = self.target.take(places[part], axis=0)
            far = np.take_along_axis(near, np.maximum(target, 0), axis=1)
            far[~legal[part]] = _NEVER
            best = far.argmin(axis=1)
            reached = far[np.arange(len(far)), best] < np.maximum(left[part], 1)
            chosen[part] = np.where(reached, best, legal[part].argmax(axis=1))
        return chosen


def _places(groups: Ints, sizes: Ints) -> Ints:
    """0, 1, 2, ... within each run of the sorted `groups`, which holds g `sizes[g]` times."""
    starts = np.cumsum(sizes) - sizes
    places: Ints = np.arange(len(groups)) - starts[groups]
    return places
