"""Samples of dev with their decisions, every few evaluations: to TensorBoard, and to a tracker."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nlp_gym.checks import check_int
from nlp_gym.inert import one_line
from nlp_gym_agents.explain.terminal import trace_text
from nlp_gym_agents.explain.trace import Trace
from nlp_gym_agents.training.start.setup import Setup
from nlp_gym_agents.training.tracking.tracker import Tracker

EVERY = 5
"""Evaluations from one set of samples to the next."""
_COUNT = 4
_MOST_EVERY = 10**9


def check_every(every: int) -> int:
    """`every` as an integer; 0: no samples."""
    return check_int("samples_every", every, 0, _MOST_EVERY)


class DevSamples:
    """Hears of evaluations and passes them on; each `every`-th one with samples of dev.

    Playing them is greedy and uses no random numbers: a run is the same with and without. A failure
    is a warning, the first time.

    Args:
        setup: Of the run.
        tracker: Hears of all; None: there is none.
        every: Evaluations from one set of samples to the next; 0: none is ever played.
        told: Hears of each evaluation too, and says whether to stop.
    """

    def __init__(
        self,
        setup: Setup,
        tracker: Tracker | None,
        every: int,
        told: Callable[[Mapping[str, Any]], bool] | None,
    ) -> None:
        self.setup, self.tracker, self.every, self.told = setup, tracker, every, told
        self._heard, self._warned = 0, False
        n = len(setup.dev_task.corpus)
        self.rows: list[int] = np.linspace(0, n - 1, min(_COUNT, n)).astype(int).tolist()

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Hear of one evaluation, a line of ``metrics.jsonl``."""
        self._heard += 1
        if self.tracker is not None:
            self.tracker.evaluation(row)
        if self.every and self._heard % self.every == 0:
            try:
                self._show(self.setup.traces(self.rows), row["timesteps"])
            except Exception as error:  # they are to be looked at, and nothing depends on them
                if not self._warned:
                    self._warned = True
                    warnings.warn(
                        f"No samples of dev: {type(error).__name__}: {one_line(str(error))[:300]}. "
                        "Training goes on.",
                        stacklevel=2,
                    )
        return self.told(row) if self.told is not None else False

    def _show(self, traces: Sequence[Trace], timesteps: int) -> None:
        logger = self.setup.model.logger
        logger.record("dev/samples", as_markdown(traces))
        logger.dump(timesteps)
        if self.tracker is not None:
            self.tracker.samples(timesteps, traces)


def as_markdown(traces: Sequence[Trace]) -> str:
    """Traces as one block of code, which no text in it can end: every line is indented."""
    lines = trace_text(traces).split("\n")
    return "\n".join(f"    {line}" for line in lines)
