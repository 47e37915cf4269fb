"""Relation F1: micro over relations, and the official macro F1 of SemEval-2010 Task 8.

A pair counts as found where its label is a relation (not the *none* label), and as right where that
is the gold one. The official scorer of SemEval-2010 Task 8 (Hendrickx et al. 2010; its "(9+1)-way
evaluation taking directionality into account") puts both directions of a relation together: the
wrong direction of the right relation is a wrong prediction of that relation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval, on_grid

Labels = Sequence[str]
Table = dict[str, dict[str, float | int]]


class RelationF1:
    """F1 over the pairs that stand in a relation.

    Counts of a sample, K = 3: right relations, predicted ones, gold ones. Without gold and
    predicted relations its F1 is 1.

    Args:
        gold_labels: The labels that gold and played indices refer to.
        none: The label of pairs in no relation.
        directed: Labels are ``Name(e1,e2)`` or ``Name(e2,e1)``, and the corpus score is the
            official one: the mean of the F1 of every name. A name that neither gold nor prediction
            has is left out of the mean (the official data have all nine). False: micro F1.
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
        gold: npt.NDArray[np.int64],
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
        found = predicted + gold
        nothing = found == 0
        return on_grid((2 * right + nothing) / (found + nothing))  # 1 / 1 of nothing

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
            gold: N texts' gold labels, one a pair.
            predicted: N texts' predicted labels, as many.
            bootstrap: Resamples of texts for the interval; 0 leaves it out.
            report: Also build the table by relation.
        """
        names, counts = self.counts(gold, predicted)
        value = float(self._corpus(counts.sum(0, keepdims=True).astype(np.float64))[0])
        average = "macro,both directions together" if self.directed else "micro"
        signature = f"metric:{self.name}|average:{average}|left out:{self.none}|unit:pair"
        interval = None
        if bootstrap:
            interval = bootstrap_interval(counts, self._corpus, draws=bootstrap)
            signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
        table = _table(names, counts.sum(0).reshape(-1, 3)) if report else {}
        text = _text(table) if report else ""
        return Score(self.name, value, interval, len(counts), signature, {"relations": table}, text)

    def counts(
        self, gold: Sequence[Labels], predicted: Sequence[Labels]
    ) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Relations in order, and (N, 3R) right, predicted and gold ones of each text."""
        if [len(labels) for labels in gold] != [len(labels) for labels in predicted]:
            raise ValueError("gold and predicted labels differ in number")
        kinds = {
            label: self._kind(label) for side in (gold, predicted) for s in side for label in s
        }
        names = sorted({kind for kind in kinds.values() if kind is not None})
        index = {name: 3 * i for i, name in enumerate(names)}
        counts = np.zeros((len(gold), 3 * len(names)), np.int64)
        for row, sides in enumerate(zip(gold, predicted, strict=True)):
            for g, p in zip(*sides, strict=True):
                gold_kind, kind = kinds[g], kinds[p]
                if kind is not None:
                    counts[row, index[kind]] += g == p
                    counts[row, index[kind] + 1] += 1
                if gold_kind is not None:
                    counts[row, index[gold_kind] + 2] += 1
        return names, counts

    def _kind(self, label: str) -> str | None:
        """The relation a label is of; None for the label of no relation."""
        if label == self.none:
            return None
        return label.partition("(")[0] if self.directed else label

    def _corpus(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(R,) corpus scores from (R, 3 * relations) sums; 0 where there is no relation at all."""
        right, predicted, gold = sums.reshape(len(sums), -1, 3).transpose(2, 0, 1)
        if not self.directed:
            return np.asarray(2 * right.sum(1) / np.maximum((predicted + gold).sum(1), 1))
        found = predicted + gold
        f1 = 2 * right / np.maximum(found, 1)
        return np.asarray(f1.sum(1) / np.maximum((found > 0).sum(1), 1))


def _table(names: Sequence[str], sums: npt.NDArray[np.int64]) -> Table:
    """Precision, recall and F1 of each relation, their mean, and all relations together."""
    table = {name: _row(*row) for name, row in zip(names, sums.astype(int).tolist(), strict=True)}
    keys = ("precision", "recall", "f1-score")
    means = {key: sum(row[key] for row in table.values()) / max(len(table), 1) for key in keys}
    micro = _row(*sums.sum(0).tolist())
    return {**table, "macro avg": {**means, "support": micro["support"]}, "micro avg": micro}


def _row(right: int, predicted: int, gold: int) -> dict[str, float | int]:
    return {
        "precision": right / max(predicted, 1),
        "recall": right / max(gold, 1),
        "f1-score": 2 * right / max(predicted + gold, 1),
        "support": gold,
    }


def _text(table: Table) -> str:
    width = max(len(name) for name in table) + 2
    lines = ["relations", f"{'':>{width}} precision    recall  f1-score   support"]
    for name, row in table.items():
        cells = "".join(f"{row[k]:>10.4f}" for k in ("precision", "recall", "f1-score"))
        lines.append(f"{name:>{width}}{cells}{row['support']:>10}")
    return "\n".join(lines) + "\n"
