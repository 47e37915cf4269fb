"""F1 over the acts of a dialogue's system turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval

Turns = Sequence[Sequence[str]]
"""The acts of each system turn of a dialogue."""


def act_f1(
    gold: Sequence[Turns], predicted: Sequence[Turns], *, bootstrap: int = 1000, report: bool = True
) -> Score:
    """Micro-averaged F1 over the acts of all turns; a turn's acts are a set.

    Args:
        gold: Acts of each turn of N dialogues.
        predicted: What was chosen; turns that are missing at the end are empty.
        bootstrap: Resamples of dialogues for the interval; 0: none.
        report: Whether to give the table by act and the share of turns exactly right.

    Raises:
        ValueError: The numbers of dialogues differ, or a dialogue has too many turns.
    """
    pairs = [_pad(g, p) for g, p in zip(gold, predicted, strict=True)]
    counts = np.array([_counts(pair) for pair in pairs], np.int64).reshape(-1, 3)
    value = float(f1(counts.sum(axis=0, keepdims=True).astype(np.float64))[0])
    signature, interval = "metric:act_f1|average:micro|unit:turn", None
    if bootstrap:
        interval = bootstrap_interval(counts, f1, draws=bootstrap)
        signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
    tables: dict[str, Any] = _tables([turn for pair in pairs for turn in pair]) if report else {}
    text = _text(tables) if report else ""
    return Score("act_f1", value, interval, len(pairs), signature, tables, text)


def f1(sums: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(R,) F1 from (R, 3) counts: acts that are right, chosen, wanted; 1 where none is either."""
    either = sums[:, 1] + sums[:, 2]
    ratio: npt.NDArray[np.float64] = 2 * sums[:, 0] / np.maximum(either, 1)
    return np.where(either > 0, ratio, 1.0)


_Pairs = list[tuple[frozenset[str], frozenset[str]]]


def _pad(gold: Turns, predicted: Turns) -> _Pairs:
    if len(predicted) > len(gold):
        raise ValueError(f"{len(predicted)} predicted turns in a dialogue of {len(gold)}")
    filled = [*predicted, *[()] * (len(gold) - len(predicted))]
    return [(frozenset(g), frozenset(p)) for g, p in zip(gold, filled, strict=True)]


def _counts(turns: _Pairs) -> tuple[int, int, int]:
    right = sum(len(g & p) for g, p in turns)
    return right, sum(len(p) for _, p in turns), sum(len(g) for g, _ in turns)


def _tables(turns: _Pairs) -> dict[str, Any]:
    right = Counter(act for gold, predicted in turns for act in gold & predicted)
    wanted = Counter(act for gold, _ in turns for act in gold)
    chosen = Counter(act for _, predicted in turns for act in predicted)
    rows = {
        act: {
            "precision": right[act] / max(chosen[act], 1),
            "recall": right[act] / max(wanted[act], 1),
            "f1-score": 2 * right[act] / (chosen[act] + wanted[act]),
            "support": wanted[act],
        }
        for act in sorted(chosen.keys() | wanted.keys())
    }
    exact = sum(g == p for g, p in turns) / max(len(turns), 1)
    return {"acts": rows, "turns": len(turns), "exact_turns": exact}


def _text(tables: dict[str, Any]) -> str:
    width = max((len(act) for act in tables["acts"]), default=4) + 2
    lines = [f"{'acts':>{width}} precision    recall  f1-score   support"]
    for act, row in tables["acts"].items():
        cells = "".join(f"{row[key]:>10.4f}" for key in ("precision", "recall", "f1-score"))
        lines.append(f"{act:>{width}}{cells}{row['support']:>10}")
    lines.append(f"turns exactly right: {tables['exact_turns']:.4f} of {tables['turns']}")
    return "\n".join(lines) + "\n"
