"""What is kept, and what one call of `Agent.learn` did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override


@dataclass(frozen=True)
class FeedbackCount:
    """How much feedback is kept.

    Attributes:
        corrections: Texts with their answers.
        ratings: Texts whose prediction was rated.
    """

    corrections: int = 0
    ratings: int = 0

    @override
    def __str__(self) -> str:
        """For people."""
        return f"{self.corrections} correction(s) and {self.ratings} rating(s)"


@dataclass(frozen=True, kw_only=True)
class LearnReport:
    """What one call of `learn` did.

    Attributes:
        run: The new run folder.
        parent: The run folder that it came from, which is as it was.
        corrections: Corrected texts that were learned from.
        ratings: Rated texts that were learned from.
        left_out: Why records were not learned from, one line each.
        replayed: Texts of the old training data that were drawn from; 0: it is not at hand.
        updates: Steps of the optimizer.
        seconds: Processor seconds that these took.
        corrected_before: Share of the corrected texts (sentences, where words are labelled) whose
            decisions were all right; None: there are none.
        corrected_after: The same, after.
        metric: Name of the dev metric; None: dev is not at hand, or was not asked for.
        before: Its value on the run's own dev split.
        after: The same, after.
    """

    run: Path
    parent: Path
    corrections: int
    ratings: int
    left_out: tuple[str, ...]
    replayed: int
    updates: int
    seconds: float
    corrected_before: float | None = None
    corrected_after: float | None = None
    metric: str | None = None
    before: float | None = None
    after: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields."""
        found = asdict(self)
        return {**found, "run": str(self.run), "parent": str(self.parent)}

    def lines(self) -> list[str]:
        """What it says, for people."""
        found = [
            f"learned from {FeedbackCount(self.corrections, self.ratings)} in "
            f"{self.updates} update(s) ({self.seconds:.1f} processor seconds), with "
            f"{self.replayed} text(s) of the old training data between them"
        ]
        if self.left_out:
            found.append(f"left out {len(self.left_out)} record(s): {self.left_out[0]}")
        if self.corrected_before is not None:
            found.append(
                f"corrected texts right: {self.corrected_before:.1%} before, "
                f"{self.corrected_after:.1%} after"
            )
        if self.metric is not None:
            found.append(f"dev {self.metric}: {self.before:.4f} before, {self.after:.4f} after")
        return found
