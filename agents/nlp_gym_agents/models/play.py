"""Play a corpus with a model: greedily, or by beam search where the task ranks its answers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import Int64Array
from nlp_gym_agents.models.acting import make_act, make_log_probs
from nlp_gym_agents.models.beam_search import search_with_path


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
    found = searched(model, task, obs_type=obs_type, rows=rows, beam=beam)
    if found is None:
        width = task.beam if beam is None else beam
        if task.writes and width > 1:
            warnings.warn(
                f"beam={width}: how likely {type(model.policy).__name__} holds its actions is not "
                "known, so that texts are written greedily.",
                UserWarning,
                stacklevel=2,
            )
        return rollout(task, make_act(model, masked), rows, obs_type=obs_type)
    return [output for output, _ in found]


def searched(
    model: BaseAlgorithm,
    task: Task,
    *,
    obs_type: str = "index",
    rows: Sequence[int] | None = None,
    beam: int | None = None,
) -> list[tuple[Output, Int64Array]] | None:
    """What `outputs_of` finds by beam search, with the decisions of each sample's best episode.

    Arguments are those of `outputs_of`.

    Returns:
        None where the samples are played greedily.
    """
    width = task.beam if beam is None else beam
    log_probs = make_log_probs(model) if width > 1 and (task.writes or is_searched(task)) else None
    if log_probs is None:
        return None
    return search_with_path(task, log_probs, rows, width, obs_type)


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
