"""Tasks of other installed packages: the entry points of the group ``nlp_gym.tasks``.

An entry point names a module, rows of a table, or a function that returns rows. It is imported with
`nlp_gym`, so it should import no more than `nlp_gym.registration`; a row names its class as a text.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nlp_gym.inert import shown

GROUP = "nlp_gym.tasks"
ROWS = "ENVS"
"""Attribute of a module that holds its rows."""

_seen: set[tuple[str, str, str]] = set()
"""Package, name and value of the entry points that were loaded, or that failed to."""


def new_plugins() -> Iterator[tuple[str, Any]]:
    """What the entry points give that no earlier call gave; one that fails is warned of, once.

    A module that is being imported right now, and imports `nlp_gym` itself, is left for the next
    call: what it defines is not there yet.

    Yields:
        Name of the package, and the rows, as the package wrote them.
    """
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.module
        key = (package, entry.name, entry.value)
        if key in _seen or _is_being_imported(entry):
            continue
        _seen.add(key)
        try:
            given = _load(entry)
        except (Exception, SystemExit) as error:  # a package raises what it likes
            warn_of(package, f"{entry.value!r} cannot be loaded: {type(error).__name__}: {error}")
            continue
        yield package, given


def warn_of(package: str, fault: str) -> None:
    """Warn of a package whose tasks are left out."""
    warnings.warn(
        f"The tasks of the package {shown(package)} are not registered; its entry point of the "
        f"group {GROUP!r}: {fault}. Update the package, or uninstall it.",
        UserWarning,
        stacklevel=4,
    )


def _is_being_imported(entry: EntryPoint) -> bool:
    spec = getattr(sys.modules.get(entry.module), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _load(entry: EntryPoint) -> Any:
    """Rows, or nothing where importing the module registers them."""
    given = entry.load()
    if not entry.attr:
        return getattr(given, ROWS, ())
    if callable(given):
        given = given() or ()
    # A generator is read here, where what it raises is caught.
    return tuple(given) if isinstance(given, Iterator) else given
