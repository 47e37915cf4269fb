"""Progress on stderr of work that takes longer than two seconds: bars, or lines where piped.

Whoever works for long opens a `progress_bar`. Code far below a command cannot know whether anybody
watches: its bars are shown within `progress_wanted`, which commands and functions with an argument
`progress` open. Bars may be opened inside one another. A thread draws them, so that they also
appear where a single step takes long.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from nlp_gym.inert import one_line, visible

if TYPE_CHECKING:
    from rich.progress import Progress

P = ParamSpec("P")
R = TypeVar("R")

DELAY_S = 2.0
"""Seconds of work before a bar appears: quick work needs none."""

LINE_S = 10.0
"""Seconds between two lines where stderr is no terminal."""

TICK_S = 0.25
"""Seconds between two looks at whether there is something to draw."""

SWITCH = "NLP_GYM_PROGRESS"
"""Name of the environment variable that keeps all bars away where it is 0."""

Advance = Callable[[int], object]
"""Moves a bar by so many units."""

# Moves the enclosing bar by a share, from 0 to 1, of the part that runs now; see `part_of_bar`.
_enclosing: ContextVar[Callable[[float], None] | None] = ContextVar("enclosing", default=None)
_wanted: ContextVar[bool] = ContextVar("wanted", default=False)
_labels: ContextVar[tuple[str, ...]] = ContextVar("labels", default=())


@contextmanager
def progress_wanted(wanted: bool = True) -> Iterator[None]:
    """Within it every `progress_bar` is shown.

    Args:
        wanted: False changes nothing: what is shown outside is shown inside.
    """
    token = _wanted.set(wanted or _wanted.get())
    try:
        yield
    finally:
        _wanted.reset(token)


def shows_progress(function: Callable[P, R]) -> Callable[P, R]:
    """Let everything that `function` calls show progress where its argument `progress` is True."""
    default = inspect.signature(function).parameters["progress"].default

    @functools.wraps(function)
    def showing(*args: P.args, **kwargs: P.kwargs) -> R:
        with progress_wanted(kwargs.get("progress", default) is True):
            return function(*args, **kwargs)

    return showing


@contextmanager
def progress_label(label: str) -> Iterator[None]:
    """Within it descriptions of bars begin with `label`, such as what is scored."""
    token = _labels.set((*_labels.get(), label))
    try:
        yield
    finally:
        _labels.reset(token)


class Bar:
    """One bar: a function of the units done since the last call.

    Args:
        total: Units of work; None where nobody knows.
        description: Text in front.
        unit: Name of the units.
        done: Units that were done earlier.
        after: Seconds of work before it is shown.

    Attributes:
        note: A few words shown behind the bar.
    """

    def __init__(
        self, total: int | None, description: str, unit: str, done: int, after: float
    ) -> None:
        self.total, self.description, self.unit, self.after = total, description, unit, after
        self.done = self.first = done
        self.note = ""
        self.start = time.monotonic()
        self.printed = -1

    def __call__(self, units: int) -> None:
        """Move it by so many units."""
        done = self.done + units
        self.done = done if self.total is None else min(done, self.total)

    @property
    def seconds(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self.start

    @property
    def share(self) -> float | None:
        """Share of the units that are done; None where nobody knows."""
        return None if self.total is None else self.done / max(self.total, 1)

    def counts(self) -> str:
        """Units done and in all, for people; empty where nobody knows how many there are."""
        if self.total is None:
            return ""
        if self.unit == "bytes":
            scale, unit = (1e6, "MB") if self.total >= 1e6 else (1e3, "kB")
            return f"{self.done / scale:,.1f}/{self.total / scale:,.1f} {unit}"
        return f"{self.done:,}/{self.total:,} {self.unit}"

    def left(self) -> str:
        """The time that is left at the rate so far, for people; empty where it cannot be told."""
        if self.total is None or not self.first < self.done < self.total:
            return ""
        seconds = self.seconds * (self.total - self.done) / (self.done - self.first)
        return f"{readable_time(seconds)} left"

    def line(self) -> str:
        """Everything about it on one line."""
        told = f"{self.seconds:.0f} s"
        if (share := self.share) is None:
            text = f"{self.description}: {told}"
        else:
            facts = ", ".join(fact for fact in (f"{share:.0%}", told, self.left()) if fact)
            text = f"{self.description}: {self.counts()} ({facts})"
        return f"{text}  {self.note}" if self.note else text


def readable_time(seconds: float) -> str:
    """A length of time for people: ``"40 s"``, ``"3 min"``, ``"2.5 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress_bar(
    total: int | None,
    description: str,
    *,
    unit: str = "steps",
    show: bool | None = False,
    done: int = 0,
) -> Iterator[Advance]:
    """Show a bar on stderr after `DELAY_S`; inside `part_of_bar`, move the enclosing bar instead.

    Where stderr is no terminal (a file, a pipe, a notebook), a plain line takes the bar's place: at
    first after `DELAY_S`, and then every `LINE_S`.

    Args:
        total: Number of units of work; None where nobody knows: it is then shown for how long the
            work goes on.
        description: Text in front of the bar.
        unit: Name of the units in the plural, such as ``"words"``; ``"bytes"`` are shown in MB or
            kB.
        show: Whether to show progress; None: as True, but without a terminal only where it takes
            longer than `LINE_S`; False: within `progress_wanted` only.
        done: Units that were done earlier, of work that goes on.

    Yields:
        A function to be called with the number of units that were done since its last call, which
        is a `Bar` where one is shown.
    """
    enclosing = _enclosing.get()
    if enclosing is not None:
        enclosing(done / max(total or 1, 1))
        yield lambda units: enclosing(units / max(total or 1, 1))
        return
    show = True if _wanted.get() else show
    if show is False or os.environ.get(SWITCH) == "0":
        yield lambda units: None
        return
    after = LINE_S if show is None and not _is_terminal() else DELAY_S
    bar = Bar(total, ": ".join([*_labels.get(), description]), unit, done, after)
    labels = _labels.get()
    _labels.set(())  # a bar inside is drawn beside this one, which has them
    try:
        _display.open(bar)
        yield bar
    finally:
        _display.close(bar)
        _labels.set(labels)  # a token would not do where a generator is closed by another thread


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


def tell(text: str) -> None:
    """Print one line on stderr, above the bars; it stands for the next line of progress."""
    _display.tell(text)


def _is_terminal() -> bool:
    """Whether bars can move on stderr."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


class _StandardError:
    """Standard error, which may be gone before the work is: a closed terminal, a broken pipe."""

    def __init__(self) -> None:
        self._file = sys.stderr

    def write(self, text: str) -> int:
        """Write, or do nothing."""
        with suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        with suppress(OSError, ValueError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Display:
    """All open bars of this process, from the outermost to the innermost, and their thread.

    On a terminal each is a row of one live display of rich. Elsewhere the innermost one that is old
    enough is printed as a line, with the share of the one around it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._bars: list[Bar] = []
        self._last = 0.0  # when the last line was printed
        self._ended = threading.Event()
        self._rich: Progress | None = None
        self._rows: dict[Bar, Any] = {}

    def open(self, bar: Bar) -> None:
        with self._lock:
            self._bars.append(bar)
            if len(self._bars) == 1:
                self._ended = threading.Event()
                threading.Thread(
                    target=self._run, args=(self._ended,), name="progress", daemon=True
                ).start()

    def close(self, bar: Bar) -> None:
        with self._lock:
            if bar not in self._bars:  # a signal came before it was opened
                return
            if _is_terminal() or self._rich is not None:
                self._draw()
                self._remove(bar)
            elif self._has_news(bar):
                self._print(bar)
            self._bars.remove(bar)
            if not self._bars:
                self._ended.set()
                self._stop()

    def tell(self, text: str) -> None:
        with self._lock:
            self._last = time.monotonic()
            with suppress(OSError, ValueError):  # the reader may be gone
                print(one_line(text), file=sys.stderr, flush=True)

    def _run(self, ended: threading.Event) -> None:
        """The thread: draws until the last bar is closed."""
        while not ended.wait(TICK_S):
            with self._lock:
                if not ended.is_set():
                    self.look()

    def look(self) -> None:
        """Draw, or print a line where it is time for one."""
        if _is_terminal() or self._rich is not None:
            self._draw()
        elif (bar := self._innermost()) is not None and self._is_due(bar):
            self._print(bar)

    def _innermost(self) -> Bar | None:
        """The innermost bar that is old enough to be shown."""
        return next((bar for bar in reversed(self._bars) if bar.seconds >= bar.after), None)

    def _is_due(self, bar: Bar) -> bool:
        """Whether it is time for a line of `bar`; the first of an outermost bar waits less."""
        first = bar.printed < 0 and bar is self._bars[0]
        # The next look would be too late.
        return time.monotonic() - self._last >= (DELAY_S if first else LINE_S - TICK_S)

    def _has_news(self, bar: Bar) -> bool:
        """Whether it is worth a line where a bar ended: not for what the last line said."""
        if bar.total is None or bar.seconds < bar.after or bar.done == bar.printed:
            return False
        if bar.printed < 0:  # inside another one nobody has read of it
            return bar is self._bars[0]
        return time.monotonic() - self._last >= DELAY_S

    def _print(self, bar: Bar) -> None:
        around = self._bars[: self._bars.index(bar)]
        shares = [f"{b.description} ({b.share:.0%}), " for b in around if b.share is not None]
        bar.printed = bar.done
        self.tell("".join(shares[-1:]) + bar.line())

    def _draw(self) -> None:
        """Show every bar that is old enough as a row; to be called with the lock."""
        for bar in self._bars:
            if bar.seconds < bar.after:
                continue
            row: dict[str, Any] = {
                "description": visible(bar.description),
                "completed": bar.done,
                "counts": visible(bar.counts()),
                "note": visible(bar.note),
            }
            if bar in self._rows:
                self._started().update(self._rows[bar], **row)
            else:
                self._rows[bar] = self._started().add_task(total=bar.total, **row)

    def _started(self) -> Progress:
        if self._rich is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._rich = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                TextColumn("{task.fields[counts]}", markup=False),
                TextColumn("{task.fields[note]}", markup=False),
                TimeRemainingColumn(),
                console=Console(file=cast("IO[str]", _StandardError())),
                redirect_stdout=sys.stdout.isatty(),  # what is piped must not go to the terminal
            )
            self._rich.start()
        return self._rich

    def _remove(self, bar: Bar) -> None:
        row = self._rows.pop(bar, None)
        # The outermost one stays, to be seen, where it has an end.
        if row is not None and self._rich is not None and (len(self._bars) > 1 or not bar.total):
            self._rich.remove_task(row)

    def _stop(self) -> None:
        if self._rich is not None:
            self._rich.stop()
            self._rich = None


_display = _Display()
