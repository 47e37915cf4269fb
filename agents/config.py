"""Hyperparameters: RL Zoo's YAML files, overrides from the command line, and what a class takes.

A file ``hyperparams/<algo>.yml`` has one mapping an environment id and one named `default`, taken
whole where the id has none (inherit with YAML's own anchors and ``<<:``). Values are plain YAML:
nothing is evaluated. Schedules are written ``lin_1e-3`` (falls linearly to 0), classes by a name of
a small table.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agents.algorithms import AlgorithmRow, resolve
from agents.checks import check_params
from nlp_gym.errors import InvalidArgumentError

FOLDER = Path(__file__).parent / "hyperparams"

RUN_KEYS: dict[str, Any] = {"n_envs": int, "n_timesteps": int, "policy": str, "env_kwargs": dict}
"""Keys that the training command reads; every other key is an argument of the algorithm."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SCHEDULE = re.compile(r"lin_(.+)")

Params = dict[str, Any]


def load_hyperparams(
    algo: str, env_id: str, overrides: Sequence[str] | Mapping[str, Any] = ()
) -> Params:
    """The hyperparameters of an algorithm on an environment, as plain YAML-able values.

    Args:
        algo: A name of `agents.algorithms.ALGORITHMS`, or ``"package.module:Class"``, which starts
            from ``hyperparams/default.yml``.
        env_id: Environment id.
        overrides: ``"key:value"`` strings with YAML values and dotted keys
            (``"policy_kwargs.features_extractor_kwargs.hidden:[512]"``), or a nested mapping. Nested
            mappings are merged into those of the file.

    Returns:
        Values for `agents.models.build`, checked.

    Raises:
        UnknownNameError: No such algorithm, or it has no such argument.
        InvalidArgumentError: A value of the wrong type or outside what is allowed, or an override
            that is not ``key:value``.
    """
    row = resolve(algo)
    path = FOLDER / f"{algo}.yml"
    table = _read(path if path.exists() else FOLDER / "default.yml")
    params = copy.deepcopy(table.get(env_id, table["default"]))
    changes = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    merged = _merge(params, _numbers(changes))
    check_params(row, merged, RUN_KEYS)
    return merged


def parse_overrides(items: Sequence[str]) -> Params:
    """Nested mapping of ``"a.b:value"`` strings; a later item wins over an earlier one.

    Raises:
        InvalidArgumentError: An item has no ``:``, no key, or a value that is not YAML.
    """
    parsed: Params = {}
    for item in items:
        key, colon, text = item.partition(":")
        names = [name.strip() for name in key.split(".")]
        if not colon or not all(names):
            raise InvalidArgumentError(
                f"hyperparams={item!r} is not of the form key:value, such as learning_rate:3e-4 or "
                "policy_kwargs.features_extractor_kwargs.hidden:[512]."
            )
        nested: Any = parse_value(text, item)
        for name in reversed(names):
            nested = {name: nested}
        parsed = _merge(parsed, nested)
    return parsed


def parse_value(text: str, item: str | None = None) -> Any:
    """A YAML value; ``1e-3`` is a number (YAML 1.1 reads a string) and ``None`` is null.

    Args:
        text: The value.
        item: What the user typed, for the message.

    Raises:
        InvalidArgumentError: It is not YAML.
    """
    try:
        return _numbers(yaml.safe_load(text))
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        raise InvalidArgumentError(
            f"hyperparams={item or text!r}: the value is not YAML ({problem}). Quote strings with "
            "special characters."
        ) from error


def schedule_value(argument: str, value: Any) -> tuple[float, bool]:
    """The number of a rate and whether it falls linearly.

    Raises:
        InvalidArgumentError: Neither a number nor ``"lin_NUMBER"``.
    """
    match = _SCHEDULE.fullmatch(value) if isinstance(value, str) else None
    number = match[1] if match else value
    if isinstance(number, str) and _NUMBER.fullmatch(number):
        number = float(number)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidArgumentError(
            f"{argument}={value!r} must be a number, or lin_NUMBER to fall linearly to 0 (lin_1e-3)."
        )
    return float(number), match is not None


def known_algorithms() -> list[AlgorithmRow]:
    """The rows that have a file of hyperparameters."""
    return [resolve(path.stem) for path in sorted(FOLDER.glob("*.yml")) if path.stem != "default"]


def _read(path: Path) -> Params:
    table: Params = _numbers(yaml.safe_load(path.read_text(encoding="utf-8")))
    return table


def _numbers(value: Any) -> Any:
    """The value with number-like strings as numbers and ``"None"`` as null, throughout."""
    if isinstance(value, Mapping):
        return {str(k): _numbers(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(v) for v in value]
    if value == "None":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
        return int(number) if number.is_integer() and "-" not in value[1:] else number
    return value


def _merge(into: Params, changes: Mapping[str, Any]) -> Params:
    merged = dict(into)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(dict(old), value) if both else value  # type: ignore[arg-type]
    return merged
