"""Accuracy over texts, macro F1, the share of the text that was read, and out-of-scope recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval
from nlp_gym.metrics.labels.accuracy import label_table, label_table_text

MOST_ROWS = 60
"""Labels up to which a report has a table by label."""

Decision = tuple[str, int, int]
"""Label, words read, and words of the text."""


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
        outputs: N labels (an empty one is wrong) and how much of each text was read.
        out_of_scope: The label of texts outside the scope of all others: the report tells the
            accuracy of texts in scope and the recall of those out of it (Larson et al. 2019), where
            there are any.
        bootstrap: Resamples for the interval; 0 leaves it out.
        report: Also macro F1 (scikit-learn's, over labels in gold or prediction), the share of all
            words that was read, and for at most `MOST_ROWS` labels their table.

    Raises:
        ValueError: The numbers of texts differ.
    """
    if len(gold) != len(outputs):
        raise ValueError(f"{len(gold)} gold labels but {len(outputs)} predicted ones")
    predicted = [label for label, _, _ in outputs]
    right = np.array([g == p for g, p in zip(gold, predicted, strict=True)], bool)
    counts = np.stack([right, np.ones_like(right)], axis=1).astype(np.int64)
    signature, interval = "metric:accuracy|unit:text", None
    if bootstrap and len(counts):
        interval = bootstrap_interval(counts, _ratio, draws=bootstrap)
        signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
    full: dict[str, Any] = {}
    text = ""
    if report:
        full = _figures(gold, outputs, right, out_of_scope)
        text = "".join(f"{name}: {value:.4f}\n" for name, value in full.items())
        if 0 < len({*gold, *predicted}) <= MOST_ROWS:
            table = label_table([gold], [predicted])
            full["labels"] = {k: v for k, v in table.items() if "precision" in v}
            text += label_table_text(full["labels"], "texts")
    value = float(right.mean()) if len(right) else 0.0
    return Score("accuracy", value, interval, len(right), signature, full, text)


def _ratio(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return sums[:, 0] / np.maximum(sums[:, 1], 1)


def _figures(
    gold: Sequence[str],
    outputs: Sequence[Decision],
    right: npt.NDArray[np.bool_],
    out_of_scope: str | None,
) -> dict[str, Any]:
    from sklearn.metrics import f1_score  # a second to import

    if not len(right):
        return {"accuracy": 0.0}
    predicted, read, words = zip(*outputs, strict=True)
    figures: dict[str, Any] = {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(gold, predicted, average="macro", zero_division=0)),
        "read": sum(read) / max(sum(words), 1),
    }
    outside = np.array([g == out_of_scope for g in gold], bool)
    if outside.any():
        figures["out_of_scope_recall"] = float(right[outside].mean())
        if not outside.all():
            figures["in_scope_accuracy"] = float(right[~outside].mean())
    return figures
