"""Classification: what is read, what it costs, what is seen of it, and how it is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.metrics.labels.classification import text_accuracy
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.labels.chunks import MOST_CHUNKS
from nlp_gym.tasks.labels.classification import Classification
from nlp_gym.types import Sample

IDS = ("Sentiment-SST2-v0", "Topic-AGNews-v0", "Question-TREC-v0", "Intent-CLINC-v0")


def text(n: int, label: str | None = "a", start: int = 0) -> Sample:
    words = tuple(f"w{start + i}" for i in range(n))
    return Sample(words, None if label is None else (label,))


def task(samples: list[Sample], **kwargs: Any) -> Classification:
    options = {"labels": ["a", "b"], "encoder": "hashed", "chunk": 3, **kwargs}
    return Classification(dataset="sst2", data=samples, **options)


def play(game: Classification, actions: list[int], row: int = 0) -> tuple[Any, list[float]]:
    state = game.initial(np.array([row]))
    rewards = []
    for action in actions:
        reward, ended = game.transition(state, np.array([action]))
        rewards.append(float(reward[0]))
    assert ended[0]
    return state, rewards


@pytest.mark.parametrize(
    ("words", "stops"),
    [(1, [1]), (3, [3]), (4, [3, 4]), (9, [3, 6, 9]), (100, [3, 6, 9, 12, 15, 18, 21, 100])],
)
def test_text_is_read_chunk_by_chunk_and_the_last_chunk_is_the_rest(
    words: int, stops: list[int]
) -> None:
    game = task([text(words), text(2, "b", 200)])
    assert game.lengths.tolist() == [len(stops), 1]
    assert len(stops) <= MOST_CHUNKS
    state = game.initial(np.array([0]))
    units = game.units
    for place, stop in enumerate(stops):
        (unit,) = game.tables.context_of(state.row, state.slot)[0]
        assert units.texts[unit] == text(words).words[:stop]  # a text of its own
        assert game.outputs(state) == [("", stop, words)]
        assert game.extra(state)["chunks"].tolist() == [[place]]
        more = place + 1 < len(stops)
        assert game.mask(state).tolist() == [[True, True, more]]
        if more:
            reward, ended = game.transition(state, np.array([2]))
            assert reward[0] == -1 / 64
            assert not ended[0]
    reward, ended = game.transition(state, np.array([0]))
    assert (reward[0], ended[0]) == (1.0, True)
    assert game.outputs(state) == [("a", words, words)]


@pytest.mark.parametrize("obs_type", ["features", "tokens", "index"])
def test_unread_words_are_not_seen(obs_type: str) -> None:
    """Two texts that begin alike look alike until they differ."""
    other = Sample((*text(3).words, "different", "words"), ("b",))
    game = task([text(5), other])
    state = game.initial(np.array([0, 1]))
    first = game.observe(state, obs_type)
    for key, values in first.items():
        if key != "row":
            assert np.array_equal(values[0], values[1]), key
    game.transition(state, np.array([2, 2]))
    second = game.observe(state, obs_type)
    if obs_type != "index":
        key = {"features": "context", "tokens": "input_ids"}[obs_type]
        assert not np.array_equal(second[key][0], second[key][1])


def test_rewards_of_reading_deciding_and_reading_on_at_the_end() -> None:
    samples = [text(5, "b"), text(2, "a", 50)]
    assert play(task(samples), [1])[1] == [1.0]
    assert play(task(samples), [0])[1] == [0.0]
    assert play(task(samples), [2, 1])[1] == [-1 / 64, 1.0]
    assert play(task(samples, reward="sparse"), [2, 1])[1] == [0.0, 1 - 1 / 64]
    assert play(task(samples, reward="metric"), [2, 0])[1] == [-1 / 64, 0.0]
    assert play(task(samples, read_cost=0.25), [2, 1])[1] == [-0.25, 1.0]
    state, rewards = play(task(samples), [2, 2])  # nothing is left to read: label 0, and 1/8
    assert rewards == [-1 / 64, -0.125]
    assert task(samples).outputs(state) == [("a", 5, 5)]


def test_expert_reads_to_the_end() -> None:
    game = task([text(7, "b"), text(3, "a", 50)])
    outputs = rollout(game, "oracle")
    assert outputs == [("b", 7, 7), ("a", 3, 3)]
    assert game.score(outputs).report["read"] == 1.0


def test_one_decision_shows_the_whole_text_at_once() -> None:
    game = task([text(30), text(2, "b", 50)], reading=False)
    assert game.n_actions == 2
    assert game.lengths.tolist() == [1, 1]
    assert "chunks" not in game.observation_space("index").spaces
    assert game.units.texts[0] == text(30).words
    assert play(game, [0])[1] == [1.0]
    assert rollout(game, "oracle") == [("a", 30, 30), ("b", 2, 2)]


def test_gold_outside_the_inventory_is_missed() -> None:
    with pytest.warns(UserWarning, match=r"c \(1x\)"):
        game = task([text(2, "c"), text(2, "b", 50)])
    score = game.score(rollout(game, "oracle"), bootstrap=0)
    assert score.value == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chunk": 0}, "chunk=0 must be an integer from 1"),
        ({"read_cost": -0.1}, "read_cost=-0.1 must be a number from 0 to 1"),
        ({"read_cost": float("nan")}, "read_cost=nan must"),
        ({"read_cost": "little"}, "read_cost='little' must"),
        ({"read_cost": True}, "read_cost=True must"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        task([text(2), text(2, "b", 9)], **arguments)


def test_two_labels_a_text_are_an_error() -> None:
    with pytest.raises(DataError, match="label"):
        task([Sample(("x",), ("a", "b")), text(2)])


def test_costs_are_rounded_to_the_grid_of_exact_sums() -> None:
    assert task([text(2), text(2, "b", 9)], read_cost=0.01).read_cost * 2**20 % 1 == 0


def test_frame_shows_what_is_read_and_the_decision() -> None:
    game = task([text(7, "b"), text(2, "a", 50)])
    state = game.initial(np.array([0]))
    game.transition(state, np.array([2]))
    frame = game.frame(state, 0)
    assert frame.place == "chunk 2/3"
    assert [p.mark for p in frame.pieces] == ["plain", "here", "dim"]
    game.transition(state, np.array([0]))
    last = game.frame(state, 0).pieces[-1]
    assert (last.mark, last.label, last.gold) == ("wrong", "a", "b")
    assert game.record(0, game.outputs(state)[0]) == {"label": "a", "read": 6, "words": 7}


def test_score_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    names = ["a", "b", "c", "oos"]
    gold = [names[i] for i in rng.integers(4, size=200)]
    found = [names[i] if i < 4 else g for i, g in zip(rng.integers(8, size=200), gold, strict=True)]
    outputs = [(label, 3, 4) for label in found]
    score = text_accuracy(gold, outputs, out_of_scope="oos")
    right = np.array(gold) == np.array(found)
    outside = np.array(gold) == "oos"
    assert score.value == right.mean()
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    report = score.report
    assert report["macro_f1"] == f1_score(gold, found, average="macro")
    assert report["read"] == 0.75
    assert report["in_scope_accuracy"] == right[~outside].mean()
    assert report["out_of_scope_recall"] == right[outside].mean()
    by_label = dict(zip(names, f1_score(gold, found, average=None, labels=names), strict=True))
    assert {k: v["f1-score"] for k, v in report["labels"].items()} == pytest.approx(by_label)
    assert "macro_f1" in score.text
    assert (
        "out_of_scope_recall" not in text_accuracy(["a"], [("a", 1, 1)], out_of_scope="oos").report
    )
    with pytest.raises(ValueError, match="1 gold labels but 2"):
        text_accuracy(["a"], outputs[:2])


def test_table_by_label_is_left_out_where_there_are_many() -> None:
    gold = [f"l{i}" for i in range(70)]
    assert "labels" not in text_accuracy(gold, [(g, 1, 1) for g in gold]).report
    assert text_accuracy([], []).value == 0.0


@pytest.mark.parametrize("env_id", IDS)
def test_most_texts_have_two_to_four_chunks(env_id: str) -> None:
    game = make_task(env_id, encoder="hashed", corpus="sample")
    assert np.mean((game.lengths >= 2) & (game.lengths <= 4)) > 0.5


@pytest.mark.corpus
@pytest.mark.parametrize("env_id", IDS)
def test_most_real_texts_have_two_to_four_chunks(env_id: str, real_data: Any) -> None:
    game = make_task(env_id, encoder="hashed", data_dir=real_data)
    assert np.mean((game.lengths >= 2) & (game.lengths <= 4)) > 0.75


def test_fine_questions_have_fine_labels() -> None:
    fine = make_task("Question-TREC-v0", encoder="hashed", corpus="sample", column="fine")
    assert len(fine.labels) > 20
    assert "LOC:city" in fine.labels
    coarse = make_task("Question-TREC-v0", encoder="hashed", corpus="sample")
    assert coarse.labels == ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
    names = make_task("Topic-AGNews-v0", encoder="hashed", corpus="sample").labels
    assert names == ("World", "Sports", "Business", "Sci/Tech")
    assert len(make_task("Intent-CLINC-v0", encoder="hashed", corpus="sample").labels) == 151
