"""Checkpoints of a warm start, which may take longer than the training after it."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from nlp_gym_agents.algorithms.parallel.ranks import ALONE, Ranks
from nlp_gym_agents.algorithms.pretraining import Passes
from nlp_gym_agents.runs.checkpoints.checkpoint import load_state, write_checkpoint
from nlp_gym_agents.training.callbacks.loop import LoopState
from nlp_gym_agents.training.divergence import check_finite
from nlp_gym_agents.training.signals import StopRequest, TrainingInterrupted
from nlp_gym_agents.training.start.setup import Setup

SAVE_EVERY = 60.0  # seconds between two checkpoints
_OPTIMIZER = "start"  # its name in them


class SavedStart:
    """Saves a warm start now and then and when a signal asks for it, and goes on with a saved one.

    Args:
        run: The run folder.
        setup: What is trained.
        state: Of the training loop; `start_updates` and both times are kept up to date.
        request: Whether to stop.
        folder: The checkpoint to go on from; None: it begins.
        ranks: The processes that train together; the first one saves, and stops the others.
    """

    def __init__(
        self,
        run: Path,
        setup: Setup,
        state: LoopState,
        request: StopRequest,
        folder: Path | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.run, self.setup, self.state, self.request = run, setup, state, request
        self.folder, self.ranks = folder, ranks
        self._began = time.monotonic() - state.seconds
        self._processor_began = time.process_time() - state.processor_seconds
        self._saved = 0.0

    def begin(self, passes: Passes) -> None:
        """Go on from the checkpoint, or save the first one."""
        if self.folder is not None:
            load_state(self.folder, self.setup.model, optimizers={_OPTIMIZER: passes.optimizer})
            passes.done = self.state.start_updates or 0
        else:
            self._save(passes)
        self._saved = time.monotonic()
        self.request.is_watched = True

    def update(self, passes: Passes) -> None:
        """Save where it is time.

        Raises:
            TrainingInterrupted: Somebody asked to stop; the state is saved.
        """
        number = self.ranks.told(self.request.number)
        if number is not None or time.monotonic() - self._saved > SAVE_EVERY:
            self._save(passes)
            self._saved = time.monotonic()
        if number is not None:
            raise TrainingInterrupted(self.run, number)

    def end(self) -> None:
        """The warm start is over."""
        self.request.is_watched = False
        self._keep_time()
        self.state.start_updates = None

    def _keep_time(self) -> None:
        self.state.seconds = time.monotonic() - self._began
        self.state.processor_seconds = time.process_time() - self._processor_began

    def _save(self, passes: Passes) -> None:
        if not self.ranks.leads:
            return
        model = self.setup.model
        check_finite(model, self.run)
        self.state.start_updates = passes.done
        self._keep_time()
        write_checkpoint(
            self.run,
            model,
            settings=self.setup.settings(),
            extra=asdict(self.state),
            optimizers={_OPTIMIZER: passes.optimizer},
        )
