"""Progress of training on stderr: a bar on a terminal, and a line per evaluation."""

from __future__ import annotations

import contextlib
import sys
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from nlp_gym.inert import one_line


class _StandardError:
    """Standard error, which may be gone before the run is: a closed terminal, a broken pipe."""

    def __init__(self) -> None:
        self._file = sys.stderr

    def write(self, text: str) -> int:
        """Write, or do nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TrainingProgress:
    """Progress on stderr. Stdout stays free for what scripts read.

    Args:
        total: Timesteps of the whole run.
        metric: Name of the dev metric.
        shown: False writes nothing at all.
    """

    def __init__(self, total: int, metric: str, *, shown: bool = True) -> None:
        self.metric, self.shown = metric, shown
        file = cast("IO[str]", _StandardError())
        self.console = Console(file=file, quiet=not shown, soft_wrap=True, highlight=False)
        self.bar = Progress(
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rate]:,.0f} steps/s"),
            TextColumn("dev {task.fields[metric]} {task.fields[value]} (best {task.fields[best]})"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not (shown and self.console.is_terminal),
        )
        fields: dict[str, Any] = {"rate": 0.0, "metric": metric, "value": "-", "best": "-"}
        self.task = self.bar.add_task("training", total=total, **fields)

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bar.stop()

    def step(self, timesteps: int, rate: float) -> None:
        """Move the bar to `timesteps`, and show `rate` in timesteps per second."""
        self.bar.update(self.task, completed=timesteps, rate=rate)

    def evaluation(self, row: dict[str, Any], *, best: float, improved: bool) -> None:
        """Show one evaluation: a row of ``metrics.jsonl`` and the best value so far."""
        value = f"{row['value']:.4f}"
        self.bar.update(self.task, value=value, best=f"{best:.4f}")
        reward = "" if row["train_reward"] is None else f"  train reward {row['train_reward']:.3f}"
        self.console.print(
            f"{row['timesteps']:>10,} steps  {row['seconds']:>7.1f} s  dev {self.metric} "
            f"{value}{reward}  {row['steps_per_second']:,.0f} "
            f"steps/s{'  best so far' if improved else ''}",
            markup=False,
            emoji=False,
        )

    def note(self, text: str) -> None:
        """Print one line."""
        self.console.print(one_line(text), markup=False, emoji=False)
