"""Texts written token by token: vocabulary, masks, rewards that are sacreBLEU's."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import sacrebleu
from nltk.translate.gleu_score import sentence_gleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from nlp_gym import make_task
from nlp_gym.data.text.vocabulary import normalise_spaces
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import UnknownNameError
from nlp_gym.metrics.text.corpus import VALUES, generation_score
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample

IDS = [
    "Translation-Multi30k-v0",
    "Translation-Tatoeba-v0",
    "Summary-AESLC-v0",
    "DialogueGeneration-v0",
    "Generation-v0",
]
SMALL = {"encoder": "hashed", "corpus": "sample"}


@pytest.fixture(scope="module")
def task():
    return make_task("Translation-Multi30k-v0", **SMALL)


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
        golds = [normalise_spaces(sample.gold[0]) for sample in task.corpus.samples]
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


@pytest.mark.parametrize("metric", ["gleu", "chrf", "rouge1", "rouge2", "rougeL"])
def test_other_metrics_reward_the_reference_with_one(metric):
    task = make_task("Translation-Multi30k-v0", metric=metric, reward="metric", **SMALL)
    texts = rollout(task, "oracle", range(10))
    assert task.score(texts, rows=range(10), bootstrap=0).value == pytest.approx(1.0)
    assert task.metric_name == VALUES[metric]
    state, total = task.initial(np.arange(10)), np.zeros(10)
    for _ in range(task.max_length):
        total += task.transition(state, task.oracle(state))[0]
    assert (total == 1.0).all()


def test_rewards_may_be_of_another_metric_than_the_score():
    task = make_task("Translation-Multi30k-v0", reward_metric="gleu", reward="metric", **SMALL)
    state, total = task.initial(np.arange(10)), np.zeros(10)
    for place in range(task.max_length):
        actions = task.oracle(state) if place < 5 else np.zeros(10, np.int64)
        total += task.transition(state, actions)[0]
    cut = BLEU(tokenize="13a", force=True).tokenizer
    texts = [cut(text).split() for text in task.outputs(state)]
    golds = [[cut(text).split() for text in task.corpus.samples[row].gold] for row in range(10)]
    expected = [sentence_gleu(gold, text) for gold, text in zip(golds, texts, strict=True)]
    np.testing.assert_allclose(total, expected, atol=3e-6)
    assert 0 < total.min() < total.max() < 1
    assert task.score(task.outputs(state), rows=range(10), bootstrap=0).metric == "bleu"


@pytest.mark.parametrize("reward", ["sparse", "correctness"])
def test_an_episode_ends_with_the_metric_of_rewards_whatever_is_rewarded(reward):
    env = gym.make("DialogueGeneration-v0", reward_metric="rouge1", reward=reward, **SMALL)
    env.reset(seed=0, options={"row": 0})
    written = []
    for _ in range(8):
        written.append(env.unwrapped.oracle_action())
        env.step(written[-1])
    _, earned, ended, _, info = env.step(0)
    task = env.unwrapped.task
    scorer = RougeScorer(["rouge1"], use_stemmer=True)
    found = scorer.score_multi(task.corpus.samples[0].gold, task.vocabulary.decode(written))
    assert ended
    assert 0 < found["rouge1"].fmeasure < 1
    assert info["score"] == pytest.approx(found["rouge1"].fmeasure, abs=3e-6)
    assert earned == (info["score"] if reward == "sparse" else 0.0)


def test_a_wrong_metric_of_rewards_is_named():
    with pytest.raises(UnknownNameError, match="reward_metric"):
        make_task("Translation-Multi30k-v0", reward_metric="bleau", **SMALL)


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
    golds = [normalise_spaces(sample.gold[0]) for sample in task.corpus.samples]
    expected = sacrebleu.corpus_bleu(texts, [golds])
    score = task.score(texts)
    assert score.value == pytest.approx(expected.score / 100)
    low, high = score.interval
    assert low < score.value < high
    assert "nrefs:1" in score.signature


PLAIN = {"encoder": "hashed", "tokens": "subword", "tokenize": "13a"}
CONTROLS = ("\x07", "\x93", "\x96", "\u2581", "\x1c", "\x85", "\ufeff", "\u2028")


@pytest.mark.parametrize("metric", ["bleu", "chrf", "rougeL"])
def test_references_with_control_characters_are_scored_as_they_are(
    tmp_path: Path, metric: str
) -> None:
    """A text has none of these characters, and the reference keeps them: it cannot earn 1."""
    path = tmp_path / "a.tsv"
    rows = [
        (f"line number {i} here and there", f"Zeile {mark} Nummer {i} hier und dort")
        for i, mark in enumerate(CONTROLS)
    ]
    rows.append(("a last line", "Die letzte Zeile."))
    path.write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    task = make_task("Generation-v0", data={"train": path}, metric=metric, **PLAIN)
    outputs = rollout(task, "oracle")
    targets = [target for _, target in rows]
    assert [sample.gold for sample in task.corpus.samples] == [(target,) for target in targets]
    found = generation_score([[target] for target in targets], outputs, targets, value=metric)
    if metric == "bleu":
        library = sacrebleu.corpus_bleu(outputs, [targets]).score / 100
    elif metric == "chrf":
        library = sacrebleu.corpus_chrf(outputs, [targets]).score / 100
    else:
        scorer = RougeScorer(["rougeL"], use_stemmer=True)
        pairs = zip(targets, outputs, strict=True)
        scores = [scorer.score(gold, text)["rougeL"].fmeasure for gold, text in pairs]
        library = sum(scores) / len(scores)
    score = task.score(outputs, bootstrap=0).value
    assert score == pytest.approx(found.value) == pytest.approx(library)
    assert score == 1 if metric == "rougeL" else score < 1


def test_control_characters_that_are_written_are_scored_as_they_are() -> None:
    """The bytes of U+0093 can be written; the reward is that of the text with it."""
    samples = [Sample(("a", "b"), None, "", {"text": "a b"}, ("x y z w",))]
    task = make_task("Generation-v0", data=samples, reward="sparse", **PLAIN)
    pieces = list(task.vocabulary.pieces)
    state = task.initial(np.array([0]))
    targets = task.vocabulary.encode(["x y z w"])[0]
    written = [*targets[:2], pieces.index(b"\xc2"), pieces.index(b"\x93"), *targets[2:], 0]
    rewards = [float(task.transition(state, np.array([token]))[0][0]) for token in written]
    (text,) = task.outputs(state)
    assert "\x93" in text
    bleu = BLEU(effective_order=True).sentence_score(text, ["x y z w"]).score / 100
    assert sum(rewards) == pytest.approx(bleu, abs=1e-6)
