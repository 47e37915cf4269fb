"""What a shell offers on Tab for ids, algorithms and corpora."""

from __future__ import annotations

from collections.abc import Iterable


def environments(incomplete: str) -> list[str]:
    """Registered ids."""
    from nlp_gym.tasks.core.make import task_ids

    return _matching(incomplete, task_ids())


def algorithms(incomplete: str) -> list[str]:
    """Names of algorithms."""
    from nlp_gym_agents.algorithms.registry import ALGORITHMS

    return _matching(incomplete, ALGORITHMS)


def corpora(incomplete: str) -> list[str]:
    """Names of corpora."""
    from nlp_gym.data import DATASETS

    return _matching(incomplete, DATASETS)


def _matching(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
