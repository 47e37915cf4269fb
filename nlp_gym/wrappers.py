"""Wrappers around environments of this package.

A task is shared by the environments made from it, so a wrapper that changes what is observed gives
its environment a copy of the task. Training, evaluation and prediction take the same thing as an
argument of the task (``--env-kwargs knowledge:FILE``), which a run folder remembers.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.knowledge import KnowledgeBase, read_knowledge
from nlp_gym.tasks.core.task import Task


class KnowledgeObservation(gym.Wrapper[Any, Any, Any, Any]):
    """Adds what a file of triples says about the names in the text, as the key `knowledge`.

    Tagging: the roles of the name that the current word is part of (see `nlp_gym.knowledge`), and
    whether the word begins or continues it. Relations: the roles of both arguments and the
    relations that link them. All are 0 or 1.

    Args:
        env: An environment of this package, before `reset`.
        triples: File of ``head<TAB>relation<TAB>tail``, or a `KnowledgeBase`.
        names: File of ``key<TAB>name`` where the triples hold keys.
        roles: How many roles to tell apart.

    Raises:
        InvalidArgumentError: The environment's task has no names to look up, or it is a vector
            environment.
        DataError: A file is missing or bad.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        triples: str | Path | KnowledgeBase,
        *,
        names: str | Path | None = None,
        roles: int = 32,
    ) -> None:
        if isinstance(env, gym.vector.VectorEnv):
            raise InvalidArgumentError(
                f"env={env!r} is a vector environment: wrap it in KnowledgeVectorObservation."
            )
        task = _with_knowledge(env.unwrapped, triples, names, roles)
        inner: Any = env.unwrapped
        inner.use(task)
        super().__init__(env)


class KnowledgeVectorObservation(gym.vector.VectorWrapper):
    """`KnowledgeObservation` for what `gymnasium.make_vec` gives; the arguments are the same."""

    def __init__(
        self,
        env: gym.vector.VectorEnv[Any, Any, Any],
        triples: str | Path | KnowledgeBase,
        *,
        names: str | Path | None = None,
        roles: int = 32,
    ) -> None:
        if not isinstance(env, gym.vector.VectorEnv):
            raise InvalidArgumentError(
                f"env={env!r} is no vector environment: wrap it in KnowledgeObservation."
            )
        task = _with_knowledge(env.unwrapped, triples, names, roles)
        inner: Any = env.unwrapped
        inner.use(task)
        super().__init__(env)


def _with_knowledge(
    env: object, triples: str | Path | KnowledgeBase, names: str | Path | None, roles: int
) -> Task:
    """A copy of the environment's task that observes knowledge."""
    task = getattr(env, "task", None)
    if not isinstance(task, Task):
        raise InvalidArgumentError(
            f"env={env!r} is no environment of this package: it has no `task` with a text."
        )
    copied = copy.copy(task)
    if isinstance(triples, KnowledgeBase):
        copied.knowledge = triples
    else:
        copied.knowledge = read_knowledge(triples, names, roles=roles)
    for name in ("_views", "knowledge_table"):
        copied.__dict__.pop(name, None)
    _ = copied.knowledge_table  # a task without names is told now
    return copied
