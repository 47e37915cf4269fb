"""Play samples and record each decision: what was seen, what could be done, what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from nlp_gym.checks import check_int
from nlp_gym.render import Frame, Piece
from nlp_gym.tasks.core.rollout import chosen_rows, finished, play, side_by_side
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.tasks.multi_task.task import MultiTask
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.explain.right import right_actions
from nlp_gym_agents.explain.trace import Decision, Option, Trace
from nlp_gym_agents.models.acting import (
    Scored,
    ScoreKind,
    make_log_probs,
    make_scored_act,
    score_kind,
)
from nlp_gym_agents.models.beam_search import search_endings
from nlp_gym_agents.models.play import search_width
from nlp_gym_agents.networks.decoder.extractor import DecoderExtractor

FEW = 64
"""Actions up to which all are recorded, the masked ones too."""
MOST_OPTIONS = 1000
"""Most options that can be asked for."""
_NAMES = {"logits": "probability", "values": "value", "none": "none"}
_DIGITS = 6
"""Of numbers that are recorded for every word."""
_MOST_SEEN = 60_000
"""Words times decisions up to which every decision has a drawing of its own."""


@dataclass(frozen=True)
class Player:
    """A model and how it plays.

    Attributes:
        model: A Stable-Baselines3 algorithm that reads the task's corpus.
        masked: Whether it acts on masks.
        obs_type: What it reads.
        env_id: For `Trace.env_id`.
        algo: For `Trace.algo`.
        temperature: Logits are divided by it before they become probabilities.
    """

    model: BaseAlgorithm
    masked: bool
    obs_type: str
    env_id: str
    algo: str
    temperature: float = 1.0


@dataclass(frozen=True)
class Episode:
    """What was recorded of one sample.

    Attributes:
        decisions: In order.
        output: What came out, as the task's metric takes it.
        notes: For `Trace.notes`.
    """

    decisions: tuple[Decision, ...]
    output: Output
    notes: tuple[str, ...] = ()


def trace_rows(
    player: Player, task: Task, rows: Sequence[int] | None = None, *, top: int = 10
) -> list[Trace]:
    """Play samples as `nlp-gym predict` does and record every decision.

    Where an answer or a text comes from a beam search, the recorded episode is the one that it came
    from, and `Trace.notes` say so. With gold, the right actions, the rewards and the score are
    recorded too.

    Args:
        player: Who plays.
        task: Its corpus is encoded, unless the policy encodes it.
        rows: Samples; None: all.
        top: Most options of a decision that are recorded for their scores, where actions are more
            than `FEW`; from 1 to `MOST_OPTIONS`.

    Returns:
        One trace per row.
    """
    check_int("top", top, 1, MOST_OPTIONS)
    chosen = chosen_rows(task, rows)
    found = _searched(player, task, chosen)
    forced = None if found is None else [actions for _, actions in found]
    episodes = record_episodes(player, task, chosen, top=top, forced=forced)
    traces = []
    searched = () if found is None else (_searched_note(task),)
    for k, (row, episode) in enumerate(zip(chosen.tolist(), episodes, strict=True)):
        output = episode.output if found is None else found[k][0]
        own, local = _played(task, row)
        trace = Trace(
            env_id=player.env_id,
            algo=player.algo,
            view=own.trace_view,
            scores=_NAMES[score_kind(player.model.policy)],
            words=tuple(own.sample(local).words),
            decisions=episode.decisions,
            output=task.record(row, output),
            score=_score(own, local, output) if own.has_gold else None,
            metric=own.metric_name if own.has_gold else "",
            context=own.trace_context(local),
            notes=(*episode.notes, *searched),
        )
        traces.append(_with_sources(trace, player.model.policy, row) if own.writes else trace)
    return traces


def _score(task: Task, row: int, output: Output) -> float:
    """The metric of one sample, which need not be the potential that its episode ended with."""
    return float(task.score([output], rows=[row], bootstrap=0, report=False).value)


def _with_sources(trace: Trace, policy: BasePolicy, row: int) -> Trace:
    """The trace of a written text with where its tokens come from, if the network says that."""
    decoders = (module for module in policy.modules() if isinstance(module, DecoderExtractor))
    decoder = next(decoders, None)
    if decoder is None or not trace.decisions:
        return trace
    policy.set_training_mode(False)
    kind, weights = decoder.sources(row, [decision.chosen for decision in trace.decisions])
    rest = [0.0] * (len(trace.words) - weights.shape[1])  # what the network did not read
    rows = np.round(weights.double().cpu().numpy(), _DIGITS).tolist()
    decisions = [
        replace(decision, sources=(*given, *rest))
        for decision, given in zip(trace.decisions, rows, strict=True)
    ]
    return replace(trace, decisions=tuple(decisions), sources=kind)


def _searched(
    player: Player, task: Task, rows: Int64Array
) -> list[tuple[Output, Int64Array]] | None:
    """What a beam search finds for each row, and its best episode's decisions; None: no search."""
    width = search_width(player.model, task)
    log_probs = make_log_probs(player.model) if width > 1 else None
    if log_probs is None:
        return None
    found = search_endings(task, log_probs, rows, width, player.obs_type, np.ones(1))
    return [
        (task.merge([ending.output for ending in endings]), endings[0].actions) for endings in found
    ]


def record_episodes(
    player: Player,
    task: Task,
    rows: Int64Array,
    *,
    top: int = 10,
    forced: Sequence[Int64Array] | None = None,
) -> list[Episode]:
    """Play samples, side by side, and record them.

    Args:
        player: Who plays.
        task: Its corpus is encoded, unless the policy encodes it.
        rows: (n,) samples.
        top: See `trace_rows`.
        forced: What is decided in each of them; None: what the model chooses.

    Returns:
        One per row.
    """
    episodes: list[Episode] = [Episode((), ())] * len(rows)
    for places in side_by_side(task.lengths[rows], task.side_by_side):
        own = None if forced is None else [forced[place] for place in places]
        recorder = _Recorder(player, task, rows[places], top, own)
        for place, episode in zip(places, recorder.play(), strict=True):
            episodes[place] = episode
    return episodes


def held(scored: Scored, mask: BoolArray, kind: ScoreKind, player: Player) -> Float64Array | None:
    """(B, A) probabilities or Q values of actions, NaN where there is none; None: not known.

    Args:
        scored: What the policy gave.
        mask: (B, A) legal actions.
        kind: What its scores are.
        player: Whose they are.
    """
    if scored.scores is None or kind == "none":
        return None
    scores = scored.scores.astype(np.float64)
    if kind == "logits":
        scores = np.exp((scores - scores.max(axis=1, keepdims=True)) / player.temperature)
        scores /= scores.sum(axis=1, keepdims=True)
    return np.where(mask, scores, np.nan) if player.masked else scores


class _Recorder:
    """Plays the samples of one batch."""

    def __init__(
        self,
        player: Player,
        task: Task,
        rows: Int64Array,
        top: int,
        forced: Sequence[Int64Array] | None,
    ) -> None:
        self._player, self._task, self._rows, self._top = player, task, rows, top
        self._forced = forced
        self._act = make_scored_act(player.model, player.masked)
        self._kind = score_kind(player.model.policy)
        self._decisions: list[list[Decision]] = [[] for _ in rows]
        sizes = [len(task.sample(int(row)).words) for row in rows]
        lengths = task.lengths[rows].tolist()
        self._drawn = [a * b <= _MOST_SEEN for a, b in zip(sizes, lengths, strict=True)]

    def play(self) -> list[Episode]:
        """Play all to their ends."""
        task = self._task
        ends: dict[int, Output] = {}
        for step in play(task, self._rows, self._decide):
            if task.has_gold:
                for place, reward in zip(step.place.tolist(), step.rewards.tolist(), strict=True):
                    own = self._decisions[place]
                    own[-1] = replace(own[-1], reward=reward)
            ends.update(finished(task, step))
        return [
            Episode(tuple(decisions), ends[place], self._notes(place))
            for place, decisions in enumerate(self._decisions)
        ]

    def _notes(self, place: int) -> tuple[str, ...]:
        if self._drawn[place]:
            return ()
        return ("The text is long: what was seen is not repeated at every decision.",)

    def _decide(self, state: Any, place: Int64Array) -> Int64Array:
        task = self._task
        observation, mask = task.views.observe_with_mask(state, self._player.obs_type)
        scored = self._act(observation, mask)
        actions = scored.actions
        if self._forced is not None:
            steps = (len(self._decisions[k]) for k in place)
            actions = np.array([self._forced[k][n] for k, n in zip(place, steps, strict=True)])
        scores = held(scored, mask, self._kind, self._player)
        right = right_actions(task, state, mask) if task.has_gold else None
        played, illegal = task.repair(state, actions)
        for i, k in enumerate(place.tolist()):
            decision = _Weighed(
                action=int(actions[i]),
                legal=mask[i],
                scores=None if scores is None else scores[i],
                right=None if right is None else right[i],
            ).decision(task, state, i, self._top, drawn=self._drawn[k])
            self._decisions[k].append(
                replace(
                    decision,
                    value=None if scored.values is None else _finite(scored.values[i]),
                    repaired=int(played[i]) if illegal[i] else None,
                )
            )
        return actions


@dataclass(frozen=True)
class _Weighed:
    """One decision of one episode.

    Attributes:
        action: The choice.
        legal: (A,) legal actions.
        scores: (A,) what the model holds of each, NaN for a masked one; None: not known.
        right: (A,) which are right; None: there is no gold.
    """

    action: int
    legal: BoolArray
    scores: Float64Array | None
    right: BoolArray | None

    def decision(self, task: Task, state: Any, i: int, top: int, *, drawn: bool) -> Decision:
        """The record of episode `i` of `state`."""
        order = self._order()
        second = next((k for k in order.tolist() if k != self.action and self.legal[k]), None)
        own, local = _played(task, int(state.row[i]))
        points, focus = own.trace_view == "span", task.focus(state, i)
        options = [
            Option(
                action=k,
                name=name or task.action_name(k),
                legal=bool(self.legal[k]),
                score=self._score(k),
                right=None if self.right is None else bool(self.right[k]),
                place=k if points else None,
                target=task.action_target(state, i, k),
            )
            for k in self._shown(order, top)
            if (name := task.action_text(state, i, k)) or k == self.action
        ]
        span = focus.words
        return Decision(
            seen=_seen(task, state, i, drawn=drawn),
            place=span[0] if span is not None and span[1] - span[0] == 1 else None,
            options=tuple(options),
            n_legal=int(self.legal.sum()),
            n_actions=len(self.legal),
            chosen=self.action,
            runner_up=second,
            margin=self._margin(second),
            at=focus.text,
            span=span,
            word_scores=self._by_word(len(own.sample(local).words)) if points else (),
        )

    def _order(self) -> Int64Array:
        """Actions from the best down: those with a score, legal ones first where scores are none.

        Equal ones stay in their order, so that the first is what argmax takes.
        """
        if self.scores is None:
            return np.argsort(~self.legal, kind="stable")
        return np.argsort(-np.where(np.isnan(self.scores), -np.inf, self.scores), kind="stable")

    def _shown(self, order: Int64Array, top: int) -> list[int]:
        if len(order) <= FEW:
            return [int(k) for k in order]
        best = [k for k in order[: top + 1].tolist() if self.legal[k] or k == self.action][:top]
        right = [] if self.right is None else np.flatnonzero(self.right).tolist()
        wanted = {*best, self.action, *right}
        return [k for k in order.tolist() if k in wanted]

    def _score(self, action: int) -> float | None:
        return None if self.scores is None else _finite(self.scores[action])

    def _margin(self, second: int | None) -> float | None:
        first = self._score(self.action)
        other = None if second is None else self._score(second)
        return None if first is None or other is None else first - other

    def _by_word(self, n: int) -> tuple[float | None, ...]:
        """Scores of actions that are the words of a text of n words."""
        if self.scores is None:
            return ()
        found = [_finite(score, _DIGITS) for score in self.scores[:n]]
        return (*found, *[None] * (n - len(found)))


def _seen(task: Task, state: Any, i: int, *, drawn: bool) -> Frame:
    if not drawn:
        return Frame(task.title(int(state.row[i])), "", ())
    frame = task.frame(state, i)
    return replace(frame, pieces=tuple(_joined(frame.pieces)))


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, those in a row that look the same as one."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        plain = piece.mark in ("plain", "dim") and not piece.label and not piece.gold
        if (
            last is not None
            and plain
            and not piece.line
            and replace(last, text="") == replace(piece, text="", line=last.line)
        ):
            found[-1] = replace(last, text=f"{last.text} {piece.text}")
        else:
            found.append(piece)
    return found


def _finite(number: Any, digits: int | None = None) -> float | None:
    """A number for JSON; None for one that is not finite."""
    value = float(number)
    if not np.isfinite(value):
        return None
    return value if digits is None else round(value, digits)


def _played(task: Task, row: int) -> tuple[Task, int]:
    """The task of a row, which in a mixture is one of several, and the sample in it."""
    return task.played(row) if isinstance(task, MultiTask) else (task, row)


def _searched_note(task: Task) -> str:
    what = "The text is" if task.writes else "The first answer is"
    return (
        f"{what} what a beam search of width {task.beam} found; the decisions are those of the "
        "episode that it came from, which need not be the likeliest one by one."
    )
