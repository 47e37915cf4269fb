"""What an environment was made with, as `EnvSpec.to_json` can write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from gymnasium.envs.registration import EnvSpec


class PortableSpec:
    """Mix-in of the shells: in the `spec` that Gymnasium gives them paths are strings."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The id and the arguments."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None:
            spec.kwargs = {name: _plain(value) for name, value in spec.kwargs.items()}
        self._spec = spec


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping) and any(isinstance(item, PurePath) for item in value.values()):
        return {key: _plain(item) for key, item in value.items()}
    return value
