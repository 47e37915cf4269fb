"""What an environment was made with, as `EnvSpec.to_json` can write it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from gymnasium.envs.registration import EnvSpec

from nlp_gym.memory import warn_of_large

_DEEPEST = 8
"""Levels of mappings and lists in which paths are looked for."""


class PortableSpec:
    """Mix-in of the shells: paths and modes are strings in the `spec` that Gymnasium gives them.

    Only then do they know their id, and say if their observations are too large for replay.
    """

    obs_type: str
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The id and the arguments."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None:
            spec.kwargs = {name: _plain(value) for name, value in spec.kwargs.items()}
            if self.obs_type == "features":
                shell: Any = self
                name = "observation_space"
                single = getattr(shell, f"single_{name}", None)  # of a vector environment
                warn_of_large(spec.id, getattr(shell, name) if single is None else single)
        self._spec = spec


def _plain(value: Any, depth: int = 0) -> Any:
    """The value with the paths and names in it as strings; what holds none is the same object."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if depth > _DEEPEST:  # it may hold itself
        return value
    if isinstance(value, Mapping):
        items = {key: _plain(item, depth + 1) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, (list, tuple)):
        listed = [_plain(item, depth + 1) for item in value]
        return listed if any(a is not b for a, b in zip(listed, value, strict=True)) else value
    return value
