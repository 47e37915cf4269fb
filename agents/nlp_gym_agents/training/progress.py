"""Progress of training on stderr: a bar, and a line per evaluation."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from nlp_gym.progress import Advance, Bar, progress_bar, tell


class TrainingProgress:
    """Progress on stderr. Stdout stays free for what scripts read.

    Args:
        total: Timesteps of the whole run.
        metric: Name of the dev metric.
        done: Timesteps that were taken before.
        shown: False: no line per evaluation, and the bar only within
            `nlp_gym.progress.progress_wanted`.
    """

    def __init__(self, total: int, metric: str, *, done: int = 0, shown: bool = True) -> None:
        self.total, self.metric, self.done, self.shown = total, metric, done, shown
        self._dev = ""
        self._stack = ExitStack()
        self._advance: Advance = lambda units: None

    def __enter__(self) -> TrainingProgress:
        bar = progress_bar(self.total, "training", unit="steps", show=self.shown, done=self.done)
        self._advance = self._stack.enter_context(bar)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def step(self, timesteps: int, rate: float) -> None:
        """Move the bar to `timesteps`, and show `rate` in timesteps per second."""
        self._advance(timesteps - self.done)
        self.done = timesteps
        if isinstance(self._advance, Bar):
            self._advance.note = f"{rate:,.0f} steps/s{self._dev}"

    def evaluation(self, row: dict[str, Any], *, best: float, improved: bool) -> None:
        """Show one evaluation: a row of ``metrics.jsonl`` and the best value so far."""
        value = f"{row['value']:.4f}"
        self._dev = f"  dev {self.metric} {value} (best {best:.4f})"
        reward = "" if row["train_reward"] is None else f"  train reward {row['train_reward']:.3f}"
        self.note(
            f"{row['timesteps']:>10,} steps  {row['seconds']:>7.1f} s  dev {self.metric} "
            f"{value}{reward}  {row['steps_per_second']:,.0f} "
            f"steps/s{'  best so far' if improved else ''}"
        )

    def note(self, text: str) -> None:
        """Print one line."""
        if self.shown:
            tell(text)
