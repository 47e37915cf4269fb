"""A weighted mixture of tasks behind one observation space and one action space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.mean import mean_score
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Focus, Output, Played, State, Task
from nlp_gym.tasks.multi_task.mixture import (
    Mixture,
    checked_ids,
    checked_shape,
    checked_task_kwargs,
    shares_of,
)
from nlp_gym.tasks.multi_task.state import MixedState, Part, mixed_names
from nlp_gym.types import BoolArray, Corpus, Encoded, Float64Array, Int64Array, Observation, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame


DEFAULT_TASKS = ("Question-TREC-v0", "Sentiment-SST2-v0", "ChoiceQA-OpenBookQA-v0", "POS-EWT-v0")
"""Classification in steps, tagging and choice; together 0.4 million words to encode."""


class MultiTask(Task):
    """A weighted mixture of tasks as one decision process.

    ## Description
    Every episode is an episode of one of the `tasks`. Actions are chosen by what they mean: each
    label is a candidate with the vector of its description (its name, or `descriptions`), beside
    the candidates of tasks that have some. An agent with a pointer policy therefore also plays
    tasks and label sets it has never seen (Yin et al. 2019): give it other `tasks`.

    ## Data
    That of the `tasks`; `data_dir` and `corpus` are handed on to them.

    ## Observation Space
    A = most actions of any task, D the width of the encoder, R, K and J those of `shape`; shorter
    contexts and candidate lists are filled with zeros. Rows of ids are `max_tokens` long:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal now |
    | all | `last`, `played` | (A,) | int8 (features: float32) | the last action; all so far |
    | features | `context` | ((R+K)*D,) | float32 | what the task's own context holds |
    | features | `candidates` | (A, J*D) | float32 | a label's description, or a candidate |
    | tokens | `input_ids`, `attention_mask`, `candidate_ids`, `candidate_mask` | | | sub-words |
    | index | `row`, `position` | (1,) | int32 | sample of the mixture, place in it |

    ## Action Space
    `Discrete(A)`: action i of the task that is played.

    ## Action Mask
    That of the task that is played, with its repair; actions it does not have are illegal.

    ## Rewards
    Those of the tasks, each with the `reward` asked for.

    ## Starting State
    In training, each task has its share of `weights` among the rows (default: equal shares); a
    small corpus is then seen more often. On dev and test every sample of every task is one row.

    ## Episode End
    That of the task that is played.

    ## Metric
    Mean over the tasks of each one's own metric; the report has them one by one.

    ## Information
    `info["score"]` at the end, by the task that is played. For the rest see `Task`.

    ## Arguments
    Those of `Task` but `data`, `labels`, `column`, and:

    | name | default | meaning |
    |---|---|---|
    | `tasks` | four ids | ids with labels, or with candidates that belong to a sample |
    | `weights` | equal | share of each task in training |
    | `task_kwargs` | none | further arguments by id |
    | `descriptions` | none | words for a label, where its name does not say what it means |
    | `shape` | (2, 3, 2) | room for units R of a row, K of a slot, J of a candidate |

    ## Registered Ids
    `MultiTask-v0`

    ## Version History
    * v0: initial version.
    """

    family = "multitask"
    joins_corpora = False
    is_mixture = True
    metric_name = "mean_score"
    default_layers = "last"
    tasks: Sequence[Task]
    """The tasks, which `load` makes."""

    def __init__(
        self,
        *,
        tasks: Sequence[str] = DEFAULT_TASKS,
        weights: Sequence[float] | None = None,
        task_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
        descriptions: Mapping[str, str] | None = None,
        shape: Sequence[int] = (2, 3, 2),
        **kwargs: Any,
    ) -> None:
        self._ids = checked_ids(tasks)
        self._task_kwargs = checked_task_kwargs(
            {} if task_kwargs is None else task_kwargs, self._ids
        )
        super().__init__(**kwargs)
        sizes = np.array([len(task.corpus) for task in self.tasks])
        shares = shares_of(weights, sizes) if self.split == "train" else sizes
        self._lay_out(shares, sizes)
        texts = {} if descriptions is None else descriptions
        self.mixture = Mixture(self.tasks, texts, checked_shape(shape))
        a = self.n_actions
        self.extras = {"last": Extra(a, 1), "played": Extra(a, 1)}

    @override
    def load(self, split: str) -> Corpus:
        """The samples of all tasks, which are made here, over one encoder."""
        for name in ("data", "labels", "column", "format"):
            given = self._loading[name]
            none = given is None or (name == "labels" and isinstance(given, list) and not given)
            if not none:
                raise InvalidArgumentError(
                    f"{name}={shown(given)} belongs to one task: give it in "
                    f"task_kwargs={{{shown(self._ids[0])}: {{...}}}}."
                )
        shared = {name: self._loading[name] for name in ("data_dir", "corpus")}
        shared |= {"encoder": self.encoder, "reward": self.reward, "max_tokens": self.max_tokens}
        shared |= {"perturb": self._perturb, "augment": self._augment}
        self.tasks = [
            make_task(i, split, **{**shared, **self._task_kwargs.get(i, {})}) for i in self._ids
        ]
        samples = [sample for task in self.tasks for sample in task.corpus.samples]
        return Corpus("multitask", split, samples, ())

    def _lay_out(self, shares: Int64Array, sizes: Int64Array) -> None:
        """Give each task its share of the rows; its samples take turns in them.

        Args:
            shares: (n,) rows of each task.
            sizes: (n,) samples of each task.
        """
        self.which = np.repeat(np.arange(len(sizes)), shares)  # (N,) task of each row
        # (N,) sample of that task
        self.local = np.concatenate([np.arange(n) % m for n, m in zip(shares, sizes, strict=True)])
        # Place of each row's sample among those of all tasks, one task after the other.
        self._pooled = np.concatenate([[0], np.cumsum(sizes)])[self.which] + self.local
        samples = [self.corpus.samples[i] for i in self._pooled]
        self.corpus = Corpus(self.corpus.name, self.split, samples, ())

    @property
    @override
    def n_actions(self) -> int:
        """Most actions of any task."""
        return self.mixture.n_actions

    @property
    @override
    def n_positions(self) -> int:
        """Most positions of any task."""
        return max(task.n_positions for task in self.tasks)

    @cached_property
    @override
    def lengths(self) -> Int64Array:
        lengths = np.concatenate([task.lengths for task in self.tasks])
        return np.asarray(lengths[self._pooled])

    @cached_property
    @override
    def tables(self) -> Tables:
        return self.mixture.tables(self.which, self.local)

    @cached_property
    @override
    def units(self) -> Units:
        return self.mixture.units()

    @override
    def _vectors(self, **options: Any) -> Encoded:
        return self.mixture.encode(self.encoder, **options)

    @cached_property
    def _fresh(self) -> list[State]:
        """For each task the state at the start of each of its samples."""
        return [task.initial(np.arange(len(task.corpus))) for task in self.tasks]

    @cached_property
    def _names(self) -> list[dict[str, str]]:
        """For each task the names of the arrays that it adds to the state."""
        return [mixed_names(k, fresh) for k, fresh in enumerate(self._fresh)]

    @override
    def initial(self, rows: Int64Array) -> MixedState:
        arrays = self.state_fields(rows)
        arrays["played"] = np.zeros((len(rows), self.n_actions), np.int8)
        arrays["last"] = arrays["played"].copy()
        local = self.local.take(rows)
        for fresh, names in zip(self._fresh, self._names, strict=True):
            for here, name in names.items():
                # For the rows of other tasks any sample will do.
                arrays[here] = vars(fresh)[name].take(local, axis=0, mode="clip")
        return MixedState(**arrays)

    def parts(self, state: MixedState) -> list[Part]:
        """The episodes of each task that is played."""
        if state.parts is None:
            which, row = self.which.take(state.row), self.local.take(state.row)
            slot = state.slot - self.mixture.slots.take(which)
            state.parts = []
            for k, task in enumerate(self.tasks):
                (at,) = (which == k).nonzero()
                if len(at):
                    own = state.taken(self._names[k], at)
                    part = type(self._fresh[k])(row=row.take(at), slot=slot.take(at), **own)
                    state.parts.append(Part(k, task, at, part))
        return state.parts

    @override
    def mask(self, state: MixedState) -> BoolArray:
        legal = np.zeros((len(state.row), self.n_actions), bool)
        for part in self.parts(state):
            legal[part.where, : part.task.n_actions] = part.task.mask(part.state)
        return legal

    @override
    def repair(self, state: MixedState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """As the task that is played repairs; for an action it does not have, its first one."""
        played, illegal = actions.copy(), np.zeros(len(actions), bool)
        for part in self.parts(state):
            own = actions.take(part.where)
            missing = own >= part.task.n_actions
            own[missing] = 0
            played[part.where], bad = part.task.repair(part.state, own)
            illegal[part.where] = bad | missing
        return played, illegal

    @override
    def oracle(self, state: MixedState) -> Int64Array:
        actions = np.zeros(len(state.row), np.int64)
        for part in self.parts(state):
            actions[part.where] = part.task.oracle(part.state)
        return actions

    @override
    def play(self, state: MixedState, actions: Int64Array) -> Played:
        b = len(actions)
        right, cost, ended = np.zeros(b), np.zeros(b), np.zeros(b, bool)
        for part in self.parts(state):
            at = part.where
            good, cost[at], ended[at] = part.task.play(part.state, actions[at])
            right[at] = 0.0 if good is None else good
            state.put_back(self._names[part.number], part)
            state.slot[at] = part.state.slot + self.mixture.slots[part.number]
        state.last[:] = 0
        for seen in (state.last, state.played):
            seen[np.arange(b), actions] = 1
        return right if self.has_gold else None, cost, ended

    @override
    def potential(self, state: MixedState) -> Float64Array:
        values = np.zeros(len(state.row))
        for part in self.parts(state):
            values[part.where] = part.task.potential(part.state)
        return values

    @override
    def extra(self, state: MixedState) -> Observation:
        """The last action and all so far."""
        return {"last": state.last.copy(), "played": state.played.copy()}

    @override
    def outputs(self, state: MixedState) -> list[Output]:
        """Each output is what the task that is played gives."""
        outputs: list[Output] = [None] * len(state.row)
        for part in self.parts(state):
            for place, output in zip(part.where, part.task.outputs(part.state), strict=True):
                outputs[place] = output
        return outputs

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """A sample that has several rows counts once per row."""
        scores = {}
        which, local = self.which[list(rows)], self.local[list(rows)]
        for k in np.unique(which).tolist():
            at = np.flatnonzero(which == k).tolist()
            scores[self._ids[k]] = self.tasks[k].corpus_score(
                local[at].tolist(), [outputs[i] for i in at], bootstrap=bootstrap, report=report
            )
        return mean_score(scores, self.metric_name)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The task's own record, and the id of the task."""
        k = int(self.which[row])
        return {"task": self._ids[k], **self.tasks[k].record(int(self.local[row]), output)}

    def played(self, row: int) -> tuple[Task, int]:
        """The task of a row, and which of its samples the row is."""
        return self.tasks[self.which[row]], int(self.local[row])

    @override
    def action_text(self, state: MixedState, i: int, action: int) -> str:
        """As the task that is played says; empty for what it does not have."""
        part, *_ = self.parts(state.take(np.array([i])))
        return part.task.action_text(part.state, 0, action) if action < part.task.n_actions else ""

    @override
    def action_target(self, state: MixedState, i: int, action: int) -> str:
        part, *_ = self.parts(state.take(np.array([i])))
        return part.task.action_target(part.state, 0, action)

    @override
    def focus(self, state: MixedState, i: int) -> Focus:
        part, *_ = self.parts(state.take(np.array([i])))
        return part.task.focus(part.state, 0)

    @override
    def trace_context(self, row: int) -> dict[str, str]:
        task, local = self.played(row)
        return task.trace_context(local)

    @override
    def frame(self, state: MixedState, i: int) -> Frame:
        """The frame of the task that is played."""
        part, *_ = self.parts(state.take(np.array([i])))
        return part.task.frame(part.state, 0)

    @override
    def __getstate__(self) -> dict[str, Any]:
        """As `CorpusTask.__getstate__`; fresh states are left out too, as they are made again."""
        return {k: v for k, v in super().__getstate__().items() if k != "_fresh"}
