"""Observations in the layouts that other libraries expect, instead of a Dict of several keys.

CleanRL and d3rlpy want one array, Tianshou ``{"obs", "mask"}`` and RLlib ``{"observations",
"action_mask"}``. The environments (``layout=``) and the wrappers use what is here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.checks import check_name
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Observation

LAYOUTS = ("flat", "obs_mask", "observations_action_mask")

MASK = "action_mask"
"""Key of the legal actions in an observation that is not laid out."""

_PARTS: dict[str, tuple[str, str, type[Any]]] = {
    "obs_mask": ("obs", "mask", np.bool_),
    "observations_action_mask": ("observations", "action_mask", np.float32),
}
"""Keys of the vector and of the mask, and the mask's type, in the layouts that hold both."""


def check_layout(layout: str | None, obs_type: str) -> None:
    """Refuse an unknown layout, and one of observations that are no features.

    Raises:
        UnknownNameError: `layout` is neither None nor one of `LAYOUTS`.
        InvalidArgumentError: `obs_type` is not ``"features"``.
    """
    if layout is None:
        return
    check_name("layout", layout, LAYOUTS)
    if obs_type != "features":
        raise InvalidArgumentError(
            f"layout={shown(layout)} needs obs_type='features', and obs_type={shown(obs_type)} was "
            "given: its integers name things, and in one vector they would be taken for magnitudes."
        )


class Layout:
    """Lays out observations of one Dict space.

    - ``"flat"``: one float32 vector (F,) of every key but the mask, each flattened, in the order of
      their names. The mask remains in ``info["action_mask"]`` and `action_masks`.
    - ``"obs_mask"``: ``{"obs": (F,) float32, "mask": (A,) bool}``.
    - ``"observations_action_mask"``: ``{"observations": (F,) float32, "action_mask": (A,)
      float32}``.

    Args:
        name: One of `LAYOUTS`.
        space: Space of one observation, a Dict of Boxes with ``action_mask``.

    Attributes:
        space: Space of one observation that is laid out.

    Raises:
        UnknownNameError: No such layout.
        InvalidArgumentError: `space` is no such Dict; observations that are laid out already are
            none.
    """

    def __init__(self, name: str, space: spaces.Space[Any]) -> None:
        check_name("layout", name, LAYOUTS)
        boxes: dict[str, Any] = dict(space.spaces) if isinstance(space, spaces.Dict) else {}
        mask = boxes.pop(MASK, None)
        vectors = {key: box for key, box in sorted(boxes.items()) if isinstance(box, spaces.Box)}
        masked = isinstance(mask, spaces.Box) and np.dtype(mask.dtype).kind in "iub"
        if not masked or len(vectors) < len(boxes) or not vectors:
            raise InvalidArgumentError(
                f"layout={shown(name)} is made of a Dict of arrays with {shown(MASK)} in integers, "
                f"and the observation space is {shown(space)}. Give the layout once, to an "
                "environment of obs_type='features'."
            )
        self.name = name
        self._keys = tuple(vectors)
        self._width = sum(math.prod(box.shape) for box in vectors.values())
        low, high = (
            np.concatenate([bound.ravel() for bound in bounds], dtype=np.float32, casting="unsafe")
            for bounds in zip(*((box.low, box.high) for box in vectors.values()), strict=True)
        )
        vector = spaces.Box(low, high, dtype=np.float32)
        self.space: spaces.Space[Any] = vector
        if name in _PARTS:
            key, mask_key, dtype = _PARTS[name]
            legal = spaces.Box(0, 1, mask.shape, dtype)
            self.space = spaces.Dict({key: vector, mask_key: legal})

    def batch(self, seen: Observation) -> Any:
        """B observations at once, whose arrays have B in front; gives arrays of their own."""
        b = len(seen[MASK])
        vectors = np.empty((b, self._width), np.float32)
        start = 0
        for key in self._keys:
            values = seen[key].reshape(b, -1)
            end = start + values.shape[1]
            vectors[:, start:end] = values
            start = end
        return self._with_mask(vectors, seen[MASK])

    def one(self, seen: Observation) -> Any:
        """One observation; gives arrays of its own."""
        vector = np.concatenate(
            [seen[key].ravel() for key in self._keys], dtype=np.float32, casting="unsafe"
        )
        return self._with_mask(vector, seen[MASK])

    def _with_mask(self, vectors: npt.NDArray[np.float32], mask: npt.NDArray[Any]) -> Any:
        if self.name not in _PARTS:
            return vectors
        key, mask_key, dtype = _PARTS[self.name]
        return {key: vectors, mask_key: mask.astype(dtype)}
