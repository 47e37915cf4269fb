"""Ctrl-C, SIGTERM and SIGHUP: the first asks to save and stop, the second aborts."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by a signal after its state was saved.

    Attributes:
        run: The run folder, ready for ``--resume``.
        signal_number: Which signal it was.
    """

    def __init__(self, run: Path, signal_number: int) -> None:
        super().__init__(f"stopped; continue with --resume {run}")
        self.run, self.signal_number = run, signal_number


class SearchInterrupted(KeyboardInterrupt):
    """A search of hyperparameters was stopped by a signal; what it found until then is kept.

    Attributes:
        folder: The study's folder, with ``best.yml``.
        trials: Trials that were completed.
        signal_number: Which signal it was.
    """

    def __init__(self, folder: Path, trials: int, signal_number: int) -> None:
        super().__init__(f"stopped after {trials} trials; {folder} has what was found")
        self.folder, self.trials, self.signal_number = folder, trials, signal_number


@dataclass
class StopRequest:
    """Whether somebody asked to stop.

    Attributes:
        run: The run folder.
        number: The signal, None while nobody asked.
        time: When, by `time.monotonic`.
        is_watched: Whether somebody looks at `number` now and then, who saves what was learned and
            stops. Where nobody does a signal stops at once: there is nothing to save but the
            settings, which are in the run folder.
        is_quiet: Say nothing: another process of the run does.
    """

    run: Path
    number: int | None = None
    time: float = 0.0
    is_watched: bool = False
    is_quiet: bool = False

    def seconds(self) -> float:
        """Seconds since the request; 0 where there is none."""
        return time.monotonic() - self.time if self.number is not None else 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within it `is_watched`."""
        self.is_watched = True
        try:
            yield
        finally:
            self.is_watched = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals.

        Raises:
            TrainingInterrupted: Nobody looks at `number`.
            KeyboardInterrupt: Somebody had asked before.
        """
        if self.number is not None:
            raise KeyboardInterrupt
        self.number, self.time = number, time.monotonic()
        if not self.is_watched:
            raise TrainingInterrupted(self.run, number)
        if self.is_quiet:
            return
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # the terminal may be gone
            print("\nSaving and stopping; once more stops at once.", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Raise `TrainingInterrupted` where somebody asked; what was learned is saved."""
        if self.number is not None:
            raise TrainingInterrupted(self.run, self.number)


@contextmanager
def stop_requests(run: Path) -> Iterator[StopRequest]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a request; see `StopRequest.handle`.

    A SIGHUP that is ignored stays so (``nohup``). Outside the main thread, where Python takes no
    handlers, nobody ever asks.

    Args:
        run: The run folder; it has settings to go on with.
    """
    request = StopRequest(run)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    ignored = getattr(signal, "SIGHUP", None)
    if ignored is not None and signal.getsignal(ignored) is signal.SIG_IGN:
        numbers.remove(ignored)
    previous = {number: signal.signal(number, request.handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
