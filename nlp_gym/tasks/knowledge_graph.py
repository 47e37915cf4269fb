"""Knowledge graphs: walk from the head of a query along edges to its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import Ranking
from nlp_gym.tasks.base import Output, Played, State
from nlp_gym.tasks.checks import check_int
from nlp_gym.tasks.facts import Known, Numbers
from nlp_gym.tasks.graph import Graph
from nlp_gym.tasks.kinds import UnitTask
from nlp_gym.tasks.tables import Tables
from nlp_gym.tasks.views import Extra
from nlp_gym.tasks.walks import (
    Answers,
    all_answers,
    edge_names,
    filtered_ranks,
    graph_facts,
    name_units,
    walk_pieces,
)
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame

MOST_RELATIONS = 499
"""A graph with more relations shows no `path`: one-hot vectors of it would be too wide."""


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


class KnowledgeGraph(UnitTask):
    """Question answering on a knowledge graph as a decision process (MINERVA, Das et al. 2018).

    ## Description
    For a query (head, relation, ?) the agent starts at the head and takes T edges of the graph, or
    stays (NO-OP); where it stands at the end is its answer. Rules and evaluation are those of
    MINERVA's published code, except for the order in which edges are dropped.

    ## Data
    Triples `head<TAB>relation<TAB>tail`, CSV or JSONL; labels of entities in `entity_labels.tsv`
    beside them. The graph holds the triples of the *training* split, R relations, each edge also
    backwards (`inverse of ...`). Of an entity with more than `max_degree` edges those to the
    targets with the most edges are shown. A row whose own triple is in the graph (all training
    rows) is played without that edge. Tails are asked for, not heads, as in MINERVA.

    ## Observation Space
    `Dict`, with A = C actions, T = `hops`, R relations, D = width of the encoder, L = length of a
    row of ids:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the edge can be taken |
    | features | `hop` | (T+1,) | float32 | hops made, one-hot |
    | features | `path` | (T*(2R+2),) | float32 | relations taken, one-hot; the last class: not yet |
    | features | `context` | (3*D,) | float32 | relation and head of the query, current entity |
    | features | `candidates` | (A, 2*D) | float32 | relation and target of each edge, 0: no edge |
    | tokens | `input_ids`, `attention_mask` | (3, L) | int32, int8 | sub-words of the same names |
    | tokens | `candidate_ids`, `candidate_mask` | (A, 2*L) | int32, int8 | likewise |
    | tokens, index | `hop`, `path` | (1,), (T,) | int32 | numbers; relations R+r are inverse, 2R is NO-OP |
    | index | `row`, `position` | (1,) | int32 | query, and current entity |

    A graph of 500 relations and more has no `path`.

    ## Action Space
    `Discrete(A)`: NO-OP, then the edges of the current entity, at most `max_degree`.

    ## Action Mask
    Edges that are there. At the last hop, entities that the graph already has as answers of the
    query are forbidden (as in MINERVA; all of them known: NO-OP). A forbidden action is played as
    the first legal one and costs 1/8.

    ## Rewards
    - `correctness` (default): 1 at the end on the right answer, else 0.
    - `metric`: change of "stands on the right answer" (0 before the first hop).
    - `sparse`: 1 at the end on the right answer.

    Illegal actions cost 1/8 each, at once, or with `sparse` at the end; without gold these costs
    are all there is. The `metric` rewards of an episode sum to its `sparse` reward exactly.

    ## Starting State
    The head of a query drawn uniformly, or of `reset(options={"row": i})`.

    ## Episode End
    `terminated` after T hops. Never `truncated`, unless a step limit is asked for.

    ## Metric
    MRR (`mrr`) with Hits@1, 3 and 10, filtered: other right answers of train, dev and test are taken
    out of the ranking. Outputs are entities, best first: the one of a greedy walk, or those of a
    beam search (100 walks, an entity counts with its best one). What is not reached has rank 0.

    ## Information
    `info["action_mask"]`; at the end, with gold, `info["score"]`: 1 on the right answer.

    ## Arguments
    Those of `Task`; `hops` (3): T; `max_degree` (200); `graph` (None): another source of the graph,
    in any form of `data`, of which the training split is taken.

    ## Registered Ids
    `KnowledgeGraph-WN18RR-v0`, `KnowledgeGraph-FB15k237-v0`, `KnowledgeGraph-v0`

    ## Version History
    * v0: initial version.
    """

    family = "kg"
    metric_name = "mrr"
    exact_oracle = False
    beam = 100
    """Walks kept by the beam search of the official evaluation."""

    def __init__(
        self, *, hops: int = 3, max_degree: int = 200, graph: Any = None, **kwargs: Any
    ) -> None:
        self.hops = check_int("hops", hops, 1, 16)
        check_int("max_degree", max_degree, 1, 10_000)
        super().__init__(**kwargs)
        triples, self._labels = graph_facts(self, graph, kwargs)
        self.numbers = Numbers.of(triples, self.corpus.samples)
        facts = self.numbers.facts(triples)
        self.names = list(self.numbers.entities)
        self.graph = Graph.build(facts, len(self.names), self.numbers.n_relations, max_degree)
        self._known = Known(facts, self.numbers)
        self._head, self._relation, self._goal = self.numbers.queries(self.corpus.samples).T
        stated = self._known.holds(self._head, self._relation, self._goal[:, None])[:, 0]
        self._own = np.where(stated, self._goal, -1)
        self._none = 2 * self.graph.n_relations + 1
        self.extras = {"hop": Extra(1, self.hops)}
        if self.graph.n_relations <= MOST_RELATIONS:
            self.extras["path"] = Extra(self.hops, self._none)

    @property
    def n_actions(self) -> int:
        """Edges C shown of an entity, NO-OP included."""
        return self.graph.width

    @property
    def lengths(self) -> Int64Array:
        """(N,) hops."""
        return np.full(len(self.corpus), self.hops)

    @cached_property
    def tables(self) -> Tables:
        """A slot is an entity, whatever the row."""
        entity, edge, asked = name_units(self._texts, self.numbers, self._labels)
        kind, target = self.graph.relation, self.graph.target
        edges = np.stack([edge.take(kind), entity.take(target)], axis=2)
        edges[target < 0] = -1
        return Tables.build(
            len(self._texts.texts),
            offsets=np.zeros(len(self.corpus), np.int64),
            context=entity[:, None],
            row_units=np.stack([asked.take(self._relation), entity.take(self._head)], axis=1),
            candidates=edges,
            by="slot",
        )

    def initial(self, rows: Int64Array) -> WalkState:
        """See `Task.initial`."""
        shape = (len(rows), self.hops)
        blank = {**self.blank(rows), "slot": self._head.take(rows), "hop": np.zeros(len(rows), int)}
        path, trail = np.full(shape, self._none, np.int32), np.full(shape, -1)
        legal = np.zeros((len(rows), self.n_actions), bool)
        state = WalkState(**blank, path=path, trail=trail, legal=legal)
        state.legal = self._legal(state)
        return state

    def _legal(self, state: WalkState) -> BoolArray:
        """(B, C) edges that can be taken."""
        row, entity = state.row, state.slot
        target = self.graph.target.take(entity, axis=0)
        legal: BoolArray = target >= 0
        head, asked, own = (x.take(row) for x in (self._head, self._relation, self._own))
        at = np.flatnonzero((entity == head) & (own >= 0))
        kind = self.graph.relation.take(head[at], axis=0)
        legal[at] &= (kind != asked[at, None]) | (target[at] != own[at, None])
        last = np.flatnonzero(state.hop == self.hops - 1)
        if len(last):
            known = self._known.holds(head[last], asked[last], target[last])
            legal[last] &= ~known | (target[last] == own[last, None])
            legal[:, 0] |= ~legal.any(axis=1)
        return legal

    def mask(self, state: WalkState) -> BoolArray:
        """See `Task.mask`."""
        return state.legal.copy()

    def play(self, state: WalkState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        b = np.arange(len(actions))
        edge = state.slot * self.n_actions + actions
        state.path[b, state.hop] = self.graph.relation.take(edge)
        state.slot = self.graph.target.take(edge).astype(np.int64)
        state.trail[b, state.hop] = state.slot
        state.hop += 1
        ended: BoolArray = state.hop == self.hops
        state.legal = self._legal(state)
        right = ended & (state.slot == self._goal.take(state.row)) if self.has_gold else None
        return None if right is None else right.astype(np.float64), 0.0, ended

    def potential(self, state: WalkState) -> Float64Array:
        """See `Task.potential`."""
        right = (state.slot == self._goal.take(state.row)) & (state.hop > 0)
        return right.astype(np.float64)

    def oracle(self, state: WalkState) -> Int64Array:
        """(B,) an edge on a shortest path to the answer; NO-OP there, and where no path leads."""
        self.require_gold("oracle")
        goal, own, head = (x.take(state.row) for x in (self._goal, self._own, self._head))
        hidden = np.where(own >= 0, head, -1)
        left = self.hops - state.hop
        return self.graph.towards(goal, hidden, state.slot, left, state.legal)

    def extra(self, state: WalkState) -> Observation:
        """Hops made and relations taken."""
        seen = {"hop": state.hop.astype(np.int32)[:, None], "path": state.path.copy()}
        return {key: seen[key] for key in self.extras}

    def outputs(self, state: WalkState) -> list[Output]:
        """See `Task.outputs`: a tuple with the entity that was reached."""
        return [(self.names[entity],) for entity in state.slot.tolist()]

    def merge(self, outputs: Sequence[Output]) -> Output:
        """One ranking of the outputs of several walks, best first."""
        return tuple(dict.fromkeys(entity for output in outputs for entity in output))

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        samples = [self._sample(row) for row in rows]
        ranks = filtered_ranks(samples, outputs, self.answers)
        metric = Ranking(self.metric_name, detail="filtered:yes|direction:tail")
        return metric.score(ranks, bootstrap=bootstrap, report=report)

    @cached_property
    def answers(self) -> Answers:
        """Every answer known of train, dev and test, by query."""
        return all_answers(self)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The query and the answers, best first, with their labels."""
        asked, labels = self._sample(row).extra, self._labels
        found = [{"entity": name, "label": labels.get(name, name)} for name in output]
        return {"head": asked["head"], "relation": asked["relation"], "answers": found}

    def frame(self, state: WalkState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame

        row, hop = int(state.row[i]), int(state.hop[i])
        edges = edge_names(self.numbers)
        taken = zip(state.path[i, :hop].tolist(), state.trail[i, :hop].tolist(), strict=True)
        steps = [(" ".join(edges[kind]), self.names[entity]) for kind, entity in taken]
        pieces = walk_pieces(self._sample(row), steps, self._labels, ended=hop == self.hops)
        return Frame(self.title(row), f"hop {hop}/{self.hops}", pieces)
