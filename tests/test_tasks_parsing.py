"""Parsing by transitions: systems, costs against a search of all ways, the oracle, rewards."""

from __future__ import annotations

import itertools
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.data.readers.parsing.trees import tree_fault
from nlp_gym.data.readers.report.counts import is_projective
from nlp_gym.data.text.shapes import OWN_FLAGS, own_flags
from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.rollout import play, rollout
from nlp_gym.tasks.parsing.oracle import FORBIDDEN
from nlp_gym.tasks.parsing.task import SEEN, Parsing
from nlp_gym.types import Sample

SYSTEMS = ("arc-eager", "arc-hybrid")
LABELS = ("a", "b", "root")


def _projective(heads: tuple[int, ...]) -> bool:
    """Whether no two arcs cross, that of the root among them."""
    arcs = [sorted((head, word)) for word, head in enumerate(heads, 1)]
    return not any(a < c < b < d for (a, b), (c, d) in itertools.product(arcs, arcs))


def _trees(n: int, *, projective: bool = True) -> list[tuple[int, ...]]:
    """All trees of n words with one root."""
    every = itertools.product(range(n + 1), repeat=n)
    return [h for h in every if tree_fault(h) is None and _projective(h) == projective]


def _task(trees: list[tuple[int, ...]], **options: Any) -> Parsing:
    """A task on trees whose relations alternate."""
    samples = [
        Sample(
            tuple(f"w{i}" for i in range(len(heads))),
            tuple("root" if head == 0 else "ab"[i % 2] for i, head in enumerate(heads)),
            str(number),
            gold=heads,
        )
        for number, heads in enumerate(trees)
    ]
    task = make_task("Parsing-v0", data=samples, labels=LABELS, encoder="hashed", **options)
    assert isinstance(task, Parsing)
    return task


def _search(task: Parsing, row: int) -> list[tuple[Any, np.ndarray]]:
    """Every state of a sentence, each with the best number of right words after each action.

    Right are words whose head and relation are right at the end; those that the rule of the end
    attaches count if it is the root.
    """
    seen: dict[bytes, int] = {}
    found: list[tuple[Any, np.ndarray]] = []

    def key(state: Any) -> bytes:
        parts = (state.stack, state.depth, state.heads, state.relations, state.slot)
        return b"|".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def best(state: Any) -> int:
        name = key(state)
        if name not in seen:
            legal = task.mask(state)[0].nonzero()[0]
            after = np.full(task.n_actions, -1)
            for action in legal.tolist():
                one = state.take(np.zeros(1, np.int64))
                _, ended = task.transition(one, np.array([action]))
                after[action] = int(one.counts[0, 1]) if ended[0] else best(one)
            seen[name] = int(after.max())
            found.append((state, after))
        return seen[name]

    best(task.initial(np.array([row])))
    return found


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_costs_are_what_a_search_of_all_ways_loses(system: str, n: int) -> None:
    task = _task(_trees(n), system=system)
    for row in range(len(task.corpus)):
        states = _search(task, row)
        costs = task.costs(type(states[0][0]).joined([state for state, _ in states]))
        for cost, (_, after) in zip(costs, states, strict=True):
            lost = np.where(after < 0, FORBIDDEN, after.max() - after)
            np.testing.assert_array_equal(cost, lost)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("n", [4, 5])
def test_costs_are_those_of_a_search_on_longer_sentences(system: str, n: int) -> None:
    trees = _trees(n)
    picked = np.random.default_rng(n).permutation(len(trees))[: {4: 30, 5: 6}[n]]
    task = _task([trees[i] for i in picked], system=system)
    for row in range(len(task.corpus)):
        states = _search(task, row)
        costs = task.costs(type(states[0][0]).joined([state for state, _ in states]))
        lost = np.stack([np.where(a < 0, FORBIDDEN, a.max() - a) for _, a in states])
        np.testing.assert_array_equal(costs, lost)


def _follow(task: Parsing, state: Any, _: Any) -> np.ndarray:
    return task.oracle(state)


@cache
def _sample(system: str = "arc-eager", reward: str = "correctness") -> Parsing:
    task = make_task(
        "Parsing-EWT-v0", corpus="sample", encoder="hashed", system=system, reward=reward
    )
    assert isinstance(task, Parsing)
    return task


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_oracle_makes_every_projective_tree(system: str) -> None:
    trees = [tree for n in (1, 2, 3, 4, 5) for tree in _trees(n)]
    for oracle in ("dynamic", "static"):
        task = _task(trees, system=system, oracle=oracle)
        outputs = rollout(task, "oracle")
        assert [heads for heads, _ in outputs] == trees
        assert [names for _, names in outputs] == [s.labels for s in task.corpus.samples]


@pytest.mark.parametrize("system", SYSTEMS)
def test_both_oracles_play_the_same_on_projective_trees(system: str) -> None:
    trees = [tree for n in (3, 4, 5) for tree in _trees(n)]
    dynamic, static = (_task(trees, system=system, oracle=o) for o in ("dynamic", "static"))
    for step in play(dynamic, np.arange(len(trees)), lambda state, _: dynamic.oracle(state)):
        np.testing.assert_array_equal(dynamic.oracle(step.state.take(~step.ended)),
                                      static.oracle(step.state.take(~step.ended)))  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_after_any_mistake_the_oracle_still_makes_what_is_within_reach(system: str) -> None:
    """On projective trees the oracle's own actions cost nothing, wherever it goes on from."""
    trees = _trees(5)
    task = _task(trees, system=system)
    rng = np.random.default_rng(0)

    def decide(state: Any, _: Any) -> np.ndarray:
        costs, actions = task.costs(state), task.oracle(state)
        assert (costs[np.arange(len(costs)), actions] == 0).all()
        wild = np.where(task.mask(state), rng.random(costs.shape), -1).argmax(axis=1)
        return np.where(rng.random(len(costs)) < 0.5, wild, actions)

    for _ in play(task, np.arange(len(trees)), decide):
        pass


@pytest.mark.parametrize("system", SYSTEMS)
def test_whatever_is_played_there_is_a_tree_with_one_root(system: str) -> None:
    task, rng = _sample(system), np.random.default_rng(3)
    for _ in range(5):
        outputs = rollout(
            task, lambda _, mask: np.where(mask, rng.random(mask.shape), -1).argmax(1)
        )
        for (heads, names), sample in zip(outputs, task.corpus.samples, strict=True):
            assert len(heads) == len(names) == len(sample.words)
            assert tree_fault(heads) is None
            assert [name == "root" for name in names] == [head == 0 for head in heads]
    running = task.initial(np.arange(4))
    task.transition(running, np.zeros(4, np.int64))
    assert all(tree_fault(heads) is None for heads, _ in task.outputs(running))


@pytest.mark.parametrize("system", SYSTEMS)
def test_counts_are_those_of_the_score(system: str) -> None:
    task, rng = _sample(system), np.random.default_rng(5)
    rows = np.arange(len(task.corpus))
    outputs: dict[int, Any] = {}
    counts = np.zeros((len(rows), 2), int)

    def decide(state: Any, _: Any) -> np.ndarray:
        wild = np.where(task.mask(state), rng.random((len(state.row), task.n_actions)), -1)
        return np.where(rng.random(len(state.row)) < 0.3, wild.argmax(axis=1), task.oracle(state))

    for step in play(task, rows, decide):
        done = step.state.take(step.ended)
        outputs |= dict(zip(done.row.tolist(), task.outputs(done), strict=True))
        counts[done.row] = done.counts
    score = task.score([outputs[row] for row in rows.tolist()], bootstrap=0, report=True)
    words = sum(len(sample.words) for sample in task.corpus.samples)
    assert 0 < counts[:, 1].sum() < counts[:, 0].sum() < words
    assert score.report["scores"]["uas"] == counts[:, 0].sum() / words
    assert score.value == score.report["scores"]["las"] == counts[:, 1].sum() / words


@pytest.mark.parametrize("system", SYSTEMS)
def test_rewards_of_all_actions_are_those_of_transitions(system: str) -> None:
    task, rng = _sample(system), np.random.default_rng(7)
    state = task.initial(np.arange(12))
    for _ in range(6):
        every = np.broadcast_to(np.arange(task.n_actions), (len(state.row), task.n_actions))
        np.testing.assert_array_equal(task.action_rewards(state), task.branch(state, every).rewards)
        wild = rng.integers(task.n_actions, size=len(state.row))
        mixed = np.where(rng.random(len(wild)) < 0.5, wild, task.oracle(state))
        _, ended = task.transition(state, mixed)
        state = state.take(~ended)


def test_trees_that_are_not_projective_are_made_as_far_as_they_can_be() -> None:
    trees = _trees(4, projective=False)
    for system in SYSTEMS:
        task = _task(trees, system=system)
        state, right = task.initial(np.arange(len(trees))), np.zeros(len(trees), int)
        for step in play(task, state.row, partial(_follow, task)):
            right[step.place] = step.state.counts[:, 1]
        assert (right >= 1).all()
        assert (right < 4).all()
        assert right.mean() == 2.5  # a search of all ways reaches 2.82


def test_a_state_names_the_words_near_it() -> None:
    task = _task([(2, 0, 2, 3)])
    state = task.initial(np.array([0]))
    name = {label: i for i, label in enumerate(SEEN)}
    for action in ("shift", "left-arc a", "shift", "right-arc a"):
        task.transition(
            state, np.array([[task.action_name(a) for a in range(task.n_actions)].index(action)])
        )
    words = task.named(state)[0]
    near = {label: int(words[i]) for label, i in name.items()}
    assert near == {
        "s0": 2, "s1": 1, "s2": 4, "b0": 3, "b1": 4, "b2": 4,
        "s0l": 4, "s0r": 4, "s1l": 0, "s1r": 2, "b0l": 4,
    }  # fmt: skip
    extra = task.extra(state)
    none = len(task.relations)
    assert extra["arcs"].tolist() == [[0, none, none, 0, 0, none]]
    assert extra["distance"].tolist() == [[1, 1]]


def test_observations_of_all_kinds_show_the_same_words() -> None:
    task = _sample()
    state = task.initial(np.arange(5))
    for _ in range(4):
        task.transition(state, task.oracle(state))
    index, features = (task.observe(state, kind) for kind in ("index", "features"))
    named = task.tables.named
    assert named is not None
    units = named.of(index["row"][:, 0], index["words"])
    assert index["words"].dtype == np.int16
    np.testing.assert_array_equal(features["context"], task.encoded.gather(units).reshape(5, -1))
    assert task.observe(state, "tokens")["input_ids"].shape[:2] == (5, len(SEEN))
    for kind in ("index", "features", "tokens"):
        space, seen = task.observation_space(kind), task.observe(state, kind)
        assert space.contains({key: value[0] for key, value in seen.items()})


def test_what_roots_are_called_is_no_relation_of_arcs(tmp_path: Path) -> None:
    rows = "1\tw{0}\t_\t_\t_\t_\t2\tNMOD\t_\t_\n2\tend\t_\t_\t_\t_\t0\tROOT\t_\t_\n\n"
    path = tmp_path / "a.conllx"
    path.write_text("".join(map(rows.format, range(5))), encoding="utf-8")
    task = make_task("Parsing-v0", data=path, encoder="hashed")
    assert isinstance(task, Parsing)
    assert task.arc_relations == ("NMOD",)
    assert task.score(rollout(task, "oracle"), bootstrap=0).value == 1.0


def test_projective_trees_are_those_without_crossing_arcs() -> None:
    for n in range(1, 6):
        for projective in (True, False):
            for heads in _trees(n, projective=projective):
                assert is_projective(heads) is projective


def test_transitions_are_best_where_nothing_better_is_lost() -> None:
    """SHIFT earns nothing, and is right all the same."""
    task = _task([(2, 0, 2)])
    state = task.initial(np.array([0]))
    shift = np.array([task.action_name(a) for a in range(task.n_actions)].index("shift"))
    assert task.optimal(state, shift[None]).tolist() == [True]
    task.transition(state, shift[None])
    right = task.optimal(state.take(np.zeros(task.n_actions, int)), np.arange(task.n_actions))
    assert [task.action_name(int(a)) for a in right.nonzero()[0]] == ["left-arc a"]


@pytest.mark.parametrize("obs_type", ["features", "tokens"])
def test_the_shape_of_the_words_that_are_named_is_seen(obs_type: str) -> None:
    task = make_task("Parsing-EWT-v0", corpus="sample", encoder="hashed", shape=True)
    state = task.initial(np.arange(6))
    for _ in range(5):
        seen = task.observe(state, obs_type)["appearance"].reshape(6, len(SEEN), -1)
        for row, places, shown in zip(state.row, task.named(state), seen, strict=True):
            words = task.sample(int(row)).words
            for place, flags in zip(places, shown, strict=True):
                own = own_flags(words[place] if place < len(words) else "")
                assert flags[: len(OWN_FLAGS)].tolist() == list(map(float, own))
        task.transition(state, task.oracle(state))
    assert "appearance" not in task.observe(state, "index")
    assert "appearance" not in _sample().observation_space(obs_type).spaces


def test_subtypes_are_kept_where_they_are_asked_for() -> None:
    task = make_task("Parsing-EWT-v0", "dev", corpus="sample", encoder="hashed", subtypes=True)
    assert "nsubj:pass" in task.labels
    assert "nsubj:pass" not in _sample().labels
    assert task.score(rollout(task, "oracle"), bootstrap=0).value > 0.97


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ((0, 0), "words 1 and 2 have the head 0"),
        ((2, 1), "no word of the sentence has the head 0"),
        ((0, 3), "the head of word 2 is 3"),
        ((0, 2), "word 2 is its own head"),
        ((0,), "as many heads"),
    ],
)
def test_samples_that_are_no_trees_are_refused(gold: tuple[int, ...], said: str) -> None:
    sample = Sample(("x", "y"), ("a", "b"), "mine", gold=gold)
    with pytest.raises(DataError, match=said):
        make_task("Parsing-v0", data=[sample], labels=LABELS, encoder="hashed")


@pytest.mark.parametrize(
    "options", [{"system": "arc-lazy"}, {"oracle": "wise"}, {"shape": "yes"}, {"seen": ["s9"]},
                {"seen": "s0"}, {"seen": ["s0", "s0"]}, {"seen": []}, {"labels": ["root"]}],
)  # fmt: skip
def test_arguments_outside_what_is_allowed_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((InvalidArgumentError, UnknownNameError)):
        make_task("Parsing-EWT-v0", corpus="sample", encoder="hashed", **options)
