"""Beam search with a model: for tasks that rank several answers, and for texts that are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
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


@dataclass(frozen=True)
class Ending:
    """An episode that a search played to its end.

    Attributes:
        value: What it is ranked by; see `search`.
        output: What was decided in it.
        actions: (n,) its decisions.
        chances: (K, n) their probabilities at each of K temperatures.
    """

    value: float
    output: Output
    actions: Int64Array
    chances: Float64Array


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
    found = search_endings(task, log_probs, rows, width, obs_type, np.zeros(0))
    return [task.merge([ending.output for ending in endings]) for endings in found]


def search_endings(
    task: Task,
    log_probs: LogProbs,
    rows: Sequence[int] | Int64Array | None,
    width: int,
    obs_type: str,
    temperatures: Float64Array,
) -> list[list[Ending]]:
    """As `search`: for each sample the episodes that it found, best first.

    Args:
        task: As for `search`, and so are the others.
        log_probs: Decides at temperature 1.
        rows: Samples.
        width: Episodes kept.
        obs_type: What `log_probs` reads.
        temperatures: (K,) those of `Ending.chances`; they change no decision.
    """
    chosen = chosen_rows(task, rows)
    if task.writes:  # sources of similar length are read together
        lengths, size = np.diff(task.corpus.offsets), max(WRITTEN_TEXTS // width, 1)
    else:
        lengths, size = task.lengths, RANKED_SAMPLES
    endings: list[list[Ending]] = [[] for _ in chosen]
    what = f"{playing(task)} by beam search"
    with progress_bar(len(chosen), what, unit="samples") as advance:
        for places in side_by_side(lengths[chosen], size):
            found = _search_batch(
                task,
                log_probs,
                chosen[places],
                width,
                obs_type,
                temperatures,
                per_decision=task.writes,
                enough=width if task.writes else None,
            )
            for place, ended in zip(places, found, strict=True):
                endings[place] = ended
            advance(len(places))
    return endings


def _search_batch(
    task: Task,
    log_probs: LogProbs,
    rows: Int64Array,
    width: int,
    obs_type: str,
    temperatures: Float64Array,
    *,
    per_decision: bool,
    enough: int | None,
) -> list[list[Ending]]:
    """Search for samples side by side, with the arguments of `search` and two that tell the kinds.

    Episodes are compared by log-probability, divided by their number of decisions `per_decision`; a
    sample is done when `enough` of its episodes have ended, or with None when all have.
    """
    total = np.zeros(len(rows))  # log-probability of each running episode so far
    taken = np.zeros((len(rows), 0), np.int64)  # its decisions
    chances = np.zeros((len(temperatures), len(rows), 0))  # and their probabilities
    found: list[list[Ending]] = [[] for _ in rows]

    def decide(state: Any, owner: Int64Array) -> Branches:
        nonlocal total, taken, chances
        observation, mask = task.views.observe_with_mask(state, obs_type)
        logs = log_probs(observation, mask)
        scores = total[:, None] + logs
        parents, actions = best_of(scores, owner, width)
        total = scores[parents, actions]
        taken = np.concatenate([taken[parents], actions[:, None]], axis=1)
        now = _tempered(logs, parents, actions, temperatures)
        chances = np.concatenate([chances[:, parents], now[:, :, None]], axis=2)
        return Branches(parents, actions)

    for decisions, step in enumerate(play(task, rows, decide), 1):
        (at,) = step.ended.nonzero()
        values = total[at] / (decisions if per_decision else 1)
        outputs = finished(task, step)
        for i, value, (sample, output) in zip(at, values.tolist(), outputs, strict=True):
            found[sample].append(Ending(value, output, taken[i], chances[:, i]))
        if enough is not None:
            done = np.array([len(ended) >= enough for ended in found])
            step.ended = step.ended | done[step.place]
        running = ~step.ended
        total, taken, chances = total[running], taken[running], chances[:, running]
    return [sorted(ended, key=attrgetter("value"), reverse=True) for ended in found]


def _tempered(
    logs: Float64Array, parents: Int64Array, actions: Int64Array, temperatures: Float64Array
) -> Float64Array:
    """(K, m) probabilities of actions at K temperatures, from (n, A) log-probabilities at 1."""
    found = np.empty((len(temperatures), len(actions)))
    for k, temperature in enumerate(temperatures):
        each = np.exp((logs - logs.max(axis=1, keepdims=True)) / temperature)
        found[k] = (each / each.sum(axis=1, keepdims=True))[parents, actions]
    return found
