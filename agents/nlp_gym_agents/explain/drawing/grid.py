"""Decisions by actions, as a heat map shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlp_gym_agents.explain.drawing.scale import Scale
from nlp_gym_agents.explain.drawing.texts import option_name
from nlp_gym_agents.explain.trace import Decision, Option, Trace

MOST_COLUMNS = 12
"""Most actions that a heat map shows side by side."""


@dataclass(frozen=True)
class Cell:
    """One action at one decision, in a heat map.

    Attributes:
        option: The action; None: it was not among those that the trace has there.
        level: Its shade.
        text: Its number, short.
        chosen: Whether it was played.
    """

    option: Option | None
    level: int = 0
    text: str = ""
    chosen: bool = False

    @property
    def masked(self) -> bool:
        """Whether the mask forbids it."""
        return self.option is not None and not self.option.legal

    @property
    def right(self) -> bool:
        """Whether the gold has it."""
        return self.option is not None and bool(self.option.right)


@dataclass(frozen=True)
class Grid:
    """A heat map: decisions by actions.

    Attributes:
        columns: Names of the actions.
        rows: For each decision a cell for each action.
        left_out: How many actions were not given a column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0


def grid_of(trace: Trace, scale: Scale, most: int = MOST_COLUMNS) -> Grid:
    """Decisions by actions; of more than `most` actions those that came closest to being chosen.

    Args:
        trace: The trace.
        scale: Its scale.
        most: Most columns; what was chosen or is right comes first.
    """
    best: dict[int, tuple[bool, float]] = {}
    names: dict[int, str] = {}
    for decision in trace.decisions:
        for option in decision.options:
            kept = option.action == decision.chosen or bool(option.right)
            share = scale.share(option.score) if option.legal else -1.0
            best[option.action] = max(best.get(option.action, (False, -1.0)), (kept, share))
            names[option.action] = option_name(option)
    ranked = sorted(best, key=lambda action: best[action], reverse=True)[:most]
    columns = sorted(ranked)
    rows = tuple(_cells(decision, columns, scale) for decision in trace.decisions)
    total = max(len(best), *(d.n_actions for d in trace.decisions if is_cut(d)), 0)
    return Grid(tuple(names[c] for c in columns), rows, total - len(columns))


def is_cut(decision: Decision) -> bool:
    """Whether the trace left out actions that were legal."""
    return decision.n_legal > sum(option.legal for option in decision.options)


def _cells(decision: Decision, columns: Sequence[int], scale: Scale) -> tuple[Cell, ...]:
    found = {option.action: option for option in decision.options}
    return tuple(
        Cell(
            (option := found.get(action)),
            scale.level(option.score) if option and option.legal else 0,
            scale.short(option.score) if option and option.legal else "",
            action == decision.chosen,
        )
        for action in columns
    )
