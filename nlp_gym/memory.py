"""How much memory the machine has, and a refusal of what cannot fit in it."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from nlp_gym.errors import InvalidArgumentError, shown

_CGROUP = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
"""Files in which Linux says how much memory a container may use (version 2, version 1)."""
REPLAY = 1_000_000
"""Observations that replay buffers keep by default, and as many that follow them."""
_ORDINARY = 64 * 1024
"""Bytes of an observation up to which nobody is warned."""
_LOG = logging.getLogger("nlp_gym")
_warned: set[str] = set()
"""Ids of which this process has warned."""
_UNKNOWN = 8 * 1024**3
"""Bytes that are assumed where the system does not tell."""


def memory_limit() -> int:
    """Bytes of memory that this process may use at most: the machine's, or its container's."""
    try:
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        limit = _UNKNOWN
    for name in _CGROUP:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():
            limit = min(limit, int(text))
    return limit if limit > 0 else _UNKNOWN


def check_memory(argument: str, value: object, needed: int, what: str) -> None:
    """Raise `InvalidArgumentError` where an argument asks for more memory than there is.

    Args:
        argument: Name of the argument.
        value: Its value.
        needed: Bytes that it needs, computed before anything is allocated.
        what: What needs them, for the message ("10,000,000 environments").

    Raises:
        InvalidArgumentError: `needed` is more than `memory_limit`.
    """
    limit = memory_limit()
    if needed > limit:
        raise InvalidArgumentError(
            f"{argument}={shown(value)}: {what} would need {readable_size(needed)} of memory, and "
            f"there are {readable_size(limit)}. Give a smaller {argument}."
        )


def observation_bytes(space: spaces.Space[Any], dtype: type[np.generic] | None = None) -> int:
    """Bytes of one observation: of an array, or of all arrays of a Dict.

    Args:
        space: Of the observation.
        dtype: Number format that a buffer makes of all of them; None: they are kept as they are.
    """
    boxes: Any = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    return sum(np.dtype(dtype or box.dtype).itemsize * math.prod(box.shape or ()) for box in boxes)


def warn_of_large(name: str, space: spaces.Space[Any]) -> None:
    """Log, once for each id, that a replay buffer of its observations does not fit into memory.

    Libraries allocate such a buffer at once, and fail in numpy without a word of what to do. It is
    a line of the logger ``nlp_gym`` rather than a warning: most who make the environment keep none.

    Args:
        name: The id.
        space: Of one observation.
    """
    each, limit = observation_bytes(space), memory_limit()
    if name in _warned or each <= _ORDINARY or 2 * REPLAY * each <= limit:
        return
    _warned.add(name)
    _LOG.warning(
        "An observation of %s takes %s, and %s of them %s. A replay buffer keeps as many by "
        "default, and those that follow them too: %s, and there are %s. Use obs_type='index' (with "
        "Stable-Baselines3: make_sb3_env and nlp_policy_kwargs of nlp_gym_agents), or a smaller "
        "buffer.",
        name,
        readable_size(each),
        f"{REPLAY:,}",
        readable_size(REPLAY * each),
        readable_size(2 * REPLAY * each),
        readable_size(limit),
    )


def readable_size(size: int) -> str:
    """A number of bytes for people: ``"3.4 GB"``."""
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB", "TB", "PB"):
        if amount < 1000 or unit == "PB":
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
