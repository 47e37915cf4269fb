"""Knowledge graphs: walk from the head of a query along edges to its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int
from nlp_gym.data.readers.knowledge_graph.names import entity_words, relation_words
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import Ranking
from nlp_gym.tasks.core.kinds import UnitTask
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Focus, Output, Played
from nlp_gym.tasks.knowledge_graph.queries import (
    Answers,
    all_answers,
    edge_names,
    filtered_ranks,
    graph_facts,
    query_of,
    walk_pieces,
    walk_tables,
)
from nlp_gym.tasks.knowledge_graph.triples import NameNumbers
from nlp_gym.tasks.knowledge_graph.unknown_names import GraphNames
from nlp_gym.tasks.knowledge_graph.walk import Walks, WalkState
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

if TYPE_CHECKING:
    from nlp_gym.render import Frame

MOST_RELATIONS = 499  # with more, one-hot vectors of `path` would be too wide


class KnowledgeGraph(UnitTask):
    """Question answering on a knowledge graph as a decision process (MINERVA, Das et al. 2018).

    ## Description
    For a query (head, relation, ?) the agent starts at the head and takes T edges of the graph, or
    stays (NO-OP). Where it stands at the end is its answer.

    ## Data
    Triples `head<TAB>relation<TAB>tail`, CSV or JSONL; labels of entities in `entity_labels.tsv`
    beside them. The graph has the triples of the *training* split (R relations), each backwards too
    (`inverse of ...`). Of an entity with more than `max_degree` edges those to the targets with the
    most edges are shown. A training row is played without its own edge; the mask tells its gold in
    training alone. Tails are asked for, not heads: so did MINERVA, in whose code these rules are.

    ## Observation Space
    `Dict`, with A = C actions, T = `hops`, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the edge can be taken |
    | features | `hop` | (T+1,) | float32 | hops made, one-hot |
    | features | `path` | (T*(2R+2),) | float32 | relations taken, one-hot; 2R+1: not yet |
    | features | `context` | (3*D,) | float32 | relation and head of the query, current entity |
    | features | `candidates` | (A, 2*D) | float32 | relation and target of each edge, 0: no edge |
    | tokens | `input_ids`, `attention_mask` | (3, L) | int32, int8 | sub-words of the same names |
    | tokens | `candidate_ids`, `candidate_mask` | (A, 2*L) | int32, int8 | likewise |
    | tokens, index | `hop`, `path` | (1,), (T,) | int32 | R+r: inverse of r, 2R: NO-OP |
    | index | `row`, `position` | (1,) | int32 | query, and current entity |

    A graph of 500 relations and more has no `path`.

    ## Action Space
    `Discrete(A)`: NO-OP, then the edges of the current entity.

    ## Action Mask
    Edges that are there; at the last hop not to what the graph already has as answers of the query
    (if all are: NO-OP).

    ## Rewards
    - `correctness` (default) and `sparse`: 1 at the end on the right answer, else 0.
    - `metric`: change of "stands on the right answer" (0 before the first hop).

    ## Starting State
    The head of the query.

    ## Episode End
    After T hops.

    ## Metric
    MRR (`mrr`) with Hits@1, 3 and 10, filtered: other right answers of train, dev and test leave
    the ranking. An output is a ranking: the entity a walk ends at or, from a beam search, those of
    `beam` walks, each with its best one. What is not in it adds nothing.

    ## Information
    `info["score"]` at the end: 1 on the right answer. A prediction (`record`) says in `problem`
    which names of its query the graph does not have; from a head it lacks there is no answer.

    ## Arguments
    Those of `Task` (`max_tokens` is 48 here); `hops` (3): T; `max_degree` (200); `graph` (None):
    where else the graph is, in any form of `data`, of which the training split is taken. Without
    it, and where `data` has no training split, it is that of the registered corpus.

    ## Registered Ids
    `KnowledgeGraph-WN18RR-v0`, `KnowledgeGraph-FB15k237-v0`, `KnowledgeGraph-v0`

    ## Version History
    * v0: initial version.
    """

    family = "kg"
    joins_corpora = False
    ranks_answers = True
    metric_name = "mrr"
    trace_view = "walk"
    exact_oracle = False
    beam = 100  # walks kept by the search of the official evaluation, as in MINERVA

    def __init__(
        self, *, hops: int = 3, max_degree: int = 200, graph: Any = None, **kwargs: Any
    ) -> None:
        check_int("hops", hops, 1, 16)
        check_int("max_degree", max_degree, 1, 10_000)
        super().__init__(**{"max_tokens": 48, **kwargs})
        samples = self.corpus.samples
        facts, self._labels = graph_facts(self, graph, kwargs)
        self.numbers = NameNumbers.of(facts, samples)
        self.names, self._edges = list(self.numbers.entities), edge_names(self.numbers)
        training = self.split == "train"
        sizes = {"hops": hops, "max_degree": max_degree}
        self.walks = Walks(facts, self.numbers, samples, **sizes, training=training)
        self.extras = {"hop": Extra(1, hops)}
        if self.numbers.n_relations <= MOST_RELATIONS:
            self.extras["path"] = Extra(hops, self.walks.nothing)
            self.numbered = tuple(self.numbers.relations)[: self.numbers.n_relations]

    @classmethod
    @override
    def kept_arguments(cls, trained: Mapping[str, Any]) -> dict[str, Any]:
        """The graph is what was trained on, whatever the queries are."""
        return {"graph": trained.get("data")}

    @property
    @override
    def n_actions(self) -> int:
        """Edges C shown of an entity, NO-OP included."""
        return self.walks.graph.width

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) hops."""
        return np.full(len(self.corpus), self.walks.hops)

    @cached_property
    @override
    def tables(self) -> Tables:
        """A slot is an entity, whatever the row."""
        return walk_tables(self.walks, self.numbers, self._texts, self._labels)

    @override
    def initial(self, rows: Int64Array) -> WalkState:
        return self.walks.start(self.state_fields(rows))

    @override
    def mask(self, state: WalkState) -> BoolArray:
        return state.legal.copy()

    @override
    def oracle(self, state: WalkState) -> Int64Array:
        """(B,) an edge on a shortest path to the answer; NO-OP there, and where no path leads."""
        self.require_gold("oracle")
        return self.walks.best(state)

    @override
    def play(self, state: WalkState, actions: Int64Array) -> Played:
        ended = self.walks.step(state, actions)
        right = (ended & self.walks.arrived(state)).astype(np.float64) if self.has_gold else None
        return right, 0.0, ended

    @override
    def potential(self, state: WalkState) -> Float64Array:
        return self.walks.arrived(state).astype(np.float64)

    @override
    def extra(self, state: WalkState) -> Observation:
        """Hops made and relations taken."""
        seen = {"hop": state.hop.astype(np.int32)[:, None], "path": state.path.copy()}
        return {key: seen[key] for key in self.extras}

    @override
    def outputs(self, state: WalkState) -> list[Output]:
        """Each output is a tuple of one name, that of the entity reached."""
        return [(self.names[entity],) for entity in state.slot.tolist()]

    @override
    def merge(self, outputs: Sequence[Output]) -> Output:
        """One ranking of the outputs of several walks, best first."""
        return tuple(dict.fromkeys(entity for output in outputs for entity in output))

    @cached_property
    def _answers(self) -> Answers:
        return all_answers(self)

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        ranks = filtered_ranks([self.sample(row) for row in rows], outputs, self._answers)
        metric = Ranking(self.metric_name, detail="filtered:yes|direction:tail")
        return metric.score(ranks, bootstrap=bootstrap, report=report)

    @cached_property
    def _graph_names(self) -> GraphNames:
        return GraphNames.of(self.walks.graph.facts, self.numbers, self._labels)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The query and the answers, best first, with their labels; see Information."""
        return self._graph_names.record(*query_of(self.sample(row)), output)

    @override
    def action_text(self, state: WalkState, i: int, action: int) -> str:
        """The relation of an edge."""
        graph, entity = self.walks.graph, int(state.slot[i])
        if graph.target[entity, action] < 0:
            return ""
        return " ".join(self._edges[graph.relation[entity, action]])

    @override
    def action_target(self, state: WalkState, i: int, action: int) -> str:
        entity = int(self.walks.graph.target[state.slot[i], action])
        return "" if entity < 0 else self._name(entity)

    @override
    def focus(self, state: WalkState, i: int) -> Focus:
        """The entity where the walk stands."""
        return Focus(text=self._name(int(state.slot[i])))

    @override
    def trace_context(self, row: int) -> dict[str, str]:
        head, relation = query_of(self.sample(row))
        asked = " ".join(relation_words(relation))
        return {"query": f"{' '.join(entity_words(head, self._labels))} {asked} ?"}

    def _name(self, entity: int) -> str:
        return " ".join(entity_words(self.names[entity], self._labels))

    @override
    def frame(self, state: WalkState, i: int) -> Frame:
        from nlp_gym.render import Frame

        sample, hop = self.sample(int(state.row[i])), int(state.hop[i])
        taken = zip(state.path[i, :hop].tolist(), state.trail[i, :hop].tolist(), strict=True)
        steps = [(self._edges[kind], self.names[entity]) for kind, entity in taken]
        pieces = walk_pieces(sample, steps, self._labels, ended=hop == self.walks.hops)
        return Frame(self.title(int(state.row[i])), f"hop {hop}/{self.walks.hops}", pieces)
