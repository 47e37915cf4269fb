"""What an environment was made with, in values that JSON can write."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import PurePath
from typing import Any

from gymnasium.envs.registration import EnvSpec


def jsonable_spec(spec: EnvSpec | None) -> EnvSpec | None:
    """The spec with paths in its arguments as strings, so that `EnvSpec.to_json` can write it."""
    if spec is None:
        return None
    made = copy(spec)
    made.kwargs = {name: _jsonable(value) for name, value in spec.kwargs.items()}
    return made


def _jsonable(value: Any) -> Any:
    """The value with the paths in it as strings; what holds none is the same object."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        items = {key: _jsonable(item) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, (list, tuple)):
        listed = [_jsonable(item) for item in value]
        return listed if any(a is not b for a, b in zip(listed, value, strict=True)) else value
    return value
