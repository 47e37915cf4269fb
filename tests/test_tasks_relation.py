"""Relations: the decision process, its metric and the official scorer's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from nlp_gym.data.catalog.relation import SEMEVAL_RELATIONS
from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.metrics.labels.relations import RelationF1
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample

LABELS = ("NONE", "A", "B")

# What the official scorer (v1.2) printed for a published system: the matrix without its sums,
# the wrong directions, and the scores it gave in per cent.
MATRIX = """
296 0 0 0 9 1 0 1 2 15
2 209 5 3 1 9 13 5 2 32
0 4 160 10 2 0 0 1 0 11
0 2 10 260 0 0 0 2 1 16
2 1 0 12 221 1 0 1 3 16
0 4 1 2 2 101 1 3 9 31
0 6 0 0 2 3 195 4 2 20
1 2 0 2 0 0 3 228 3 19
4 4 2 1 9 10 0 5 167 24
20 25 25 25 32 20 39 39 26 203
"""
WRONG_WAY = (4, 31, 4, 1, 1, 2, 1, 3, 5)
F1 = (90.11, 69.67, 80.20, 85.53, 82.31, 66.67, 80.41, 82.46, 74.06)
MACRO = {"precision": 77.93, "recall": 80.37, "f1-score": 79.05}
MICRO = {"precision": 78.84, "recall": 81.18, "f1-score": 79.99}


def small(pairs: Any = None, labels: Any = ("A", "NONE"), **extra: Any) -> Sample:
    pairs = ((0, 1, 2, 4), (2, 4, 0, 1)) if pairs is None else pairs
    return Sample(("x", "y", "z", "w"), labels, "s", {"pairs": pairs, **extra})


def task_on(*samples: Sample, **kwargs: Any) -> Any:
    return make_task("Relation-v0", data=list(samples), labels=LABELS, encoder="hashed", **kwargs)


def test_official_scorer_is_matched() -> None:
    gold, predicted = [], []
    names = [*SEMEVAL_RELATIONS, "Other"]
    for i, line in enumerate(MATRIX.split("\n")[1:-1]):
        for j, count in enumerate(map(int, line.split())):
            for label, side in ((names[i], gold), (names[j], predicted)):
                side += [(label if label == "Other" else f"{label}(e1,e2)",)] * count
    for name, count in zip(SEMEVAL_RELATIONS, WRONG_WAY, strict=True):
        gold += [(f"{name}(e1,e2)",)] * count
        predicted += [(f"{name}(e2,e1)",)] * count
    assert len(gold) == 2717
    score = RelationF1((), none="Other", directed=True).score(gold, predicted, bootstrap=0)
    table = score.report["relations"]
    assert score.value == pytest.approx(0.7905, abs=5e-5)
    assert [round(100 * table[name]["f1-score"], 2) for name in SEMEVAL_RELATIONS] == list(F1)
    for row, wanted in (("macro avg", MACRO), ("micro avg", MICRO)):
        assert {key: round(100 * table[row][key], 2) for key in wanted} == wanted


def test_macro_f1_is_the_mean_over_the_relations_of_gold() -> None:
    """As in the official scorer, version 1.2: a relation that is only predicted has no F1."""
    metric = RelationF1((), none="Other", directed=True)
    gold = [("Cause-Effect(e1,e2)",), ("Other",)]
    predicted = [("Cause-Effect(e1,e2)",), ("Entity-Origin(e1,e2)",)]
    score = metric.score(gold, predicted, bootstrap=0)
    assert score.value == 1.0
    assert score.report["relations"]["macro avg"]["f1-score"] == 1.0
    assert score.report["relations"]["micro avg"]["f1-score"] == pytest.approx(2 / 3)
    gold, predicted = [*gold, ("A(e2,e1)",)], [*predicted, ("A(e1,e2)",)]
    assert metric.score(gold, predicted, bootstrap=0).value == 0.5
    assert metric.score(gold[1:2], predicted[1:2], bootstrap=0).value == 0.0


def test_micro_f1_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    metric = RelationF1(LABELS, none="NONE")
    gold, predicted = (
        [tuple(rng.choice(LABELS, n)) for n in np.random.default_rng(1).integers(1, 9, 50)]
        for _ in range(2)
    )
    flat = [[x for labels in side for x in labels] for side in (gold, predicted)]
    score = metric.score(gold, predicted, bootstrap=200)
    assert score.value == pytest.approx(f1_score(*flat, labels=["A", "B"], average="micro"))
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    for name in ("A", "B"):
        wanted = f1_score(*flat, labels=[name], average="macro")
        assert score.report["relations"][name]["f1-score"] == pytest.approx(wanted)


def test_potential_is_the_micro_f1_so_far() -> None:
    rng = np.random.default_rng(2)
    metric = RelationF1(LABELS, none="NONE")
    gold, played = rng.integers(3, size=(2, 40, 7))
    counts = np.zeros((40, 3), np.int32)
    for step in range(7):
        metric.update(counts, played[:, step], gold[:, step])
        for row, value in enumerate(metric.potential(counts)):
            sides = gold[row, : step + 1], played[row, : step + 1]
            nothing = not sides[0].any() and not sides[1].any()
            found = f1_score(*sides, labels=[1, 2], average="micro", zero_division=0.0)
            wanted = 1.0 if nothing else found
            assert value == pytest.approx(wanted, abs=1e-6)


def test_scores_need_as_many_labels_as_there_are_pairs() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        RelationF1(LABELS, none="NONE").score([("A", "B")], [("A",)])


def test_wrong_direction_is_wrong_and_other_is_left_out() -> None:
    metric = RelationF1((), none="Other", directed=True)
    turned = metric.score([("R(e1,e2)",)], [("R(e2,e1)",)], bootstrap=0)
    assert (turned.value, next(iter(turned.report["relations"]))) == (0.0, "R")
    half = metric.score(
        [("R(e1,e2)",), ("S(e1,e2)",), ("Other",)],
        [("R(e1,e2)",), ("Other",), ("Other",)],
        bootstrap=0,
    )
    assert half.value == 0.5


def test_earlier_relations_of_the_arguments_are_seen() -> None:
    spans = [(0, 1), (1, 2), (2, 3)]
    pairs = tuple((*spans[i], *spans[j]) for i, j in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0)])
    task = task_on(Sample(("a", "b", "c"), None, "", {"pairs": pairs}), history_length=2)
    state = task.initial(np.zeros(1, np.int64))
    seen, history = [], []
    for action in (1, 0, 2, 0, 0):
        extra = task.extra(state)
        seen.append(extra["seen"][0].tolist())
        history.append(extra["history"][0].tolist())
        task.transition(state, np.array([action]))
    assert history == [[3, 3], [1, 3], [0, 1], [2, 0], [0, 2]]
    # (0, 1) was A, so 0 and 1 have a relation, and it is the reverse of (1, 0); 2 never has one.
    assert seen == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0]]
    assert task.extra(state)["seen"].tolist() == [[0, 0, 0]]
    assert task.outputs(state) == [("A", "NONE", "B", "NONE", "NONE")]


def test_context_is_head_tail_between_and_types() -> None:
    task = task_on(small(types=(("Peop", "Org"), ("Org", "Peop"))), encoder_kwargs={"dim": 8})
    words = task_words(task)
    state = task.initial(np.zeros(1, np.int64))
    context = task.observe(state, "features")["context"].reshape(5, 8)
    means = [words[0], words[2:4].mean(0), words[1]]
    assert np.allclose(context[:3], means, atol=2e-3)
    task.transition(state, np.array([0]))
    turned = task.observe(state, "features")["context"].reshape(5, 8)
    assert np.array_equal(turned, context[[1, 0, 2, 4, 3]])
    task.transition(state, np.array([0]))
    assert not task.observe(state, "features")["context"].any()  # the end


def task_words(task: Any) -> np.ndarray:
    from nlp_gym.encode import encode_texts

    return np.asarray(encode_texts([task.corpus.samples[0].words], task.encoder).features, float)


def test_arguments_that_touch_or_overlap_have_nothing_between() -> None:
    task = task_on(small(((0, 2, 2, 3), (0, 2, 1, 3)), ("A", "B")), typed=False)
    assert (task.tables.context[:2, 2] == len(task.units)).all()


def test_types_of_any_name_are_seen_and_may_be_left_out() -> None:
    typed = task_on(small(types=(("Peop", "Org"), ("Org", "Peop"))))
    assert typed.tables.context.shape == (3, 5)
    assert (task_on(small()).tables.context[:, 3:] == 3).all()  # no types: the zero unit
    assert task_on(small(), typed=False).tables.context.shape == (3, 3)


def test_every_pair_of_a_long_sentence_is_decided() -> None:
    spans = [(i, i + 1) for i in range(24)]
    pairs = tuple((*a, *b) for a in spans for b in spans if a != b)
    labels = tuple(LABELS[i % 3] for i in range(len(pairs)))
    task = task_on(Sample(tuple("abcdefghijklmnopqrstuvwx"), labels, "", {"pairs": pairs}))
    assert task.lengths.tolist() == [552]
    assert rollout(task, "oracle") == [labels]


def test_gold_outside_the_inventory_is_missed() -> None:
    with pytest.warns(UserWarning, match=r"Z \(1x\)"):
        task = task_on(small(labels=("A", "Z")))
    outputs = rollout(task, "oracle")
    assert outputs == [("A", "NONE")]
    assert task.score(outputs, bootstrap=0).value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("pairs", "labels", "extra", "message"),
    [
        ((), None, {}, "missing or empty"),
        (((0, 1, 2, 5),), None, {}, r"\(0, 1, 2, 5\) is not of two spans within 4 words"),
        (((0, 1, 0, 1),), None, {}, "not of two spans"),
        (((0, 1, 1, 2), (0, 1, 1, 2)), None, {}, "a pair twice"),
        (((0, 1, 1, 2),), ("A", "B"), {}, "1 pairs but 2 labels"),
        (((0, 1, 1, 2),), None, {"types": ()}, "1 pairs but 0 pairs of types"),
    ],
)
def test_samples_that_do_not_fit_are_named(
    pairs: Any, labels: Any, extra: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        task_on(small(), small(pairs, labels or ("A",) * len(pairs), **extra))


@pytest.mark.parametrize(
    ("argument", "message"),
    [({"none": 3}, "none=3"), ({"history_length": -1}, "history_length=-1 .*from 0 to")],
)
def test_wrong_arguments_are_named(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        task_on(small(), **argument)


def test_frame_shows_the_pair_and_every_relation_decided() -> None:
    task = task_on(small(labels=("A", "NONE")))
    state = task.initial(np.zeros(1, np.int64))
    marks = [(p.text, p.mark, p.label) for p in task.frame(state, 0).pieces]
    assert marks[0] == ("x", "here", "head")
    assert marks[2:] == [("z", "here", "tail"), ("w", "here", "tail")]
    for action in (2, 0):
        task.transition(state, np.array([action]))
    frame = task.frame(state, 0)
    assert frame.place == "pair 2/2"
    wrong, last = frame.pieces[4:]
    assert (wrong.text, wrong.mark, wrong.label, wrong.gold) == ("x -> z w", "wrong", "B", "A")
    assert (last.text, last.mark, last.label) == ("z w -> x", "chosen", "NONE")


def test_record_reads_back_as_data() -> None:
    task = task_on(small())
    record = task.record(0, ("A", "NONE"))
    relation = {"head": [0, 1], "tail": [2, 4], "label": "A"}
    assert record == {"words": ["x", "y", "z", "w"], "relations": [relation]}


@pytest.mark.corpus
def test_real_sentences_with_many_pairs_keep_them_all(real_data: Any) -> None:
    task = make_task("Relation-CoNLL04-v0", data_dir=real_data, corpus="full", encoder="hashed")
    assert (int(task.lengths.sum()), int(task.lengths.max())) == (12360, 552)
