"""The tagging task's own rules: BIO masks, repairs, rewards by hand, windows, users' own data."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
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


def test_tagging_refuses_a_corpus_of_which_only_some_samples_have_gold():
    mixed = [*SAMPLES, Sample(("x",), id="b.txt:7"), Sample(("y",))]
    with pytest.raises(DataError, match=r"sample 2 \(b\.txt:7\) has no labels.* 2 of 4"):
        task_of(mixed)
    with pytest.raises(DataError, match="sample 0 has no labels"):
        task_of([Sample(("y",)), *SAMPLES])


BIOES = "Ann S-PER\nin O\nNew B-LOC\nYork E-LOC\n\n"


def test_tagging_data_scheme_is_the_files_and_flat_labels_are_plain(tmp_path):
    file = tmp_path / "train.conll"
    file.write_text(BIOES)
    given = {"data": {"train": file}, "encoder": "hashed"}
    assert make_task("NER-v0", **given).labels == LABELS
    flat = make_task("POS-v0", **given)
    assert flat.labels == ("B-LOC", "E-LOC", "O", "S-PER")
    assert flat.corpus.samples[0].labels == ("S-PER", "O", "B-LOC", "E-LOC")
    assert make_task("POS-v0", data_scheme="bioes", **given).labels == LABELS
    declared = make_task("POS-v0", labels=["S-PER", "O", "B-LOC", "E-LOC", "I-X"], **given)
    assert declared.n_actions == 5  # an I-X without B-X is fine where labels are plain
    with pytest.raises(DataError, match=r"'S-PER'.*gym\.make: data_scheme='none'"):
        make_task("NER-v0", data_scheme="iob2", **given)


def test_tagging_flat_labels_without_o_get_none():
    samples = [Sample(("a", "b"), ("B-X", "I-Y"))]
    assert make_task("POS-v0", data=samples, encoder="hashed").labels == ("B-X", "I-Y")


def test_tagging_column_is_the_label_column_of_the_reader(tmp_path):
    file = tmp_path / "train.conll"
    file.write_text("Ann NNP B-PER\nsings VBZ O\n\n")
    env = gym.make("POS-v0", data={"train": file}, column=1, encoder="hashed", obs_type="index")
    assert env.unwrapped.task.labels == ("NNP", "VBZ")
    trees = tmp_path / "train.conllu"
    trees.write_text("1\tAnn\t_\tPROPN\tNNP\t_\t_\t_\t_\t_\n\n")
    for column, labels in ((None, ("PROPN",)), ("upos", ("PROPN",)), ("xpos", ("NNP",))):
        task = make_task("POS-v0", data={"train": trees}, column=column, encoder="hashed")
        assert task.labels == labels
    with pytest.raises(UnknownNameError, match="upos, xpos"):
        make_task("POS-v0", data={"train": trees}, column="pos", encoder="hashed")
    rows = tmp_path / "train.csv"
    rows.write_text("sentence,word,label,other\n1,Ann,O,Q\n1,sings,O,R\n")
    csv = make_task("POS-v0", data={"train": rows}, column="other", encoder="hashed")
    assert csv.labels == ("Q", "R")


def test_tagging_file_of_ones_own_has_the_same_actions_in_every_split(tmp_path):
    """The training part's: a label that only dev or test has is unseen, and warns."""
    file = tmp_path / "mine.conll"
    file.write_text("".join(f"word{i} B-T{i}\n\n" for i in range(20)))
    train = make_task("NER-v0", data=file, encoder="hashed")
    kinds = sorted(label for s in train.corpus.samples for label in s.labels)
    assert len(kinds) == 16
    assert sorted(label for label in train.labels if label[0] == "B") == kinds
    for split in ("dev", "test"):
        with pytest.warns(UserWarning, match=r"counted as missed: B-T"):
            other = make_task("NER-v0", split, data=file, encoder="hashed")
        assert other.labels == train.labels


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
