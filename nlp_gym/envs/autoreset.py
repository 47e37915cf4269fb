"""Which of B environments are reset when, as Gymnasium's vector environments do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.types import BoolArray

RESET_MASK = "reset_mask"


def check_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """The mode of that name: ``"SameStep"`` or ``"SAME_STEP"``, for one, or the member itself.

    Raises:
        UnknownNameError: There is none.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    names = {member.name: member for member in AutoresetMode}
    names |= {str(member.value): member for member in AutoresetMode}
    if not isinstance(mode, str) or mode not in names:
        raise UnknownNameError("autoreset_mode", mode, [str(m.value) for m in AutoresetMode])
    return names[mode]


def split_reset_mask(
    options: Mapping[str, Any] | None, num_envs: int
) -> tuple[BoolArray | None, Any]:
    """``options["reset_mask"]``, and the options without it; `options` is left as it is.

    Raises:
        InvalidArgumentError: It is no array of B bools, or none of them is True.
    """
    if not isinstance(options, Mapping) or RESET_MASK not in options:
        return None, options
    mask = options[RESET_MASK]
    fits = isinstance(mask, np.ndarray) and mask.shape == (num_envs,) and mask.dtype == np.bool_
    if not fits or not mask.any():
        raise InvalidArgumentError(
            f"options['{RESET_MASK}']={shown(mask)} must be an array of {num_envs} bools, True for "
            "each environment that is reset, and for one at least."
        )
    return mask, {key: value for key, value in options.items() if key != RESET_MASK}
