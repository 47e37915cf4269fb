"""Episodes that a person plays as the agent. All of it runs in the thread of the models."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from nlp_gym.errors import InvalidActionError, InvalidArgumentError, shown
from nlp_gym.render import draw
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.explain.decisions import Player, held
from nlp_gym_agents.models.acting import make_scored_act, score_kind
from nlp_gym_agents.serve.limits import Limits, RequestError
from nlp_gym_agents.serve.served import ServedRun

MOST_SHOWN = 60
"""Actions that are shown at a time; the others are found by searching."""
MOST_MOVES = 50
"""Latest moves that are shown."""
AGENT, REST = "agent", "rest"
"""In place of the number of an action: what the agent would play, once or to the end."""


@dataclass(frozen=True)
class Choice:
    """A legal action, as a button shows it.

    Attributes:
        action: Its number.
        name: What it means.
        score: What the agent holds of it, as text; ``""``: not known.
    """

    action: int
    name: str
    score: str = ""


@dataclass(frozen=True)
class Move:
    """A decision that was made.

    Attributes:
        name: What the action means.
        reward: What it earned.
        by_agent: Whether the agent chose it.
    """

    name: str
    reward: float
    by_agent: bool


@dataclass(frozen=True)
class View:
    """What a person sees of an episode.

    Attributes:
        id: The name of the episode.
        run: The name of the run.
        env_id: What is played.
        drawing: The frame as HTML.
        step: Number of decisions so far.
        latest: The latest reward.
        total: Sum of the rewards.
        ended: Whether it is over.
        score: The metric at the end; None: not yet, or there is no gold.
        metric: Name of the metric.
        choices: Legal actions that the search finds, at most `MOST_SHOWN`.
        n_found: How many it finds.
        n_legal: How many actions are legal.
        query: What is searched for.
        hint: What the oracle would play; None: there is no gold, or the episode is over.
        agent: What the agent would play; None: the episode is over.
        kind: What scores of actions are, such as ``"Q value"``.
        moves: The latest decisions, the last one first.
    """

    id: str
    run: str
    env_id: str
    drawing: str
    step: int
    latest: float | None
    total: float
    ended: bool
    score: float | None
    metric: str
    choices: tuple[Choice, ...]
    n_found: int
    n_legal: int
    query: str
    hint: Choice | None
    agent: Choice | None
    kind: str
    moves: tuple[Move, ...]


class Episode:
    """One episode of the environment of a run, with what its agent holds of every action.

    Args:
        run: The run.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        row: Which of its samples, from 0.

    Raises:
        InvalidArgumentError: There is no such sample.
    """

    def __init__(self, run: ServedRun, split: str, row: int) -> None:
        self.id = secrets.token_urlsafe(12)
        self.run = run
        self._trained = run.agent.trained
        settings = self._trained.settings
        self._task, at = _one_sample(run, split, row)
        with self._trained.reading(self._task, cache=False) as model:
            # A policy with a memory is asked once at each step, in order.
            self._player = Player(
                model,
                masked=resolve(settings["algo"]).masked,
                obs_type=settings["obs_type"],
                env_id=self._trained.env_id,
                algo=settings["algo"],
                temperature=run.agent.temperature,
            )
            self._act = make_scored_act(model, self._player.masked)
            self._kind = score_kind(model.policy)
        self._state = self._task.initial(np.array([at]))
        self.rewards: list[float] = []
        self.moves: list[Move] = []
        self.ended = False
        self.score: float | None = None
        self._ask()

    @property
    def step(self) -> int:
        """Number of decisions so far."""
        return len(self.rewards)

    def play(self, choice: str) -> None:
        """Play an action, or let the agent play.

        Args:
            choice: The number of an action, `AGENT` or `REST`.

        Raises:
            InvalidActionError: There is no such action.
        """
        if choice in (AGENT, REST):
            self._play(self._chosen, by_agent=True)
            while choice == REST and not self.ended:
                self._play(self._chosen, by_agent=True)
        elif choice.isascii() and choice.isdigit() and len(choice) < 10:
            self._play(int(choice), by_agent=False)
        else:
            raise InvalidArgumentError(f"action={shown(choice)} must be the number of an action.")

    def _play(self, action: int, *, by_agent: bool) -> None:
        if self.ended:
            return
        if action >= self._task.n_actions:
            raise InvalidActionError(
                f"action={action} must be a number from 0 to {self._task.n_actions - 1}."
            )
        name = self._name(action)
        rewards, ended = self._task.transition(self._state, np.array([action]))
        self.rewards.append(float(rewards[0]))
        self.moves.append(Move(name, self.rewards[-1], by_agent))
        self.ended = bool(ended[0])
        if not self.ended:
            self._ask()
        elif self._task.has_gold:
            self.score = float(self._task.potential(self._state)[0])

    def _ask(self) -> None:
        """Let the agent look at the state: what it would play, and what it holds of actions."""
        seen, mask = self._task.views.observe_with_mask(self._state, self._player.obs_type)
        with self._trained.reading(self._task, cache=False):
            found = self._act(seen, mask)
        self._chosen = int(found.actions[0])
        self._legal: list[int] = np.flatnonzero(mask[0]).tolist()
        scores = held(found, mask, self._kind, self._player)
        self._scores = None if scores is None else scores[0]

    def _name(self, action: int) -> str:
        """What an action means now; of one that means nothing its number."""
        target = self._task.action_target(self._state, 0, action)
        name = self._task.action_text(self._state, 0, action) or f"action {action + 1}"
        return f"{name} → {target}" if target else name

    def _choice(self, action: int) -> Choice:
        score = "" if self._scores is None else f"{self._scores[action]:.3f}"
        return Choice(action, self._name(action), score)

    def view(self, query: str = "") -> View:
        """What is to be seen.

        Args:
            query: Only actions with these letters in their names are shown.
        """
        legal = [] if self.ended else self._legal
        wanted, scores = query.casefold(), self._scores
        found = [a for a in legal if wanted in self._name(a).casefold()] if wanted else list(legal)
        if len(found) > MOST_SHOWN and scores is not None:
            found.sort(key=lambda action: -scores[action])
        oracle = None
        if self._task.has_gold and not self.ended:
            oracle = self._choice(int(self._task.oracle(self._state)[0]))
        frame = self._task.frame(self._state, 0)
        latest = self.rewards[-1] if self.rewards else None
        return View(
            id=self.id,
            run=self.run.name,
            env_id=self._trained.env_id,
            drawing=draw("html", frame.at_the_end() if self.ended else frame, latest or 0.0),
            step=self.step,
            latest=latest,
            total=sum(self.rewards),
            ended=self.ended,
            score=self.score,
            metric=self._task.metric_name,
            choices=tuple(self._choice(action) for action in found[:MOST_SHOWN]),
            n_found=len(found),
            n_legal=len(legal),
            query=query,
            hint=oracle,
            agent=None if self.ended else self._choice(self._chosen),
            kind={"logits": "probability", "values": "Q value"}.get(self._kind, ""),
            moves=tuple(reversed(self.moves[-MOST_MOVES:])),
        )


def _one_sample(run: ServedRun, split: str, row: int) -> tuple[Task, int]:
    """A task that has the sample, and its row there: alone, so that nothing else is encoded."""
    task = run.corpus_task(split)
    if not 0 <= row < len(task.corpus):
        raise InvalidArgumentError(
            f"sample={row + 1}: the split {split} of {run.name} has samples 1 to "
            f"{len(task.corpus)}."
        )
    if task.is_mixture:  # its samples are those of other tasks
        return task, row
    arguments = {**run.env_kwargs, "data": [task.corpus.samples[row]]}
    return run.agent.trained.task(split, **arguments), 0


class Episodes:
    """The episodes that are played now, bounded in number and age.

    Args:
        limits: `episodes` and `episode_s` are used.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: OrderedDict[str, tuple[float, Episode]] = OrderedDict()

    def add(self, episode: Episode) -> None:
        """Keep an episode; the one that was longest not played may be forgotten for it."""
        self._forget()
        while len(self._known) >= self._limits.episodes:
            self._known.popitem(last=False)
        self._known[episode.id] = time.monotonic(), episode

    def get(self, name: str) -> Episode:
        """The episode of that name.

        Raises:
            RequestError: It was forgotten, or there never was one (404).
        """
        self._forget()
        if name not in self._known:
            raise RequestError(
                404,
                f"this episode is not known any more: {self._limits.episodes} are kept, each for "
                f"{self._limits.episode_s / 60:g} minutes. Start a new one.",
            )
        episode = self._known.pop(name)[1]
        self._known[name] = time.monotonic(), episode
        return episode

    def _forget(self) -> None:
        """Forget what nobody has played for too long; the oldest come first."""
        oldest = time.monotonic() - self._limits.episode_s
        while self._known and next(iter(self._known.values()))[0] < oldest:
            self._known.popitem(last=False)
