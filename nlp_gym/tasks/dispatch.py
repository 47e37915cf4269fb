"""What a mixture of tasks stands on: whose row each is, whose turn it is, and what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.mean import mean_score
from nlp_gym.tasks.base import Output, Task
from nlp_gym.tasks.mixed_state import MixedState, Part, own_arrays, part_of
from nlp_gym.tasks.mixture import Mixture
from nlp_gym.tasks.mixture_arguments import checked_ids, checked_task_kwargs
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.types import Corpus, Encoded, Int64Array

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame


class DispatchTask(Task):
    """A task whose rows are samples of other tasks; without the rules.

    Args:
        tasks: Ids of the tasks.
        task_kwargs: Further arguments of tasks, by id.
        **kwargs: Those of `Task`.

    Attributes:
        tasks: The tasks, which `load` makes.
        which: (N,) task of each row.
        local: (N,) sample of that task.
        mixture: Their units and tables.
    """

    family = "multitask"
    metric_name = "mean_score"
    default_layers = "last"
    tasks: Sequence[Task]
    which: Int64Array
    local: Int64Array
    mixture: Mixture

    def __init__(
        self, *, tasks: Sequence[str], task_kwargs: Mapping[str, Mapping[str, Any]], **kwargs: Any
    ) -> None:
        self._ids = checked_ids(tasks)
        self._task_kwargs = checked_task_kwargs(task_kwargs, self._ids)
        super().__init__(**kwargs)

    def lay_out(self, shares: Int64Array, sizes: Int64Array) -> None:
        """Give each task its share of the rows; its samples take turns in them.

        Args:
            shares: (n,) rows of each task.
            sizes: (n,) samples of each task.
        """
        self.which = np.repeat(np.arange(len(sizes)), shares)
        self.local = np.concatenate([np.arange(n) % m for n, m in zip(shares, sizes, strict=True)])
        # Place of each row's sample among those of all tasks, one task after the other.
        self._pooled = np.concatenate([[0], np.cumsum(sizes)])[self.which] + self.local
        samples = [self.corpus.samples[i] for i in self._pooled]
        self.corpus = Corpus(self.corpus.name, self.split, samples, ())

    def load(self, split: str) -> Corpus:
        """The samples of all tasks, which are made here, over one encoder."""
        from nlp_gym.registration import make_task

        for name in ("data", "labels", "column", "format"):
            if self._loading[name] is not None and (name, self._loading[name]) != ("labels", []):
                raise InvalidArgumentError(
                    f"{name}={self._loading[name]!r} belongs to one task: give it in task_kwargs="
                    f"{{{self._ids[0]!r}: {{...}}}}."
                )
        shared = {name: self._loading[name] for name in ("data_dir", "corpus")}
        shared |= {"encoder": self.encoder, "reward": self.reward, "max_tokens": self.max_tokens}
        shared |= {"perturb": self._perturb, "augment": self._augment}
        self.tasks = [
            make_task(i, split, **{**shared, **self._task_kwargs.get(i, {})}) for i in self._ids
        ]
        samples = [sample for task in self.tasks for sample in task.corpus.samples]
        return Corpus("multitask", split, samples, ())

    @property
    def n_positions(self) -> int:
        """See `Task.n_positions`."""
        return max(task.n_positions for task in self.tasks)

    @cached_property
    def lengths(self) -> Int64Array:
        """See `Task.lengths`."""
        lengths = np.concatenate([task.lengths for task in self.tasks])
        return np.asarray(lengths[self._pooled])

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        return self.mixture.tables(self.which, self.local)

    @cached_property
    def units(self) -> Units:
        """See `Task.units`."""
        return self.mixture.units()

    def encode(self, *, progress: bool | None = None, cache: bool = True) -> Encoded:
        """See `TaskData.encode`."""
        encoded = self.mixture.encode(self.encoder, progress=progress, cache=cache)
        self.__dict__["encoded"] = encoded
        return encoded

    @cached_property
    def _fresh(self) -> list[dict[str, npt.NDArray[Any]]]:
        """What each task adds to the state at the start of each of its samples."""
        return [own_arrays(task.initial(np.arange(len(task.corpus)))) for task in self.tasks]

    @cached_property
    def _kinds(self) -> list[type[Part]]:
        return [part_of(task.initial(np.zeros(0, np.int64))) for task in self.tasks]

    def initial(self, rows: Int64Array) -> MixedState:
        """See `Task.initial`."""
        arrays = {**self.blank(rows), "played": np.zeros((len(rows), self.n_actions), np.int8)}
        arrays["last"] = arrays["played"].copy()
        local = self.local.take(rows)
        for k, fresh in enumerate(self._fresh):
            for name, array in fresh.items():
                # For the rows of other tasks any sample will do.
                arrays[f"{k}/{name}"] = array.take(local, axis=0, mode="clip")
        return MixedState(**arrays)

    def parts(self, state: MixedState) -> list[tuple[int, Task, Int64Array, Any]]:
        """(k, task, episodes that play it, their state) for each task that is played."""
        if state.parts is None:
            state.parts = list(self._parts(state))
        return state.parts

    def _parts(self, state: MixedState) -> Iterator[tuple[int, Task, Int64Array, Any]]:
        which, row = self.which.take(state.row), self.local.take(state.row)
        slot = state.slot - self.mixture.slots.take(which)
        for k, task in enumerate(self.tasks):
            (at,) = (which == k).nonzero()
            if len(at):
                part = self._kinds[k](vars(state), k, at, row=row.take(at), slot=slot.take(at))
                yield k, task, at, part

    def collect(self, state: MixedState, out: Any, rule: str) -> Any:
        """`out` (B, ...) filled with what a rule of each task gives for its episodes."""
        for _, task, at, part in self.parts(state):
            out[at] = getattr(task, rule)(part)
        return out

    def outputs(self, state: MixedState) -> list[Output]:
        """See `Task.outputs`: what the task that is played gives."""
        outputs: list[Output] = [None] * len(state.row)
        for _, task, at, part in self.parts(state):
            for place, output in zip(at, task.outputs(part), strict=True):
                outputs[place] = output
        return outputs

    def frame(self, state: MixedState, i: int) -> Frame:
        """The frame of the task that is played."""
        (_, task, _, part), *_ = self.parts(state.take(np.array([i])))
        return task.frame(part, 0)

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`; a sample that has several rows counts once a row."""
        scores = {}
        which, local = self.which[list(rows)], self.local[list(rows)]
        for k in np.unique(which).tolist():
            at = np.flatnonzero(which == k).tolist()
            scores[self._ids[k]] = self.tasks[k].corpus_score(
                local[at].tolist(), [outputs[i] for i in at], bootstrap=bootstrap, report=report
            )
        return mean_score(scores, self.metric_name)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The task's own record, and the id of the task."""
        k = int(self.which[row])
        return {"task": self._ids[k], **self.tasks[k].record(int(self.local[row]), output)}

    def __getstate__(self) -> dict[str, Any]:
        """As `TaskData.__getstate__`; classes made here cannot be pickled, and are made again."""
        return {k: v for k, v in super().__getstate__().items() if k not in ("_kinds", "_fresh")}
