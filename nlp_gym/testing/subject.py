"""What is checked: an id with its arguments, and the environments and tasks made of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from nlp_gym.errors import NLPGymError
from nlp_gym.tasks.core.corpus_task import CorpusTask
from nlp_gym.tasks.core.make import make_task, task_spec
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Corpus, Sample

SMALL = {"encoder": "hashed", "corpus": "sample"}
"""Arguments with which checks need no weights and no full corpus."""


class ConformanceError(NLPGymError, AssertionError):
    """An environment does not pass a check; the message says what was seen and how to fix it."""


class Fault(AssertionError):
    """What a check found; `nlp_gym.testing.checks` makes a `ConformanceError` of it."""


def require(holds: Any, fault: str) -> None:
    """Raise `Fault` unless something holds."""
    if not holds:
        raise Fault(fault)


@contextmanager
def refused(kind: type[Exception], what: str) -> Iterator[None]:
    """Within this context a call must raise one kind of error; `what` is the call, for people."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise Fault(
            f"{what} raises {type(error).__name__} ({error}); it must raise {kind.__name__}"
        ) from error
    raise Fault(f"{what} is accepted; it must raise {kind.__name__}")


def equal(left: Any, right: Any) -> bool:
    """Whether two values that a call returned are the same, types and shapes included."""
    return bool(data_equivalence(left, right, exact=True))


@dataclass(frozen=True)
class Subject:
    """An id and how its environments are made.

    Attributes:
        env_id: A registered id, or ``"package.module:Id"``.
        kwargs: Arguments of its environments; by default the hashed encoder on the sample.
        quick: Play less.
    """

    env_id: str
    kwargs: Mapping[str, Any] = field(default_factory=lambda: SMALL)
    quick: bool = False

    @property
    def name(self) -> str:
        """The id as it is registered."""
        return task_spec(self.env_id).id

    def task(self, split: str = "train", **kwargs: Any) -> Task:
        """The rules."""
        return make_task(self.env_id, split, **{**self.kwargs, **kwargs})

    def env(self, **kwargs: Any) -> Any:
        """One environment, in Gymnasium's wrappers."""
        return gym.make(self.env_id, **{**self.kwargs, **kwargs})

    def vector(self, num_envs: int, **kwargs: Any) -> Any:
        """The native vector environment."""
        return gym.make_vec(self.env_id, num_envs=num_envs, **{**self.kwargs, **kwargs})

    def side_by_side(self, num_envs: int, **kwargs: Any) -> Any:
        """Single environments in Gymnasium's own vector environment."""
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        makers = [functools.partial(self.env, **kwargs) for _ in range(num_envs)]
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)


def without_gold() -> Any:
    """Within this context tasks are made of samples that have no gold."""
    return _changed_corpora(lambda samples: [sample.unannotated() for sample in samples])


def shuffled_labels() -> Any:
    """Within this context the labels of each sample are those of another one with as many."""

    def shuffled(samples: list[Sample]) -> list[Sample]:
        groups: dict[int, list[int]] = {}
        for i, sample in enumerate(samples):
            if sample.labels is not None:
                groups.setdefault(len(sample.labels), []).append(i)
        result = list(samples)
        for group in groups.values():
            for i, other in zip(group, np.roll(group, 1), strict=True):
                result[i] = dataclasses.replace(samples[i], labels=samples[other].labels)
        return result

    return _changed_corpora(shuffled)


@contextmanager
def _changed_corpora(change: Callable[[list[Sample]], list[Sample]]) -> Iterator[None]:
    """Within this context every corpus that a task is made of is changed."""
    load = CorpusTask.load

    def changed(self: CorpusTask, split: str) -> Corpus:
        corpus = load(self, split)
        if hasattr(self, "corpus"):  # what is asked for later are facts about the training split
            return corpus
        return dataclasses.replace(corpus, samples=change(list(corpus.samples)))

    CorpusTask.load = changed  # type: ignore[method-assign]
    try:
        yield
    finally:
        CorpusTask.load = load  # type: ignore[method-assign]
