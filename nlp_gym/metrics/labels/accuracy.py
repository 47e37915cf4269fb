"""Accuracy over single labels, such as the tags of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score, check_same_lengths, mean_of_first, on_grid
from nlp_gym.metrics.labels.tables import label_table, table_text
from nlp_gym.types import IntArray


class Accuracy:
    """Share of words whose label is right.

    Counts of a prefix, K = 1: right labels.

    Args:
        labels: The A labels that can be predicted.
        gold_labels: The labels that gold indices refer to; begins with `labels`.
    """

    name = "accuracy"
    n_counts = 1

    def __init__(self, labels: Sequence[str], gold_labels: Sequence[str]) -> None:
        del labels, gold_labels  # same signature as EntityF1

    def update(
        self,
        counts: npt.NDArray[np.int32],
        played: npt.NDArray[np.int64],
        gold: IntArray,
    ) -> None:
        """Add one label to the (B, 1) counts, in place."""
        counts[:, 0] += played == gold

    def potential(
        self, counts: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """(B,) right labels so far over the length of the whole text."""
        return on_grid(counts[:, 0] / np.maximum(lengths, 1))

    def score(
        self,
        gold: Sequence[Sequence[str]],
        predicted: Sequence[Sequence[str]],
        *,
        bootstrap: int = 1000,
        report: bool = True,
    ) -> Score:
        """Corpus accuracy over words; the arguments are those of `EntityF1.score`."""
        check_same_lengths(gold, predicted)
        counts = np.array(
            [
                (sum(g == p for g, p in zip(gs, ps, strict=True)), len(gs))
                for gs, ps in zip(gold, predicted, strict=True)
            ],
            np.int64,
        ).reshape(-1, 2)
        table = label_table(gold, predicted) if report else {}
        return Score.from_counts(
            self.name,
            counts,
            mean_of_first,
            signature="metric:accuracy|average:micro|unit:word",
            bootstrap=bootstrap,
            report={"tags": table},
            text=table_text(table, title="words, by label") if report else "",
        )
