"""Progress on stderr of work that takes longer than two seconds: a bar, or lines where piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from nlp_gym.inert import visible

DELAY_S = 2.0
"""Seconds of work before a bar appears: quick work needs none."""

LINE_S = 10.0
"""Seconds between two lines where stderr is no terminal."""

Advance = Callable[[int], object]
"""Moves a bar by so many units."""

# Moves the enclosing bar by a share, from 0 to 1, of the part that runs now; see `part_of_bar`.
_enclosing: ContextVar[Callable[[float], None] | None] = ContextVar("enclosing", default=None)


@contextmanager
def progress_bar(
    total: int, description: str, *, unit: str, show: bool | None
) -> Iterator[Advance]:
    """Show a bar on stderr after `DELAY_S`; inside `part_of_bar`, move the enclosing bar instead.

    Where stderr is no terminal (a file, a pipe, a notebook), a plain line takes the bar's place
    every `LINE_S`.

    Args:
        total: Number of units of work.
        description: Text in front of the bar.
        unit: Name of the units in the plural, such as ``"words"``; ``"bytes"`` are shown in MB or
            kB.
        show: Whether to show progress; None: as True, but without a terminal only where it takes
            longer than `LINE_S`.

    Yields:
        A function to be called with the number of units that were done since its last call.
    """
    enclosing = _enclosing.get()
    if enclosing is not None:
        yield lambda units: enclosing(units / max(total, 1))
        return
    if show is False:
        yield lambda units: None
        return
    if not sys.stderr.isatty():
        lines = _Lines(total, description, unit)
        try:
            yield lines.advance
        finally:
            lines.finish(LINE_S if show is None else DELAY_S)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    counts = TextColumn(f"{{task.completed:,.0f}}/{{task.total:,.0f}} {unit}")
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn() if unit == "bytes" else counts,
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = progress.add_task(visible(description), total=total)
    done, start = 0, time.monotonic() + DELAY_S

    def advance(units: int) -> None:
        nonlocal done
        done = min(done + units, total)
        progress.update(task, completed=done)
        if not progress.live.is_started and time.monotonic() >= start:
            progress.start()

    try:
        yield advance
    finally:
        if progress.live.is_started:
            progress.stop()


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, total: int, description: str, unit: str) -> None:
        self._total, self._description, self._unit = total, description, unit
        self._done, self._printed = 0, -1
        self._start = self._last = time.monotonic()

    def advance(self, units: int) -> None:
        self._done = min(self._done + units, self._total)
        now = time.monotonic()
        if now - self._last >= LINE_S:
            self._last = now
            self._print()

    def finish(self, after: float) -> None:
        """Print where it ended, if it took longer than `after` seconds."""
        if time.monotonic() - self._start >= after and self._done != self._printed:
            self._print()

    def _print(self) -> None:
        self._printed = self._done
        if self._unit == "bytes":
            scale, unit = (1e6, "MB") if self._total >= 1e6 else (1e3, "kB")
            counts = f"{self._done / scale:,.1f}/{self._total / scale:,.1f} {unit}"
        else:
            counts = f"{self._done:,}/{self._total:,} {self._unit}"
        seconds, share = time.monotonic() - self._start, self._done / max(self._total, 1)
        line = f"{self._description}: {counts} ({share:.0%}, {seconds:.0f} s)"
        with suppress(OSError, ValueError):  # the reader may be gone
            print(visible(line), file=sys.stderr, flush=True)


@contextmanager
def part_of_bar(advance: Advance, units: int) -> Iterator[None]:
    """Let a `progress_bar` opened inside move the enclosing bar; in the end by exactly `units`.

    Args:
        advance: What the enclosing `progress_bar` yielded.
        units: Units of the enclosing bar that the work inside stands for.
    """
    done, reported = 0.0, 0

    def step(share: float) -> None:
        nonlocal done, reported
        # Whole units, so that rounding never takes the bar past its end.
        done = min(done + share * units, units)
        advance(int(done) - reported)
        reported = int(done)

    token = _enclosing.set(step)
    try:
        yield
    finally:
        _enclosing.reset(token)
    advance(units - reported)
