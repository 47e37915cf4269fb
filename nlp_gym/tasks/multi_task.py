"""Several tasks as one: a mixture of ids behind one observation and one action space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.mean import mean_score
from nlp_gym.tasks.base import Output
from nlp_gym.tasks.dispatch import DispatchTask
from nlp_gym.tasks.mixture import Mixture, checked_ids, checked_shape, shares_of
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.tasks.views import Extra
from nlp_gym.types import Corpus, Encoded, Int64Array

DEFAULT_TASKS = ("Question-TREC-v0", "Sentiment-SST2-v0", "ChoiceQA-OpenBookQA-v0", "POS-EWT-v0")
"""Classification in steps, tagging and choice; together 0.4 million words to encode."""


class MultiTask(DispatchTask):
    """A weighted mixture of tasks as one decision process.

    ## Description
    Every episode is an episode of one of the `tasks`. Actions are chosen by what they mean: each
    label is a candidate with the vector of its description (its name, or `descriptions`), beside
    the candidates of tasks that have some. An agent with a pointer policy therefore also plays
    tasks and label sets it has never seen (Yin et al. 2019): give it other `tasks`.

    ## Data
    That of the `tasks`; `data_dir` and `corpus` are handed on to them.

    ## Observation Space
    A = most actions of any task, D the width of the encoder; shorter contexts and candidate lists
    are filled with zeros:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal now |
    | all | `last`, `played` | (A,) | int32 (features: float32) | the last action; all so far |
    | features | `context` | ((R+K)*D,) | float32 | what the task's own context holds |
    | features | `candidates` | (A, J*D) | float32 | a label's description, or a candidate |
    | tokens | `input_ids`, `attention_mask`, `candidate_ids`, `candidate_mask` | | | sub-words |
    | index | `row`, `position` | (1,) | int32 | sample of the mixture, place in it |

    ## Action Space
    `Discrete(A)`: action i of the task that is played.

    ## Action Mask
    That of the task that is played; actions it does not have are illegal. Illegal actions are
    repaired as that task does and cost 1/8.

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
    `info["action_mask"]`; at the end, with gold, `info["score"]`.

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
    metric_name = "mean_score"
    default_layers = "last"

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
        self._ids, self._task_kwargs = checked_ids(tasks), task_kwargs or {}
        super().__init__(**kwargs)
        sizes = np.array([len(task.corpus) for task in self.tasks])
        shares = shares_of(weights, sizes) if self.split == "train" else sizes
        self.which = np.repeat(np.arange(len(sizes)), shares)
        self.local = np.concatenate([np.arange(n) % m for n, m in zip(shares, sizes, strict=True)])
        self._first = np.concatenate([[0], np.cumsum(sizes)])
        samples = [self.corpus.samples[i] for i in self._first[self.which] + self.local]
        self.corpus = Corpus(self.corpus.name, self.split, samples, ())
        self.mixture = Mixture(self.tasks, descriptions or {}, checked_shape(shape))
        a = self.n_actions
        self.extras = {"last": Extra(a, 1), "played": Extra(a, 1)}

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
        self.tasks = [
            make_task(i, split, **{**shared, **self._task_kwargs.get(i, {})}) for i in self._ids
        ]
        samples = [sample for task in self.tasks for sample in task.corpus.samples]
        return Corpus("multitask", split, samples, ())

    @cached_property
    def lengths(self) -> Int64Array:
        """See `Task.lengths`."""
        lengths = np.concatenate([task.lengths for task in self.tasks])
        return np.asarray(lengths[self._first[self.which] + self.local])

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
