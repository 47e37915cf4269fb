"""Play a corpus with a model: greedily, or by beam search where the task ranks its answers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym_agents.models.acting import make_act, make_log_probs
from nlp_gym_agents.models.beam_search import search


def outputs_of(
    model: BaseAlgorithm,
    task: Task,
    *,
    masked: bool,
    obs_type: str = "index",
    rows: Sequence[int] | None = None,
    beam: int | None = None,
) -> list[Output]:
    """What a model decides on each sample.

    A task that ranks answers (`Task.ranks_answers`) is played by beam search over the probabilities
    of actions, and so are texts where a beam is asked for; all others greedily.

    Args:
        model: A Stable-Baselines3 algorithm, reading the task's corpus.
        task: Its corpus is encoded.
        masked: Whether the model acts on masks; a search always does.
        obs_type: What the model reads.
        rows: Samples; None: all.
        beam: Episodes kept per sample; None: as many as in the task's official evaluation.

    Returns:
        One output per row.
    """
    width = task.beam if beam is None else beam
    if search_width(model, task, width) == 1:
        return rollout(task, make_act(model, masked), rows, obs_type=obs_type)
    log_probs = make_log_probs(model)
    assert log_probs is not None
    return search(task, log_probs, rows, width, obs_type)


def search_width(model: BaseAlgorithm, task: Task, beam: int | None = None) -> int:
    """Episodes kept per sample where a model plays a task; 1: it plays greedily.

    Args:
        model: The model; one that does not say how likely it holds its actions is not searched.
        task: The task.
        beam: Episodes asked for; None: as many as in the task's official evaluation.
    """
    width = task.beam if beam is None else beam
    if width == 1 or not (task.writes or is_searched(task)):
        return 1
    if make_log_probs(model) is not None:
        return width
    if task.writes:
        warnings.warn(
            f"beam={width}: how likely {type(model.policy).__name__} holds its actions is not "
            "known, so that texts are written greedily.",
            UserWarning,
            stacklevel=3,
        )
    return 1


def is_searched(task: Task) -> bool:
    """Whether a task ranks its answers by beam search."""
    return task.ranks_answers and task.beam > 1


def drawn_rows(task: Task, most: int | None) -> list[int] | None:
    """At most `most` samples of a task that is searched, always the same ones; None: all.

    A search keeps a beam of states per sample and takes hours on a large split.
    """
    n = len(task.corpus)
    if most is None or n <= most or not is_searched(task):
        return None
    drawn: list[int] = np.random.default_rng(0).choice(n, most, replace=False).tolist()
    return sorted(drawn)
