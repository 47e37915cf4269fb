"""How scores become lengths, shades and numbers."""

from __future__ import annotations

import math
from typing import TypeGuard

from nlp_gym_agents.explain.trace import Trace

LEVELS = 10
"""Steps of a heat map above nothing."""
_SMALL = 0.5
"""A highest probability below which shades and bars are relative to it: they would be too faint."""


class Scale:
    """How the scores of a trace become lengths, shades and numbers.

    Args:
        trace: The trace. Probabilities run from 0 to 1, or to the highest of the trace where that
            is below `_SMALL`; Q values from the lowest to the highest of a legal action.
    """

    def __init__(self, trace: Trace) -> None:
        self.kind = trace.scores
        found = [
            option.score
            for decision in trace.decisions
            for option in decision.options
            if option.legal and is_number(option.score)
        ]
        self.low, self.high = min(found, default=0.0), max(found, default=1.0)
        self.small = self.kind == "probability" and self.high < _SMALL
        if self.kind == "probability":
            self.low, self.high = 0.0, self.high if self.small else 1.0

    @property
    def words(self) -> str:
        """What the numbers are."""
        return {
            "probability": "probability of the action under the policy",
            "value": "Q value: the return that the agent expects of the action",
        }.get(self.kind, "the agent gives no scores")

    def share(self, score: float | None) -> float:
        """The score between 0 and 1; 0 where there is none."""
        if not is_number(score):
            return 0.0
        return min(max((score - self.low) / ((self.high - self.low) or 1.0), 0.0), 1.0)

    def level(self, score: float | None) -> int:
        """The shade of a heat map, 0 to `LEVELS`."""
        return round(self.share(score) * LEVELS)

    def text(self, score: float | None) -> str:
        """The number in full: ``"97.3%"``, or ``"+0.531"`` of a Q value."""
        if not is_number(score):
            return ""
        if self.kind != "probability":
            return f"{score:+.3f}"
        if 0 < score < 0.0005:
            return "<0.1%"
        return f"{score:.1%}"

    def short(self, score: float | None) -> str:
        """The number for the cell of a heat map: ``"97"`` (percent) or ``"+0.53"``.

        Less than half a percent is nothing: of a sure agent a map would else be full of it.
        """
        if not is_number(score):
            return ""
        if self.kind != "probability":
            return f"{score:+.2f}"
        if self.small:
            return f"{score * 100:.1f}"
        return "" if score < 0.005 else f"{score * 100:.0f}"

    def lead(self, margin: float | None) -> str:
        """``"ahead by 3.1 points"``; empty where the margin is not known."""
        if not is_number(margin):
            return ""
        return f"{'ahead' if margin >= 0 else 'behind'} by {self.margin(abs(margin))}"

    def margin(self, margin: float | None) -> str:
        """How far the choice was ahead, in words."""
        if not is_number(margin):
            return ""
        if self.kind != "probability":
            return f"{margin:.3f}"
        if 0 < abs(margin) < 0.0005:
            return "less than 0.1 points"
        return f"{margin * 100:.1f} points"


def is_number(score: float | None) -> TypeGuard[float]:
    """Whether there is a score, and it is finite."""
    return score is not None and math.isfinite(score)
