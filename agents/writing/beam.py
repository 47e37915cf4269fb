"""Beam search over texts: the likeliest by the mean log-probability of its tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from agents.acting import LogProbs
from agents.beams import likeliest
from nlp_gym.tasks.base import Output

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
        task: `nlp_gym.tasks.generation.Generation`.
        log_probs: From `agents.acting.make_log_probs`.
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
