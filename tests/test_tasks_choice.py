"""The rules of multiple-choice questions."""

from __future__ import annotations

import numpy as np
import pytest

from nlp_gym.errors import DataError, NLPGymError
from nlp_gym.metrics.ranking import Ranking, choice_accuracy
from nlp_gym.tasks.candidates.choice_qa import ANSWER, CONTINUE
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample


def question(stem, *choices, gold=0):
    words = tuple(tuple(choice.split()) for choice in choices)
    extra = {"choices": words, "choice_texts": choices, "text": stem}
    return Sample(tuple(stem.split()), None, stem, extra, gold)


def make(samples=None, **kwargs):
    kwargs = {"encoder": "hashed", "corpus": "sample", **kwargs}
    if samples is not None:
        kwargs["data"] = samples
    return make_task("ChoiceQA-v0", **kwargs)


THREE = [
    question("what melts", "ice", "stone", "sand", gold=0),
    question("what flies", "fish", "bird", gold=1),
    question("what burns", "coal", "water", "rock", "rain", gold=0),
]


def test_browsing_shows_one_choice_after_the_other():
    task = make(THREE, order_seed=None, seen=1)
    state = task.initial(np.array([0, 1]))
    tables, units = task.tables, task.units.texts
    shown = tables.candidates_of(state.row, state.slot)
    assert shown.shape == (2, 1, 2)
    assert [units[u] for u in shown[0, 0]] == [("what", "melts", "ice"), ("ice",)]
    assert task.extra(state)["left"].tolist() == [[2], [1]]
    _, ended = task.transition(state, np.array([CONTINUE, CONTINUE]))
    assert not ended.any()
    shown = tables.candidates_of(state.row, state.slot)
    assert [units[u[0, 1]] for u in shown] == [("stone",), ("bird",)]
    context = tables.context_of(state.row, state.slot)
    assert [units[u] for u in context[0]] == [("what", "melts"), ("what", "melts", "ice")]
    assert task.mask(state).tolist() == [[True, True], [True, False]]
    rewards, ended = task.transition(state, np.array([ANSWER, ANSWER]))
    assert rewards.tolist() == [0.0, 1.0]
    assert ended.all()
    assert task.outputs(state) == [1, 1]


def test_continue_on_the_last_choice_is_played_as_answer():
    task = make(THREE, order_seed=None, reward="metric")
    state = task.initial(np.array([1]))
    task.transition(state, np.array([CONTINUE]))
    reward, ended = task.transition(state, np.array([CONTINUE]))
    assert reward == [1 - 0.125]
    assert ended.all()


def test_oracle_goes_on_to_the_end_once_the_right_choice_is_missed():
    task = make(THREE, order_seed=None)
    state = task.initial(np.array([2]))
    assert task.oracle(state) == [ANSWER]
    for expected in (CONTINUE, CONTINUE, ANSWER):
        task.transition(state, np.array([CONTINUE]))
        assert task.oracle(state) == [expected]


def test_pick_one_of_all():
    task = make(THREE, browse=False, order_seed=None, max_choices=5)
    assert task.n_actions == 5
    state = task.initial(np.arange(3))
    assert task.mask(state).sum(axis=1).tolist() == [3, 2, 4]
    assert task.tables.candidates.shape == (3, 5, 2)
    assert (task.tables.candidates[1, 2:] == len(task.units)).all()
    rewards, ended = task.transition(state, np.array([0, 0, 4]))
    assert ended.all()
    assert rewards.tolist() == [1.0, 0.0, 1 - 0.125]  # 4 is none of the third's choices
    assert task.outputs(state) == [0, 0, 0]


@pytest.mark.parametrize("browse", [True, False])
def test_order_of_choices_says_nothing_and_follows_from_the_texts(browse):
    rows = [question(f"question {i}", "right", "wrong", "bad", "false") for i in range(200)]
    task = make(rows, browse=browse)
    first = task._right[:, :4].argmax(axis=1)
    assert np.bincount(first, minlength=4).min() > 30
    backwards = make(rows[::-1], browse=browse)
    assert np.array_equal(backwards._order, task._order[::-1])
    assert not np.array_equal(make(rows, order_seed=1)._order, task._order)
    outputs = rollout(task, "oracle")
    assert outputs == [0] * 200  # indices are those of the file


def test_score_reports_chance_and_what_was_shown():
    task = make(THREE, order_seed=None)
    score = task.score([0, 0, -1], bootstrap=50)
    assert score.value == pytest.approx(1 / 3)
    assert score.report["chance"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 4) / 3)
    assert score.report["shown"] == pytest.approx((1 + 1 + 4) / 9)
    assert "shown" not in make(THREE, browse=False).score([0, 1, 0]).report
    assert "chance" in score.text


def test_record_and_frame():
    task = make(THREE, order_seed=None)
    record = task.record(1, 0)
    choices = ["fish", "bird"]
    assert record == {"question": "what flies", "answer": "fish", "index": 0, "choices": choices}
    assert task.record(1, -1)["answer"] is None
    state = task.initial(np.array([1]))
    marks = [piece.mark for piece in task.frame(state, 0).pieces]
    assert marks == ["plain", "here", "dim"]
    task.transition(state, np.array([ANSWER]))
    piece = task.frame(state, 0).pieces[1]
    assert (piece.mark, piece.text, piece.gold) == ("wrong", "fish", "bird")


@pytest.mark.parametrize(
    ("samples", "kwargs", "message"),
    [
        (THREE, {"max_choices": 3}, "what burns: 4 candidates, allowed: 2 to 3. max_choices="),
        ([question("one", "x")], {}, "one: 1 candidates"),
        ([question("two", "x", "y", gold=2)], {}, "two: gold=2"),
        ([question("two", "x", "y", gold="y")], {}, "two: gold='y'"),
        ([Sample(("plain", "text"), None, "p", {}, 0)], {}, "p: 0 candidates"),
    ],
)
def test_rows_that_do_not_fit_name_the_row(samples, kwargs, message):
    with pytest.raises(DataError, match=message):
        make(samples, **kwargs)


@pytest.mark.parametrize(
    "kwargs",
    [{"browse": 1}, {"max_choices": 1}, {"seen": -1}, {"order_seed": 0.5}, {"order_seed": True}],
)
def test_arguments_are_checked(kwargs):
    (name,) = kwargs
    with pytest.raises(NLPGymError, match=f"{name}="):
        make(**kwargs)


def test_own_file_is_split_and_played(tmp_path):
    file = tmp_path / "own.csv"
    lines = [f"Which is number {i}?,n{i},m{i},k{i},1" for i in range(30)]
    file.write_text("\n".join(["question,choice1,choice2,choice3,answer", *lines]), "utf-8")
    sizes = []
    for split in ("train", "dev", "test"):
        task = make(split=split, data=file)
        assert task.score(rollout(task, "oracle")).value == 1.0
        sizes.append(len(task.corpus))
    assert sizes == [24, 3, 3]


def test_ranking_counts_misses_as_nothing():
    score = Ranking("mrr", at=(1, 3)).score([1, 2, 0, 4], bootstrap=100)
    assert score.value == pytest.approx((1 + 0.5 + 0.25) / 4, abs=1e-6)
    assert score.report["hits_at_1"] == 0.25
    assert score.report["hits_at_3"] == 0.5
    assert score.interval[0] < score.value < score.interval[1]
    with pytest.raises(NLPGymError, match="headline='hits_at_2'"):
        Ranking("hits_at_2", at=(1, 3))
    assert choice_accuracy([True, False], [2, 4], bootstrap=0).interval is None
