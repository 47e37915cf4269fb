"""Which texts lie behind units and rows, and which rows are played next."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import live_of, tiny_task

from nlp_gym.encode import load_encoder
from nlp_gym.envs.rows import BLOCK
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.types import Units
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts, ranges
from nlp_gym_agents.networks.features.source import FeatureSource

pytestmark = pytest.mark.usefixtures("one_thread")

IDS = [
    "POS-v0",
    "Classification-v0",
    "Relation-SemEval-v0",
    "ChoiceQA-ARC-v0",
    "SpanQA-SQuAD-v0",
    "Summary-SciTLDR-v0",
    "MultiTask-v0",
]


def test_book_ranges() -> None:
    starts, stops = np.array([3, 7, 5, 0]), np.array([5, 7, 6, 2])
    assert ranges(starts, stops).tolist() == [3, 4, 5, 0, 1]
    none = np.zeros(0, np.int64)
    assert ranges(none, none).tolist() == []


def test_book_units_and_texts_of_spans(tiny_bert: Path) -> None:
    texts = [["the", "abc"], [], ["zz"], ["the", "fox", "the"]]
    spans = np.array([[3, 0, 2], [0, 0, 2], [3, 2, 3], [2, 0, 1], [0, 1, 2]])
    encoder = load_encoder(str(tiny_bert), dtype="float32", layers="last")
    task: Any = SimpleNamespace(units=Units(texts, spans), encoder=encoder)
    book = UnitTexts(task)
    assert (len(book), book.n_units) == (4, 5)
    assert book.words.tolist() == [0, 2, 2, 3, 6]
    assert book.texts_of(np.arange(5)).tolist() == [3, 0, 3, 2, 0]
    assert book.units_of(np.array([0])).tolist() == [1, 4]
    assert book.units_of(np.array([1, 2, 3])).tolist() == [3, 0, 2]
    words, starts = book.words_of(np.array([0, 3, 2]))
    assert (words.tolist(), starts.tolist()) == ([3, 4, 2, 5], [0, 2, 3])
    assert book.windows_of(np.array([1])).tolist() == []
    assert book.windows_of(np.arange(4)).tolist() == list(range(len(book.windows.starts)))


def test_book_units_and_texts_of_words(tiny_bert: Path) -> None:
    texts = [["the", "abc"], [], ["zz"], ["the", "fox", "the"] * 30]
    encoder = load_encoder(str(tiny_bert), dtype="float32", layers="last")
    task: Any = SimpleNamespace(units=Units(texts), encoder=encoder)
    book = UnitTexts(task)
    assert book.texts_of(np.array([0, 1, 2, 3, 92])).tolist() == [0, 0, 2, 3, 3]
    assert book.units_of(np.array([0, 2])).tolist() == [0, 1, 2]
    assert len(book.windows_of(np.array([0, 2]))) == 2
    assert len(book.windows_of(np.array([3]))) > 2


@pytest.mark.parametrize("env_id", IDS)
def test_book_texts_of_rows_are_all_that_their_episodes_show(env_id: str, tiny_bert: Path) -> None:
    task = tiny_task(env_id, tiny_bert)
    source = FeatureSource(task, "cpu", trainable=True)
    book = source.unit_texts
    assert book is not None
    rng = np.random.default_rng(0)
    for row in range(0, len(task.corpus), 5):
        known = source.texts_of(np.array([row]))
        assert known.tolist() == sorted(set(known.tolist()))
        state, seen = task.initial(np.array([row])), []
        for _ in range(int(task.lengths[row]) + 1):
            obs = {k: th.as_tensor(v) for k, v in task.observe(state, "index").items()}
            seen.append(source.context(obs["row"], obs["position"]).flatten())
            if source.n_candidates:
                seen.append(source.candidates(obs["row"], obs["position"]).flatten())
            legal = task.mask(state)[0].nonzero()[0]
            _, ended = task.transition(state, rng.choice(legal, 1))
            if ended.all():
                break
        units = th.cat(seen).unique().numpy().astype(np.int64)
        texts = book.texts_of(units[units < book.n_units])
        assert set(texts.tolist()) <= set(known.tolist())
    one_by_one = [source.texts_of(np.array([row])) for row in (3, 0, 3)]
    together = source.texts_of(np.array([3, 0, 3]))
    assert together.tolist() == np.unique(np.concatenate(one_by_one)).tolist()
    assert source.texts_of(np.zeros(0, np.int64)).tolist() == []


def test_book_rows_of_a_mixture_may_repeat_samples(tiny_bert: Path) -> None:
    task = tiny_task("MultiTask-v0", tiny_bert, weights=[4, 1, 1, 1])
    source = FeatureSource(task, "cpu", trainable=True)
    rows = np.arange(len(task.corpus))
    offsets = task.tables.offsets
    again = np.flatnonzero(offsets[1:] < offsets[:-1])
    assert len(again), "no sample is repeated: the test says nothing"
    for row in again:
        twin = int(np.flatnonzero(offsets == offsets[row])[0])
        assert source.texts_of(np.array([row])).tolist() == (
            source.texts_of(np.array([twin])).tolist()
        )
    book = source.unit_texts
    assert book is not None
    assert len(source.texts_of(rows)) <= len(book)


def test_book_rows_of_a_graph_are_not_the_whole_graph(tiny_bert: Path) -> None:
    task = tiny_task("KnowledgeGraph-WN18RR-v0", tiny_bert)
    source = FeatureSource(task, "cpu", trainable=True)
    for row in (0, len(task.corpus) - 1):
        texts = source.texts_of(np.array([row]))
        assert len(texts) == 2  # the relation and the head


@pytest.mark.parametrize("limit", [None, 3])
def test_book_upcoming_rows_are_those_played_next(limit: int | None, tiny_bert: Path) -> None:
    task = tiny_task("Classification-v0", tiny_bert)
    venv = TaskVectorEnv(task, 3, obs_type="index", max_episode_steps=limit)
    assert venv.upcoming().tolist() == []
    obs, _ = venv.reset(seed=0)
    checked = 0
    for _ in range(2 * BLOCK + 10):
        coming = venv.upcoming()
        obs, _, terminated, truncated, _ = venv.step(venv.oracle_actions())
        ended = terminated | truncated
        if len(coming) == 3:
            assert obs["row"].flatten()[ended].tolist() == coming[ended].tolist()
            checked += int(ended.sum())
    assert checked > 2 * BLOCK


@pytest.mark.parametrize("env_id", ["POS-v0", "ChoiceQA-ARC-v0"])
def test_book_rollouts_encode_ahead_what_is_played_next(env_id: str, tiny_bert: Path) -> None:
    task = tiny_task(env_id, tiny_bert)
    params = load_hyperparams("ppo", "any", ["n_steps:8", "batch_size:32"])
    model = build_model(resolve("ppo"), task, params, n_envs=4, device="cpu", tuning=Tuning())
    (live,) = trainable_encoders(model.policy)
    book = model.policy.features_extractor.source.unit_texts
    obs = model.env.reset()
    model.policy.predict(obs)
    coming = model.env.venv.upcoming()
    source = model.policy.features_extractor.source
    known = set(source.texts_of(coming, first=True).tolist())  # the rest may never be shown
    assert known
    assert known <= set(np.flatnonzero(live._caches[book].valid).tolist())
    rows = np.concatenate([coming, obs["row"].flatten().astype(np.int64)])
    most = source.texts_of(rows, first=True)
    assert len(known) < live.encoded_texts["acting"] <= len(most)
    assert live.encoded_texts["acting"] == live._caches[book].valid.sum()


# -- texts of two parts ------------------------------------------------------------------------


def test_book_pairs_have_a_separator_and_segments(tiny_bert: Path) -> None:
    texts = [["zz", "the", "abc", "fox"], ["the"], ["abc", "zz", "the"]]
    encoder: Any = load_encoder(str(tiny_bert), dtype="float32", layers="last")
    given: Any = SimpleNamespace(units=Units(texts, seconds=np.array([2, 0, 1])), encoder=encoder)
    book = UnitTexts(given)
    view, tokenizer = book.paired, encoder.batcher.tokenizer
    (sep,), first = tokenizer.suffix, len(tokenizer.prefix)
    assert view is book.paired
    assert view.origin is book
    assert len(view.tokens.ids) == len(book.tokens.ids) + 2
    # Without the separators the sub-words are the same, and each word begins with its own.
    starts, before = view.tokens.word_starts, book.tokens.word_starts
    assert (view.tokens.ids[starts[:-1]] == book.tokens.ids[before[:-1]]).all()
    assert view.tokens.ids[view.tokens.ids != sep].tolist() == book.tokens.ids.tolist()
    batch = view.batch(np.arange(3))
    assert batch.segments is not None
    for row, (asked, rest) in enumerate([(texts[0][:2], texts[0][2:]), (texts[2][:1], None)]):
        place = 2 * row  # windows are in the order of texts
        ids = batch.ids[place, first:].tolist()
        end = ids.index(sep)
        assert end == len(encoder.split([asked]).ids)
        assert batch.segments[place, : first + end + 1].tolist() == [0] * (first + end + 1)
        assert batch.segments[place, first + end + 1 :].min() == 1
        assert rest is None or len(encoder.split([rest]).ids) == ids[end + 1 :].index(sep)
    assert batch.segments[1].max() == 0
    assert book.batch(np.arange(3)).segments is None


@pytest.mark.parametrize("env_id", ["SpanQA-SQuAD-v0", "ChoiceQA-ARC-v0"])
def test_book_pairs_of_tasks(env_id: str, tiny_bert: Path) -> None:
    task = tiny_task(env_id, tiny_bert)
    book = UnitTexts(task)
    view = book.paired
    two = np.flatnonzero(task.units.seconds)
    assert len(view.tokens.ids) == len(book.tokens.ids) + len(two) > len(book.tokens.ids)
    words = [task.units.texts[i][: task.units.seconds[i]] for i in two]
    asked = [tuple(sample.extra.get("question", sample.words)) for sample in task.corpus.samples]
    # A question that is too long for the model is cut.
    assert all(any(one[: len(part)] == tuple(part) for one in asked) for part in words)
    assert tiny_task("POS-v0", tiny_bert).units.seconds is None


def test_book_pairs_change_what_a_learning_encoder_reads(tiny_bert: Path) -> None:
    task = tiny_task("ChoiceQA-ARC-v0", tiny_bert)
    book = UnitTexts(task)
    joint = int(np.flatnonzero(task.units.seconds)[0])
    alone = int(np.flatnonzero(task.units.seconds == 0)[0])
    with th.no_grad():
        plain, paired = (
            live_of(task, pairs=pairs)(book, th.tensor([joint, alone]))[0]
            for pairs in (False, True)
        )
    assert not th.allclose(plain[0], paired[0], atol=1e-3)
    th.testing.assert_close(plain[1], paired[1], rtol=1e-3, atol=1e-3)
