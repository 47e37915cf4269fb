"""Walks on a graph from the heads of queries, batched; no texts in here.

Axis letters: B walks, N queries, T hops, C edges shown of an entity, R relations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlp_gym.tasks.core.task import State
from nlp_gym.tasks.knowledge_graph.graph import Graph
from nlp_gym.tasks.knowledge_graph.triples import KnownFacts, NameNumbers, Triples
from nlp_gym.types import BoolArray, Int64Array, Sample


@dataclass
class WalkState(State):
    """Walks; `slot` is the entity where each stands.

    Attributes:
        hop: (B,) int64 hops made.
        path: (B, T) int32 relations taken; 2R + 1: not yet.
        trail: (B, T) int64 entities reached; -1: not yet.
        legal: (B, C) bool edges that can be taken now.
    """

    hop: Int64Array
    path: Any
    trail: Int64Array
    legal: BoolArray


class Walks:
    """Rules of walking: which edges are legal, where they lead, which lead to the answer.

    Args:
        facts: Triples of the graph.
        numbers: Of their names and those of the queries.
        samples: The queries.
        hops: Edges T taken.
        max_degree: Most edges shown of an entity.
        training: Whether the queried edges are hidden.

    Attributes:
        graph: The graph with its edges forth and back.
        head: (N,) entity each query starts at.
        relation: (N,) relation asked for.
        goal: (N,) answer; -1: there is none, or none that the graph has.
    """

    def __init__(
        self,
        facts: Triples,
        numbers: NameNumbers,
        samples: Sequence[Sample],
        *,
        hops: int,
        max_degree: int,
        training: bool,
    ) -> None:
        triples = numbers.facts(facts)
        n_entities = len(numbers.entities)
        self.hops = hops
        self.graph = Graph.build(triples, n_entities, numbers.n_relations, max_degree)
        self.nothing = 2 * numbers.n_relations + 1
        self._known = KnownFacts(triples, numbers)
        columns = numbers.queries(samples).T.copy()  # `take` is slow on strided arrays
        self.head, self.relation, self.goal = columns
        # What is hidden depends on the gold in training alone: a dev or test triple that the graph
        # has too is treated as any known answer is, or its mask would tell it from the others.
        stated = self._known.hold(self.head, self.relation, self.goal) & (self.goal >= 0)
        self._stated = stated & training
        own = np.where(self._stated, self.goal, -1)
        self._own = self.graph.place(self.head, self.relation, own)  # -1 too if it is not shown
        self._there = self.graph.target >= 0

    def start(self, fields: dict[str, Any]) -> WalkState:
        """Walks that stand at their heads; `fields` are those of `State`."""
        b = len(fields["row"])
        fields = {**fields, "slot": self.head.take(fields["row"]), "hop": np.zeros(b, np.int64)}
        path = np.full((b, self.hops), self.nothing, np.int32)
        trail = np.full((b, self.hops), -1)
        legal = np.zeros((b, self.graph.width), bool)
        state = WalkState(**fields, path=path, trail=trail, legal=legal)
        state.legal = self._legal(state)
        return state

    def _legal(self, state: WalkState) -> BoolArray:
        """(B, C) edges that can be taken."""
        row = state.row
        legal: BoolArray = self._there.take(state.slot, axis=0)
        own = self._own.take(row)
        at = np.flatnonzero((own >= 0) & (state.slot == self.head.take(row)))
        legal[at, own[at]] = False
        last = np.flatnonzero(state.hop == self.hops - 1)
        if len(last):
            # flatnonzero is several times as fast as nonzero of two axes
            walk, edge = np.divmod(np.flatnonzero(legal[last]), self.graph.width)
            walk = last[walk]
            query, target = row[walk], self.graph.target[state.slot[walk], edge]
            known = self._known.hold(self.head.take(query), self.relation.take(query), target)
            known &= (target != self.goal.take(query)) | ~self._stated.take(query)
            legal[walk[known], edge[known]] = False
            legal[:, 0] |= ~legal.any(axis=1)
        return legal

    def step(self, state: WalkState, actions: Int64Array) -> BoolArray:
        """Take edges, changing `state` in place; gives (B,) whether a walk has ended."""
        b = np.arange(len(actions))
        edge = state.slot * self.graph.width + actions
        state.path[b, state.hop] = self.graph.relation.take(edge)
        state.slot = self.graph.target.take(edge).astype(np.int64)
        state.trail[b, state.hop] = state.slot
        state.hop += 1
        state.legal = self._legal(state)
        ended: BoolArray = state.hop == self.hops
        return ended

    def arrived(self, state: WalkState) -> BoolArray:
        """(B,) whether a walk stands on its answer and has not just begun."""
        there: BoolArray = (state.slot == self.goal.take(state.row)) & (state.hop > 0)
        return there

    def best(self, state: WalkState) -> Int64Array:
        """(B,) an edge on a shortest path to the answer, see `Graph.towards`."""
        goal, own, head = (x.take(state.row) for x in (self.goal, self._own, self.head))
        hidden = np.where(own >= 0, head, -1)
        return self.graph.towards(goal, hidden, state.slot, self.hops - state.hop, state.legal)
