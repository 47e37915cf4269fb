"""Multi-label classification: sets that grow, STOP, their rewards and their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.labels.multilabel import multilabel_f1
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.labels.multi_label import MultiLabel
from nlp_gym.types import Sample

LABELS = ["a", "b", "c", "d"]
STOP = 4
SAMPLES = [
    Sample(("one", "text"), ("b", "d")),
    Sample(("another",), ()),
    Sample(("a", "third", "text"), ("a",)),
    Sample(("full",), ("a", "b", "c", "d")),
]


def task(samples: list[Sample] | None = None, **kwargs: Any) -> MultiLabel:
    options = {"labels": LABELS, "encoder": "hashed", **kwargs}
    return MultiLabel(dataset="goemotions", data=samples or SAMPLES, **options)


def play(game: MultiLabel, actions: list[int], row: int = 0) -> tuple[list[float], list[bool]]:
    state = game.initial(np.array([row]))
    rewards, ends = [], []
    for action in actions:
        reward, ended = game.transition(state, np.array([action]))
        rewards.append(float(reward[0]))
        ends.append(bool(ended[0]))
    return rewards, ends


@pytest.mark.parametrize(
    ("row", "actions", "correctness", "metric"),
    [
        (0, [1, 3, STOP], [1, 1, 1], [2 / 3, 1 / 3, 0]),
        (0, [3, STOP], [1, 0], [2 / 3, 0]),
        (0, [0, 1, STOP], [0, 1, 0], [0, 0.5, 0]),
        (0, [STOP], [0], [0]),
        (1, [STOP], [1], [1]),
        (1, [2, STOP], [0, 0], [0, 0]),
        (2, [0, STOP], [1, 1], [1, 0]),
        (0, [1, 1], [1, -0.125], [2 / 3, -0.125]),  # a repeated label stops
        (2, [0, 0], [1, 1 - 0.125], [1, -0.125]),
    ],
)
def test_rewards(row: int, actions: list[int], correctness: Any, metric: Any) -> None:
    rewards, ends = play(task(), actions, row)
    assert rewards == correctness
    assert ends == [False] * (len(actions) - 1) + [True]
    assert play(task(reward="metric"), actions, row)[0] == pytest.approx(metric, abs=1e-6)
    sparse = play(task(reward="sparse"), actions, row)[0]
    assert sparse[:-1] == [0.0] * (len(actions) - 1)
    assert sparse[-1] == sum(play(task(reward="metric"), actions, row)[0])


def test_metric_is_zero_before_the_first_decision() -> None:
    game = task()
    assert game.potential(game.initial(np.arange(4))).tolist() == [0.0] * 4


@pytest.mark.filterwarnings("ignore:.*more than max_labels")
def test_last_label_ends_the_episode() -> None:
    game = task(max_labels=2)
    assert game.lengths.tolist() == [2] * 4
    assert play(game, [0, 1], 3) == ([1.0, 1.0], [False, True])
    state = game.initial(np.array([3, 3]))
    game.transition(state, np.array([0, 1]))
    assert game.mask(state).tolist() == [
        [False, True, True, True, True],
        [True, False, True, True, True],
    ]
    game.transition(state, np.array([1, STOP]))
    assert game.mask(state).tolist() == [[False] * 4 + [True]] * 2
    assert game.outputs(state) == [("a", "b"), ("b",)]
    assert task(max_labels=9).max_labels == 4


def test_expert_adds_gold_labels_in_order_then_stops() -> None:
    game = task()
    state = game.initial(np.array([0]))
    actions = []
    for _ in range(3):
        actions.append(int(game.oracle(state)[0]))
        game.transition(state, np.array(actions[-1:]))
    assert actions == [1, 3, STOP]
    assert game.score(rollout(game, "oracle")).value == 1.0


def test_chosen_labels_are_seen() -> None:
    game = task()
    state = game.initial(np.array([0, 1]))
    game.transition(state, np.array([1, 2]))
    seen = [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert game.observe(state, "features")["chosen"].tolist() == seen
    assert game.observe(state, "index")["chosen"].tolist() == seen


def test_gold_outside_the_inventory_is_missed() -> None:
    with pytest.warns(UserWarning, match=r"x \(1x\)"):
        game = task([Sample(("one",), ("a", "x")), Sample(("two",), ("b",))])
    rewards, _ = play(game, [0, STOP])
    assert rewards == [1.0, 0.0]
    score = game.score([("a",), ("b",)])
    assert score.value == pytest.approx(2 * 2 / (2 + 3))


def test_frame_shows_the_set() -> None:
    game = task()
    state = game.initial(np.array([0]))
    game.transition(state, np.array([1]))
    game.transition(state, np.array([0]))
    frame = game.frame(state, 0)
    assert frame.place == "labels 2/4"
    assert [(p.text, p.mark, p.label) for p in frame.pieces] == [
        ("one text", "here", ""),
        ("+", "wrong", "a"),
        ("+", "chosen", "b"),
    ]
    game.transition(state, np.array([STOP]))
    assert game.frame(state, 0).pieces[-1].text == "STOP"
    assert game.record(0, game.outputs(state)[0]) == {"labels": ["a", "b"]}


def test_score_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    gold, found = (
        [tuple(np.array(LABELS)[rng.random(4) < p].tolist()) for _ in range(200)]
        for p in (0.4, 0.5)
    )
    assert any(not g and not f for g, f in zip(gold, found, strict=True))
    binary = MultiLabelBinarizer(classes=LABELS).fit([LABELS])
    y, z = binary.transform(gold), binary.transform(found)
    score = multilabel_f1(gold, found)
    report = score.report
    assert score.value == report["micro_f1"] == pytest.approx(f1_score(y, z, average="micro"))
    assert report["macro_f1"] == pytest.approx(f1_score(y, z, average="macro"))
    assert report["sample_f1"] == pytest.approx(
        f1_score(y, z, average="samples", zero_division=1.0)
    )
    assert report["exact_sets"] == np.mean((y == z).all(axis=1))
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert [row["support"] for row in report["labels"].values()] == y.sum(axis=0).tolist()
    assert multilabel_f1([()], [()]).value == 1.0
    assert multilabel_f1([], []).n == 0
    with pytest.raises(ValueError, match="zip"):
        multilabel_f1([()], [])


def test_score_of_a_single_label_has_one_row() -> None:
    score = multilabel_f1([("a",), (), ("a",)], [("a",), ("a",), ()])
    assert score.value == 0.5
    row = {"precision": 0.5, "recall": 0.5, "f1-score": 0.5, "support": 2}
    assert score.report["labels"] == {"a": row}
    assert multilabel_f1([()], [("a",)]).report["labels"]["a"]["support"] == 0


def test_real_sets_are_within_reach() -> None:
    game = make_task("MultiLabel-GoEmotions-v0", encoder="hashed", corpus="sample")
    assert game.n_actions == 29
    assert game._gold.sizes.max() <= game.max_labels


@pytest.mark.corpus
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_goemotions_has_no_larger_set(split: str, real_data: Any) -> None:
    game = make_task("MultiLabel-GoEmotions-v0", split, encoder="hashed", data_dir=real_data)
    assert game._gold.sizes.max() <= game.max_labels


def test_multi_label_counts_texts_with_more_labels_than_an_episode_can_give():
    samples = [Sample(("a",), tuple("uvw")), Sample(("b",), ("u",))]
    with pytest.warns(UserWarning, match="1 of 2 texts have more than max_labels=2"):
        make_task("MultiLabel-v0", data=samples, max_labels=2, encoder="hashed")


@pytest.mark.parametrize(("labels", "why"), [((), "no text of the .* has"), (None, "without gold")])
def test_multi_label_without_any_label_asks_for_the_inventory(labels: Any, why: str) -> None:
    texts = [Sample((word,), labels) for word in "abc"]
    with pytest.raises(InvalidArgumentError, match=f"labels is empty: .*{why}.*give labels="):
        make_task("MultiLabel-v0", data=texts, encoder="hashed")
    named = make_task("MultiLabel-v0", data=texts, encoder="hashed", labels=["x"])
    assert named.n_actions == 2
