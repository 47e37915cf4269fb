"""From a registered id, or from ``"module:Class"``, to a task without an environment around it."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, listed, nearest, shown
from nlp_gym.tasks.core.task import Task

_HINTS = 8
"""Most misspelt arguments for which a message names the nearest."""
SHELL_ARGUMENTS = (
    "obs_type",
    "layout",
    "render_mode",
    "num_envs",
    "autoreset_mode",
    "max_episode_steps",
    "vectorization_mode",
)
"""Arguments of the environment shells; everything else belongs to the task."""


def find_spec(env_id: str) -> EnvSpec | None:
    """What an id is registered with; None where it is not, or is no task of this suite.

    Args:
        env_id: An id, such as ``"NER-CoNLL-v0"``, or ``"package.module:Id"``: that module is then
            imported first, which registers the id, as `gymnasium.make` has it.

    Raises:
        InvalidArgumentError: The module cannot be imported.
    """
    if not isinstance(env_id, str):
        return None
    module, colon, name = env_id.rpartition(":")
    if colon:
        try:
            importlib.import_module(module)
        except Exception as error:  # a module raises what it likes while it is imported
            raise InvalidArgumentError(
                f"env={shown(env_id)}: {shown(module)} cannot be imported ({error}); the form is "
                "'package.module:Id', importable from where this runs."
            ) from error
    spec = gym.registry.get(name)
    return spec if spec is not None and "task" in spec.kwargs else None


def task_spec(env_id: str) -> EnvSpec:
    """As `find_spec`; an id that is no task is an `UnknownNameError`."""
    spec = find_spec(env_id)
    if spec is None:
        hint = "An id of another package is given as 'package.module:Id'."
        raise UnknownNameError("env", env_id, task_ids(), hint=hint)
    return spec


def is_task_id(env_id: str) -> bool:
    """Whether `env_id` is registered and played by one of this package's shells."""
    return find_spec(env_id) is not None


def task_ids() -> list[str]:
    """Every registered id that is a task of this suite, third-party ones included, sorted."""
    return sorted(i for i in gym.registry if is_task_id(i))


def make_task(env_id: str, split: str = "train", **kwargs: Any) -> Task:
    """The rules behind an id, without an environment around them.

    Args:
        env_id: A registered id, such as ``"NER-CoNLL-v0"``.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        **kwargs: As for `gymnasium.make`; `obs_type` and `render_mode` are the shell's and ignored.

    Returns:
        The task, as ``gym.make(env_id, split=split, **kwargs).unwrapped.task`` would hold.

    Raises:
        UnknownNameError: No such id or argument.
    """
    merged = {**task_spec(env_id).kwargs, **kwargs, "split": split}
    return build_task(
        merged.pop("task"), **{k: v for k, v in merged.items() if k not in SHELL_ARGUMENTS}
    )


def _arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Keyword arguments of a class, those its ``**kwargs`` hand on to its bases included."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        for p in parameters:
            if p.kind is p.KEYWORD_ONLY:
                found.setdefault(p.name, p)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return found


def has_argument(env_id: str, name: str) -> bool:
    """Whether the task of an id has an argument of that name.

    Raises:
        UnknownNameError: No such id.
    """
    return name in _arguments(task_class(env_id))


def default_argument(env_id: str, name: str) -> Any:
    """What the task of an id gets for an argument that is not given.

    Raises:
        UnknownNameError: No such id, or its task has no such argument.
    """
    known, registered = _arguments(task_class(env_id)), task_spec(env_id).kwargs
    if name in registered:
        return registered[name]
    if name not in known:
        raise UnknownNameError("argument", name, known)
    return known[name].default


def build_task(entry: str | Task, **kwargs: Any) -> Task:
    """Build a task from ``"module:Class"``, checking the names of the arguments first.

    Raises:
        UnknownNameError: The class has no such argument.
        InvalidArgumentError: An argument without default is missing, or no task can be imported.
    """
    if isinstance(entry, Task):
        return entry
    if not isinstance(entry, str):
        raise InvalidArgumentError(
            f"task={shown(entry)} must be 'package.module:Class', or a Task that was made before."
        )
    cls = _imported(entry)
    arguments = _arguments(cls)
    allowed = list(arguments)
    unknown = [k for k in kwargs if k not in allowed]
    if unknown:
        hints = [f"{shown(k)} -> {shown(near)}" for k in unknown if (near := nearest(k, allowed))]
        raise UnknownNameError(
            "argument",
            unknown[0],
            [*allowed, "obs_type", "layout", "render_mode"],
            hint=f"All unknown: {listed(map(repr, unknown))}. {'; '.join(hints[:_HINTS])}",
        )
    needed = [name for name, p in arguments.items() if p.default is p.empty and name not in kwargs]
    if needed:
        example = ", the catalogue name of a corpus" if needed[0] == "dataset" else ""
        raise InvalidArgumentError(
            f"{needed[0]} is missing: {cls.__name__} needs {', '.join(needed)}{example}. Give it "
            "in the kwargs of the registered id, or where the environment is made."
        )
    return cls(**kwargs)


def _imported(entry: str) -> type[Task]:
    module, _, name = entry.partition(":")
    try:
        cls = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module raises what it likes while it is imported
        raise InvalidArgumentError(
            f"task={shown(entry)} cannot be imported ({error}); it has the form "
            "'package.module:Class'."
        ) from error
    if not (inspect.isclass(cls) and issubclass(cls, Task)):
        raise InvalidArgumentError(f"task={shown(entry)} is no subclass of nlp_gym.tasks.Task.")
    return cls


def task_class(env_id: str) -> type[Task]:
    """The class behind a registered id, without building the task.

    Raises:
        UnknownNameError: No such id.
        InvalidArgumentError: The class cannot be imported, or is no task.
    """
    entry = task_spec(env_id).kwargs["task"]
    return _imported(entry) if isinstance(entry, str) else type(entry)
