"""Tables of precision, recall, F1 and support, one row per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nlp_gym.inert import brief

Row = dict[str, float | int]
Table = dict[str, Row]

MAX_LABELS = 60
"""Reports list labels one by one if there are at most this many."""

_SCORES = ("precision", "recall", "f1-score")


def table_row(right: int, predicted: int, gold: int) -> Row:
    """Precision, recall, F1 and support from numbers of items."""
    return {
        "precision": right / max(predicted, 1),
        "recall": right / max(gold, 1),
        "f1-score": 2 * right / max(predicted + gold, 1),
        "support": gold,
    }


def label_table(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Table:
    """Row of each label over all items of all sequences, then accuracy and macro average."""
    flat = [[label for labels in seqs for label in labels] for seqs in (gold, predicted)]
    names = sorted(set(flat[0]) | set(flat[1]))
    index = {name: i for i, name in enumerate(names)}
    g, p = (np.array([index[name] for name in side], np.int64) for side in flat)
    confusion = np.bincount(g * len(names) + p, minlength=len(names) ** 2)
    confusion = confusion.reshape(len(names), -1)
    counts = zip(
        confusion.diagonal().tolist(),
        confusion.sum(0).tolist(),
        confusion.sum(1).tolist(),
        strict=True,
    )
    table: Table = {name: table_row(*row) for name, row in zip(names, counts, strict=True)}
    in_gold = [row["f1-score"] for row in table.values() if row["support"]]
    macro = float(np.mean(in_gold)) if in_gold else 0.0
    total = len(flat[0])
    accuracy = int(confusion.trace()) / max(total, 1)
    table["macro avg"] = {"f1-score": macro, "support": total}
    table["accuracy"] = {"f1-score": accuracy, "support": total}
    return table


def table_text(table: Mapping[str, Row], *, title: str = "", corner: str = "") -> str:
    """A table in aligned columns.

    Args:
        table: Rows by name; scores that a row lacks are left blank.
        title: Line above the table; ``""``: none.
        corner: Header of the column of names.
    """
    names = [brief(name) for name in table]
    width = max(map(len, names), default=4) + 2
    lines = [title] if title else []
    lines.append(f"{corner:>{width}} precision    recall  f1-score   support")
    for name, row in zip(names, table.values(), strict=True):
        cells = "".join(f"{row[k]:>10.4f}" if k in row else " " * 10 for k in _SCORES)
        lines.append(f"{name:>{width}}{cells}{row['support']:>10}")
    return "\n".join(lines) + "\n"
