"""The one thread that uses the models: it joins requests that wait into batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from nlp_gym_agents.serve.limits import Limits, RequestError

Call = Callable[[Sequence[Any]], Sequence[Any]]
"""Gives one result for each item, whatever the other items are."""


@dataclass(eq=False)
class _Job:
    """What one request asks of a model.

    Attributes:
        call: What is called.
        items: With what.
        characters: Size of the items, 0 where it does not matter.
        joins: Whether items of other jobs with the same `call` may be decided on with it.
        future: Gets the results, or the error.
    """

    call: Call
    items: Sequence[Any]
    characters: int
    joins: bool
    future: Future[Sequence[Any]] = field(default_factory=Future)


class ModelThread:
    """A queue of calls and the thread that makes them, one after the other.

    Models and their tasks are no objects to share between threads, and a batch costs hardly more
    than a single text: so requests wait here, and those that ask the same are joined.

    Args:
        limits: `waiting`, `batch`, `batch_characters` and `batch_wait_s` are used.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.batches = 0
        """Number of calls that were made."""
        self.items = 0
        """Number of items in them."""
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._jobs)

    def submit(
        self, call: Call, items: Sequence[Any], *, characters: int = 0, joins: bool = False
    ) -> Future[Sequence[Any]]:
        """Ask for ``call(items)``; a future that is cancelled before its turn is not called.

        Args:
            call: What is called, in the thread of the models.
            items: With what.
            characters: Size of the items.
            joins: Whether items of other requests may go into the same call.

        Raises:
            RequestError: As many requests wait as may (429), or the server stops (503).
        """
        job = _Job(call, items, characters, joins)
        with self._changed:
            if self._closed:
                raise RequestError(503, "the server stops and takes no further requests.")
            if len(self._jobs) >= self._limits.waiting:
                raise RequestError(
                    429,
                    f"{self._limits.waiting} requests wait for the model already: try again later.",
                    limit="waiting",
                    headers={"Retry-After": "1"},
                )
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self, seconds: float) -> bool:
        """Take no further calls, drop those that wait, and end the thread.

        Args:
            seconds: Longest wait for the call that is being made.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while jobs := self._next():
            _make(jobs)

    def _next(self) -> list[_Job]:
        """The jobs of the next call, without those that nobody waits for; none: it is closed."""
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if not self._jobs:
                    return []
                taken = self._take()
            found = [job for job in taken if job.future.set_running_or_notify_cancel()]
            if found:
                self.batches += 1
                self.items += sum(len(job.items) for job in found)
                return found

    def _take(self) -> list[_Job]:
        """The first job with those that join it; the lock is held."""
        first = self._jobs.popleft()
        taken, until = [first], time.monotonic() + self._limits.batch_wait_s
        size, characters = len(first.items), first.characters
        while first.joins and size < self._limits.batch:
            while self._jobs and self._joins(self._jobs[0], first, size, characters):
                job = self._jobs.popleft()
                taken.append(job)
                size, characters = size + len(job.items), characters + job.characters
            rest = until - time.monotonic()
            if self._jobs or self._closed or rest <= 0:
                break
            self._changed.wait(rest)
        return taken

    def _joins(self, job: _Job, first: _Job, size: int, characters: int) -> bool:
        return (
            job.joins
            and job.call == first.call
            and size + len(job.items) <= self._limits.batch
            and characters + job.characters <= self._limits.batch_characters
        )


def _make(jobs: list[_Job]) -> None:
    """Make one call for all jobs; where it fails, one for each, so that none fails for another."""
    items = [item for job in jobs for item in job.items]
    try:
        results = jobs[0].call(items)
    except BaseException as error:
        if len(jobs) == 1:
            jobs[0].future.set_exception(error)
            return
        for job in jobs:
            _make([job])
        return
    start = 0
    for job in jobs:
        job.future.set_result(results[start : start + len(job.items)])
        start += len(job.items)
