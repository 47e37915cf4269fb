"""Accuracy over texts, macro F1, the share of the text that was read, and out-of-scope recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score, mean_of_first
from nlp_gym.metrics.labels.tables import MAX_LABELS, Table, label_rows, table_text
from nlp_gym.types import BoolArray

Decision = tuple[str, int, int]
"""Label, number of words read, and number of words of the text."""


def text_accuracy(
    gold: Sequence[str],
    outputs: Sequence[Decision],
    *,
    out_of_scope: str | None = None,
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Share of N texts whose label is right.

    Args:
        gold: N labels.
        outputs: N labels (an empty one is wrong), each with how much of its text was read.
        out_of_scope: The label of texts outside the scope of all others: the report tells the
            accuracy of texts in scope and the recall of those out of it (Larson et al. 2019), where
            there are any.
        bootstrap: Number of resamples of texts for the interval; 0: no interval.
        report: Also compute macro F1 (scikit-learn's, over labels in gold or prediction), the share
            of all words that was read, and for at most `MAX_LABELS` labels their table.

    Raises:
        ValueError: The numbers of texts differ.
    """
    if len(gold) != len(outputs):
        raise InvalidArgumentError(f"{len(gold)} gold labels but {len(outputs)} predicted ones")
    predicted = [label for label, _, _ in outputs]
    right = np.array([g == p for g, p in zip(gold, predicted, strict=True)], bool)
    tables: dict[str, Any] = {}
    text = ""
    if report:
        rows = label_rows([gold], [predicted])
        tables = _figures(gold, outputs, right, rows, out_of_scope)
        text = "".join(f"{name}: {value:.4f}\n" for name, value in tables.items())
        if 0 < len(rows) <= MAX_LABELS:
            tables["labels"] = rows
            text += table_text(rows, title="texts, by label")
    return Score.from_counts(
        "accuracy",
        np.stack([right, np.ones_like(right)], axis=1).astype(np.int64),
        mean_of_first,
        signature="metric:accuracy|unit:text",
        bootstrap=bootstrap,
        report=tables,
        text=text,
    )


def _figures(
    gold: Sequence[str],
    outputs: Sequence[Decision],
    right: BoolArray,
    rows: Table,
    out_of_scope: str | None,
) -> dict[str, Any]:
    if not len(right):
        return {"accuracy": 0.0}
    _, read, words = zip(*outputs, strict=True)
    figures: dict[str, Any] = {
        "accuracy": float(right.mean()),
        "macro_f1": float(np.mean([row["f1-score"] for row in rows.values()])),
        "read": sum(read) / max(sum(words), 1),
    }
    outside = np.array([g == out_of_scope for g in gold], bool)
    if outside.any():
        figures["out_of_scope_recall"] = float(right[outside].mean())
        if not outside.all():
            figures["in_scope_accuracy"] = float(right[~outside].mean())
    return figures
