"""The oracle's decisions as stored transitions, which replay mixes into every batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.rollout import play, side_by_side
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Int64Array
from nlp_gym_agents.algorithms.imitation.demonstrations import earning
from nlp_gym_agents.algorithms.q_learning.transitions import Transitions

_SIDE_BY_SIDE = 1024


def oracle_transitions(task: Task) -> Transitions:
    """Play the oracle once through every text of a task.

    Where the oracle does not always know the way (`exact_oracle` is False), only episodes that earn
    something are kept.

    Args:
        task: It has gold.

    Returns:
        M transitions, (M, 1), text after text and in order.

    Raises:
        InvalidArgumentError: The corpus has no gold (from the task's oracle), or the oracle earns
            nothing on it.
    """
    what = f"collecting demonstrations on {task.corpus.name} {task.corpus.split}"
    with progress_bar(len(task.corpus), what, unit="samples") as advance:
        parts = []
        for rows in side_by_side(task.lengths, _SIDE_BY_SIDE):
            parts.append(_played(task, rows))
            advance(len(rows))
    states, columns = zip(*parts, strict=True)
    state = type(states[0]).joined(states)
    texts, steps, actions, rewards, dones, useful = map(np.concatenate, zip(*columns, strict=True))
    order = np.lexsort((steps, texts))
    order = order[useful[order]]
    if not len(order):
        raise InvalidArgumentError(
            f"{task.corpus.name}: the oracle earns nothing on any sample of it, so that there is "
            "nothing to demonstrate. Set demonstrations: 0."
        )
    return Transitions(
        task,
        type(state),
        {name: array[order, None] for name, array in vars(state).items()},
        actions[order, None],
        rewards[order, None].astype(np.float32),
        dones[order, None],
    )


def _played(task: Task, rows: Int64Array) -> tuple[Any, tuple[Any, ...]]:
    """One batch of texts to their ends: states before each decision, and columns beside them."""
    seen: list[Any] = []

    def decide(state: Any, place: Int64Array) -> Int64Array:
        seen.append(state.take(np.arange(len(place))))
        return task.oracle(state)

    steps = [(s.place, s.actions, s.rewards, s.ended.copy()) for s in play(task, rows, decide)]
    useful = earning(task, [step[0] for step in steps], [step[2] for step in steps])
    place, actions, rewards, dones = map(np.concatenate, zip(*steps, strict=True))
    numbers = np.concatenate([np.full(len(s[0]), k) for k, s in enumerate(steps)])
    columns = (rows[place], numbers, actions, rewards, dones, useful[place])
    return type(seen[0]).joined(seen), columns
