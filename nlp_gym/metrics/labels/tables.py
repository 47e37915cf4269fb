"""Tables of precision, recall, F1 and support, one row per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nlp_gym.inert import brief

Row = dict[str, float | int]
Table = dict[str, Row]

MAX_LABELS = 60
"""Reports list labels one by one if there are at most this many."""

WIDEST = 60
"""Columns of names are no wider: a name of ten thousand characters must not widen all rows."""

_SCORES = ("precision", "recall", "f1-score")


def table_row(right: int, predicted: int, gold: int) -> Row:
    """Precision, recall, F1 and support from numbers of items."""
    return {
        "precision": right / max(predicted, 1),
        "recall": right / max(gold, 1),
        "f1-score": 2 * right / max(predicted + gold, 1),
        "support": gold,
    }


def label_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, list[int]]:
    """How often each label is right, predicted and gold, over all items of all sequences."""
    flat = [[label for labels in seqs for label in labels] for seqs in (gold, predicted)]
    names = sorted(set(flat[0]) | set(flat[1]))
    index = {name: i for i, name in enumerate(names)}
    g, p = (np.array([index[name] for name in side], np.int64) for side in flat)
    counts = [np.bincount(side, minlength=len(names)) for side in (g[g == p], p, g)]
    return dict(zip(names, np.stack(counts, axis=1).tolist(), strict=True))


def label_rows(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Table:
    """Row of each label over all items of all sequences."""
    counts = label_counts(gold, predicted)
    return {name: table_row(*numbers) for name, numbers in counts.items()}


def label_table(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Table:
    """Row of each label over all items of all sequences, then accuracy and macro average."""
    counts = label_counts(gold, predicted)
    table: Table = {name: table_row(*numbers) for name, numbers in counts.items()}
    in_gold = [row["f1-score"] for row in table.values() if row["support"]]
    macro = float(np.mean(in_gold)) if in_gold else 0.0
    right, total = (sum(numbers[i] for numbers in counts.values()) for i in (0, 2))
    table["macro avg"] = {"f1-score": macro, "support": total}
    table["accuracy"] = {"f1-score": right / max(total, 1), "support": total}
    return table


def table_text(table: Mapping[str, Row], *, title: str = "", corner: str = "") -> str:
    """A table in aligned columns.

    Args:
        table: Rows by name; scores that a row lacks are left blank.
        title: Line above the table; ``""``: none.
        corner: Header of the column of names.
    """
    names = [brief(name, WIDEST) for name in table]
    width = max(map(len, names), default=4) + 2
    lines = [title] if title else []
    lines.append(f"{corner:>{width}} precision    recall  f1-score   support")
    for name, row in zip(names, table.values(), strict=True):
        cells = "".join(f"{row[k]:>10.4f}" if k in row else " " * 10 for k in _SCORES)
        lines.append(f"{name:>{width}}{cells}{row['support']:>10}")
    return "\n".join(lines) + "\n"
