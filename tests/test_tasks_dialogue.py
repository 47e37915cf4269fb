"""The rules of reply selection."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nlp_gym.errors import DataError, NLPGymError
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample


def dialogue(context, *replies, gold=(0,), **extra):
    turns = tuple(tuple(turn.split()) for turn in context)
    words = tuple(word for turn in turns for word in turn)
    candidates = tuple(tuple(reply.split()) for reply in replies)
    return Sample(
        words, None, context[0], {"context": turns, "candidates": candidates, **extra}, gold
    )


def make(samples=None, split="dev", **kwargs):
    kwargs = {"encoder": "hashed", "corpus": "sample", **kwargs}
    if samples is not None:
        kwargs["data"] = samples
    return make_task("Dialogue-v0", split, **kwargs)


TWO = [
    dialogue(["hello there", "who is it"], "me", "blue", "seven", gold=(2,)),
    dialogue(["bye"], "see you", "no", "later", "stone", gold=(0, 2)),
]


def test_context_and_candidates_are_the_turns_and_the_replies():
    task = make(TWO, order_seed=None, max_candidates=5)
    units, tables = task.units.texts, task.tables
    assert [units[u] for u in tables.row_units[0]] == [
        ("hello", "there", "who", "is", "it"),
        ("who", "is", "it"),
        ("hello", "there"),
    ]
    assert tables.row_units[1].tolist()[2] == len(units)  # no second turn
    assert [units[u] for u in tables.candidates[0, :3, 0]] == [("me",), ("blue",), ("seven",)]
    assert task.mask(task.initial(np.arange(2))).sum(axis=1).tolist() == [3, 4]


def test_whole_ranking_on_dev_and_one_pick_in_training():
    assert make(TWO, "train").lengths.tolist() == [1, 1]
    assert make(TWO, "dev").lengths.tolist() == [3, 4]
    assert make(TWO, "dev", ranks=2).lengths.tolist() == [2, 2]


@pytest.mark.parametrize("reward", ["correctness", "metric", "sparse"])
def test_rewards_of_a_ranking(reward):
    task = make(TWO, order_seed=None, reward=reward)
    state = task.initial(np.array([0]))
    earned = []
    for action in (1, 2, 0):
        got, ended = task.transition(state, np.array([action]))
        earned.append(float(got[0]))
    assert ended.all()
    assert (
        earned
        == {
            "correctness": [0.0, 1.0, 1.0],  # nothing right is left for the third pick
            "metric": [0.0, 0.5, 0.0],
            "sparse": [0.0, 0.0, 0.5],
        }[reward]
    )
    assert task.outputs(state) == [(1, 2, 0)]


def test_picked_replies_cannot_be_picked_again():
    task = make(TWO, order_seed=None)
    state = task.initial(np.array([0]))
    task.transition(state, np.array([1]))
    assert task.mask(state)[0, :4].tolist() == [True, False, True, False]
    reward, _ = task.transition(state, np.array([1]))  # played as reply 0
    assert reward == [-0.125]
    assert task.outputs(state) == [(1, 0)]


def test_scores_of_rankings():
    task = make(TWO, order_seed=None)
    score = task.score([(0, 2, 1), (3, 1, 2, 0)], bootstrap=100)
    assert score.metric == "recall_at_1"
    assert score.value == 0.0
    assert score.report["mrr"] == pytest.approx((1 / 2 + 1 / 3) / 2, abs=1e-6)
    assert score.report["recall_at_2"] == 0.5
    assert task.score([(2,), ()], bootstrap=0, report=True).report["mrr"] == 0.5
    assert task.score(rollout(task, "oracle")).report["mrr"] == 1.0


def test_mean_reciprocal_rank_equals_scikit_learn():
    from sklearn.metrics import label_ranking_average_precision_score

    rows = [dialogue([f"turn {i}"], *(f"r{k}" for k in range(6)), gold=(i % 6,)) for i in range(40)]
    task = make(rows)
    rng = np.random.default_rng(0)
    rankings = [tuple(int(k) for k in rng.permutation(6)) for _ in rows]
    truth = np.eye(6, dtype=int)[[row.gold[0] for row in rows]]
    scores = np.array([[-ranking.index(k) for k in range(6)] for ranking in rankings])
    expected = label_ranking_average_precision_score(truth, scores)  # MRR with one right answer
    assert task.score(rankings).report["mrr"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("negatives", "size"), [("both", 8), ("adversarial", 4), ("random", 5)])
def test_negatives_can_be_chosen(negatives, size):
    task = make(negatives=negatives)
    assert task.mask(task.initial(np.arange(15))).sum(axis=1).max() == size - (negatives == "both")
    assert task.score(rollout(task, "oracle")).value == 1.0
    train = make(split="train", negatives=negatives)  # it has drawn ones alone
    assert (train.mask(train.initial(np.arange(40))).sum(axis=1) == 10).all()
    assert train.n_actions == task.n_actions


def test_record_and_frame():
    task = make(TWO, order_seed=None)
    assert task.record(0, (2, 0, 1)) == {
        "context": ["hello there", "who is it"],
        "reply": "seven",
        "ranking": [2, 0, 1],
    }
    assert task.record(0, ())["reply"] is None
    state = task.initial(np.array([0]))
    task.transition(state, np.array([1]))
    frame = task.frame(state, 0)
    assert frame.place == "pick 1/3"
    assert [(p.mark, p.label) for p in frame.pieces[2:]] == [
        ("here", ""),
        ("wrong", "pick 1"),
        ("here", ""),
    ]


@pytest.mark.parametrize(
    ("samples", "kwargs", "message"),
    [
        (TWO, {"max_candidates": 3}, "bye: 4 candidates, allowed: 2 to 3. max_candidates="),
        ([dialogue(["hi"], "a", "b", gold=(5,))], {}, r"hi: gold=\(5,\)"),
        ([dialogue(["hi"], "a", "b", gold=())], {}, r"hi: gold=\(\)"),
        ([dialogue(["hi"], "a")], {}, "hi: 1 candidates"),
    ],
)
def test_rows_that_do_not_fit_name_the_row(samples, kwargs, message):
    with pytest.raises(DataError, match=message):
        make(samples, **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"negatives": "randoms"}, "negatives='randoms'.*Did you mean 'random'"),
        ({"ranks": 11}, "ranks=11"),
        ({"turns": -1}, "turns=-1"),
        ({"max_candidates": 1}, "max_candidates=1"),
    ],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(NLPGymError, match=message):
        make(**kwargs)


def test_own_file_is_played(tmp_path):
    file = tmp_path / "own.jsonl"
    rows = [{"context": [f"Q {i}?"], "candidates": ["a", "b", "c"], "answer": 1} for i in range(20)]
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    task = make(data=file)
    assert rollout(task, "oracle")[0][0] == 1
    assert len(task.corpus) == 2
