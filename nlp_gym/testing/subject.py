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


_ANSWERS = ("answer", "answers", "gold", "label", "labels", "reference", "references", "target")
"""Keys of `Sample.extra` that hold gold, whatever is in them."""


def without_gold() -> Any:
    """Within this context tasks are made of samples that have no gold."""

    def bare(sample: Sample) -> Sample:
        answers = _answers(sample)
        extra = {key: value for key, value in sample.extra.items() if key not in answers}
        return dataclasses.replace(sample.unannotated(), extra=extra if answers else sample.extra)

    return _changed_corpora(lambda samples: [bare(sample) for sample in samples])


def shuffled_gold() -> Any:
    """Within this context the gold of each sample is that of another one of the same form."""

    def shuffled(samples: list[Sample]) -> list[Sample]:
        groups: dict[Any, list[int]] = {}
        for i, sample in enumerate(samples):
            groups.setdefault(_form(sample), []).append(i)
        result = list(samples)
        for group in groups.values():
            for i, other in zip(group, np.roll(group, 1), strict=True):
                own, given = samples[i], samples[other]
                answers = {key: given.extra[key] for key in _answers(given)}
                extra = {**own.extra, **answers} if answers else own.extra
                result[i] = dataclasses.replace(
                    own, labels=given.labels, gold=given.gold, extra=extra
                )
        return result

    return _changed_corpora(shuffled)


def _answers(sample: Sample) -> list[str]:
    """Keys of `extra` that hold gold: by their name, or because it is the sample's own gold."""
    gold = [value for value in (sample.labels, sample.gold) if isinstance(value, tuple) and value]
    return [
        key
        for key, value in sample.extra.items()
        if key in _ANSWERS or (isinstance(value, tuple) and value in gold)
    ]


def _form(sample: Sample) -> Any:
    """What two samples must have in common for one's gold to be possible as the other's.

    These are the numbers of labels, of choices, sentences, turns or words that gold counts, and
    the sets of candidates.
    """
    answers = _answers(sample)
    form: list[object] = [type(sample.gold), *answers]
    form.append(None if sample.labels is None else len(sample.labels))
    for key, value in sorted(sample.extra.items()):
        if isinstance(value, tuple) and key not in answers:
            form.append((key, len(value)))
        elif isinstance(value, Mapping) and all(isinstance(v, tuple) for v in value.values()):
            form.append((key, tuple(value.items())))
    return tuple(form)


@contextmanager
def _changed_corpora(change: Callable[[list[Sample]], list[Sample]]) -> Iterator[None]:
    """Within this context every corpus that a task is made of is changed.

    Samples are changed as they were read, so that the hooks of a task see the changed ones. The
    inventory of labels stays as it is: it is known before any gold of the split is.
    """
    load, read = CorpusTask.load, CorpusTask.read_split
    changing: list[CorpusTask] = []

    def changed_read(self: CorpusTask, split: str) -> Corpus:
        corpus = read(self, split)
        if not any(task is self for task in changing) or hasattr(self, "corpus"):
            return corpus
        return dataclasses.replace(corpus, samples=change(list(corpus.samples)))

    def changed_load(self: CorpusTask, split: str) -> Corpus:
        corpus = load(self, split)
        if hasattr(self, "corpus"):  # what is asked for later are facts about the training split
            return corpus
        changing.append(self)
        try:
            return dataclasses.replace(load(self, split), labels=corpus.labels)
        finally:
            changing.pop()

    CorpusTask.load = changed_load  # type: ignore[method-assign]
    CorpusTask.read_split = changed_read  # type: ignore[method-assign]
    try:
        yield
    finally:
        CorpusTask.load = load  # type: ignore[method-assign]
        CorpusTask.read_split = read  # type: ignore[method-assign]
