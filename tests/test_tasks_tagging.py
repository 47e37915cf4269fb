"""The tagging task's own rules: BIO masks, repairs, rewards by hand, windows, users' own data."""

from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.registration import make_task
from nlp_gym.tasks.rollout import rollout
from nlp_gym.types import Sample

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
SAMPLES = [
    Sample(("Ann", "Lee", "left", "Oslo", "."), ("B-PER", "I-PER", "O", "B-LOC", "O")),
    Sample(("Nothing", "here"), ("O", "O")),
]


def task_of(samples=SAMPLES, **kwargs):
    return make_task("NER-v0", data=samples, encoder="hashed", labels=LABELS, **kwargs)


def play(task, row, tags):
    state = task.initial(np.array([row]))
    rewards = []
    for tag in tags.split():
        reward, ended = task.transition(state, np.array([LABELS.index(tag)]))
        rewards.append(float(reward[0]))
    assert ended[0]
    return rewards, task.outputs(state)[0]


@pytest.mark.parametrize(
    ("before", "allowed"),
    [
        (None, {"O", "B-LOC", "B-PER"}),
        ("O", {"O", "B-LOC", "B-PER"}),
        ("B-LOC", {"O", "B-LOC", "I-LOC", "B-PER"}),
        ("I-LOC", {"O", "B-LOC", "I-LOC", "B-PER"}),
        ("B-PER", {"O", "B-LOC", "B-PER", "I-PER"}),
        ("I-PER", {"O", "B-LOC", "B-PER", "I-PER"}),
    ],
)
def test_tagging_mask_follows_bio(before, allowed):
    task = task_of()
    state = task.initial(np.array([0]))
    if before is not None:
        state.history[0, 0] = LABELS.index(before)
    assert {LABELS[i] for i in np.flatnonzero(task.mask(state)[0])} == allowed


def test_tagging_illegal_tag_is_played_as_its_repair_and_costs():
    rewards, tags = play(task_of(), 0, "I-PER I-PER O I-LOC I-PER")
    assert tags == ("B-PER", "I-PER", "O", "B-LOC", "B-PER")
    assert rewards == [1 - 0.125, 1.0, 1.0, 1 - 0.125, -0.125]


@pytest.mark.parametrize(
    ("reward", "row", "tags", "expected"),
    [
        ("metric", 0, "B-PER I-PER O B-LOC O", [1, 0, 0, 0, 0]),
        ("sparse", 0, "B-PER I-PER O B-LOC O", [0, 0, 0, 0, 1]),
        # The open entity is right, then cut short: F1 of the prefix falls from 1 to 0.
        ("metric", 0, "B-PER O O B-LOC O", [1, -1, 0, 0.5, 0]),
        ("sparse", 0, "B-PER O O B-LOC O", [0, 0, 0, 0, 0.5]),
        ("metric", 0, "O O O O O", [0, 0, 0, 0, 0]),
        ("metric", 1, "O O", [1, 0]),
        ("metric", 1, "O B-LOC", [1, -1]),
        ("sparse", 1, "O I-LOC", [0, -0.125]),
    ],
)
def test_tagging_rewards_by_hand(reward, row, tags, expected):
    assert play(task_of(reward=reward), row, tags)[0] == pytest.approx(expected, abs=1e-6)


def test_tagging_history_is_most_recent_first():
    task = task_of(history_length=3)
    state = task.initial(np.array([0]))
    for tag in ("B-PER", "I-PER", "O"):
        task.transition(state, np.array([LABELS.index(tag)]))
    assert task.observe(state, "index")["history"][0].tolist() == [0, 4, 3]
    one_hot = task.observe(state, "features")["history"][0].reshape(3, 6)
    assert one_hot.argmax(1).tolist() == [0, 4, 3]
    assert task.observe(task.initial(np.array([0])), "index")["history"][0].tolist() == [5, 5, 5]


def test_tagging_context_is_the_window_with_zeros_outside():
    task = task_of(window=1)
    dim = task.encoder.dim
    state = task.initial(np.array([0, 1]))
    first = task.observe(state, "features")["context"].reshape(2, 3, dim)
    features = task.encoded.features.astype(np.float32)
    assert not first[:, 0].any()
    assert np.array_equal(first[0, 1:], features[:2])
    assert np.array_equal(first[1, 1:], features[5:7])
    for _ in range(2):
        task.transition(state, np.zeros(2, int))
    last = task.observe(state, "features")["context"].reshape(2, 3, dim)
    assert np.array_equal(last[0], features[1:4])
    assert not last[1].any()  # at its end


def test_tagging_task_runs_on_texts_without_gold():
    task = task_of([Sample(("Oslo", "你好", "🙂")), Sample(("x",))])
    outputs = rollout(task, lambda obs, mask: mask.argmax(1))
    assert [len(tags) for tags in outputs] == [3, 1]
    state = task.initial(np.array([0]))
    assert task.transition(state, np.array([1]))[0][0] == 0.0
    for wrong in (lambda: task.oracle(state), lambda: task.score(outputs)):
        with pytest.raises(InvalidArgumentError, match="gold"):
            wrong()


def test_tagging_unseen_gold_label_warns_and_is_never_right():
    samples = [Sample(("a", "b"), ("B-NEW", "O"))]
    with pytest.warns(UserWarning, match=r"B-NEW \(1x\)"):
        task = task_of(samples)
    rewards, _ = play(task, 0, "O O")
    assert rewards == [0.0, 1.0]
    assert task.oracle(task.initial(np.array([0])))[0] == 0


def test_tagging_rejects_what_is_no_bio_inventory():
    plain = [Sample(("a", "b"), ("NOUN", "VERB"))]
    with pytest.raises(InvalidArgumentError, match=r"NOUN.*POS-v0"):
        make_task("NER-v0", data=plain, encoder="hashed")
    with pytest.raises(InvalidArgumentError, match="'B-LOC'"):
        make_task("NER-v0", data=SAMPLES, encoder="hashed", labels=("O", "I-LOC"))
    assert make_task("POS-v0", data=plain, encoder="hashed").labels == ("NOUN", "VERB")
    with pytest.raises((DataError, InvalidArgumentError), match="labels"):
        make_task("NER-v0", data=[Sample(("a",))], encoder="hashed")
    with pytest.raises(UnknownNameError, match="BIO"):
        make_task("NER-v0", scheme="IOB", encoder="hashed")


def test_tagging_tokens_show_the_current_word():
    task = task_of(max_tokens=16)
    tokens = task.tokens
    state = task.initial(np.array([0]))
    for position in range(5):
        obs = task.observe(state, "tokens")
        ids, (start, end) = obs["input_ids"][0], obs["focus"][0]
        first, last = tokens.word_starts[position : position + 2]
        assert ids[start:end].tolist() == tokens.ids[first:last].tolist()
        assert ids[0] == tokens.bos_id
        n = int(obs["attention_mask"][0].sum())
        assert ids[n - 1] == tokens.eos_id
        assert (ids[n:] == tokens.pad_id).all()
        task.transition(state, np.array([0]))
    assert not task.observe(state, "tokens")["focus"].any()


@pytest.mark.parametrize("n_words", [1, 13, 14, 15, 40, 2000])
def test_tagging_tokens_of_long_texts_keep_the_current_word_in_sight(n_words):
    words = tuple(f"w{i}" for i in range(n_words))
    task = task_of([Sample(words, ("O",) * n_words)], max_tokens=16)
    tokens = task.tokens
    state = task.initial(np.array([0]))
    space = task.observation_space("tokens")
    for position in range(n_words):
        obs = {k: v[0] for k, v in task.observe(state, "tokens").items()}
        assert obs["input_ids"][slice(*obs["focus"])].tolist() == [tokens.ids[position]]
        if position % 97 == 0:
            assert space.contains(obs)
        task.transition(state, np.array([0]))


@pytest.mark.parametrize(
    "words",
    [("你好", "世界"), ("🙂", "👩‍👩‍👧"), ("\u200b", "\x07"), ("a" * 5000,), ("مرحبا",), ("é",)],
)
def test_tagging_takes_any_unicode(words):
    samples = [Sample(words, ("O",) * len(words))]
    for obs_type in ("features", "tokens", "index"):
        env = gym.make("NER-v0", data=samples, labels=LABELS, encoder="hashed", obs_type=obs_type)
        obs, _ = env.reset(seed=0)
        assert env.observation_space.contains(obs)
        for _ in words:
            obs, reward, ended, _, _ = env.step(0)
            assert reward == 1.0
        assert ended


def test_tagging_sentence_of_2000_words_plays_to_its_end():
    words = tuple(f"word{i % 300}" for i in range(2000))
    env = gym.make_vec(
        "NER-v0", num_envs=2, data=[Sample(words, ("O",) * 2000)], labels=LABELS, encoder="hashed"
    )
    env.reset(seed=0)
    for _ in range(2000):
        _, _, ended, _, _ = env.step(np.zeros(2, int))
    assert ended.all()


def test_tagging_context_is_the_same_with_and_without_torch(monkeypatch):
    import torch

    task = task_of(window=2)
    slots = np.arange(task.n_slots)
    with_torch = task.context(slots)
    assert sys.modules["torch"] is torch
    monkeypatch.delitem(sys.modules, "torch")
    without = task.context(slots)
    assert np.array_equal(with_torch, without)
    assert with_torch.dtype == without.dtype == np.float32
