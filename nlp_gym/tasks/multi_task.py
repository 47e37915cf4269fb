"""Several tasks as one: a mixture of ids behind one observation and one action space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlp_gym.tasks.base import Played
from nlp_gym.tasks.dispatch import DispatchTask
from nlp_gym.tasks.mixed_state import MixedState
from nlp_gym.tasks.mixture import Mixture
from nlp_gym.tasks.mixture_arguments import checked_shape, shares_of
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

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
        super().__init__(tasks=tasks, task_kwargs=task_kwargs or {}, **kwargs)
        sizes = np.array([len(task.corpus) for task in self.tasks])
        shares = shares_of(weights, sizes) if self.split == "train" else sizes
        self.lay_out(shares, sizes)
        self.mixture = Mixture(self.tasks, descriptions or {}, checked_shape(shape))
        a = self.n_actions
        self.extras = {"last": Extra(a, 1), "played": Extra(a, 1)}

    @property
    def n_actions(self) -> int:
        """Most actions of any task."""
        return self.mixture.n_actions

    def mask(self, state: MixedState) -> BoolArray:
        """See `Task.mask`."""
        legal = np.zeros((len(state.row), self.n_actions), bool)
        for _, task, at, part in self.parts(state):
            legal[at, : task.n_actions] = task.mask(part)
        return legal

    def repair(self, state: MixedState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """As the task that is played repairs; for an action it does not have, its first one."""
        played, illegal = actions.copy(), np.zeros(len(actions), bool)
        for _, task, at, part in self.parts(state):
            own = actions.take(at)
            missing = own >= task.n_actions
            own[missing] = 0
            played[at], bad = task.repair(part, own)
            illegal[at] = bad | missing
        return played, illegal

    def play(self, state: MixedState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        b = len(actions)
        right, cost, ended = np.zeros(b), np.zeros(b), np.zeros(b, bool)
        for k, task, at, part in self.parts(state):
            good, cost[at], ended[at] = task.play(part, actions[at])
            right[at] = 0.0 if good is None else good
            state.put_part(part)
            state.slot[at] = part.slot + self.mixture.slots[k]
        state.last[:] = 0
        for seen in (state.last, state.played):
            seen[np.arange(b), actions] = 1
        return right if self.has_gold else None, cost, ended

    def potential(self, state: MixedState) -> Float64Array:
        """See `Task.potential`."""
        return np.asarray(self.collect(state, np.zeros(len(state.row)), "potential"))

    def oracle(self, state: MixedState) -> Int64Array:
        """See `Task.oracle`."""
        return np.asarray(self.collect(state, np.zeros(len(state.row), np.int64), "oracle"))

    def extra(self, state: MixedState) -> Observation:
        """The last action and all so far."""
        return {"last": state.last.copy(), "played": state.played.copy()}
