"""Arguments of a mixture of tasks, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.types import Int64Array


def checked_task_kwargs(kwargs: object, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Arguments by id, for some of `ids`, or `InvalidArgumentError`."""
    if not isinstance(kwargs, Mapping) or not all(isinstance(v, Mapping) for v in kwargs.values()):
        raise InvalidArgumentError(
            f"task_kwargs={kwargs!r} must map ids to arguments, such as {{{ids[0]!r}: {{...}}}}."
        )
    for env_id in kwargs:
        if env_id not in ids:
            raise UnknownNameError("id in task_kwargs", env_id, ids)
    return {env_id: dict(values) for env_id, values in kwargs.items()}


def checked_ids(tasks: Sequence[str]) -> tuple[str, ...]:
    """Different ids, or `InvalidArgumentError`."""
    ids = tuple(tasks) if isinstance(tasks, (list, tuple)) else ()
    names = {name for name in ids if isinstance(name, str)}
    if not ids or len(names) < len(ids) or "MultiTask-v0" in names:
        raise InvalidArgumentError(
            f"tasks={tasks!r} must be a list of different ids, such as "
            "['Question-TREC-v0', 'POS-EWT-v0']."
        )
    return ids


def shares_of(weights: Sequence[float] | None, sizes: Int64Array) -> Int64Array:
    """Rows of each task: as many in all as there are samples, in the proportion of the weights."""
    try:
        given = np.ones(len(sizes)) if weights is None else np.asarray(weights, float)
    except (TypeError, ValueError):
        given = np.zeros(0)
    if given.shape != sizes.shape or not (np.isfinite(given).all() and (given > 0).all()):
        raise InvalidArgumentError(
            f"weights={weights!r} must be {len(sizes)} numbers above 0, one for each of the tasks."
        )
    shares = np.rint(sizes.sum() * given / given.sum()).astype(np.int64)
    return np.asarray(np.maximum(shares, 1))


def checked_shape(shape: object) -> tuple[int, ...]:
    """Three numbers from 1 to 64, or `InvalidArgumentError`."""
    numbers = tuple(shape) if isinstance(shape, (list, tuple)) else ()
    if len(numbers) != 3 or not all(type(n) is int and 1 <= n <= 64 for n in numbers):
        raise InvalidArgumentError(
            f"shape={shape!r} must be three numbers from 1 to 64: units of a row, of a slot and of "
            "a candidate, such as (2, 3, 2)."
        )
    return numbers
