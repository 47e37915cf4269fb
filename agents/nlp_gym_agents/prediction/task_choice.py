"""Which task of a run decides on new input, and with which arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.tasks.core.make import is_task_id, task_class, task_ids
from nlp_gym.tasks.core.task import Task
from nlp_gym.tasks.multi_task.task import DEFAULT_TASKS, MultiTask
from nlp_gym.types import Sample
from nlp_gym_agents.models.trained import TrainedModel

_FIXED = {
    "data": "what is decided on is the text or --input FILE",
    "split": "what is decided on is the text or --input FILE",
    "labels": "the labels are those that the run was trained on",
}


@dataclass(frozen=True)
class TaskInputs:
    """The task that reads new input.

    Attributes:
        agent: The agent that decides.
        task: Class of the task: that of the run or, where one was chosen, of a part of a mixture.
        labels: Labels of that task, in order of its actions.
        env_kwargs: Arguments in place of the run's.
        part: Id of the chosen part of a mixture; None where the run is no mixture.
    """

    agent: TrainedModel
    task: type[Task]
    labels: tuple[str, ...]
    env_kwargs: Mapping[str, Any]
    part: str | None = None

    def arguments(self, data: Sequence[Sample]) -> dict[str, Any]:
        """Arguments of the agent's task with new samples in place of its corpus."""
        if self.part is None:
            return {**self.env_kwargs, "data": data}
        own = {**_own_kwargs(_merged(self.agent, self.env_kwargs), self.part), "data": data}
        own |= {"labels": list(self.labels) or None}
        return {**self.env_kwargs, "tasks": [self.part], "task_kwargs": {self.part: own}}

    def needs_one_task(self) -> InvalidArgumentError:
        """The error for a mixture of which no task was chosen."""
        known = _task_names(_merged(self.agent, self.env_kwargs))
        return InvalidArgumentError(
            f"{self.agent.env_id} is a mixture and predicts through one of its tasks "
            f"({', '.join(known)}): name it with --env-kwargs \"tasks:['{known[0]}']\"."
        )


def task_inputs(agent: TrainedModel, env_kwargs: Mapping[str, Any]) -> TaskInputs:
    """Find the task with which an agent reads new input.

    Args:
        agent: A loaded run.
        env_kwargs: Arguments in place of the run's.

    Raises:
        InvalidArgumentError: An argument that a prediction cannot change, or no such task.
    """
    for name, why in _FIXED.items():
        if name in env_kwargs:
            raise InvalidArgumentError(
                f"env_kwargs={shown(name)} cannot be given to predict: {why}."
            )
    cls = task_class(agent.env_id)
    if not cls.is_mixture:
        return TaskInputs(agent, cls, agent.labels, env_kwargs)
    merged = _merged(agent, env_kwargs)
    known = _task_names(merged)
    if len(known) != 1:
        return TaskInputs(agent, cls, (), env_kwargs)
    if not is_task_id(known[0]):
        raise UnknownNameError("tasks", known[0], task_ids())
    labels = _own_kwargs(merged, known[0]).get("labels")
    if labels is None:  # those of its corpus
        mixture = agent.task("test", **env_kwargs)
        assert isinstance(mixture, MultiTask)
        labels = mixture.tasks[0].labels
    return TaskInputs(agent, task_class(known[0]), tuple(labels), env_kwargs, known[0])


def _merged(agent: TrainedModel, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**agent.settings["env_kwargs"], **env_kwargs}


def _task_names(merged: Mapping[str, Any]) -> list[str]:
    found = merged.get("tasks") or DEFAULT_TASKS
    return [found] if isinstance(found, str) else [str(name) for name in found]


def _own_kwargs(merged: Mapping[str, Any], env_id: str) -> dict[str, Any]:
    """The arguments that a mixture hands to one of its tasks."""
    return dict((merged.get("task_kwargs") or {}).get(env_id, {}))
