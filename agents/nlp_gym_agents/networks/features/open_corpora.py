"""The corpora that this process has open, by the number that observations name them with.

An `index` observation says which row of a corpus is read, and a saved policy does not hold the
corpus. Where observations name it too (`CORPUS_KEY`), the same policy reads the training split, the
dev split and, in another process, the same corpus opened anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import torch as th

from nlp_gym import make_task
from nlp_gym.encode import Encoder, EncoderOptions
from nlp_gym.encode.load import make_encoder
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, NLPGymError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Observation
from nlp_gym_agents.networks.features.source import (
    MAX_ROWS,
    FeatureSource,
    looked_up_widths,
)

CORPUS_KEY = "corpus"
"""Key of an observation that names the corpus of its row, by `corpus_number`; 0 is padding."""

_TASKS: WeakValueDictionary[int, Task] = WeakValueDictionary()
_NUMBERS: WeakKeyDictionary[Task, int] = WeakKeyDictionary()
_PLAYING: WeakValueDictionary[int, TaskVectorEnv] = WeakValueDictionary()
_SOURCES: WeakValueDictionary[tuple[int, str, bool], FeatureSource] = WeakValueDictionary()


def corpus_number(task: Task) -> int:
    """The number of a task's corpus, and from now on the way from the number to the task.

    It follows from the texts, tables, labels and encoder, so that it is the same in every process.

    Args:
        task: Kept open by its environments, not by this function.

    Returns:
        From 1 to 2**24 - 1, which float32 holds exactly.
    """
    number = _NUMBERS.get(task)
    if number is None:
        names = f"{task.corpus.text_hash} {task.encoder.fingerprint} {_decides(task)}"
        digest = hashlib.sha256(names.encode())
        tables = task.tables
        for table in (tables.offsets, tables.context, tables.row_units, tables.candidates):
            if table is not None:
                digest.update(f"{table.shape} {table.dtype}".encode())
                digest.update(np.ascontiguousarray(table).tobytes())
        if tables.named is not None:
            digest.update(f"{tables.named.count}".encode())
            digest.update(tables.named.begins.tobytes())
            if tables.named.flags:
                digest.update(f"{sorted(tables.named.flag_widths.items())}".encode())
        number = 1 + int.from_bytes(digest.digest()[:8], "big") % (MAX_ROWS - 1)
        _NUMBERS[task] = number
    _TASKS.setdefault(number, task)
    return number


def with_corpus(seen: Observation, task: Task, keys: Container[str]) -> Observation:
    """Observations (B, ...) of a task, which name its corpus where `keys` say that they do.

    Args:
        seen: As the task makes them, which never do.
        task: The task.
        keys: Keys of the observations that the policy was made for.
    """
    if CORPUS_KEY not in keys:
        return seen
    n = len(next(iter(seen.values())))
    return {**seen, CORPUS_KEY: np.full((n, 1), corpus_number(task), np.int32)}


def open_venv(venv: TaskVectorEnv) -> int:
    """The number of the corpus that native environments play, and the way from it to them."""
    number = corpus_number(venv.task)
    _PLAYING[number] = venv
    return number


def playing(number: int) -> TaskVectorEnv | None:
    """Native environments that play a corpus, where there are any."""
    return _PLAYING.get(number)


@dataclass
class PolicyCorpus:
    """What a policy keeps of the corpus it was made for: sizes and names, and no text.

    Pickled (as Stable-Baselines3's ``model.save`` does), it leaves the open corpus behind. Loaded,
    it finds the corpora that observations name among those that are open, or opens its own again.

    Attributes:
        number: Of the corpus.
        named: Whether observations name their corpus; else all are of this one.
        width: Of a context; see `FeatureSource`.
        dim: Of a unit.
        n_candidates: Most candidates of a state.
        parts: Units a candidate.
        flags: Widths of what follows from the slot alone, by key.
        fingerprint: Of the encoder.
        decides: What the actions mean: labels, and what else training found.
        encoder: The encoder's name, or an encoder.
        encoder_options: Its options.
        made_with: Id and arguments of the task; None where they are not known.
        trainable: The encoder learns.
    """

    number: int
    named: bool
    width: int
    dim: int
    n_candidates: int
    parts: int
    flags: Mapping[str, int]
    fingerprint: str
    decides: str
    encoder: str | Encoder
    encoder_options: EncoderOptions
    made_with: tuple[str, Mapping[str, Any]] | None
    trainable: bool
    _task: Task | None = field(default=None, repr=False, compare=False)
    _fitting: set[int] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        task: Task,
        *,
        named: bool,
        made_with: tuple[str, Mapping[str, Any]] | None,
        trainable: bool,
    ) -> PolicyCorpus:
        """Of a task; the arguments are attributes."""
        tables, dim = task.tables, task.encoder.dim
        shape = (0, 0) if tables.candidates is None else tables.candidates.shape[1:]
        return cls(
            corpus_number(task),
            named,
            tables.n_context * dim,
            dim,
            int(shape[0]),
            int(shape[1]),
            looked_up_widths(task),
            task.encoder.fingerprint,
            _decides(task),
            task._encoder_name,
            task._encoder_kwargs,
            made_with,
            trainable,
            task,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the corpus behind."""
        return {**vars(self), "_task": None, "_fitting": set()}

    def open_encoder(self) -> Encoder:
        """The pretrained encoder."""
        if self._task is not None:
            return self._task.encoder
        return make_encoder(self.encoder, self.encoder_options)

    def number_in(self, observations: Mapping[str, th.Tensor]) -> int:
        """The corpus that a batch of observations (B, ...) reads.

        Raises:
            InvalidArgumentError: They should name one and name none, or several.
        """
        if not self.named:
            return self.number
        given = observations.get(CORPUS_KEY)
        if given is None:
            raise InvalidArgumentError(
                f"observations have no {shown(CORPUS_KEY)}, which says whose rows they name: make "
                "the environment with make_sb3_env, or wrap it in nlp_gym_agents.NameCorpus."
            )
        number = int(given.max())
        if bool(((given != number) & (given != 0)).any()):
            raise InvalidArgumentError(
                "observations of one batch are of several corpora: train and predict on "
                "environments of one split at a time."
            )
        return number or self.number

    def source(self, number: int, device: th.device) -> FeatureSource:
        """A corpus as tensors, shared by all networks.

        Args:
            number: Of the corpus.
            device: Where vectors are wanted.

        Raises:
            InvalidArgumentError: It is not open, or the policy cannot play it.
        """
        if number not in self._fitting:
            self._check(self._open(number))
            self._fitting.add(number)
        key = (number, str(device), self.trainable)
        source = _SOURCES.get(key)
        if source is None:
            task = self._open(number)
            source = FeatureSource(task, device, trainable=self.trainable)
            _SOURCES[key] = source
        return source

    def _open(self, number: int) -> Task:
        if number == self.number and self._task is not None:
            return self._task
        task = _TASKS.get(number)
        if task is None and number == self.number and self.made_with is not None:
            env_id, arguments = self.made_with
            task = make_task(env_id, **arguments)
            if corpus_number(task) != number:
                raise InvalidArgumentError(
                    f"env={shown(env_id)}: its corpus or encoder is not what this policy was "
                    "trained on; restore the data, or give the policy an environment of another "
                    "split of it, made with make_sb3_env."
                )
        if task is None:
            raise InvalidArgumentError(
                "observations name rows of a corpus that this process has not opened: make their "
                "environment here, with make_sb3_env, or pass it to nlp_policy_kwargs once. "
                "Environments in other processes (SubprocVecEnv) open it only there."
            )
        if number == self.number:
            self._task = task
        return task

    def _check(self, task: Task) -> None:
        other = PolicyCorpus.of(task, named=self.named, made_with=None, trainable=self.trainable)
        if self.decides != other.decides:
            raise InvalidArgumentError(
                f"the environment's labels {shown(task.labels)} (or its vocabulary) are not those "
                "of the policy, so its actions would mean something else: pass labels= (and "
                "vocabulary=) of the training environment to the new one."
            )
        if (self.fingerprint, self.width, self.parts) != (
            other.fingerprint,
            other.width,
            other.parts,
        ):
            raise InvalidArgumentError(
                f"the environment's encoder {shown(task.encoder.name)} or its window differ from "
                "those the policy was trained with; pass the same encoder=, encoder_kwargs= and "
                "arguments of the task."
            )


def _decides(task: Task) -> str:
    """A hash of what the actions of a task mean."""
    try:
        learnt = json.dumps(task.learnt, sort_keys=True, default=str)
    except (TypeError, ValueError, NLPGymError):
        learnt = ""
    return hashlib.sha256(json.dumps([list(task.labels), learnt]).encode()).hexdigest()
