"""What every task shares: the algebra of rewards, the score, and what is observed of a state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.metrics.base import Score
from nlp_gym.tasks.rules import Output, Played, Rules, State
from nlp_gym.tasks.unit_tokens import UnitTokens
from nlp_gym.tasks.views import TokenView, Views
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

__all__ = ["ILLEGAL_COST", "Output", "Played", "State", "Task"]

ILLEGAL_COST = 0.125
"""Reward lost by an action the mask forbids; a power of two keeps reward sums exact."""


class Task(Rules):
    """Rules of one decision process over a corpus; the arguments are those of `TaskData`.

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
    - Episodes end as `terminated`; none is `truncated`, unless a step limit is asked for.
    - At the end, with gold, `info["score"]` is the sample's metric.
    """

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
            InvalidArgumentError: The corpus has no gold.
        """
        self.require_gold("score")
        chosen = range(len(self.corpus)) if rows is None else [int(row) for row in rows]
        wanted = bootstrap > 0 if report is None else report
        return self.corpus_score(chosen, outputs, bootstrap=bootstrap, report=wanted)

    def transition(self, state: Any, actions: Int64Array) -> tuple[Float64Array, BoolArray]:
        """Play (B,) actions, changing `state` in place; gives (B,) rewards and (B,) ended."""
        played, illegal = self.repair(state, actions)
        right, cost, ended = self.play(state, played)
        lost: Float64Array = np.asarray(cost + ILLEGAL_COST * illegal)
        state.cost += lost
        if right is None:
            return (np.zeros(len(lost)) if self.reward == "sparse" else -lost), ended
        if self.reward == "correctness":
            return right - lost, ended
        value = self.potential(state)
        before, state.value = state.value, value
        if self.reward == "sparse":
            return (value - state.cost) * ended, ended
        return value - before - lost, ended

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
    def n_positions(self) -> int:
        """Positions a row can have: `position` observations are below this."""
        return int(np.diff(np.append(self.tables.offsets, len(self.tables.context))).max())

    @property
    def action_space(self) -> spaces.Discrete:
        """One of A actions."""
        return spaces.Discrete(self.n_actions)

    def blank(self, rows: Int64Array) -> dict[str, Any]:
        """The fields of `State` for B fresh episodes."""
        b = len(rows)
        slot = self.tables.offsets.take(rows)
        return {"row": rows, "slot": slot, "value": np.zeros(b), "cost": np.zeros(b)}

    def place(self, state: State) -> Int64Array:
        """(B,) position of each state in its row: slot less the row's offset."""
        return state.slot - self.tables.offsets.take(state.row)

    def observation_space(self, obs_type: str) -> spaces.Dict:
        """Flat Dict of Boxes for one episode."""
        return self._views.space(obs_type)

    def observe(self, state: Any, obs_type: str) -> Observation:
        """Observation of every episode: arrays of `observation_space(obs_type)` with B in front."""
        return self._views.observe(state, obs_type)

    def mask_in(self, observation: Observation, state: Any) -> npt.NDArray[np.int8]:
        """(B, A) the mask of an observation of `state`, in an array of its own."""
        if "action_mask" in observation:
            return observation["action_mask"].copy()
        return self.mask(state).view(np.int8)

    @cached_property
    def _views(self) -> Views:
        return Views(self)

    @cached_property
    def token_view(self) -> TokenView:
        """Sub-word ids of `tokens` observations: a row of ids for each unit of the context."""
        return UnitTokens(self)
