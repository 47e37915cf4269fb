"""The interface of a task, and what every task shares: the algebra of rewards and the score."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from typing_extensions import Self

from nlp_gym.checks import check_bool, check_rows
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, shown
from nlp_gym.metrics.base import Score, check_draws
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.corpus_task import CorpusTask
from nlp_gym.tasks.core.observation import TokenView, Views
from nlp_gym.tasks.core.strata import Strata
from nlp_gym.tasks.core.tables import Extra, SlotFlags, Tables
from nlp_gym.tasks.core.token_observation import UnitTokens
from nlp_gym.types import BoolArray, Float64Array, Int64Array, IntArray, Observation

if TYPE_CHECKING:
    from nlp_gym.render import Frame

__all__ = ["ILLEGAL_COST", "Focus", "Output", "Played", "State", "Successors", "Task"]

ILLEGAL_COST = 0.125
"""Reward lost by an action the mask forbids; a power of two keeps reward sums exact."""

_BRANCHES = 2**16
"""Successors that `Task.action_rewards` makes at a time."""

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

    @classmethod
    def joined(cls: type[S], states: Sequence[S]) -> S:
        """The episodes of several states, one after the other."""
        names = vars(states[0])
        return cls(**{name: np.concatenate([vars(one)[name] for one in states]) for name in names})


class Successors(NamedTuple):
    """What K actions of each of B episodes lead to; see `Task.branch`.

    Attributes:
        state: State of B * K episodes; action k of episode b leads to number ``b * K + k``.
        rewards: (B, K) float64.
        ended: (B, K) bool.
    """

    state: Any
    rewards: Float64Array
    ended: BoolArray


class Focus(NamedTuple):
    """What a decision is about; see `Task.focus`.

    Attributes:
        words: First of the sample's words that are decided on and one past the last; None: the
            text as a whole.
        text: The same in words, where that says more: a pair of entities, a node of a graph.
    """

    words: tuple[int, int] | None = None
    text: str = ""


class Task(CorpusTask):
    """Rules of one decision process over a corpus; the arguments are those of `CorpusTask`.

    What holds for every task unless its page says otherwise:

    - An episode plays one sample: drawn uniformly, or sample i with `reset(options={"row": i})`.
    - `action_mask` (A,) int8 is 1 where an action is legal; `info["action_mask"]` is the same. An
      illegal action is played as its repair, the first legal one, and costs `ILLEGAL_COST`, 1/8.
    - Keys of values 0 and 1 are float32 in `features` observations, else int8 (`Extra.dtype`);
      `index` has `row` and `position`, (1,) int32 each.
    - `reward="correctness"` is the credit of a decision, `"metric"` the change of the sample's
      metric and `"sparse"` that metric at the end, each less the costs (`"sparse"`: at the end).
      The `metric` rewards of an episode sum to its `sparse` reward exactly. Without gold the costs
      are all there is (nothing with `"sparse"`).
    - States branch: `branch` and `action_rewards` try actions in copies of the episodes, exactly.
    - Episodes end as `terminated`; none is `truncated`, unless a step limit is asked for.
    - At the end, with gold, `info["score"]` is the sample's metric.

    Subclasses write the abstract methods, and override what follows them where they differ from
    the default. Rules are batched: a state holds B episodes, and nothing in it is text.
    """

    metric_name: str
    exact_oracle: ClassVar[bool] = True
    """Whether the oracle reaches 1.0 of the metric, but where a limit of the task cuts the gold."""
    side_by_side: ClassVar[int] = 512
    """Episodes that `rollout` plays together."""
    extras: Mapping[str, Extra] = {}
    """What is seen of a state besides vectors; `extra` gives the values."""
    numbered: tuple[str, ...] = ()
    """Names besides labels whose numbers `extras` give, in order: what learned from them knows no
    others."""
    further_actions: tuple[str, ...] = ()
    """Names of the actions that come after labels or candidates, such as ``"stop"``."""
    labels_words: ClassVar[bool] = False
    """Whether an episode gives every word of the text one label, in order."""
    reads_text: ClassVar[bool] = False
    """Whether a raw text is all that a prediction needs."""
    writes: ClassVar[bool] = False
    """Whether actions are tokens of a text that is written; agents then read it with a decoder."""
    ranks_answers: ClassVar[bool] = False
    """Whether the official evaluation searches for several answers, which `merge` ranks."""
    is_mixture: ClassVar[bool] = False
    """Whether its samples are those of other tasks."""
    baselines: ClassVar[tuple[str, ...]] = ()
    """Baselines that suit it besides random, majority and oracle, for the test report."""
    own_baselines: ClassVar[tuple[str, ...]] = ()
    """Baselines that only it has, also for the test report; `baseline_outputs` plays them."""
    fixed_arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments that a trained agent cannot be given anew: they decide the size of what learns."""
    later_arguments: ClassVar[Mapping[str, Any]] = {}
    """Arguments that came when agents had been trained already, and what these agents have.

    Runs that do not name them are loaded with these values, whatever the default is now. A task
    has each as an attribute.
    """
    trace_view: ClassVar[str] = "ranking"
    """How explained decisions are drawn, a name of `nlp_gym_agents.explain.trace.VIEWS`.

    ``"ranking"`` suits any task: the actions of each decision as bars, best first.
    """
    beam: int = 1
    """Episodes of a sample that an evaluation keeps in a beam search; 1: it plays greedily."""
    dials: int = 1
    """Settings, such as prices, of which one is drawn with each sample; see `initial_at`."""
    drawn: Int64Array | None = None
    """(M,) samples that environments draw from, where these are not all."""
    strata: Strata | None = None
    """Shares of what is drawn that come from parts of the samples; None: every sample alike."""
    options: tuple[str, ...] = ()
    """What `reset(options=...)` can ask for besides a row; see `dial_of`."""
    reward_metric: str | None = None
    """Metric that `reward="metric"` is made of where it need not be the score's."""
    constant_reward: float | None = None
    """What every decision earns in place of its reward; None: its reward. It is a control for
    training: what an agent gains with it does not come from the rewards."""
    masks: BoolArray | None = None
    """(K, A) all the masks there are, for tasks with thousands of actions; else None.

    Their `index` observations have `legal`, the number of the mask, in place of `action_mask`.
    """

    # What every task writes.

    @abc.abstractmethod
    def initial(self, rows: Int64Array) -> Any:
        """State of B fresh episodes on the samples `rows` (B,); see `state_fields`."""

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
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """A prediction as JSON-able fields, for `nlp-gym predict`."""

    @abc.abstractmethod
    def frame(self, state: Any, i: int) -> Frame:
        """What a person sees of episode `i`."""

    @property
    @abc.abstractmethod
    def tables(self) -> Tables:
        """Where each state finds its units."""

    @property
    @abc.abstractmethod
    def lengths(self) -> Int64Array:
        """(N,) most decisions an episode on each sample can take."""

    # What some tasks write.

    @property
    def n_actions(self) -> int:
        """Number A of actions."""
        return len(self.labels)

    def repair(self, state: Any, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """(B,) what is played for `actions` (B,), and which of these the mask forbids.

        By default the first legal action is played for an illegal one.
        """
        mask = self.mask(state)
        illegal = ~mask[np.arange(len(actions)), actions]
        return np.where(illegal, mask.argmax(axis=1), actions), illegal

    def extra(self, state: Any) -> Observation:
        """(B, size) integers for each key of `extras`, in arrays that are not the state's own."""
        return {}

    def named(self, state: Any) -> IntArray:
        """(B, K) places of the units that the states name, of tasks whose `tables` have `named`.

        A place counts the units of the state's row from 0; their number stands for no unit. The
        array is not the state's own.
        """
        raise NotImplementedError

    def seen_of(self, state: Any) -> tuple[IntArray, Observation]:
        """`named` and `extra` of the states, of tasks that find both in one pass."""
        return self.named(state), self.extra(state)

    def initial_at(self, rows: Int64Array, dial: Int64Array) -> Any:
        """As `initial`, with the setting `dial` (B,), below `dials`, of each episode."""
        return self.initial(rows)

    def dial_of(self, options: Mapping[str, Any]) -> int | None:
        """The setting that options of `reset` ask for; None: it is drawn with the sample."""
        return None

    def settled(self) -> Self:
        """The same task with its dial, if it has one, held at its first setting.

        Predictions are made by it: else the number of a text in a list would decide its setting.
        """
        return self

    def mask_row(self, state: Any) -> Int64Array:
        """(B,) which of `masks` holds in each state."""
        raise NotImplementedError

    def restored(self, state: Any) -> Any:
        """A state that another process saved, for this one to go on with."""
        return state

    def merge(self, outputs: Sequence[Output]) -> Output:
        """One output of several episodes on a sample, likeliest first; see `ranks_answers`."""
        return outputs[0]

    def baseline_outputs(self, name: str, rows: Int64Array, seed: int) -> list[Output]:
        """What a baseline of `own_baselines` decides on the samples `rows`."""
        raise NotImplementedError

    @property
    def slot_flags(self) -> Mapping[str, SlotFlags]:
        """What is seen besides `extras` that follows from the slot alone; see `SlotFlags`.

        Keys come before those of `extras` in the alphabet: networks then read both in the same
        order from observations of every type.
        """
        return {}

    def source_pieces(self, most: int) -> Int64Array | None:
        """(U+1, most) tokens of each unit, for agents that copy; None where nothing is written."""
        return None

    def action_text(self, state: Any, i: int, action: int) -> str:
        """What an action means in episode `i`, for explanations; by default `action_name`.

        Empty for an action that is not there in this episode, as a candidate after the last.
        """
        return self.action_name(action)

    def action_target(self, state: Any, i: int, action: int) -> str:
        """Where an edge leads whose relation `action_text` gives; empty where there is no graph."""
        return ""

    def focus(self, state: Any, i: int) -> Focus:
        """What the next decision of episode `i` is about, for explanations."""
        return Focus()

    def trace_context(self, row: int) -> dict[str, str]:
        """Texts of a sample besides its words that explanations show, such as a question."""
        return {}

    @classmethod
    def kept_arguments(cls, trained: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments that stay those of training when an agent is given other data.

        Args:
            trained: Arguments of the task that the agent was trained on.
        """
        return {}

    @cached_property
    def token_view(self) -> TokenView:
        """Sub-word ids of `tokens` observations: a row of ids for each unit of the context."""
        return UnitTokens(self)

    # What follows from these for every task.

    def state_fields(self, rows: Int64Array) -> dict[str, Any]:
        """The fields of `State` for B fresh episodes on the samples `rows` (B,)."""
        b = len(rows)
        slot = self.tables.offsets.take(rows)
        return {"row": rows, "slot": slot, "value": np.zeros(b), "cost": np.zeros(b)}

    def position(self, state: State) -> Int64Array:
        """(B,) position of each state in its row: slot less the row's offset."""
        return state.slot - self.tables.offsets.take(state.row)

    @property
    def n_positions(self) -> int:
        """Positions a row can have: `position` observations are below this."""
        return int(np.diff(np.append(self.tables.offsets, len(self.tables.context))).max())

    def transition(self, state: Any, actions: Int64Array) -> tuple[Float64Array, BoolArray]:
        """Play (B,) actions, changing `state` in place; gives (B,) rewards and (B,) ended."""
        played, illegal = self.repair(state, actions)
        right, cost, ended = self.play(state, played)
        lost: Float64Array = np.asarray(cost + ILLEGAL_COST * illegal)
        state.cost += lost
        if self.constant_reward is not None:
            return np.full(len(lost), self.constant_reward), ended
        if right is None:
            return (np.zeros(len(lost)) if self.reward == "sparse" else -lost), ended
        if self.reward == "correctness":
            return right - lost, ended
        value = self.potential(state)
        before, state.value = state.value, value
        if self.reward == "sparse":
            return (value - state.cost) * ended, ended
        return value - before - lost, ended

    def branch(self, state: Any, actions: Int64Array) -> Successors:
        """Try several actions in each of B episodes, which stay as they are.

        Args:
            state: The B episodes, none of them at its end.
            actions: (B, K) what is tried; an illegal action is tried as its repair.

        Returns:
            The B * K successors, each what `transition` makes of the episode and the action.

        Raises:
            InvalidActionError: There are no K actions from 0 to A - 1 for each of the B episodes.
        """
        actions = self._checked_actions(state, actions)
        episodes, tried = actions.shape
        after = state.take(np.repeat(np.arange(episodes), tried))
        rewards, ended = self.transition(after, actions.reshape(-1))
        return Successors(after, rewards.reshape(episodes, tried), ended.reshape(episodes, tried))

    def _checked_actions(self, state: Any, actions: Int64Array) -> Int64Array:
        """`actions`, if they are what `branch` takes."""
        found, n = np.asarray(actions), self.n_actions
        fits = found.ndim == 2 and len(found) == len(state.row) and found.dtype.kind in "iu"
        if not fits or (found.size and not 0 <= found.min() <= found.max() < n):
            raise InvalidActionError(
                f"actions={shown(actions)} must be {len(state.row)} rows, one for each episode, of "
                f"integers from 0 to {n - 1}."
            )
        return found

    def action_rewards(self, state: Any) -> Float64Array:
        """(B, A) the reward that `transition` would give for each action in each of B episodes.

        The episodes stay as they are. This is what gold says of every action: results of agents
        that learn from it are *full information*, those of others *bandit*.
        """
        episodes, n = len(state.row), self.n_actions
        rewards = np.empty((episodes, n))
        block = max(1, _BRANCHES // n)
        for first in range(0, episodes, block):
            part = state.take(np.arange(first, min(first + block, episodes)))
            every = np.broadcast_to(np.arange(n), (len(part.row), n))
            rewards[first : first + block] = self.branch(part, every).rewards
        return rewards

    def score(
        self,
        outputs: Sequence[Output],
        *,
        rows: Sequence[int] | None = None,
        bootstrap: int = 1000,
        report: bool | None = None,
    ) -> Score:
        """Official corpus score.

        Args:
            outputs: One for each of `rows`.
            rows: Samples; default: all.
            bootstrap: Resamples behind the 95 % interval; 0 for none.
            report: Make the full tables. None: where there is an interval.

        Raises:
            InvalidArgumentError: The corpus has no gold, or an argument is outside what is allowed.
        """
        self.require_gold("score")
        chosen = check_rows(rows, len(self.corpus))
        if not isinstance(outputs, Sequence) or len(outputs) != len(chosen):
            raise InvalidArgumentError(
                f"outputs={shown(outputs)} must be a list of {len(chosen)} outputs, one for each "
                "row."
            )
        draws = check_draws(bootstrap)
        wanted = draws > 0 if report is None else check_bool("report", report)
        with progress_bar(None, f"scoring {len(chosen):,} samples"):
            return self.corpus_score(chosen, outputs, bootstrap=draws, report=wanted)

    def action_name(self, action: int) -> str:
        """What an action means, for people and for `MultiTask`."""
        if self.tables.candidates is not None:
            first = int(self.tables.candidates.shape[1])
            names: Sequence[str] = [f"candidate {i + 1}" for i in range(first)]
        else:
            names = self.labels
        named = [*names, *self.further_actions]
        return named[action] if action < len(named) else f"action {action + 1}"

    @property
    def action_space(self) -> spaces.Discrete:
        """One of A actions."""
        return spaces.Discrete(self.n_actions)

    def observation_space(self, obs_type: str) -> spaces.Dict:
        """Flat Dict of Boxes for one episode."""
        return self.views.space(obs_type)

    def observe(self, state: Any, obs_type: str) -> Observation:
        """Observation of every episode: arrays of `observation_space(obs_type)` with B in front."""
        return self.views.observe(state, obs_type)

    @cached_property
    def views(self) -> Views:
        """The kinds of observation; with the mask, see `Views.observe_with_mask`."""
        return Views(self)
