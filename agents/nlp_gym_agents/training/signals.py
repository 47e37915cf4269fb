"""Ctrl-C and SIGTERM: the first asks the training loop to save and stop, the second aborts."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by a signal after its state was saved.

    Attributes:
        run: The run folder, ready for ``--resume``.
        signal_number: Which signal it was.
    """

    def __init__(self, run: Path, signal_number: int) -> None:
        super().__init__(f"stopped; continue with --resume {run}")
        self.run, self.signal_number = run, signal_number


@dataclass
class StopRequest:
    """Whether somebody asked to stop.

    Attributes:
        number: The signal, None while nobody asked.
        time: When, by `time.monotonic`.
    """

    number: int | None = None
    time: float = 0.0

    def seconds(self) -> float:
        """Seconds since the request; 0 where there is none."""
        return time.monotonic() - self.time if self.number is not None else 0.0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request; a second one raises KeyboardInterrupt.

    Outside the main thread, where Python takes no handlers, nobody ever asks.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.number is not None:
            raise KeyboardInterrupt
        request.number, request.time = number, time.monotonic()
        print("\nSaving and stopping; once more stops at once.", file=sys.stderr, flush=True)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
