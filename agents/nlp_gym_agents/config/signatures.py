"""The arguments that a class takes, with their type hints, read from its signatures."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Collection
from typing import Any


def arguments(cls: type, *, dropped: Collection[str] = ()) -> dict[str, object]:
    """Arguments of a class with their type hints (Any where there is none that can be read).

    A class that takes ``**kwargs`` also takes the arguments of its base classes.

    Args:
        cls: Any class.
        dropped: Names to leave out; ``self`` always is.
    """
    found: dict[str, object] = {}
    for base in inspect.getmro(cls):
        if "__init__" not in vars(base):
            continue
        init = vars(base)["__init__"]
        try:
            parameters = inspect.signature(init).parameters.values()
        except ValueError:  # a builtin's: nothing is known of it
            break
        for p in parameters:
            named = p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            if named and p.name != "self" and p.name not in dropped:
                found.setdefault(p.name, hint_of(init, p.name))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def hint_of(function: object, name: str) -> object:
    """The type hint of one argument; Any stands for what it names and the module does not hold.

    A third-party class may name types that it imports for type checkers only.
    """
    annotations = getattr(function, "__annotations__", {})
    if name not in annotations:
        return Any
    one = types.SimpleNamespace(__annotations__={name: annotations[name]})
    unknown: dict[str, object] = {}
    while True:
        try:
            return typing.get_type_hints(one, getattr(function, "__globals__", {}), unknown)[name]
        except NameError as error:
            if not error.name or error.name in unknown:
                return Any
            unknown[error.name] = Any
        except (TypeError, AttributeError, SyntaxError):
            return Any
