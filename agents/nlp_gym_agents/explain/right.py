"""Which actions the gold has for right."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray

_PLAYED = 8192
"""Actions that are tried out side by side."""


def right_actions(task: Task, state: Any, mask: BoolArray) -> BoolArray:
    """(B, A) the expert's action and every other legal one that earns the most credit.

    Credit is that of ``reward="correctness"``, whatever the task's reward is: each legal action is
    tried on a copy of its state. Where none earns any, as at a hop of a walk that does not end it,
    the expert's is the only one. Where a text is written, there is one right token: the next one of
    the first reference.

    Args:
        task: It has gold.
        state: B episodes, which are not changed.
        mask: (B, A) legal actions.
    """
    episodes = np.arange(len(mask))
    right = np.zeros(mask.shape, bool)
    right[episodes, task.oracle(state.take(episodes))] = True
    if task.writes:
        return right
    owner, action = mask.nonzero()
    credit = np.full(mask.shape, -np.inf)
    for start in range(0, len(owner), _PLAYED):
        some, actions = owner[start : start + _PLAYED], action[start : start + _PLAYED]
        earned = task.play(state.take(some), actions)[0]
        if earned is None:
            return right
        credit[some, actions] = earned
    best = credit.max(axis=1, keepdims=True)
    found: BoolArray = right | ((credit == best) & (best > 0))
    return found
