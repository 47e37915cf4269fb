"""Wrappers around environments of this package.

The environments made from a task share it, so a wrapper that changes observations gives its
environment a copy of the task. In training, evaluation and prediction the same is an argument of
the task (``--env-kwargs knowledge:FILE``), which the run folder stores.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.knowledge import KnowledgeBase, read_knowledge
from nlp_gym.tasks.core.task import Task


class KnowledgeObservation(gym.Wrapper[Any, Any, Any, Any]):
    """Adds knowledge of a file of triples about names in the text, under the key `knowledge`.

    In tagging it is the roles of the name that the current word is part of (see
    `nlp_gym.knowledge`), and whether the word begins or continues it. In relation extraction it is
    the roles of both arguments and the relations that link them. All values are 0 or 1.

    Args:
        env: An environment of this package, before `reset`.
        triples: File with one ``head<TAB>relation<TAB>tail`` per line, or a `KnowledgeBase`.
        names: File with one ``key<TAB>name`` per line, if the triples hold keys.
        roles: Number of roles that are distinguished.

    Raises:
        InvalidArgumentError: The environment's task has no names to look up, or `env` is a vector
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
                f"env={shown(env)} is a vector environment: wrap it in KnowledgeVectorObservation."
            )
        _add_knowledge(env, triples, names, roles)
        super().__init__(env)


class KnowledgeVectorObservation(gym.vector.VectorWrapper):
    """`KnowledgeObservation` for a vector environment of `gymnasium.make_vec`; same arguments."""

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
                f"env={shown(env)} is no vector environment: wrap it in KnowledgeObservation."
            )
        _add_knowledge(env, triples, names, roles)
        super().__init__(env)


def _add_knowledge(
    env: Any, triples: str | Path | KnowledgeBase, names: str | Path | None, roles: int
) -> None:
    """Give an environment a copy of its task that observes knowledge."""
    is_env = isinstance(env, gym.Env | gym.vector.VectorEnv)
    task = getattr(env.unwrapped, "task", None) if is_env else None
    if not isinstance(task, Task):
        raise InvalidArgumentError(
            f"env={shown(env)} is no environment of this package: it has no `task` with a text."
        )
    copied = copy.copy(task)
    if isinstance(triples, KnowledgeBase):
        copied.knowledge = triples
    else:
        copied.knowledge = read_knowledge(triples, names, roles=roles)
    for name in ("views", "knowledge_table"):
        copied.__dict__.pop(name, None)
    _ = copied.knowledge_table  # raises now for a task without names
    env.unwrapped.use(copied)
