"""Samples with their answers, for an agent to be explained on: its own data, or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_int, check_name
from nlp_gym.data.readers import read
from nlp_gym.tasks.multi_task.task import MultiTask
from nlp_gym.types import Sample
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.task_choice import task_inputs

_SPLITS = ("train", "dev", "test")


def own_samples(
    agent: Agent,
    split: str,
    rows: Sequence[int],
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    data_dir: str | None = None,
) -> list[Sample]:
    """Samples of the corpus that an agent was trained on.

    Args:
        agent: The agent.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        rows: Their places in the split, from 0.
        env_kwargs: As `Agent` was given them: of a mixture they name the task.
        data_dir: Folder of the corpora; None: as in training.

    Raises:
        UnknownNameError: There is no such split.
        InvalidArgumentError: A row past the end.
        DataError: The corpus cannot be read.
    """
    check_name("split", split, _SPLITS)
    inputs = task_inputs(agent.trained, env_kwargs or {})
    given = {} if data_dir is None else {"data_dir": data_dir}
    task = agent.trained.task(split, **inputs.env_kwargs, **given)
    if isinstance(task, MultiTask):
        if inputs.part is None:
            raise inputs.needs_one_task()
        task = task.tasks[0]
    for row in rows:
        check_int("row", row, 0, len(task.corpus) - 1)
    return [task.sample(row) for row in rows]


def annotated_samples(
    agent: Agent,
    file: Path,
    *,
    encoding: str | None = None,
    text_column: str | int | None = None,
) -> list[Sample]:
    """The samples of a file with their answers, in a format of the agent's task family.

    Raises:
        DataError: The file cannot be read, or has no answers.
        InvalidArgumentError: An option that the file's format has no use for.
    """
    how: dict[str, Any] = {"encoding": encoding, "text_column": text_column}
    return list(read(file, family=agent.family, **how))
