"""Play a corpus and note how likely the model held each of its decisions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.rollout import chosen_rows, finished, play, playing, side_by_side
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.models.acting import (
    INVERSE_TEMPERATURE,
    make_log_probs,
    make_scored_act,
    score_kind,
)
from nlp_gym_agents.models.beam_search import Ending, search_endings
from nlp_gym_agents.models.play import outputs_of, search_width

NOT_CALIBRATED = np.ones(1)
"""The temperatures of a model whose scores are taken as they are."""

Judge = Callable[[Any, Int64Array], BoolArray]
"""Says of B states and (B,) actions which are right."""

_LEAST = 1e-12
"""Lowest probability of a decision that was made after all, as the repair of another one."""


@dataclass(frozen=True)
class Chances:
    """How likely a model held its decisions on one sample, at K temperatures.

    A temperature divides the logits (of a Q-network its values times `INVERSE_TEMPERATURE`) before
    the softmax over the legal actions: above 1 the model is less sure, below 1 surer.

    Attributes:
        actions: (n,) what was played, in the order of play.
        chosen: (K, n) the probability of each of these.
        every: (n, A) probabilities of all actions at the first temperature; None: not kept.
        credits: (n,) what the task's reward "correctness" gives each decision, or whether another
            judge holds it right; None: no gold, or another reward and no judge.
        answers: Of a task that ranks its answers: each one, likeliest walk first, with the (K,)
            probability of all the episodes that the search kept and that ended at it.
        logged: (n,) the probability of each decision as the model acts, at temperature 1 and with
            nothing set aside; None: not asked for.
    """

    actions: Int64Array
    chosen: Float64Array
    every: npt.NDArray[np.float32] | None = None
    credits: Float64Array | None = None
    answers: tuple[tuple[Output, Float64Array], ...] = ()
    logged: Float64Array | None = None


def play_with_chances(
    model: BaseAlgorithm,
    task: Task,
    *,
    masked: bool,
    obs_type: str = "index",
    temperatures: Float64Array = NOT_CALIBRATED,
    rows: Sequence[int] | None = None,
    every: bool = False,
    set_aside: int | None = None,
    as_oracle: bool = False,
    logged: bool = False,
    judge: Judge | None = None,
) -> tuple[list[Output], list[Chances | None]]:
    """What `outputs_of` gives, and how likely the model held it.

    Args:
        model: A Stable-Baselines3 algorithm, reading the task's corpus.
        task: Its corpus is encoded.
        masked: Whether the model acts on masks.
        obs_type: What the model reads.
        temperatures: (K,) see `Chances`. They change no decision.
        rows: Samples; None: all.
        every: Keep the probabilities of all actions.
        set_aside: An action that is no answer, such as READ: where another one was chosen, its
            probability is that among the others.
        as_oracle: Play the oracle's actions. What is noted is still the model's own choice, and its
            credit is whether that is the oracle's.
        logged: Note probabilities as the model acts, too; see `Chances`.
        judge: Says of (B,) states and actions which are right; credits are then what it says.

    Returns:
        An output per row and its chances; None where the model does not say how likely it holds its
        actions.
    """
    chosen = chosen_rows(task, rows)
    width = search_width(model, task)
    if score_kind(model.policy) == "none":
        outputs = outputs_of(model, task, masked=masked, obs_type=obs_type, rows=rows)
        return outputs, [None] * len(outputs)
    if width > 1 and not as_oracle:
        log_probs = make_log_probs(model)
        assert log_probs is not None
        wanted = np.append(temperatures, 1.0) if logged else temperatures
        found = search_endings(task, log_probs, rows, width, obs_type, wanted)
        outputs = [task.merge([ending.output for ending in endings]) for endings in found]
        return outputs, [_of_search(task, endings, len(temperatures)) for endings in found]
    options = (every, set_aside, as_oracle, logged, judge)
    notes = _Notes(model, task, masked, obs_type, temperatures, *options)
    outputs = [()] * len(chosen)
    with progress_bar(len(chosen), playing(task), unit="samples") as advance:
        for places in side_by_side(task.lengths[chosen], task.side_by_side):
            notes.places = places
            for step in play(task, chosen[places], notes.decide):
                notes.add_credits(step.state.cost, step.rewards)
                for place, output in finished(task, step):
                    outputs[places[place]] = output
                advance(int(step.ended.sum()))
    return outputs, notes.by_sample(len(chosen))


def _of_search(task: Task, endings: Sequence[Ending], k: int) -> Chances:
    """The chances of a search at its first `k` temperatures; one more is that of the model."""
    best = endings[0]
    logged = best.chances[k] if len(best.chances) > k else None
    sums: dict[Output, Float64Array] = {}
    for ending in endings if task.ranks_answers else ():
        for answer in ending.output:
            sums[answer] = sums.get(answer, 0.0) + ending.chances[:k].prod(axis=1)
    return Chances(best.actions, best.chances[:k], answers=tuple(sums.items()), logged=logged)


def _softmax_of(scores: npt.NDArray[np.float32], actions: Int64Array) -> Float64Array:
    """(B,) probabilities of the actions, from (B, A) logits."""
    each = np.exp(scores - scores.max(axis=1, keepdims=True))
    chosen: Float64Array = each[np.arange(len(actions)), actions].astype(np.float64)
    return np.clip(chosen / each.sum(axis=1, dtype=np.float64), _LEAST, 1.0)


class _Notes:
    """Decides for the model, and writes down what it held of its choices."""

    def __init__(
        self,
        model: BaseAlgorithm,
        task: Task,
        masked: bool,
        obs_type: str,
        temperatures: Float64Array,
        every: bool,
        set_aside: int | None,
        as_oracle: bool,
        logged: bool,
        judge: Judge | None,
    ) -> None:
        self._act = make_scored_act(model, masked, with_value=False)
        self._task, self._masked, self._obs_type = task, masked, obs_type
        self._scale = INVERSE_TEMPERATURE if score_kind(model.policy) == "values" else 1.0
        self._temperatures, self._every = temperatures, every
        self._set_aside, self._as_oracle, self._judge = set_aside, as_oracle, judge
        self._credited = task.has_gold and task.reward == "correctness"
        self._cost = np.zeros(0)
        self._right = np.zeros(0)
        self._where: list[Int64Array] = []
        self._actions: list[Int64Array] = []
        self._chosen: list[Float64Array] = []
        self._logged: list[Float64Array] | None = [] if logged else None
        self._all: list[npt.NDArray[np.float32]] = []
        self._credits: list[Float64Array] = []
        self.places = np.zeros(0, np.int64)

    def decide(self, state: Any, place: Int64Array) -> Int64Array:
        """The (B,) actions that are played next."""
        seen, mask = self._task.views.observe_with_mask(state, self._obs_type)
        scored = self._act(seen, mask)
        assert scored.scores is not None
        actions = scored.actions
        if not self._masked:  # what is played for an illegal action is the decision
            actions, _ = self._task.repair(state, actions)
        self._where.append(self.places[place])
        self._actions.append(actions)
        scores = scored.scores * np.float32(self._scale)
        scores[~mask] = -np.inf
        if self._logged is not None:
            self._logged.append(_softmax_of(scores, actions))
        if self._set_aside is not None:
            scores[actions != self._set_aside, self._set_aside] = -np.inf
        self._chosen.append(self._probabilities(scores, actions))
        self._cost = state.cost.copy()
        if self._as_oracle:
            wanted = self._task.oracle(state)
            self._right = (actions == wanted).astype(np.float64)
            return wanted
        if self._judge is not None:
            self._right = self._judge(state, actions).astype(np.float64)
        return actions

    def _probabilities(self, scores: npt.NDArray[np.float32], actions: Int64Array) -> Float64Array:
        """(K, B) of the actions; those of all actions are noted."""
        scores -= scores.max(axis=1, keepdims=True)
        found, b = np.empty((len(self._temperatures), len(actions))), np.arange(len(actions))
        for k, temperature in enumerate(self._temperatures):
            each = np.exp(scores / np.float32(temperature))
            total = each.sum(axis=1, dtype=np.float64)
            found[k] = each[b, actions] / total
            if k == 0 and self._every:
                self._all.append((each / total[:, None]).astype(np.float32))
        return found

    def add_credits(self, cost: Float64Array, rewards: Float64Array) -> None:
        """Note what the reward credits: what was lost besides is no credit."""
        if self._as_oracle or self._judge is not None:
            self._credits.append(self._right)
        elif self._credited:
            self._credits.append(rewards + (cost - self._cost))

    def by_sample(self, n: int) -> list[Chances | None]:
        """The notes of each of the `n` samples, in the order of play."""
        where = np.concatenate(self._where) if self._where else np.zeros(0, np.int64)
        order = np.argsort(where, kind="stable")
        ends = np.searchsorted(where[order], np.arange(n + 1)).tolist()

        def sorted_by(parts: list[Any], axis: int = 0) -> Any:
            return np.concatenate(parts, axis=axis).take(order, axis=axis) if parts else None

        actions, chosen = sorted_by(self._actions), sorted_by(self._chosen, axis=1)
        every, credits = sorted_by(self._all), sorted_by(self._credits)
        logged = sorted_by(self._logged or [])
        return [
            Chances(
                actions[a:b],
                chosen[:, a:b],
                None if every is None else every[a:b],
                None if credits is None else credits[a:b],
                logged=None if logged is None else logged[a:b],
            )
            for a, b in itertools.pairwise(ends)
        ]
