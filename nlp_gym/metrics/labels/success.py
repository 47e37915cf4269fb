"""Success rate of dialogues, with turns and rewards, by domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlp_gym.metrics.base import Score, mean_of_first


@dataclass(frozen=True)
class Dialogue:
    """How a dialogue went.

    Attributes:
        success: Whether all tasks of the goal came to their end.
        done: How many of them did.
        tasks: How many there are.
        turns: Decisions of the system.
        cost: Rewards lost to turns and illegal actions.
        acts: The decisions.
        ended: Who ended it: ``"system"``, ``"user"`` or ``"limit"``.
        sentences: Numbers of what was said at first and after each decision.
    """

    success: bool
    done: int
    tasks: int
    turns: int
    cost: float
    acts: tuple[str, ...]
    ended: str = ""
    sentences: tuple[tuple[int, ...], ...] = ()


def success_rate(
    dialogues: Sequence[Dialogue],
    domains: Sequence[Sequence[str]],
    *,
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Share of dialogues in which all tasks of the user's goal were done.

    Args:
        dialogues: How N dialogues went.
        domains: Services of each.
        bootstrap: Number of resamples of dialogues for the interval; 0: no interval.
        report: Whether to give turns, rewards and tasks done, of all and by domain.
    """
    counts = np.array([(one.success, 1) for one in dialogues], np.int64).reshape(-1, 2)
    tables: dict[str, Any] = {}
    if report:
        names = sorted({name for some in domains for name in some})
        tables = {
            **_row(dialogues),
            "domains": {
                name: _row([d for d, some in zip(dialogues, domains, strict=True) if name in some])
                for name in names
            },
        }
    return Score.from_counts(
        "success_rate",
        counts,
        mean_of_first,
        signature="metric:success_rate|unit:dialogue|user:agenda",
        bootstrap=bootstrap,
        report=tables,
        text=_text(tables) if report else "",
    )


def _row(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    n = max(len(dialogues), 1)
    ends = [one.ended for one in dialogues]
    return {
        "dialogues": len(dialogues),
        "success": sum(one.success for one in dialogues) / n,
        "tasks_done": sum(one.done for one in dialogues) / max(sum(d.tasks for d in dialogues), 1),
        "turns": sum(one.turns for one in dialogues) / n,
        "reward": sum(one.success - one.cost for one in dialogues) / n,
        "left_by_user": ends.count("user") / n,
    }


def _text(tables: dict[str, Any]) -> str:
    head = f"{'domain':<20} {'dialogues':>9} {'success':>8} {'tasks':>7} {'turns':>7} {'reward':>7}"
    rows = [*tables["domains"].items(), ("all", tables)]
    lines = [
        f"{name:<20} {row['dialogues']:>9} {row['success']:>8.4f} {row['tasks_done']:>7.4f} "
        f"{row['turns']:>7.2f} {row['reward']:>7.3f}"
        for name, row in rows
    ]
    return "\n".join([head, *lines]) + "\n"
