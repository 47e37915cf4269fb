"""Accuracy over single labels and the precision/recall/F1 table by label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval, on_grid

Table = dict[str, dict[str, float | int]]


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
        gold: npt.NDArray[np.int64],
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
        """Corpus accuracy over words; arguments as `EntityF1.score`."""
        if [len(tags) for tags in gold] != [len(tags) for tags in predicted]:
            raise ValueError("gold and predicted sequences differ in number or length")
        counts = np.array(
            [
                (sum(g == p for g, p in zip(gs, ps, strict=True)), len(gs))
                for gs, ps in zip(gold, predicted, strict=True)
            ],
            np.int64,
        ).reshape(-1, 2)
        value = float(_ratio(counts.sum(0, keepdims=True).astype(np.float64))[0])
        signature, interval = "metric:accuracy|average:micro|unit:word", None
        if bootstrap:
            interval = bootstrap_interval(counts, _ratio, draws=bootstrap)
            signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
        table = label_table(gold, predicted) if report else {}
        text = label_table_text(table) if report else ""
        return Score(self.name, value, interval, len(counts), signature, {"tags": table}, text)


def _ratio(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return sums[:, 0] / np.maximum(sums[:, 1], 1)


def label_table(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Table:
    """Precision, recall, F1 and support by label over all words, accuracy and macro average."""
    flat = [[label for labels in seqs for label in labels] for seqs in (gold, predicted)]
    names = sorted(set(flat[0]) | set(flat[1]))
    index = {name: i for i, name in enumerate(names)}
    g, p = (np.array([index[name] for name in side], np.int64) for side in flat)
    matrix = np.bincount(g * len(names) + p, minlength=len(names) ** 2).reshape(len(names), -1)
    right, of_gold, of_predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    table: Table = {
        name: {
            "precision": float(right[i] / max(of_predicted[i], 1)),
            "recall": float(right[i] / max(of_gold[i], 1)),
            "f1-score": float(2 * right[i] / max(of_gold[i] + of_predicted[i], 1)),
            "support": int(of_gold[i]),
        }
        for i, name in enumerate(names)
    }
    seen = [name for i, name in enumerate(names) if of_gold[i]]
    macro = float(np.mean([table[name]["f1-score"] for name in seen])) if seen else 0.0
    total = len(flat[0])
    table["macro avg"] = {"f1-score": macro, "support": total}
    table["accuracy"] = {"f1-score": float(right.sum() / max(total, 1)), "support": total}
    return table


def label_table_text(table: Table, unit: str = "words") -> str:
    """The table of `label_table` in aligned columns, of words or other units."""
    width = max(len(name) for name in table) + 2
    lines = [f"{unit}, by label", f"{'':>{width}} precision    recall  f1-score   support"]
    for name, row in table.items():
        cells = [f"{row[k]:.4f}" if k in row else "" for k in ("precision", "recall", "f1-score")]
        lines.append(
            f"{name:>{width}}" + "".join(f"{c:>10}" for c in cells) + f"{row['support']:>10}"
        )
    return "\n".join(lines) + "\n"
