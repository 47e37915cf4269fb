"""The interface of a task: the rules it has to give, over a batch of B decision processes.

A task holds no episode: a `State` of index arrays is carried along by the shells in `nlp_gym.envs`
and by `nlp_gym.tasks.rollout`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score
from nlp_gym.tasks.data import TaskData
from nlp_gym.tasks.tables import Tables
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame

Output = Any
"""What was decided in one episode, in the terms of the task's metric."""

Played = tuple[Float64Array | None, Float64Array | float, BoolArray]
"""What `Task.play` returns: right, cost, ended."""
S = TypeVar("S", bound="State")


@dataclass
class State:
    """Index arrays of B running episodes, first axis B. Subclasses add the task's own.

    Attributes:
        row: (B,) int64 sample that is played.
        slot: (B,) int64 place in the task's tables (see `Tables`).
        value: (B,) float64 metric so far.
        cost: (B,) float64 costs so far, of illegal actions and others.
    """

    row: Int64Array
    slot: Int64Array
    value: Float64Array
    cost: Float64Array

    def take(self: S, indices: npt.NDArray[np.integer[Any]] | BoolArray) -> S:
        """The episodes at `indices`, as a state of their own."""
        where = np.asarray(indices)
        if where.dtype == bool:
            where = where.nonzero()[0]
        return type(self)(**{name: a.take(where, axis=0) for name, a in vars(self).items()})

    def put(self: S, indices: npt.NDArray[np.integer[Any]], other: S) -> None:
        """Overwrite the episodes at `indices` by those of `other`."""
        for name, array in vars(self).items():
            array[indices] = getattr(other, name)


class Rules(TaskData):
    """What each task says for itself; `nlp_gym.tasks.base.Task` makes episodes of it."""

    metric_name: str
    exact_oracle: ClassVar[bool] = True
    """Whether the oracle reaches 1.0 of the metric, but where a limit of the task cuts the gold."""
    side_by_side: ClassVar[int] = 512
    """Episodes that `rollout` plays together."""
    extras: Mapping[str, Extra] = {}
    """What is seen of a state besides vectors; `extra` gives the values."""
    further_actions: tuple[str, ...] = ()
    """Names of the actions that come after labels or candidates, such as ``"stop"``."""
    masks: BoolArray | None = None
    """(K, A) all the masks there are, for tasks with thousands of actions; else None.

    Their `index` observations have `legal`, the number of the mask, in place of `action_mask`.
    """

    def mask_row(self, state: Any) -> Int64Array:
        """(B,) which of `masks` holds in each state."""
        raise NotImplementedError

    @abc.abstractmethod
    def initial(self, rows: Int64Array) -> Any:
        """State of B fresh episodes on the samples `rows` (B,); see `blank`."""

    @abc.abstractmethod
    def mask(self, state: Any) -> BoolArray:
        """(B, A) legal actions, always at least one; at the end those after the last decision.

        The array is the caller's to keep and to change.
        """

    @abc.abstractmethod
    def oracle(self, state: Any) -> Int64Array:
        """(B,) the expert's action."""

    @abc.abstractmethod
    def play(self, state: Any, actions: Int64Array) -> Played:
        """Play (B,) legal actions, changing `state` in place.

        Returns:
            right: (B,) credit of each decision for `correctness`, or None without gold.
            cost: (B,) or a number, reward lost whatever the reward is made of (`on_grid`).
            ended: (B,) bool.
        """

    @abc.abstractmethod
    def potential(self, state: Any) -> Float64Array:
        """(B,) metric of each episode on its sample as it stands, on the grid of `on_grid`."""

    @abc.abstractmethod
    def outputs(self, state: Any) -> list[Output]:
        """What was decided in each of the B episodes, in the terms of the metric."""

    @abc.abstractmethod
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """Official score of `outputs`, one for each sample of `rows`; there is gold."""

    @abc.abstractmethod
    def frame(self, state: Any, i: int) -> Frame:
        """What a person sees of episode `i`."""

    @abc.abstractmethod
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """A prediction as JSON-able fields, for `nlp-gym predict`."""

    def repair(self, state: Any, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """(B,) what is played for `actions` (B,), and which of these the mask forbids.

        By default the first legal action is played for an illegal one.
        """
        mask = self.mask(state)
        illegal = ~mask[np.arange(len(actions)), actions]
        return np.where(illegal, mask.argmax(axis=1), actions), illegal

    def restored(self, state: Any) -> Any:
        """A state that another process saved, for this one to go on with."""
        return state

    def extra(self, state: Any) -> Observation:
        """(B, size) integers for each key of `extras`, in arrays that are not the state's own."""
        return {}

    @property
    @abc.abstractmethod
    def tables(self) -> Tables:
        """Where each state finds its units."""

    @property
    @abc.abstractmethod
    def lengths(self) -> Int64Array:
        """(N,) most decisions an episode on each sample can take."""

    @property
    def n_actions(self) -> int:
        """Number A of actions."""
        return len(self.labels)
