"""Beam search with a model: for tasks that rank several answers, and for texts that are written."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.rollout import (
    Branches,
    chosen_rows,
    finished,
    play,
    playing,
    side_by_side,
)
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import Float64Array, Int64Array
from nlp_gym_agents.models.acting import LogProbs

RANKED_SAMPLES = 64
"""Samples side by side whose answers are ranked; each has up to a beam of states."""

WRITTEN_TEXTS = 256
"""Texts in progress side by side, those of all beams together."""


def best_of(scores: Float64Array, owner: Int64Array, width: int) -> tuple[Int64Array, Int64Array]:
    """The `width` best pairs of state and action for each owner.

    Args:
        scores: (n, A), -inf for what cannot be played.
        owner: (n,) whose state it is.
        width: Pairs kept, from 1.

    Returns:
        (m,) states and (m,) actions, by owner and then from the best down; of equal ones the first.
    """
    few = min(width, scores.shape[1])
    # No action below a state's own best `width` is kept, so that only those need sorting.
    least = np.partition(scores, -few, axis=1)[:, -few, None]
    states, actions = (np.isfinite(scores) & (scores >= least)).nonzero()
    order = np.lexsort((-scores[states, actions], owner[states]))
    own = owner[states[order]]
    first = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
    place = np.arange(len(own)) - np.repeat(first, np.diff(np.append(first, len(own))))
    order = order[place < width]
    return states[order], actions[order]


def search(
    task: Task,
    log_probs: LogProbs,
    rows: Sequence[int] | Int64Array | None,
    width: int,
    obs_type: str = "index",
) -> list[Output]:
    """What a beam search finds for each sample, merged by `Task.merge`.

    After each step a sample keeps its `width` likeliest episodes in progress. Where answers are
    ranked, all of these are played to their ends and compared by log-probability. Where texts are
    written, a sample is done when `width` of them have ended, and these are compared by
    log-probability over number of decisions, as in Wu et al. (2016) with alpha 1: else the shortest
    would win.

    Args:
        task: Ranks answers (`Task.ranks_answers`) or writes (`Task.writes`).
        log_probs: From `nlp_gym_agents.models.acting.make_log_probs`; -inf where illegal.
        rows: (n,) samples; None: all.
        width: Episodes kept, from 1.
        obs_type: What `log_probs` reads.

    Returns:
        One output per sample.
    """
    chosen = chosen_rows(task, rows)
    if task.writes:  # sources of similar length are read together
        lengths, size = np.diff(task.corpus.offsets), max(WRITTEN_TEXTS // width, 1)
    else:
        lengths, size = task.lengths, RANKED_SAMPLES
    outputs: list[Output] = [()] * len(chosen)
    what = f"{playing(task)} by beam search"
    with progress_bar(len(chosen), what, unit="samples") as advance:
        for places in side_by_side(lengths[chosen], size):
            found = _search_batch(
                task,
                log_probs,
                chosen[places],
                width,
                obs_type,
                per_decision=task.writes,
                enough=width if task.writes else None,
            )
            for place, output in zip(places, found, strict=True):
                outputs[place] = output
            advance(len(places))
    return outputs


def _search_batch(
    task: Task,
    log_probs: LogProbs,
    rows: Int64Array,
    width: int,
    obs_type: str,
    *,
    per_decision: bool,
    enough: int | None,
) -> list[Output]:
    """Search for samples side by side, with the arguments of `search` and two that tell the kinds.

    Episodes are compared by log-probability, divided by their number of decisions `per_decision`; a
    sample is done when `enough` of its episodes have ended, or with None when all have.
    """
    total = np.zeros(len(rows))  # log-probability of each running episode so far
    found: list[list[tuple[float, Output]]] = [[] for _ in rows]

    def decide(state: Any, owner: Int64Array) -> Branches:
        nonlocal total
        observation, mask = task.views.observe_with_mask(state, obs_type)
        scores = total[:, None] + log_probs(observation, mask)
        parents, actions = best_of(scores, owner, width)
        total = scores[parents, actions]
        return Branches(parents, actions)

    for decisions, step in enumerate(play(task, rows, decide), 1):
        values = total[step.ended] / (decisions if per_decision else 1)
        for value, (sample, output) in zip(values.tolist(), finished(task, step), strict=True):
            found[sample].append((value, output))
        if enough is not None:
            done = np.array([len(ended) >= enough for ended in found])
            step.ended = step.ended | done[step.place]
        total = total[~step.ended]
    ranked = (sorted(pairs, key=itemgetter(0), reverse=True) for pairs in found)
    return [task.merge([output for _, output in pairs]) for pairs in ranked]
