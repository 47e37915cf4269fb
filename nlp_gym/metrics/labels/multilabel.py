"""F1 of label sets: micro (the headline), macro over labels, and mean over texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score, corpus_value, micro_f1, on_grid
from nlp_gym.metrics.labels.tables import MAX_LABELS, Table, table_row, table_text

LabelSet = Sequence[str]


def set_f1(counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """(B,) F1 of label sets from (B, 3) right, chosen and gold labels; 1 if both sets are empty."""
    return on_grid(micro_f1(counts))


def multilabel_f1(
    gold: Sequence[LabelSet],
    predicted: Sequence[LabelSet],
    *,
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Micro-averaged F1 over the labels of N texts.

    Args:
        gold: N label sets.
        predicted: N label sets.
        bootstrap: Number of resamples of texts for the interval; 0: no interval.
        report: Also compute, as scikit-learn does, macro F1 (over labels in gold or prediction),
            the mean F1 of the texts (1 where gold and prediction are both empty), the share of sets
            exactly right, and for at most `MAX_LABELS` labels their table.

    Raises:
        ValueError: The numbers of texts differ.
    """
    sides = [[frozenset(labels) for labels in side] for side in (gold, predicted)]
    pairs = list(zip(*sides, strict=True))
    counts = np.array([(len(g & p), len(p), len(g)) for g, p in pairs], np.int64).reshape(-1, 3)
    tables: dict[str, Any] = {}
    text = ""
    if report and pairs:
        table = _table(*sides)
        tables = {
            "micro_f1": corpus_value(counts, micro_f1),
            "macro_f1": float(np.mean([row["f1-score"] for row in table.values()] or [1.0])),
            "sample_f1": float(micro_f1(counts).mean()),
            "exact_sets": float(np.mean([g == p for g, p in pairs])),
        }
        text = "".join(f"{name}: {figure:.4f}\n" for name, figure in tables.items())
        if 0 < len(table) <= MAX_LABELS:
            tables["labels"] = table
            text += table_text(table, title="texts, by label")
    return Score.from_counts(
        "multilabel_f1",
        counts,
        micro_f1,
        signature="metric:multilabel_f1|average:micro|unit:text",
        bootstrap=bootstrap,
        report=tables,
        text=text,
    )


def _table(gold: Sequence[frozenset[str]], predicted: Sequence[frozenset[str]]) -> Table:
    """Precision, recall, F1 and support of each label in gold or prediction, as scikit-learn's."""
    right = Counter(label for g, p in zip(gold, predicted, strict=True) for label in g & p)
    in_gold = Counter(label for labels in gold for label in labels)
    chosen = Counter(label for labels in predicted for label in labels)
    names = sorted(in_gold.keys() | chosen.keys())
    return {name: table_row(right[name], chosen[name], in_gold[name]) for name in names}
