"""Counts against seqeval and against hand-made tables."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from nlp_gym.metrics.base import bootstrap_interval, on_grid
from nlp_gym.metrics.labels.accuracy import Accuracy
from nlp_gym.metrics.labels.entities import EntityF1, span_counts
from nlp_gym.metrics.labels.tables import label_table

TAGS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
LEGAL = [t for t in TAGS if not t.startswith("I-")]

tag_sequences = st.lists(
    st.lists(st.sampled_from(TAGS), min_size=1, max_size=9), min_size=1, max_size=6
)


def legal(tags):
    """The same tags, every I- that continues nothing made a B-, as the environments play them."""
    out = []
    for tag in tags:
        goes_on = (
            tag[:2] != "I-"
            or (out and out[-1][1:] == tag[1:])
            or (out and out[-1][2:] == tag[2:] and out[-1] != "O")
        )
        out.append(tag if goes_on else "B" + tag[1:])
    return out


def seqeval_f1(gold, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f1_score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0)


@settings(max_examples=300, deadline=None)
@given(tag_sequences, st.randoms(use_true_random=False))
def test_spans_corpus_score_equals_seqeval_strict(predicted, random):
    """Also for sequences no environment would play, with I- tags that continue nothing."""
    gold = [[random.choice([*TAGS, t, t, t]) for t in tags] for tags in predicted]
    if not any(t.startswith("B-") for tags in (*gold, *predicted) for t in tags):
        return  # seqeval fails on no entities at all
    ours = EntityF1(TAGS, TAGS).score(gold, predicted, bootstrap=0, report=False)
    assert ours.value == pytest.approx(seqeval_f1(gold, predicted), abs=1e-12)
    assert ours.n == len(gold)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=12))
def test_spans_running_counts_equal_seqeval_on_every_prefix(pairs):
    gold, predicted = legal([g for g, _ in pairs]), legal([p for _, p in pairs])
    metric = EntityF1(TAGS, TAGS)
    counts = np.zeros((1, metric.n_counts), np.int32)
    for i, (g, p) in enumerate(zip(gold, predicted, strict=True), 1):
        metric.update(counts, np.array([TAGS.index(p)]), np.array([TAGS.index(g)]))
        value = metric.potential(counts, np.array([len(gold)]))[0]
        if any(t != "O" for t in (*gold[:i], *predicted[:i])):
            expected = seqeval_f1([gold[:i]], [predicted[:i]])
        else:
            expected = 1.0
        assert value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("gold", "predicted", "counts"),
    [
        ("O O", "O O", (0, 0, 0)),
        ("B-PER I-PER", "B-PER I-PER", (1, 1, 1)),
        ("B-PER I-PER", "B-PER O", (0, 1, 1)),
        ("B-PER I-PER", "B-LOC I-LOC", (0, 1, 1)),
        ("B-PER B-PER", "B-PER I-PER", (0, 1, 2)),
        ("B-PER O", "I-PER O", (0, 0, 1)),
        ("B-PER O", "B-PER I-LOC", (1, 1, 1)),
        ("O B-LOC I-LOC", "B-LOC I-LOC I-LOC", (0, 1, 1)),
    ],
)
def test_spans_counts_by_hand(gold, predicted, counts):
    assert tuple(span_counts([gold.split()], [predicted.split()])[0]) == counts


def test_spans_unseen_gold_label_counts_as_missed():
    metric = EntityF1(["O", "B-LOC"], ["O", "B-LOC", "B-NEW"])
    score = metric.score([["B-NEW", "B-LOC"]], [["O", "B-LOC"]], bootstrap=0)
    assert score.value == pytest.approx(2 / 3)
    assert score.report["entities"]["NEW"]["support"] == 1


def test_spans_report_is_printable_and_signed():
    gold, predicted = [["B-LOC", "O"], ["B-PER", "I-PER"]], [["B-LOC", "O"], ["B-PER", "O"]]
    score = EntityF1(TAGS, TAGS).score(gold, predicted, bootstrap=100)
    assert "mode:strict|scheme:IOB2" in score.signature
    assert "bs:100|rs:12345" in score.signature
    assert "LOC" in score.text
    assert "B-PER" in score.text
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    assert (
        EntityF1(TAGS, TAGS).score([["O"]], [["O"]], bootstrap=0, report=True).report["entities"]
        == {}
    )


def test_labels_accuracy_and_table_by_hand():
    gold, predicted = [["A", "A", "B"], ["B"]], [["A", "B", "B"], ["B"]]
    score = Accuracy(["A", "B"], ["A", "B"]).score(gold, predicted, bootstrap=10)
    assert score.value == 0.75
    row = label_table(gold, predicted)["A"]
    assert (row["precision"], row["recall"], row["support"]) == (1.0, 0.5, 2)
    assert label_table(gold, predicted)["B"]["f1-score"] == pytest.approx(0.8)
    assert label_table(gold, predicted)["macro avg"]["f1-score"] == pytest.approx((2 / 3 + 0.8) / 2)
    with pytest.raises(ValueError, match="differ"):
        Accuracy(["A"], ["A"]).score(gold, predicted[:1])


def test_bootstrap_interval_is_seeded_and_shrinks_with_n():
    rng = np.random.default_rng(0)

    def width(n):
        right = (rng.random(n) < 0.7).astype(np.int64)
        counts = np.stack([right, np.ones(n, np.int64)], -1)
        low, high = bootstrap_interval(counts, lambda s: s[:, 0] / s[:, 1])
        assert (low, high) == bootstrap_interval(counts, lambda s: s[:, 0] / s[:, 1])
        return high - low

    assert width(2000) < width(100) < 0.3
    assert width(2000) == pytest.approx(2 * 1.96 * np.sqrt(0.21 / 2000), rel=0.2)


def test_grid_sums_are_exact():
    values = on_grid(np.random.default_rng(0).random(1000))
    steps = np.diff(values, prepend=0.0)
    total = 0.0
    for step in steps:
        total += step
    assert total == values[-1]
