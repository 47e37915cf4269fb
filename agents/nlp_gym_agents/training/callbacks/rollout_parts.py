"""The decisions of a rollout, in parts small enough to be computed at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_BATCH = 2048  # decisions at a time

Places = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def parts(buffer: Any) -> Iterator[tuple[Places, Any]]:
    """Steps and environments (B,) of a full rollout buffer, with the observations there.

    One environment comes after the other, so that decisions on a text are computed together.

    Args:
        buffer: Of T steps in E environments; its observations are an array or a dictionary.
    """
    steps, n_envs = buffer.rewards.shape
    envs, places = np.divmod(np.arange(steps * n_envs), steps)
    for begin in range(0, steps * n_envs, _BATCH):
        at = places[begin : begin + _BATCH], envs[begin : begin + _BATCH]
        seen = buffer.observations
        found = {k: v[at] for k, v in seen.items()} if isinstance(seen, dict) else seen[at]
        yield at, found


def by_step(values: npt.NDArray[Any], buffer: Any) -> npt.NDArray[Any]:
    """Put values in the order of the buffer.

    Args:
        values: (T * E,) in the order of `parts`.
        buffer: Whose they are.

    Returns:
        (T, E) the same.
    """
    steps, n_envs = buffer.rewards.shape
    return values.reshape(n_envs, steps).T
