"""Which modules a file of settings may have imported.

Settings name classes as ``package.module:Class`` and ids as ``package.module:Id``. Importing a
module runs its code, so what a run folder or a file of settings asks for is imported only where an
installed package has registered it (the table of algorithms, Gymnasium's registry of ids), or where
the user trusts the module by name. What users type themselves is trusted as typed.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.inert import shown
from nlp_gym_agents.algorithms.registry import ALGORITHMS

_MODULE = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")


def asked_modules(settings: Any, where: str = "") -> Iterator[tuple[str, str, str]]:
    """Every place of settings that has a module imported, however deep it lies.

    Args:
        settings: Fields of ``config.yml`` or ``settings.json``, or a part of them.
        where: Name of that part.

    Yields:
        Name of the setting, its value, and the module: that of an algorithm, of a task's class, of
        an id, or of an id among those of a mixture.
    """
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            name = f"{where}.{key}" if where else str(key)
            if key in ("algo", "task") and isinstance(value, str) and ":" in value:
                yield name, value, value.partition(":")[0]
            elif key == "env" and isinstance(value, str):
                yield from _of_id(name, value)
            elif key == "tasks":
                for one in value if isinstance(value, list | tuple) else [value]:
                    yield from _of_id(name, one)
            elif key == "task_kwargs" and isinstance(value, Mapping):
                for one in value:
                    yield from _of_id(name, one)
            yield from asked_modules(value, name)
    elif isinstance(settings, list | tuple):
        for item in settings:
            yield from asked_modules(item, where)


def _of_id(name: str, env_id: object) -> Iterator[tuple[str, str, str]]:
    if isinstance(env_id, str) and ":" in env_id:
        yield name, env_id, env_id.rpartition(":")[0]


def named_modules(settings: Any) -> tuple[str, ...]:
    """The modules that settings ask for: those to trust where the user typed the settings."""
    return tuple(dict.fromkeys(module for _, _, module in asked_modules(settings)))


def reach_typed(modules: Sequence[str]) -> None:
    """Let modules that the user typed be imported from the current folder.

    A console script does not look there. The folder is added only where it holds a typed module
    that is found nowhere else, and to the end of the path: nothing in it can stand in for a module
    that is installed.

    Args:
        modules: Names as typed; what is no name of a module is left to the checks that follow.
    """
    here = Path.cwd()
    for name in modules:
        top = name.partition(".")[0]
        if not _MODULE.fullmatch(name) or not (
            (here / f"{top}.py").is_file() or (here / top).is_dir()
        ):
            continue
        found = importlib.util.find_spec(top)
        # A folder without __init__.py somewhere on the path is a module too, of the weakest kind.
        if str(here) not in sys.path and (found is None or found.origin is None):
            sys.path.append(str(here))


def registered_modules() -> frozenset[str]:
    """Modules that the tables of this package and of installed ones name."""
    found = {row.entry.partition(":")[0] for row in ALGORITHMS.values()}
    for spec in gym.registry.values():
        task = spec.kwargs.get("task")
        if isinstance(task, str):
            found.add(task.partition(":")[0])
    return frozenset({"nlp_gym", "nlp_gym_agents", *found})


def trusted_modules(trust: Sequence[str] | str) -> tuple[str, ...]:
    """The modules of ``trust=`` or ``--trust``, checked; a single text is one module.

    Raises:
        InvalidArgumentError: One of them is no name of a module.
    """
    names = (trust,) if isinstance(trust, str) else trust
    for name in names if isinstance(names, list | tuple | set | frozenset) else (names,):
        if not (isinstance(name, str) and _MODULE.fullmatch(name)):
            raise InvalidArgumentError(
                f"trust={shown(name)} must be the name of a module or package, as it is imported: "
                "my_package or my_package.my_module."
            )
    return tuple(names)


def check_trusted(settings: Any, source: str | Path, trust: Sequence[str] | str = ()) -> None:
    """Refuse settings that have a module imported which is neither registered nor trusted.

    Args:
        settings: As for `asked_modules`.
        source: The file that they are from.
        trust: Modules; a package covers the modules in it.

    Raises:
        RunError: Naming the module, the file and the flag.
        InvalidArgumentError: `trust` has something that is no module.
    """
    allowed = trusted_modules(trust)
    known = registered_modules()
    for name, value, module in asked_modules(settings):
        if module in known or any(module == one or module.startswith(f"{one}.") for one in allowed):
            continue
        if not _MODULE.fullmatch(module):
            raise RunError(f"{source}: {name}={shown(value)} does not begin with a module's name.")
        flag = f"--trust {shlex.quote(module)}"
        raise RunError(
            f"{source} asks for {name}={shown(value)}, which would import the module "
            f"{shown(module)} and run its code; no installed package has registered it, so nothing "
            f"was imported. If you wrote it, or have read it and trust it, add {flag} "
            f"(in Python: trust=({module!r},))."
        )
