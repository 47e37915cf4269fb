"""Baselines: what they predict, on texts small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.evaluation.baselines import BASELINES, SEARCHED, run_baselines

BOTH = ("train", "dev")
LABELS = ["O", "B-X", "I-X"]


def texts(*pairs: tuple[str, str]) -> list[Sample]:
    return [Sample(tuple(words.split()), tuple(labels.split())) for words, labels in pairs]


def task_of(*pairs: tuple[str, str]) -> Task:
    return make_task("NER-v0", data=texts(*pairs), labels=LABELS, encoder="hashed")


@pytest.fixture
def train() -> Task:
    return task_of(
        ("in new york now", "O B-X I-X O"),
        ("york is new here", "B-X O O O"),
        ("new york york", "B-X I-X I-X"),
    )


def play(name: str, train: Task, task: Task, seed: int = 0) -> list[tuple[str, ...]]:
    return [tuple(out) for out in rollout(task, BASELINES[name](train, task, seed))]


def test_baselines_majority_is_the_most_frequent_legal_action(train: Task) -> None:
    assert play("majority", train, task_of(("new york", "B-X I-X"))) == [("O", "O")]
    inside = task_of(("new york here", "B-X I-X O"), ("york", "B-X"))
    # Here I-X is the most frequent action (2 of 4) but opens no entity; B-X and O are tied behind.
    mostly = task_of(("a b c d", "B-X I-X I-X O"))
    assert play("majority", mostly, inside) == [("O", "O", "O"), ("O",)]


def test_baselines_majority_word_follows_the_training_words(train: Task) -> None:
    task = task_of(("new york is new", "B-X I-X O O"), ("york unseen", "B-X O"))
    got = play("majority-word", train, task)
    # "new": B-X twice, O once. "york": I-X three times, B-X once; I-X is illegal at the start.
    assert got == [("B-X", "I-X", "O", "B-X"), ("B-X", "O")]


def test_baselines_majority_word_needs_words(train: Task) -> None:
    class Other(type(train)):  # type: ignore[misc]
        labels_words = False

    other = object.__new__(Other)
    other.__dict__.update(train.__dict__)
    with pytest.raises(InvalidArgumentError, match="use 'majority'"):
        BASELINES["majority-word"](other, other, 0)


def test_baselines_random_is_seeded_and_legal(train: Task) -> None:
    rng = np.random.default_rng(0)
    task = task_of(*[("a b c", " ".join(rng.choice(["O", "B-X"], 3))) for _ in range(300)])
    first = play("random", train, task, seed=1)
    assert first == play("random", train, task, seed=1)
    assert first != play("random", train, task, seed=2)
    assert {label for tags in first for label in tags} == set(LABELS)
    act = BASELINES["random"](train, task, 0)
    mask = np.tile([[True, False, True]], (500, 1))
    assert callable(act)
    chosen = act({}, mask)
    assert set(chosen.tolist()) == {0, 2}
    assert 150 < int((chosen == 0).sum()) < 350


def test_baselines_scores(train: Task) -> None:
    task = task_of(("in new york", "O B-X I-X"), ("new idea", "O O"))
    scores = run_baselines(train, task, list(BASELINES), bootstrap=0)
    assert list(scores) == ["random", "majority", "majority-word", "oracle"]
    assert scores["oracle"].value == 1.0
    assert scores["majority"].value == 0.0
    # One of one entity found, one invented ("new"): precision 1/2, recall 1.
    assert scores["majority-word"].value == pytest.approx(2 / 3)


def test_baselines_unknown_name(train: Task) -> None:
    with pytest.raises(UnknownNameError, match="majority"):
        run_baselines(train, train, ["majorty"])


def test_baselines_on_the_bundled_sample() -> None:
    train, dev = (
        make_task("POS-EWT-v0", split, corpus="sample", encoder="hashed")
        for split in ("train", "dev")
    )
    values = {
        name: score.value
        for name, score in run_baselines(train, dev, list(BASELINES), bootstrap=0).items()
    }
    assert values["random"] < values["majority"] < values["majority-word"] < values["oracle"] == 1.0
    assert values["random"] == pytest.approx(1 / 17, abs=0.03)


def test_baselines_of_a_task_that_ranks_are_searched_like_agents() -> None:
    sample = {"corpus": "sample", "encoder": "hashed"}
    train, dev = (make_task("KnowledgeGraph-WN18RR-v0", split, **sample) for split in BOTH)
    scores = run_baselines(train, dev, seed=3)
    for name in ("random", "majority"):
        report = scores[name].report
        # One walk has one answer, and so the same number of hits among the first 1, 3 and 10.
        assert report["hits_at_10"] > report["hits_at_1"]
        assert scores[name].value < scores["oracle"].value
    assert scores["random"].value == run_baselines(train, dev, ["random"], seed=3)["random"].value
    assert run_baselines(train, dev, ["random"], rows=[0, 2])["random"].n == 2


@pytest.mark.parametrize("name", list(SEARCHED))
def test_baselines_log_probabilities_are_those_of_legal_actions(name: str) -> None:
    task = make_task("KnowledgeGraph-WN18RR-v0", corpus="sample", encoder="hashed")
    log_probs = SEARCHED[name](task, task, 0)
    state = task.initial(np.arange(20))
    mask = task.mask(state)
    found = np.exp(log_probs({}, mask))
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found[~mask] == 0).all()
    assert (found[mask] > 0).all()
    if name == "majority":  # the best action is the one that the greedy baseline plays
        act = BASELINES[name](task, task, 0)
        assert callable(act)
        assert found.argmax(axis=1).tolist() == act({}, mask).tolist()
    else:
        share = np.repeat(1 / mask.sum(axis=1), mask.sum(axis=1))
        assert found[mask] == pytest.approx(share, rel=1e-6)
