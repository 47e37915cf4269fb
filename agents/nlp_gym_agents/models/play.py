"""Play a corpus with a model: greedily, or by beam search where the task ranks its answers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym_agents.models.acting import LogProbs, make_act, make_log_probs
from nlp_gym_agents.models.beam_search import best_of, search

BATCH = 64
"""Samples searched side by side; each has up to a beam of states."""


def outputs_of(
    model: Any,
    task: Task,
    *,
    masked: bool,
    obs_type: str = "index",
    rows: Sequence[int] | None = None,
    beam: int | None = None,
) -> list[Output]:
    """What a model decides on each sample.

    A task that ranks answers (it has `beam` and `merge`, see `KnowledgeGraph`) is played by beam
    search over the probabilities of actions, and so are texts where a beam is asked for; all others
    greedily.

    Args:
        model: A Stable-Baselines3 algorithm, reading the task's corpus.
        task: Its corpus is encoded.
        masked: Whether the model acts on masks; a search always does.
        obs_type: What the model reads.
        rows: Samples; None: all.
        beam: Walks or texts kept; None: as many as the task's official evaluation.

    Returns:
        One output a row.
    """
    width = task.beam if beam is None else beam
    log_probs = make_log_probs(model) if width > 1 and (task.writes or is_searched(task)) else None
    if log_probs is None:
        if task.writes and width > 1:
            warnings.warn(
                f"beam={width}: how likely {type(model.policy).__name__} holds its actions is not "
                "known, so that texts are written greedily.",
                UserWarning,
                stacklevel=2,
            )
        return rollout(task, make_act(model, masked), rows, obs_type=obs_type)
    chosen = np.arange(len(task.corpus)) if rows is None else np.asarray(rows, np.int64)
    if task.writes:
        return search(task, log_probs, chosen, width, obs_type)
    return [
        output
        for start in range(0, len(chosen), BATCH)
        for output in best_outputs(task, log_probs, chosen[start : start + BATCH], width, obs_type)
    ]


def is_searched(task: Task) -> bool:
    """Whether a task ranks its answers by beam search."""
    return task.ranks_answers and task.beam > 1


def drawn_rows(task: Task, most: int | None) -> list[int] | None:
    """At most `most` samples of a task that is searched, always the same ones; None: all.

    A search takes a beam of states a sample, which a large split makes hours of.
    """
    n = len(task.corpus)
    if most is None or n <= most or not is_searched(task):
        return None
    drawn: list[int] = np.random.default_rng(0).choice(n, most, replace=False).tolist()
    return sorted(drawn)


def best_outputs(
    task: Any, log_probs: LogProbs, rows: npt.NDArray[np.int64], width: int, obs_type: str
) -> list[Output]:
    """Beam search on a batch of samples: after each step every sample keeps its `width` best."""
    state, owner, total = task.initial(rows), np.arange(len(rows)), np.zeros(len(rows))
    found: list[list[tuple[float, Output]]] = [[] for _ in rows]
    while len(owner):
        mask = task.mask(state)
        scores = total[:, None] + log_probs(task.observe(state, obs_type), mask)
        kept, actions = best_of(np.where(mask, scores, -np.inf), owner, width)
        total, owner, state = scores[kept, actions], owner[kept], state.take(kept)
        _, ended = task.transition(state, actions)
        if ended.any():
            outputs = task.outputs(state.take(ended))
            for sample, value, output in zip(owner[ended], total[ended], outputs, strict=True):
                found[sample].append((float(value), output))
            state, owner, total = state.take(~ended), owner[~ended], total[~ended]
    return [task.merge([output for _, output in sorted(o, key=_value)]) for o in found]


def _value(pair: tuple[float, Output]) -> float:
    return -pair[0]
