"""One check for every file of a run: whether it holds what its type says, before any of it is used.

What a file holds is declared as a type: a `TypedDict` or a dataclass for a mapping with known keys
(others are refused), `dict` and `list` for open ones, ``X | None``, `Literal`, and `Annotated` with
a `Range` for a number with limits. `check` compares a parsed file with its type and names the first
place that differs. The types stand beside the code that uses them, so that both say the same.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import typing_extensions

from nlp_gym.errors import RunError, nearest
from nlp_gym.inert import listed, shown


@dataclasses.dataclass(frozen=True)
class Range:
    """Limits of a number, both included.

    Attributes:
        low: The lowest.
        high: The highest.
    """

    low: float
    high: float


LARGEST = 10**12
"""The largest counter, say of timesteps; far beyond what a run can do."""

Count = Annotated[int, Range(0, LARGEST)]
Positive = Annotated[int, Range(1, LARGEST)]

_Where = tuple[str | int, ...]


class _Misfit(Exception):
    def __init__(self, where: _Where, problem: str) -> None:
        super().__init__(problem)
        self.where, self.problem = where, problem


def check(value: object, expected: Any, source: str | Path) -> None:
    """Compare a parsed file with its type.

    Args:
        value: What was parsed; plain, as `nlp_gym.files.check_tree` has it.
        expected: The type.
        source: The file, for the message.

    Raises:
        RunError: A key is unknown or missing, or a value is of another type or beyond its limits.
    """
    try:
        _check(value, expected, ())
    except _Misfit as error:
        place = "".join(f"[{part!r}]" for part in error.where[1:])
        name = f"{error.where[0]}{place}: " if error.where else ""
        raise RunError(
            f"{source} is damaged: {name}{error.problem}. Restore the file as training wrote it, "
            "or use the release that wrote it."
        ) from None


def fields(record: Any) -> dict[str, Any]:
    """Types of the values of a `TypedDict` or dataclass, by key."""
    return dict(_fields(record)[0])


def misfit(value: object, expected: Any) -> str | None:
    """What is wrong with a single value; None: nothing is."""
    try:
        _check(value, expected, ())
    except _Misfit as error:
        return error.problem
    return None


def _check(value: object, expected: Any, where: _Where) -> None:
    if expected is Any:
        return
    options = _options(expected)
    fitting = [option for option in options if _is_kind(value, option)]
    if not fitting:
        wanted = " or ".join(dict.fromkeys(map(_words, options)))
        raise _Misfit(where, f"{shown(value)} is {type(value).__name__}, but {wanted} is wanted")
    for place, option in enumerate(fitting):
        try:
            _check_inside(value, option, where)
            return
        except _Misfit:
            if place == len(fitting) - 1:
                raise


def _options(expected: Any) -> tuple[Any, ...]:
    """Members of a union, else the type alone; None is its own type."""
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return tuple(part for one in typing.get_args(expected) for part in _options(one))
    return (expected,)


def _bare(expected: Any) -> Any:
    """The type that a value is an instance of: `Annotated` and arguments are taken off."""
    if typing.get_origin(expected) is Annotated:
        return _bare(typing.get_args(expected)[0])
    if typing_extensions.is_typeddict(expected) or dataclasses.is_dataclass(expected):
        return dict
    origin = typing.get_origin(expected) or expected
    if origin is Literal:
        return str
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict
    if origin is not str and isinstance(origin, type) and issubclass(origin, Sequence):
        return list  # tuples too, which are lists in a file
    return origin


def _is_kind(value: object, expected: Any) -> bool:
    kind = _bare(expected)
    if kind is Any:
        return True
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is dict:
        return isinstance(value, Mapping)
    return isinstance(value, kind)


def _check_inside(value: Any, expected: Any, where: _Where) -> None:
    """Check what is inside a value whose kind is right."""
    origin, parts = typing.get_origin(expected), typing.get_args(expected)
    if origin is Annotated:
        _check_inside(value, parts[0], where)
        for limit in parts[1:]:
            if not limit.low <= value <= limit.high:
                raise _Misfit(where, f"{shown(value)} must be {_words(expected)}")
    elif origin is Literal:
        if value not in parts:
            raise _Misfit(where, f"{shown(value)} must be {_words(expected)}")
    elif isinstance(value, Mapping):
        if parts:
            for key, item in value.items():
                _check(item, parts[1], (*where, key))
        elif _bare(expected) is dict and expected is not dict:
            _check_record(value, expected, where)
    elif isinstance(value, list) and parts:
        fixed = origin is tuple and parts[-1] is not Ellipsis
        if fixed and len(value) != len(parts):
            raise _Misfit(where, f"{len(value)} values, but {len(parts)} are wanted")
        for place, item in enumerate(value):
            _check(item, parts[place] if fixed else parts[0], (*where, place))


def _check_record(value: Mapping[str, Any], expected: Any, where: _Where) -> None:
    fields, needed = _fields(expected)
    for key in value:
        if key not in fields:
            near = nearest(key, fields)
            hint = "" if near is None else f" (did you mean {near!r}?)"
            raise _Misfit(
                where, f"the key {shown(key)} is not known{hint}; allowed are {listed(fields)}"
            )
    for key in needed:
        if key not in value:
            raise _Misfit(where, f"it lacks {key}")
    for key, item in value.items():
        _check(item, fields[key], (*where, key))


@lru_cache
def _fields(expected: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Types of a record's values by key, and the keys that it must have."""
    hints = typing_extensions.get_type_hints(expected, include_extras=True)
    if dataclasses.is_dataclass(expected):
        own = dataclasses.fields(expected)
        required = [f.name for f in own if f.default is f.default_factory is dataclasses.MISSING]
        return {f.name: hints[f.name] for f in own}, tuple(required)
    return hints, tuple(sorted(expected.__required_keys__))


_KINDS: Mapping[type, str] = {
    bool: "true or false",
    dict: "a mapping",
    float: "a number",
    int: "a whole number",
    list: "a list",
    str: "text",
    type(None): "null",
}


def _words(expected: Any) -> str:
    """What is wanted, for a message."""
    if typing.get_origin(expected) is Annotated:
        inner, *limits = typing.get_args(expected)
        return _words(inner) + "".join(f" from {x.low:,} to {x.high:,}" for x in limits)
    if typing.get_origin(expected) is Literal:
        return "one of " + listed(map(repr, typing.get_args(expected)))
    return _KINDS[_bare(expected)]
