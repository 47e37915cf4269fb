"""What the parts of `Agent` know of the whole: its task, its input, its lock."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.prediction.inputs import Input
from nlp_gym_agents.prediction.task_choice import TaskInputs


class AgentPart:
    """Base class of the parts of `Agent`, which has what they declare here."""

    trained: TrainedModel
    family: str
    bio: bool
    feedback_file: Path
    _inputs: TaskInputs
    _lock: threading.RLock
    _trust: Sequence[str] | str

    @property
    def tags(self) -> bool:
        """Whether it labels every word."""
        raise NotImplementedError

    def check_reads_lines(self) -> None:
        """Refuse a mixture of which no task was chosen."""
        raise NotImplementedError

    def _inputs_of(self, given: list[Any]) -> list[Input | Sample]:
        raise NotImplementedError

    def _task_of(self, samples: list[Sample]) -> Task:
        """The task of new input on samples."""
        return self.trained.task("test", **self._inputs.arguments(samples)).settled()
