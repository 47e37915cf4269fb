"""A film of a trained agent that plays an episode, decision by decision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_int, check_name
from nlp_gym.envs.single import TaskEnv
from nlp_gym.render import save_film
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.prediction.agent import Agent


def film_episode(
    agent: Agent | str | Path, path: str | Path, *, split: str = "dev", row: int = 0, **pauses: Any
) -> Path:
    """Write a film of the agent as it decides on one sample of its corpus, greedily.

    Args:
        agent: The agent, or its run folder.
        path: The film: ``.gif``, ``.webp`` or ``.png``, see `nlp_gym.render.save_film`.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        row: Number of the sample in the split.
        **pauses: `pause_s` and `last_pause_s` of `nlp_gym.render.save_film`.

    Returns:
        `path`.

    Raises:
        RunError: The run cannot be loaded.
        InvalidArgumentError: There is no such sample, or an argument of the film is wrong.
        UnknownNameError: There is no such split or kind of file.
        OSError: The file cannot be written.
    """
    check_name("split", split, ("train", "dev", "test"))
    trained = (agent if isinstance(agent, Agent) else Agent(agent)).trained
    frames = list(_played(trained, *_only(trained, split, row)))
    return save_film(frames, path, **pauses)


def _only(trained: TrainedModel, split: str, row: int) -> tuple[Task, int]:
    """A task with the sample alone, which spares encoding the others, and its row there."""
    task = trained.task(split)
    check_int("row", row, 0, len(task.corpus) - 1)
    if task.is_mixture:  # its samples are of several corpora
        return task, row
    alone = trained.task(split, data=[task.sample(row)])
    alone.corpus = dataclasses.replace(alone.corpus, name=task.corpus.name)  # for its title
    return alone, 0


def _played(trained: TrainedModel, task: Task, row: int) -> Iterator[npt.NDArray[np.uint8]]:
    """What is seen before the first decision and after each one."""
    obs_type = trained.settings["obs_type"]
    with trained.reading(task, cache=False) as model:
        act = make_act(model, resolve(trained.settings["algo"]).masked)
        env = TaskEnv(task, obs_type=obs_type, render_mode="rgb_array")
        seen, _ = env.reset(options={"row": row})
        yield env.render()
        ended = False
        while not ended:
            batch = {key: np.asarray(value)[np.newaxis] for key, value in seen.items()}
            action = act(batch, env.action_masks()[np.newaxis])[0]
            seen, _, ended, _, _ = env.step(int(action))
            yield env.render()
