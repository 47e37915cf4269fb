"""Beam search: over answers that a task merges, and over texts that are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.task import Output
from nlp_gym_agents.models.acting import LogProbs


def best_of(
    scores: npt.NDArray[np.float64], owner: npt.NDArray[np.int64], width: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The `width` best pairs of state and action for each owner.

    Args:
        scores: (n, A), -inf for what cannot be played.
        owner: (n,) whose state it is.
        width: Pairs kept, from 1.

    Returns:
        (m,) states and (m,) actions, by owner and then from the best down; of equal ones the first.
    """
    states, actions = np.isfinite(scores).nonzero()
    order = np.lexsort((-scores[states, actions], owner[states]))
    own = owner[states[order]]
    first = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
    place = np.arange(len(own)) - np.repeat(first, np.diff(np.append(first, len(own))))
    order = order[place < width]
    return states[order], actions[order]


def likeliest(
    scores: npt.NDArray[np.float64], owner: npt.NDArray[np.int64], width: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """As `best_of`, for many actions: only the `width` best of a state are sorted."""
    few = min(width, scores.shape[1])
    top = np.argpartition(-scores, few - 1, axis=1)[:, :few]
    top.sort(axis=1)  # of equal scores the first action, as there
    kept, column = best_of(np.take_along_axis(scores, top, axis=1), owner, width)
    return kept, top[kept, column]


_TEXTS = 256
"""Texts in progress side by side."""


def search(
    task: Any, log_probs: LogProbs, rows: npt.NDArray[np.int64], width: int, obs_type: str
) -> list[Output]:
    """The best text of each sample.

    A sample keeps its `width` likeliest texts in progress, and is done when as many have ended.
    Texts are compared by log-probability over number of decisions, as in Wu et al. (2016) with
    alpha 1.

    Args:
        task: `nlp_gym.tasks.generation.task.Generation`.
        log_probs: From `nlp_gym_agents.models.acting.make_log_probs`.
        rows: (n,) samples.
        width: Texts kept, from 1.
        obs_type: What the model reads.

    Returns:
        One text a sample.
    """
    sizes = np.diff(task.corpus.offsets)[rows]
    order = np.argsort(sizes, kind="stable")  # sources of similar length side by side
    outputs: list[Output] = [""] * len(rows)
    rows_each = max(_TEXTS // width, 1)
    for start in range(0, len(order), rows_each):
        places = order[start : start + rows_each]
        found = _batch(task, log_probs, rows[places], width, obs_type)
        for place, output in zip(places, found, strict=True):
            outputs[place] = output
    return outputs


def _batch(
    task: Any, log_probs: LogProbs, rows: npt.NDArray[np.int64], width: int, obs_type: str
) -> list[Output]:
    state, owner, total = task.initial(rows), np.arange(len(rows)), np.zeros(len(rows))
    best: list[tuple[float, Output]] = [(-np.inf, "")] * len(rows)
    ended_texts = np.zeros(len(rows), np.int64)
    step = 0
    while len(owner):
        step += 1
        scores = total[:, None] + log_probs(task.observe(state, obs_type), task.mask(state))
        kept, actions = likeliest(scores, owner, width)
        total, owner, state = scores[kept, actions], owner[kept], state.take(kept)
        _, ended = task.transition(state, actions)
        if not ended.any():
            continue
        outputs = task.outputs(state.take(ended))
        for sample, value, output in zip(owner[ended], total[ended] / step, outputs, strict=True):
            best[sample] = max(best[sample], (float(value), output), key=_value)
        ended_texts += np.bincount(owner[ended], minlength=len(rows))
        goes_on = ~ended & (ended_texts < width)[owner]
        state, owner, total = state.take(goes_on), owner[goes_on], total[goes_on]
    return [output for _, output in best]


def _value(pair: tuple[float, Output]) -> float:
    return pair[0]
