"""Relation F1: micro over relations, and the official macro F1 of SemEval-2010 Task 8.

A pair counts as found where its label is a relation (not the *none* label), and as right where that
is the gold one. The official scorer of SemEval-2010 Task 8 (Hendrickx et al. 2010; its "(9+1)-way
evaluation taking directionality into account") puts both directions of a relation together: the
wrong direction of the right relation is a wrong prediction of that relation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score, check_same_lengths, f1, on_grid
from nlp_gym.metrics.labels.tables import Table, table_row, table_text
from nlp_gym.types import Float64Array, IntArray

Labels = Sequence[str]


class RelationF1:
    """F1 over the pairs that stand in a relation.

    Counts of a sample, K = 3: right relations, predicted ones, gold ones. Without gold and
    predicted relations its F1 is 1.

    Args:
        gold_labels: The labels that gold and played indices refer to.
        none: The label of pairs in no relation.
        directed: Labels are ``Name(e1,e2)`` or ``Name(e2,e1)``, and the corpus score is the
            official one: the mean of the F1 of every name that gold has. A name that is predicted
            alone is a wrong prediction and no part of the mean, as in the official scorer, version
            1.2 (the official data have all nine). False: micro F1.
    """

    n_counts = 3

    def __init__(self, gold_labels: Labels, *, none: str, directed: bool = False) -> None:
        self.none, self.directed = none, directed
        self.name = "relation_macro_f1" if directed else "relation_f1"
        self._found = np.array([label != none for label in gold_labels])

    def update(
        self,
        counts: npt.NDArray[np.int32],
        played: npt.NDArray[np.int64],
        gold: IntArray,
    ) -> None:
        """Add one decision to each of the (B, 3) counts, in place.

        Args:
            counts: (B, 3) running counts.
            played: (B,) label indices.
            gold: (B,) gold label indices.
        """
        found = self._found.take(played)
        counts[:, 0] += found & (played == gold)
        counts[:, 1] += found
        counts[:, 2] += self._found.take(gold)

    def potential(self, counts: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """(B,) micro F1 of the pairs decided so far."""
        right, predicted, gold = counts.T
        return on_grid(f1(right, predicted, gold, empty=1.0))

    def score(
        self,
        gold: Sequence[Labels],
        predicted: Sequence[Labels],
        *,
        bootstrap: int = 1000,
        report: bool = True,
    ) -> Score:
        """Corpus score.

        Args:
            gold: Gold labels of N texts, one per pair.
            predicted: Predicted labels of N texts, one per pair.
            bootstrap: Number of resamples of texts for the interval; 0: no interval.
            report: Also build the table by relation.
        """
        names, each = self.counts(gold, predicted)
        average = "macro,both directions together" if self.directed else "micro"
        table = _table(names, each.sum(0).reshape(-1, 3)) if report else {}
        # Micro F1 needs no more than the sums over relations.
        counts = (
            each if self.directed else each @ np.tile(np.eye(3, dtype=np.int64), (len(names), 1))
        )
        return Score.from_counts(
            self.name,
            counts,
            self._corpus_f1,
            signature=f"metric:{self.name}|average:{average}|left out:{self.none}|unit:pair",
            bootstrap=bootstrap,
            report={"relations": table},
            text=table_text(table, title="relations") if report else "",
        )

    def counts(self, gold: Sequence[Labels], predicted: Sequence[Labels]) -> tuple[list[str], Any]:
        """Relations in order, and (N, 3R) right, predicted and gold ones of each text.

        The counts are a sparse array: a text has few relations, a corpus may have thousands.
        """
        from scipy.sparse import csr_array  # type: ignore[import-untyped]

        check_same_lengths(gold, predicted)
        kinds = {
            label: self._kind(label) for side in (gold, predicted) for s in side for label in s
        }
        names = sorted({kind for kind in kinds.values() if kind is not None})
        index = {name: 3 * i for i, name in enumerate(names)}
        columns: list[int] = []
        ends = [0]
        for sides in zip(gold, predicted, strict=True):
            for g, p in zip(*sides, strict=True):
                gold_kind, kind = kinds[g], kinds[p]
                if kind is not None:
                    columns += [index[kind]] * (g == p) + [index[kind] + 1]
                if gold_kind is not None:
                    columns.append(index[gold_kind] + 2)
            ends.append(len(columns))
        shape = (len(gold), 3 * len(names))
        counts = csr_array((np.ones(len(columns), np.int64), columns, ends), shape=shape)
        counts.sum_duplicates()
        return names, counts

    def _kind(self, label: str) -> str | None:
        """Name of a label's relation; None for the label of no relation."""
        if label == self.none:
            return None
        return label.partition("(")[0] if self.directed else label

    def _corpus_f1(self, sums: Float64Array) -> Float64Array:
        """(R,) corpus scores from (R, 3 * relations) sums; macro: 0 where gold has no relation."""
        right, predicted, gold = sums.reshape(len(sums), -1, 3).transpose(2, 0, 1)
        if not self.directed:
            return f1(right.sum(1), predicted.sum(1), gold.sum(1))
        in_gold = gold > 0  # elsewhere F1 is 0
        return np.asarray(f1(right, predicted, gold).sum(1) / np.maximum(in_gold.sum(1), 1))


def _table(names: Sequence[str], sums: npt.NDArray[np.int64]) -> Table:
    """Precision, recall, F1 of each relation, their mean over gold's, and of all together."""
    table = {name: table_row(*row) for name, row in zip(names, sums.tolist(), strict=True)}
    keys = ("precision", "recall", "f1-score")
    in_gold = [row for row in table.values() if row["support"]]
    means = {key: sum(row[key] for row in in_gold) / max(len(in_gold), 1) for key in keys}
    micro = table_row(*sums.sum(0).tolist())
    return {**table, "macro avg": {**means, "support": micro["support"]}, "micro avg": micro}
