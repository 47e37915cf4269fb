"""Texts written token by token: vocabulary, masks, rewards that are sacreBLEU's."""

from __future__ import annotations

import json
import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from nlp_gym import make_task
from nlp_gym.data.vocabulary import STOP, Vocabulary, normal
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.generation import VALUES
from nlp_gym.tasks.rollout import rollout
from nlp_gym.types import Sample

IDS = [
    "Translation-Multi30k-v0",
    "Translation-Tatoeba-v0",
    "Summary-AESLC-v0",
    "DialogueGeneration-v0",
    "Generation-v0",
]
SMALL = {"encoder": "hashed", "corpus": "sample"}
TEXTS = ["Der Hund läuft.", "Die Katze schläft im Haus.", "今天天气很好，我们去公园吧。", "Ça va?"]


@pytest.fixture(scope="module")
def task():
    return make_task("Translation-Multi30k-v0", **SMALL)


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.learn(TEXTS * 3, size=330)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_can_be_written(vocabulary, text):
    tokens = vocabulary.encode([text])[0]
    assert 0 not in tokens
    assert vocabulary.decode(tokens) == normal(text)


def test_tokens_are_stop_bytes_characters_and_merges(vocabulary):
    assert vocabulary.tokens[0] == STOP
    assert vocabulary.tokens[1 + ord("A")] == "<0x41>"
    assert len(vocabulary.tokens) == 330
    assert any(len(token) > 3 for token in vocabulary.tokens[257:])
    characters = Vocabulary.learn(TEXTS, size=4000, kind="character")
    assert all(len(token) == 1 for token in characters.tokens[257:])
    assert set("今天气Ç") < set(characters.tokens)


def test_text_that_looks_like_stop_is_spelt(vocabulary):
    tokens = vocabulary.encode([f"a {STOP} b <0x41>"])[0]
    assert 0 not in tokens
    assert vocabulary.decode(tokens) == f"a {STOP} b <0x41>"


def test_a_vocabulary_is_the_same_each_time_and_survives_json(vocabulary):
    assert Vocabulary.learn(TEXTS * 3, size=330).settings == vocabulary.settings
    again = Vocabulary.read(json.loads(json.dumps(vocabulary.settings)))
    assert again.tokens == vocabulary.tokens
    assert again.encode(TEXTS) == vocabulary.encode(TEXTS)


@pytest.mark.parametrize("settings", ["", "{}", 3, None, '{"model": 1}', "x" * 300])
def test_what_is_no_vocabulary_is_refused(settings):
    with pytest.raises(InvalidArgumentError, match="vocabulary="):
        Vocabulary.read(settings)


def test_oracle_writes_the_first_reference_for_a_reward_of_exactly_one():
    for env_id in IDS:
        task = make_task(env_id, reward="metric", **SMALL)
        rows = np.arange(len(task.corpus))
        state, total = task.initial(rows), np.zeros(len(rows))
        running = np.ones(len(rows), bool)
        while running.any():
            reward, ended = task.transition(state, np.where(running, task.oracle(state), 0))
            total += reward * running
            running &= ~ended
        assert (total == 1.0).all(), env_id
        golds = [normal(sample.gold[0]) for sample in task.corpus.samples]
        assert task.outputs(state) == golds


def test_rewards_are_changes_of_sacrebleus_sentence_bleu(task):
    rng = np.random.default_rng(0)
    state = task.initial(np.arange(30))
    before = np.zeros(30)
    for _ in range(25):
        gold = task.oracle(state)
        actions = np.where(rng.random(30) < 0.6, gold, rng.integers(1, task.n_actions, 30))
        actions, _ = task.repair(state, np.where(actions == 0, gold, actions))
        reward, _ = task.transition(state, actions)
        references = [list(sample.gold) for sample in task.corpus.samples[:30]]
        now = [
            sacrebleu.sentence_bleu(text, refs, use_effective_order=True).score / 100
            if text
            else 0.0
            for text, refs in zip(task.outputs(state), references, strict=True)
        ]
        np.testing.assert_allclose(reward, np.array(now) - before, atol=3e-6)  # the grid's step
        before = np.array(now)


@pytest.mark.parametrize("metric", ["chrf", "rouge1", "rouge2", "rougeL"])
def test_other_metrics_reward_the_reference_with_one(metric):
    task = make_task("Translation-Multi30k-v0", metric=metric, reward="metric", **SMALL)
    texts = rollout(task, "oracle", range(10))
    assert task.score(texts, rows=range(10), bootstrap=0).value == pytest.approx(1.0)
    assert task.metric_name == VALUES[metric]
    state, total = task.initial(np.arange(10)), np.zeros(10)
    for _ in range(task.max_length):
        total += task.transition(state, task.oracle(state))[0]
    assert (total == 1.0).all()


def test_masks_let_only_whole_characters_be_written(task):
    rng = np.random.default_rng(0)
    state = task.initial(np.zeros(200, np.int64))
    for _ in range(task.max_length - 4):
        mask = task.mask(state)
        assert mask.any(axis=1).all()
        noise = np.where(mask, rng.random(mask.shape), -1.0)
        noise[:, 1:257] += 0.5 * mask[:, 1:257]  # bytes, mostly
        noise[:, 0] = -1.0
        task.transition(state, noise.argmax(axis=1))
    done = state.take(state.missing == 0)
    raw = [b"".join(task.vocabulary.pieces[t] for t in row) for row in done.prefix.tolist()]
    assert len(raw) > 50
    # Surrogates can be written, and longer forms of shorter characters; nothing else is broken.
    left = b"(?:\xed[\xa0-\xbf].|\xe0[\x80-\x9f].|\xf0[\x80-\x8f]..|\xf4[\x90-\xbf]..)"
    for text in raw:
        re.sub(left, b"", text, flags=re.DOTALL).decode("utf-8")


def test_first_comes_a_word_then_stop_is_legal(task):
    state = task.initial(np.array([0]))
    first = task.mask(state)[0]
    assert not first[0]
    assert all(task.vocabulary.tokens[i].startswith("\u2581") for i in np.flatnonzero(first))
    task.transition(state, task.oracle(state))
    assert task.mask(state)[0, 0]


def test_an_episode_ends_with_stop_or_its_length(task):
    short = make_task("Translation-Multi30k-v0", max_length=64, **SMALL)
    state = short.initial(np.array([0, 1]))
    ended = np.zeros(2, bool)
    for _ in range(64):
        assert not ended.any()
        _, ended = short.transition(state, np.full(2, short.vocabulary.tokens.index("\u2581")))
    assert ended.all()
    state = task.initial(np.array([0]))
    task.transition(state, task.oracle(state))
    assert task.transition(state, np.array([0]))[1].all()


def test_correctness_is_the_token_of_the_reference_at_its_place():
    task = make_task("Translation-Multi30k-v0", reward="correctness", **SMALL)
    state = task.initial(np.array([0, 0]))
    gold = task.oracle(state)
    wrong = np.flatnonzero(task.mask(state)[0])[-1]
    reward, _ = task.transition(
        state, np.array([gold[0], wrong if wrong != gold[0] else gold[0] - 1])
    )
    assert reward.tolist() == [1.0, 0.0]


def test_stop_is_right_only_after_the_last_token_of_the_reference():
    task = make_task("Translation-Multi30k-v0", reward="correctness", **SMALL)
    size = len(task.vocabulary.encode([task.corpus.samples[0].gold[0]])[0])
    for extra in (0, 3):
        state, total = task.initial(np.array([0])), 0.0
        for _ in range(size):
            total += task.transition(state, task.oracle(state))[0][0]
        assert total == size
        for _ in range(extra):
            total += task.transition(state, np.array([task.n_actions - 1]))[0][0]
        total += task.transition(state, np.array([0]))[0][0]
        assert total == size + (extra == 0)


def test_every_reference_is_written_in_training_and_all_of_them_count():
    samples = [Sample(("a",), gold=("eins zwei", "drei vier", "fünf")), Sample(("b",), gold=("x",))]
    options = {"encoder": "hashed", "data": samples}
    task = make_task("Translation-v0", **options)
    assert [sample.gold[0] for sample in task.corpus.samples] == [
        "eins zwei",
        "drei vier",
        "fünf",
        "x",
    ]
    assert len(task.units) == 2  # equal sources are encoded once
    state = task.initial(np.array([0, 1, 2]))
    tokens = task.vocabulary.encode(["drei vier"])[0]
    for token in tokens:
        task.transition(state, np.full(3, token))
    assert task.potential(state).tolist() == [1.0, 1.0, 1.0]
    dev = make_task("Translation-v0", "dev", **options, **task.learnt)
    assert len(dev.corpus) == 2


def test_references_that_rouge_cannot_count_are_named_in_a_warning():
    samples = [Sample(("a",), gold=("今天天气很好",)), Sample(("b",), gold=("很好",))]
    options = {"encoder": "hashed", "data": samples, "metric": "rougeL"}
    with pytest.warns(UserWarning, match="tokenize='zh'"):
        make_task("Translation-v0", **options)
    task = make_task("Translation-v0", tokenize="zh", **options)
    assert task.score(rollout(task, "oracle")).value == pytest.approx(1.0)


def test_labels_are_refused():
    with pytest.raises(InvalidArgumentError, match="vocabulary"):
        make_task("Translation-Multi30k-v0", labels=["a"], **SMALL)


def test_dev_and_test_write_what_training_taught(task):
    dev = make_task("Translation-Multi30k-v0", "dev", **SMALL)
    assert dev.vocabulary.settings == task.vocabulary.settings
    given = make_task("Translation-Multi30k-v0", "test", **SMALL, **task.learnt)
    assert given.n_actions == task.n_actions


def test_texts_without_gold_need_a_vocabulary(task):
    plain = [Sample(("A", "dog"))]
    with pytest.raises(InvalidArgumentError, match="vocabulary=None"):
        make_task("Translation-v0", "test", encoder="hashed", data=plain)
    own = make_task("Translation-v0", "test", encoder="hashed", data=plain, **task.learnt)
    assert own.action_name(0) == STOP
    state = own.initial(np.array([0]))
    reward, _ = own.transition(state, np.array([own.vocabulary.encode(["Hund"])[0][0]]))
    assert reward.tolist() == [0.0]
    with pytest.raises(InvalidArgumentError, match="gold"):
        own.oracle(state)


def test_own_pairs_of_any_script_are_learnt_and_scored(tmp_path):
    file = tmp_path / "own.jsonl"
    rows = [{"source": f"sentence {i}", "target": f"第{i}句话，很短。"} for i in range(60)]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = {"data": str(file), "tokens": "character", "tokenize": "zh", "encoder": "hashed"}
    task = make_task("Translation-v0", "test", **options)
    score = task.score(rollout(task, "oracle"))
    assert score.value == pytest.approx(1.0)
    assert "tok:zh" in score.signature


def test_long_sources_and_references_are_named_in_warnings():
    long = [Sample(("word",) * 70, gold=("ein " * 90,)), Sample(("a",), gold=("b",))]
    with pytest.warns(UserWarning, match="more than 64") as caught:
        task = make_task("Translation-v0", encoder="hashed", data=long)
    told = " ".join(str(warning.message) for warning in caught)
    assert "1 of 2 sources have more than 64 words" in told
    assert "1 of 2 references have more than 64 tokens" in told
    state = task.initial(np.array([0]))
    for _ in range(64):
        _, ended = task.transition(state, task.oracle(state))
    assert ended.all()


@pytest.mark.parametrize("gold", [(), ("",), (" ",), "text", (3,), [None]])
def test_samples_need_references_that_are_texts(gold):
    with pytest.raises(DataError, match="gold="):
        make_task("Translation-v0", encoder="hashed", data=[Sample(("a",), gold=gold)])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"pair": "en-xx"}, UnknownNameError, "en-de"),
        ({"metric": "bleurt"}, UnknownNameError, "chrf"),
        ({"tokenize": "moses"}, UnknownNameError, "13a"),
        ({"tokens": "word"}, UnknownNameError, "subword"),
        ({"smooth_method": "laplace"}, UnknownNameError, "exp"),
        ({"vocabulary_size": 10}, InvalidArgumentError, "vocabulary_size=10"),
        ({"max_length": 1}, InvalidArgumentError, "max_length=1"),
        ({"max_source": 0}, InvalidArgumentError, "max_source=0"),
        ({"beam": 0}, InvalidArgumentError, "beam=0"),
        ({"vocabulary": "x"}, InvalidArgumentError, "vocabulary="),
    ],
)
def test_arguments_are_checked(options, error, words):
    with pytest.raises(error, match=words):
        make_task("Translation-Multi30k-v0", **SMALL, **options)


def test_a_snapshot_goes_on_in_another_object(task):
    rng = np.random.default_rng(0)
    venv = TaskVectorEnv(task, 6, obs_type="index")
    venv.reset(seed=3)
    for _ in range(7):
        venv.step(rng.integers(1, task.n_actions, 6))
    arrays, generators = venv.snapshot()
    fresh = make_task("Translation-Multi30k-v0", **SMALL)  # numbers its chunks of text anew
    other = TaskVectorEnv(fresh, 6, obs_type="index")
    other.reset(seed=0)
    other.step(rng.integers(1, task.n_actions, 6))
    other.restore(arrays, generators)
    for _ in range(30):
        actions = rng.integers(0, task.n_actions, 6)
        first, second = venv.step(actions), other.step(actions)
        np.testing.assert_array_equal(first[1], second[1])
        np.testing.assert_array_equal(first[0]["prefix"], second[0]["prefix"])


def test_index_observations_name_the_mask(task):
    venv = TaskVectorEnv(task, 4, obs_type="index")
    observation, info = venv.reset(seed=0)
    assert "action_mask" not in observation
    rng = np.random.default_rng(0)
    for _ in range(40):
        masks = task.masks[observation["legal"][:, 0]]
        np.testing.assert_array_equal(masks, venv.action_masks())
        np.testing.assert_array_equal(masks, info["action_mask"].astype(bool))
        observation, *_, info = venv.step(rng.integers(0, task.n_actions, 4))


def test_render_shows_source_text_and_reference(task):
    env = gym.make("Translation-Multi30k-v0", render_mode="ansi", **SMALL)
    env.reset(options={"row": 0})
    for _ in range(3):
        env.step(env.unwrapped.oracle_action())
    drawn = env.render()
    sample = task.corpus.samples[0]
    assert sample.extra["text"] in drawn
    assert sample.gold[0] in drawn
    assert "token 3/64" in drawn


def test_the_corpus_score_is_sacrebleus():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = make_task("Translation-Multi30k-v0", "dev", **SMALL)
    texts = rollout(task, "oracle")
    texts = [text.rsplit(" ", 1)[0] for text in texts]
    golds = [normal(sample.gold[0]) for sample in task.corpus.samples]
    expected = sacrebleu.corpus_bleu(texts, [golds])
    score = task.score(texts)
    assert score.value == pytest.approx(expected.score / 100)
    low, high = score.interval
    assert low < score.value < high
    assert "nrefs:1" in score.signature
