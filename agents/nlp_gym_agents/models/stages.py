"""The data of the stages of a chain of runs, as a trained agent of the chain plays it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_gym.errors import DataError, RunError
from nlp_gym.tasks.core.make import default_argument, has_argument
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Corpus
from nlp_gym_agents.config.continual import STAGE_ARGUMENTS
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.runs.folder import read_config


def stage_split(agent: TrainedModel, arguments: Mapping[str, Any], split: str = "test") -> Task:
    """A split of a stage's data, as an agent of the same chain plays it."""
    names = [name for name in STAGE_ARGUMENTS if has_argument(agent.env_id, name)]
    unset = {name: default_argument(agent.env_id, name) for name in names}
    return agent.task(split, **{**unset, **arguments})


def earlier_corpora(
    agent: TrainedModel, split: str, *, trust: Sequence[str] | str = ()
) -> tuple[list[Corpus], list[str]]:
    """The corpora of the stages before the last one of an agent's run.

    Args:
        agent: The agent.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        trust: Modules that the settings of the run may have imported.

    Returns:
        Corpora, the latest first; and for each one that is not at hand why.
    """
    found, missing = list[Corpus](), list[str]()
    try:
        stages = read_config(agent.run, trust=trust).get("stages") or []
    except RunError:  # a run without its settings is no part of a chain
        return found, missing
    for stage in reversed(stages):
        try:
            found.append(stage_split(agent, stage["arguments"], split).corpus)
        except DataError as error:
            missing.append(str(error))
    return found, missing
