"""Walks on a knowledge graph: tables, masks, shortest paths, filtered ranks, search."""

from __future__ import annotations

import itertools
import re
from collections import deque

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.knowledge_graph.graph import Graph
from nlp_gym.tasks.knowledge_graph.queries import filtered_ranks
from nlp_gym.tasks.knowledge_graph.triples import KnownFacts, NameNumbers
from nlp_gym.tasks.knowledge_graph.unknown_names import GraphNames
from nlp_gym.types import Sample

SMALL = {"encoder": "hashed", "corpus": "sample"}
IDS = ("KnowledgeGraph-WN18RR-v0", "KnowledgeGraph-FB15k237-v0")


def query(head, relation, *answers):
    extra = {"head": head, "relation": relation}
    return Sample((head, relation), None, "", extra, answers or None)


def random_facts(seed, n=12, relations=3, count=30):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(high, size=count) for high in (n, relations, n)], axis=1)


def edges_of(graph):
    """{entity: [(relation, target), ...]} of what the tables show, NO-OP left out."""
    return {
        e: [
            (r, t)
            for r, t in zip(graph.relation[e, 1:], graph.target[e, 1:], strict=True)
            if t >= 0
        ]
        for e in range(graph.n_entities)
    }


def naive_distance(graph, start, goal, banned=None):
    """Hops of a shortest path by breadth-first search; `banned`: (source, relation, target)."""
    edges, seen, queue = edges_of(graph), {start: 0}, deque([start])
    while queue:
        at = queue.popleft()
        for relation, target in edges[at]:
            if (at, relation, target) != banned and target not in seen:
                seen[target] = seen[at] + 1
                queue.append(target)
    return seen.get(goal, 99)


def test_graph_has_every_edge_forth_and_back():
    facts = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [0, 0, 1], [2, 1, 0]])
    graph = Graph.build(facts, 4, 2, 10)
    assert graph.relation[:, 0].tolist() == [4] * 4
    assert graph.target[:, 0].tolist() == [0, 1, 2, 3]
    assert edges_of(graph) == {
        0: [(0, 1), (1, 1), (3, 2)],
        1: [(0, 1), (2, 0), (2, 1), (3, 0)],
        2: [(1, 0)],
        3: [],
    }


def test_capped_graph_keeps_edges_to_the_targets_with_most_edges():
    facts = np.array([[0, 0, t] for t in (1, 2, 3, 4)] + [[5, 1, 3], [6, 1, 3], [5, 1, 2]])
    graph = Graph.build(facts, 7, 2, 2)
    assert edges_of(graph)[0] == [(0, 2), (0, 3)]
    assert graph.width == 3
    shuffled = Graph.build(facts[::-1], 7, 2, 2)
    assert np.array_equal(graph.target, shuffled.target)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cap", [2, 50])
def test_distances_are_those_of_a_breadth_first_search(seed, cap):
    facts = random_facts(seed)
    graph = Graph.build(facts, 13, 3, cap)
    goals = np.arange(-1, 13)
    near = graph.distances(goals, np.full(14, -1), 3)
    assert (near[0] == 4).all()
    for goal, start in itertools.product(range(13), range(13)):
        assert near[goal + 1, start] == min(naive_distance(graph, start, goal), 4)


@pytest.mark.parametrize("seed", range(6))
def test_hidden_edges_are_on_no_path(seed):
    facts = random_facts(seed)
    graph = Graph.build(facts, 12, 3, 50)
    near = graph.distances(facts[:, 2], facts[:, 0], 3)
    for (head, relation, tail), row in zip(facts.tolist(), near, strict=True):
        if head != tail:
            found = naive_distance(graph, head, tail, (head, relation, tail))
            assert row[head] == min(found, 4)


def test_known_triples_are_told_from_others():
    facts = random_facts(0, count=60)
    names = {str(i): i for i in range(12)}
    known = KnownFacts(facts, NameNumbers(names, {"a": 0, "b": 1, "c": 2}, 3))
    every = np.array(list(itertools.product(range(12), range(3), range(12))))
    there = {tuple(fact) for fact in facts.tolist()}
    assert known.hold(*every.T).tolist() == [tuple(t) in there for t in every.tolist()]


@pytest.fixture
def town():
    """Three training triples of one query and a way round, played on training and dev rows."""
    train = [
        query("a", "likes", "b"),
        query("a", "likes", "c"),
        query("a", "knows", "d"),
        query("d", "likes", "b"),
        query("d", "likes", "e"),
    ]
    dev = [query("a", "likes", "e"), query("z", "hates", "b")]
    data = {"train": train, "dev": dev, "test": [query("a", "likes", "f")]}

    def make(split="train", **kwargs):
        return make_task(
            "KnowledgeGraph-v0", split, data=data, **{"encoder": "hashed", "hops": 2, **kwargs}
        )

    return make


def legal_names(task, state, i=0):
    """Relation words and entity of the edges that are legal in episode i."""
    entity = state.slot[i]
    return {
        (" ".join(task._edges[task.walks.graph.relation[entity, c]]),
         task.names[task.walks.graph.target[entity, c]])
        for c in np.flatnonzero(task.mask(state)[i])
    }  # fmt: skip


def move(task, state, entity, i=0):
    """Take the first legal edge to `entity`."""
    targets = task.walks.graph.target[state.slot[i]]
    ok = task.mask(state)[i] & (targets == task.numbers.entities[entity])
    return task.transition(state, np.array([np.flatnonzero(ok)[0]]))


def test_own_edge_is_hidden_and_known_answers_are_no_ends(town):
    task = town()
    state = task.initial(np.array([0]))  # (a, likes, ?) with the answer b
    assert legal_names(task, state) == {
        ("stay here", "a"), ("likes", "c"), ("knows", "d")
    }  # fmt: skip
    move(task, state, "d")
    assert legal_names(task, state) == {
        ("stay here", "d"), ("likes", "b"), ("likes", "e"), ("inverse of knows", "a")
    }  # fmt: skip
    reward, ended = move(task, state, "b")
    assert (reward[0], ended[0]) == (1.0, True)
    assert task.outputs(state) == [("b",)]
    state = task.initial(np.array([0]))
    move(task, state, "c")
    assert legal_names(task, state) == {("inverse of likes", "a")}  # c is an answer already known


def test_other_splits_hide_nothing_and_end_at_no_known_answer(town):
    task = town("dev")
    state = task.initial(np.array([0]))
    assert ("likes", "b") in legal_names(task, state)
    move(task, state, "d")
    assert legal_names(task, state) == {
        ("stay here", "d"), ("likes", "e"), ("inverse of knows", "a")
    }  # fmt: skip
    assert task.transition(state, task.oracle(state))[0][0] == 1.0


def test_entities_and_relations_that_the_graph_lacks_can_be_asked_for(town):
    task = town("dev")
    state = task.initial(np.array([1]))
    assert legal_names(task, state) == {("stay here", "z")}
    assert task.oracle(state)[0] == 0
    task.observe(state, "features")
    assert task.numbers.relations == {"knows": 0, "likes": 1, "hates": 2}


def test_ranks_are_filtered_by_all_splits(town):
    task = town("dev")
    ranked = [("a", "b", "c", "f", "e"), ("x",)]
    # b and c are answers of train, f of test: e comes second
    score = task.score(ranked, bootstrap=0, report=True)
    assert score.report == {"mrr": 0.25, "hits_at_1": 0.0, "hits_at_3": 0.5, "hits_at_10": 0.5}
    assert filtered_ranks([query("a", "r", "x")], [("y", "x")], {("a", "r"): {"x", "y"}}) == [1]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_oracle_takes_shortest_paths(env_id, split):
    task = make_task(env_id, split, **SMALL)
    graph, walks = task.walks.graph, task.walks
    right = [output[0] == s.gold[0] for output, s in
             zip(rollout(task, "oracle"), task.corpus.samples, strict=True)]  # fmt: skip
    for row, found in enumerate(right):
        head, relation, goal = (int(x[row]) for x in (walks.head, walks.relation, walks.goal))
        banned = (head, relation, goal) if split == "train" else None
        assert found == (naive_distance(graph, head, goal, banned) <= 3)
    assert sum(right) == len(right) if split != "train" else sum(right) > 0.5 * len(right)


def test_masks_equal_a_plain_reading_of_the_rules():
    task = make_task("KnowledgeGraph-FB15k237-v0", max_degree=6, **SMALL)
    graph, walks, rng = task.walks.graph, task.walks, np.random.default_rng(0)
    facts = {tuple(fact) for fact in graph.facts.tolist()}
    state = task.initial(np.arange(len(task.corpus)))
    for hop in range(3):
        mask = task.mask(state)
        for i, (row, entity) in enumerate(zip(state.row, state.slot, strict=True)):
            head, relation, goal = walks.head[row], walks.relation[row], walks.goal[row]
            expected = graph.target[entity] >= 0
            for c in np.flatnonzero(expected):
                kind, target = graph.relation[entity, c], graph.target[entity, c]
                if (entity, kind, target) == (head, relation, goal):
                    expected[c] = False
                if hop == 2 and target != goal and (head, relation, target) in facts:
                    expected[c] = False
            expected[0] |= not expected.any()
            assert np.array_equal(mask[i], expected)
        task.transition(state, np.where(mask, rng.random(mask.shape), -1).argmax(1))


def test_search_ranks_as_all_walks_do():
    """With equal probabilities, an entity's rank is decided by its most probable walk."""
    from nlp_gym_agents.models.beam_search import search

    task = make_task("KnowledgeGraph-WN18RR-v0", "dev", max_degree=4, **SMALL)

    def log_probs(obs, mask):
        return np.where(mask, -np.log(mask.sum(axis=1, keepdims=True)), -np.inf)

    outputs = search(task, log_probs, np.arange(5), 10_000, "index")
    for row in range(5):
        best: dict[str, float] = {}
        state, total = task.initial(np.array([row])), np.zeros(1)
        for _ in range(3):  # every walk
            mask = task.mask(state)
            at, actions = mask.nonzero()
            total = (total - np.log(mask.sum(axis=1)))[at]
            state = state.take(at)
            task.transition(state, actions)
        for (name,), value in zip(task.outputs(state), total, strict=True):
            best[name] = max(best.get(name, -np.inf), value)
        assert set(outputs[row]) == set(best)
        values = [round(best[name], 9) for name in outputs[row]]
        assert values == sorted(values, reverse=True)
    narrow = search(task, log_probs, np.arange(5), 3, "index")
    assert all(1 <= len(output) <= 3 for output in narrow)


def test_only_walks_that_arrive_are_cloned():
    from nlp_gym_agents.algorithms.imitation.demonstrations import collect

    task = make_task("KnowledgeGraph-FB15k237-v0", **SMALL)
    arrived = [output[0] == s.gold[0] for output, s in
               zip(rollout(task, "oracle"), task.corpus.samples, strict=True)]  # fmt: skip
    data = collect(task, gamma=1.0)
    assert 0 < sum(arrived) < len(arrived)
    assert len(data) == 3 * sum(arrived)
    assert set(data.returns.tolist()) == {1.0}
    assert set(data.observations["row"].flatten().tolist()) == set(np.flatnonzero(arrived))


def test_nothing_to_clone_is_an_error():
    from nlp_gym_agents.algorithms.imitation.demonstrations import collect

    facts = [query("a", "r", "b"), query("c", "r", "d")]
    data = {"train": facts, "dev": facts, "test": facts}
    with pytest.raises(InvalidArgumentError, match="earns nothing"):
        collect(make_task("KnowledgeGraph-v0", data=data, encoder="hashed"), gamma=1.0)


def test_own_files_are_split_and_labelled(tmp_path):
    rows = [f"e{i}\tnext\te{(i + 1) % 30}\n" for i in range(30)]
    (tmp_path / "ring.txt").write_text("".join(rows))
    (tmp_path / "ring.labels.tsv").write_text("e0\tthe start\n")
    sizes = []
    for split in ("train", "dev", "test"):
        env = gym.make("KnowledgeGraph-v0", split=split, data=str(tmp_path / "ring.txt"),
                       encoder="hashed")  # fmt: skip
        task = env.unwrapped.task
        sizes.append(len(task.corpus))
        assert len(task.walks.graph.facts) == 24
        assert ("the", "start") in task.units.texts
    assert sizes == [24, 3, 3]


def test_queries_without_answers_walk_on_the_given_graph(tmp_path):
    (tmp_path / "facts.csv").write_text("head,relation,tail\na,r,b\nb,r,c\n")
    asked = [query("a", "r"), query("new", "r")]
    graph = {"train": str(tmp_path / "facts.csv")}
    task = make_task("KnowledgeGraph-v0", data=asked, graph=graph, encoder="hashed")
    assert not task.has_gold
    assert task.names == ["a", "b", "c", "new"]
    outputs = rollout(task, lambda obs, mask: mask.shape[1] - 1 - mask[:, ::-1].argmax(1))
    record = task.record(0, outputs[0])
    assert record["head"] == "a"
    assert record["answers"][0]["entity"] == outputs[0][0]
    corpus = make_task("KnowledgeGraph-v0", data=asked, **SMALL)  # that of the registered corpus
    assert len(corpus.walks.graph.facts) == 143


def test_a_graph_without_triples_is_an_error():
    with pytest.raises(DataError, match=r"graph=.* no triple"):
        make_task("KnowledgeGraph-v0", data=[query("a", "r")], graph=[query("a", "r")])


@pytest.mark.parametrize("graph", [3, "/no/such/file", {"trian": "x"}])
def test_a_graph_that_cannot_be_read_is_named(graph):
    with pytest.raises((InvalidArgumentError, DataError), match=r"^graph=.* data"):
        make_task("KnowledgeGraph-v0", graph=graph, **SMALL)


@pytest.mark.parametrize("arguments", [{"hops": 0}, {"hops": 99}, {"max_degree": 0}])
def test_arguments_out_of_range_are_errors(arguments):
    name = next(iter(arguments))
    with pytest.raises(InvalidArgumentError, match=f"{name}={arguments[name]} .*from 1"):
        make_task("KnowledgeGraph-v0", **arguments, **SMALL)


def test_a_graph_of_very_many_relations_shows_no_path():
    facts = [query(f"e{i}", f"r{i}", f"e{i + 1}") for i in range(500)]
    data = {"train": facts, "dev": facts, "test": facts}
    task = make_task("KnowledgeGraph-v0", data=data, encoder="hashed")
    assert set(task.extras) == {"hop"}
    assert set(task.observation_space("index").spaces) == {
        "action_mask", "hop", "row", "position"
    }  # fmt: skip


@pytest.mark.corpus
def test_full_graphs_reach_as_many_answers_as_measured(real_data):
    task = make_task("KnowledgeGraph-WN18RR-v0", "dev", encoder="hashed", data_dir=real_data)
    score = task.score(rollout(task, "oracle"), bootstrap=0, report=True)
    assert score.value == pytest.approx(0.65, abs=0.01)


@pytest.mark.parametrize(
    ("head", "relation", "problem"),
    [
        ("Oslo", "capital_of", None),
        ("oslo", "capital_of", "head 'oslo' is none of .*3 entities .did you mean 'Oslo'"),
        ("Oslp", "capital_of", "did you mean 'Oslo'"),
        ("Kingdom of Norway", "in", r"did you mean 'Q20', kingdom of Norway\?"),
        ("Oslo", "capital of", r"^relation 'capital of' .*2 relations .did you mean 'capital_of'"),
        ("zzz", "Q", "^head 'zzz' is none of the graph's 3 entities; relation 'Q' [^(]*$"),
        ("奥斯陆", "in", "^head '奥斯陆' is none of the graph's 3 entities$"),
    ],
)
def test_names_that_a_graph_lacks_are_told_with_the_nearest(head, relation, problem):
    labels = {"Q20": "kingdom of Norway", "Q0": "oslo"}
    names = GraphNames(["Oslo", "Q20", "Europe"], ["capital_of", "in"], labels)
    record = names.record(head, relation, ("Q20", "Europe"))
    if problem is None:
        assert "problem" not in record
    else:
        assert re.search(problem, record["problem"])
    known = head == "Oslo"
    labelled = [("Q20", "kingdom of Norway"), ("Europe", "Europe")] if known else []
    assert [(a["entity"], a["label"]) for a in record["answers"]] == labelled


def test_records_of_unknown_names_have_no_answers_or_a_problem(town):
    task = town("dev")  # (a, likes, ?), then (z, hates, ?)
    outputs = rollout(task, "oracle")
    known, unknown = (task.record(row, outputs[row]) for row in range(2))
    assert "problem" not in known
    assert unknown["answers"] == []
    assert re.search("head 'z' .*5 entities.*relation 'hates' .*2 relations", unknown["problem"])
