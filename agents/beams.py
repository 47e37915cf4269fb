"""The best pairs of state and action for each owner of a beam."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
