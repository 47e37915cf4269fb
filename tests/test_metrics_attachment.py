"""UAS, LAS and CLAS, on cases computed by hand."""

from __future__ import annotations

import pytest

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.labels.attachment import Attachment

GOLD = ((2, 3, 0, 3, 3), ("det", "nsubj:pass", "root", "obl", "punct"))
CASES = [
    (GOLD, 1.0, 1.0, 1.0),
    # The universal part of a relation is compared, on both sides.
    ((GOLD[0], ("det", "nsubj", "root", "obl:tmod", "punct")), 1.0, 1.0, 1.0),
    # A wrong relation counts for UAS alone; punctuation counts as every word.
    ((GOLD[0], ("det", "obj", "root", "obl", "dep")), 1.0, 0.6, 2 * 2 / (3 + 4)),
    # A wrong head counts for neither.
    (((3, 3, 0, 3, 4), GOLD[1]), 0.6, 0.6, 1.0),
    (((0, 1, 2, 1, 1), ("root", "det", "obj", "nsubj", "punct")), 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("found", "uas", "las", "clas"), CASES)
def test_attachment_scores_are_those_of_the_definition(
    found: tuple[tuple[int, ...], tuple[str, ...]], uas: float, las: float, clas: float
) -> None:
    score = Attachment().score([GOLD], [found], bootstrap=0, report=True)
    assert score.value == las
    assert score.report["scores"] == {"uas": uas, "las": las, "clas": pytest.approx(clas)}
    assert score.metric == "las"
    assert "punctuation:counted" in score.signature


def test_attachment_scores_are_over_words_and_not_over_sentences() -> None:
    one = ((0,), ("root",))
    wrong = ((2, 0, 2, 2, 2), ("x", "root", "x", "x", "x"))
    score = Attachment().score([GOLD, one], [wrong, one], bootstrap=20, report=True)
    assert score.value == 1 / 6
    assert score.n == 2
    assert score.interval is not None
    assert score.report["relations"]["root"] == {
        "precision": 0.5, "recall": 0.5, "f1-score": 0.5, "support": 2,
    }  # fmt: skip


def test_attachment_scores_refuse_trees_of_other_words() -> None:
    with pytest.raises(InvalidArgumentError, match="1 heads and 1 relations"):
        Attachment().score([GOLD], [((0,), ("root",))], bootstrap=0, report=False)
