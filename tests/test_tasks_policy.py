"""Dialogue policy: the rules of its turns, its metric, and data of one's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.metrics.labels.dialogue_acts import act_f1
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample

ID = "DialoguePolicy-SGD-v0"


def dialogue(*turns, said=None):
    """A sample of (user's words, acts) a turn."""
    users = tuple(tuple(user.split()) for user, _ in turns)
    extra = {"turns": users, "said": said or tuple(("ok",) for _ in turns)}
    words = tuple(word for turn in users for word in turn)
    return Sample(words, None, "", extra, tuple(tuple(acts) for _, acts in turns))


TALK = dialogue(("a table", ["REQUEST"]), ("for two", ["CONFIRM", "OFFER"]), ("bye", ["GOODBYE"]))


def make(*samples, **kwargs):
    return make_task(ID, encoder="hashed", data=list(samples or [TALK]), **kwargs)


def play(task, *names, reward=None):
    """Play acts by name; gives the state, the rewards and whether the episode ended."""
    if reward is not None:
        task.reward = reward
    state, rewards, over = task.initial(np.zeros(1, np.int64)), [], False
    for name in names:
        action = len(task.labels) if name == "DONE" else task.labels.index(name)
        gained, ended = task.transition(state, np.array([action]))
        rewards.append(float(gained[0]))
        over = bool(ended[0])
    return state, rewards, over


def test_labels_are_the_acts_of_the_training_split_sorted():
    assert make().labels == ("CONFIRM", "GOODBYE", "OFFER", "REQUEST")
    assert make(dialogue(("a", ["X"])), labels=["REQUEST", "X"]).labels == ("REQUEST", "X")


def test_a_turn_ends_with_done_and_the_dialogue_after_its_last_turn():
    task = make()
    state, rewards, over = play(
        task, "REQUEST", "DONE", "OFFER", "CONFIRM", "DONE", "GOODBYE", "DONE"
    )
    assert over
    assert rewards == [1.0] * 7
    assert task.outputs(state) == [(("REQUEST",), ("CONFIRM", "OFFER"), ("GOODBYE",))]
    assert task.lengths.tolist() == [3 * 5]


def test_mask_forbids_repeats_and_an_empty_answer_and_more_than_max_acts():
    task = make(max_acts=2)
    state, _, _ = play(task)
    assert task.mask(state).tolist() == [[True] * 4 + [False]]
    state, _, _ = play(task, "OFFER")
    assert task.mask(state).tolist() == [[True, True, False, True, True]]
    state, _, _ = play(task, "OFFER", "REQUEST")
    assert task.mask(state).tolist() == [[False] * 4 + [True]]


def test_correctness_pays_done_only_for_exactly_the_gold_acts():
    _, rewards, _ = play(
        make(), "REQUEST", "OFFER", "DONE", "CONFIRM", "DONE", reward="correctness"
    )
    assert rewards == [1.0, 0.0, 0.0, 1.0, 0.0]


def test_metric_is_f1_against_all_gold_acts_of_the_dialogue():
    _, rewards, _ = play(make(), "REQUEST", "DONE", "GOODBYE", "DONE", reward="metric")
    assert rewards == pytest.approx([2 / 5, 0.0, 2 / 6 - 2 / 5, 0.0], abs=1e-6)


def test_own_acts_are_seen_and_gold_acts_of_earlier_turns_are_not():
    task = make()
    state, _, _ = play(task, "OFFER", "DONE", "CONFIRM", "DONE", "REQUEST")
    seen = task.observe(state, "index")
    assert seen["chosen"].tolist() == [[0, 0, 0, 1]]
    assert seen["previous"].tolist() == [[1, 0, 0, 0]]
    assert seen["used"].tolist() == [[1, 0, 1, 0]]
    assert seen["turn"].tolist() == [[2]]


def test_context_is_the_user_now_what_the_system_said_and_the_user_before():
    samples = dialogue(("a b", ["X"]), ("c d", ["X"]), said=(("e", "f"), ()))
    task = make(samples)
    texts = task.units.texts
    state, _, _ = play(task)
    shown = [
        [texts[u] if u < len(texts) else None for u in task.tables.context_of(s.row, s.slot)[0]]
        for s in (state, play(task, "X", "DONE")[0])
    ]
    assert shown == [[("a", "b"), None, None], [("c", "d"), ("e", "f"), ("a", "b")]]


def test_turn_number_is_capped():
    task = make(dialogue(*[(f"word{i}", ["X"]) for i in range(20)]))
    state, _, _ = play(task, *["X", "DONE"] * 18)
    assert task.observe(state, "index")["turn"].tolist() == [[15]]
    assert task.observation_space("index")["turn"].contains(np.array([15], np.int32))


def test_oracle_corrects_nothing_but_still_finishes_after_wrong_acts():
    task = make(max_acts=2)
    state, _, _ = play(task, "OFFER")
    assert task.oracle(state).tolist() == [task.labels.index("REQUEST")]
    state, _, _ = play(task, "OFFER", "REQUEST")
    assert task.oracle(state).tolist() == [len(task.labels)]


def test_acts_outside_the_inventory_count_as_missed_and_are_named():
    with pytest.warns(UserWarning, match=r"counted as missed: GOODBYE \(1x\)"):
        task = make(labels=["CONFIRM", "OFFER", "REQUEST"])
    score = task.score(rollout(task, "oracle"), bootstrap=0)
    assert score.value == pytest.approx(2 * 3 / (4 + 4))


def test_score_equals_scikit_learn_over_turns():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    acts = np.array(["A", "B", "C", "D"])
    sides = rng.random((2, 50, 4)) < 0.4
    gold, chosen = (
        [[tuple(acts[t]) for t in side[i : i + 5]] for i in range(0, 50, 5)] for side in sides
    )
    score = act_f1(gold, chosen, bootstrap=20)
    assert score.value == pytest.approx(sklearn.f1_score(*sides, average="micro", zero_division=1))
    assert score.report["exact_turns"] == sklearn.accuracy_score(*sides)
    by_act = sklearn.f1_score(*sides, average=None)
    assert [score.report["acts"][a]["f1-score"] for a in acts] == pytest.approx(list(by_act))
    assert score.interval[0] <= score.value <= score.interval[1]
    assert "exactly right" in score.text


def test_unfinished_dialogue_is_scored_on_all_its_turns():
    score = act_f1([[("A",), ("B",)]], [[("A",)]], bootstrap=0)
    assert score.value == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="2 predicted turns in a dialogue of 1"):
        act_f1([[("A",)]], [[("A",), ("B",)]])


def test_own_file_is_split_and_predicted(tmp_path):
    path = tmp_path / "talks.jsonl"
    rows = [
        {
            "turns": [
                {"user": f"order number {i}", "acts": ["LOOK_UP"]},
                {"user": "bye", "acts": ["BYE"]},
            ]
        }
        for i in range(20)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    parts = [
        make_task(ID, split, data=path, encoder="hashed") for split in ("train", "dev", "test")
    ]
    assert [len(task.corpus) for task in parts] == [16, 2, 2]
    assert {task.labels for task in parts} == {("BYE", "LOOK_UP")}
    task = parts[2]
    output = rollout(task, "oracle")[0]
    record = json.loads(json.dumps(task.record(0, output)))
    assert [turn["acts"] for turn in record["turns"]] == [["LOOK_UP"], ["BYE"]]
    assert record["turns"][0]["user"].startswith("order number")


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample(("a",), None, "s:1", {}, (("X",),)), r"sample 0 \(s:1\) has no extra\['turns'\]"),
        (Sample(("a",), None, "", {"turns": (("a",),)}, (("X",),)), "said.*none"),
        (dialogue(("a", ["X"]), said=(("b",), ("c",))), "1 turns, but extra.*: 2"),
        (Sample(("a",), None, "", TALK.extra, (("X",),)), "3 turns, but gold: 1"),
    ],
)
def test_samples_that_are_no_dialogues_are_named(sample, message):
    with pytest.raises(DataError, match=message):
        make(sample)


def test_dialogues_without_gold_need_labels():
    with pytest.raises(DataError, match=r"labels=\[...\]"):
        make(TALK.unannotated())
    task = make(TALK.unannotated(), labels=["X", "Y"])
    assert len(rollout(task, lambda state, mask: mask.argmax(1))[0]) == 3
    with pytest.raises(InvalidArgumentError, match="max_acts=0"):
        make(max_acts=0)


@pytest.mark.corpus
def test_all_decisions_of_the_corpus_are_within_reach(real_data):
    task = make_task(ID, "dev", encoder="hashed", data_dir=real_data, corpus="full")
    score = task.score(rollout(task, "oracle"), bootstrap=0, report=True)
    assert score.value == 1.0
    assert score.report["turns"] == 1532
