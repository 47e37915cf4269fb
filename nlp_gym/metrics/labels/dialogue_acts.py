"""F1 over the acts of a dialogue's system turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score, micro_f1
from nlp_gym.metrics.labels.tables import table_row, table_text

Turns = Sequence[Sequence[str]]
"""The acts of each system turn of a dialogue."""

_TurnPairs = list[tuple[frozenset[str], frozenset[str]]]
"""Gold and predicted acts of each turn."""


def act_f1(
    gold: Sequence[Turns], predicted: Sequence[Turns], *, bootstrap: int = 1000, report: bool = True
) -> Score:
    """Micro-averaged F1 over the acts of all turns; a turn's acts are a set.

    Args:
        gold: Acts of each turn of N dialogues.
        predicted: Predicted acts; turns that are missing at the end are empty.
        bootstrap: Number of resamples of dialogues for the interval; 0: no interval.
        report: Whether to give the table by act and the share of turns exactly right.

    Raises:
        ValueError: The numbers of dialogues differ, or a dialogue has too many turns.
    """
    pairs = [_pair_turns(g, p) for g, p in zip(gold, predicted, strict=True)]
    tables: dict[str, Any] = _tables([turn for turns in pairs for turn in turns]) if report else {}
    return Score.from_counts(
        "act_f1",
        np.array([_counts(turns) for turns in pairs], np.int64).reshape(-1, 3),
        micro_f1,
        signature="metric:act_f1|average:micro|unit:turn",
        bootstrap=bootstrap,
        report=tables,
        text=_text(tables) if report else "",
    )


def _pair_turns(gold: Turns, predicted: Turns) -> _TurnPairs:
    if len(predicted) > len(gold):
        raise InvalidArgumentError(f"{len(predicted)} predicted turns in a dialogue of {len(gold)}")
    filled = [*predicted, *[()] * (len(gold) - len(predicted))]
    return [(frozenset(g), frozenset(p)) for g, p in zip(gold, filled, strict=True)]


def _counts(turns: _TurnPairs) -> tuple[int, int, int]:
    """Right, predicted and gold acts of a dialogue."""
    right = sum(len(g & p) for g, p in turns)
    return right, sum(len(p) for _, p in turns), sum(len(g) for g, _ in turns)


def _tables(turns: _TurnPairs) -> dict[str, Any]:
    right = Counter(act for gold, predicted in turns for act in gold & predicted)
    in_gold = Counter(act for gold, _ in turns for act in gold)
    chosen = Counter(act for _, predicted in turns for act in predicted)
    acts = sorted(chosen.keys() | in_gold.keys())
    rows = {act: table_row(right[act], chosen[act], in_gold[act]) for act in acts}
    exact = sum(g == p for g, p in turns) / max(len(turns), 1)
    return {"acts": rows, "turns": len(turns), "exact_turns": exact}


def _text(tables: dict[str, Any]) -> str:
    exact = f"turns exactly right: {tables['exact_turns']:.4f} of {tables['turns']}\n"
    return table_text(tables["acts"], corner="acts") + exact
