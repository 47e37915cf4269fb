"""Targets of all legal actions of a state: what each would earn, and what it leads to is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Int64Array

Worth = Callable[[Any], npt.NDArray[np.float32]]
"""From a state of n running episodes to (n,) the value of the best legal action in each."""


def full_targets(
    task: Task,
    state: Any,
    legal: BoolArray,
    *,
    gamma: float,
    worth: Worth,
) -> npt.NDArray[np.float32]:
    """r(s, a) + gamma * max over a' of Q(s', a'), of every action that `legal` has.

    Args:
        task: Its corpus has gold.
        state: B episodes, which stay as they are.
        legal: (B, A) actions whose targets are wanted; the mask, or a part of it.
        gamma: Discount. With 0 only the rewards are computed.
        worth: Values states; called at most once, with those in which something follows.

    Returns:
        (B, A), 0 where `legal` is False.
    """
    owner, action = legal.nonzero()  # (n,) each
    after, rewards, ended = task.branch(state.take(owner), action[:, None])
    found: npt.NDArray[np.float32] = rewards[:, 0].astype(np.float32)
    going = ~ended[:, 0]
    if gamma and going.any():
        found[going] += np.float32(gamma) * worth(after.take(going))
    targets = np.zeros(legal.shape, np.float32)
    targets[owner, action] = found
    return targets


def some_of(
    legal: BoolArray, values: npt.NDArray[np.float32], taken: Int64Array, most: int
) -> BoolArray:
    """At most `most` legal actions of each state: the one taken, the best, and random ones.

    Half of them are those with the highest values, where an error would change what is chosen; the
    others are drawn uniformly, so that no action is left out for ever.

    Args:
        legal: (B, A).
        values: (B, A) what the network says of them.
        taken: (B,) actions.
        most: From 1.

    Returns:
        (B, A).
    """
    rows = np.arange(len(legal))
    # The generator that Stable-Baselines3 seeds and checkpoints hold.
    drawn = np.random.random(legal.shape).astype(np.float32)  # noqa: NPY002
    chosen = np.zeros(legal.shape, bool)
    chosen[rows, taken] = True
    for scores, wanted in ((values, most // 2), (drawn, most - 1 - most // 2)):
        if wanted > 0:
            left = np.where(legal & ~chosen, scores, -np.inf)
            best = np.argpartition(-left, min(wanted, left.shape[1]) - 1, axis=1)[:, :wanted]
            chosen[rows[:, None], best] = True
    chosen &= legal
    return chosen
