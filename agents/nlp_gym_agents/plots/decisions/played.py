"""Play a split with a trained run and keep every decision, for the figures made of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.checks import check_int, check_name
from nlp_gym.progress import progress_bar, progress_wanted
from nlp_gym.tasks.core.rollout import finished, play, playing, rollout, side_by_side
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym.types import SPLITS, BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.evaluation.evaluate import check_corpus
from nlp_gym_agents.models.acting import (
    INVERSE_TEMPERATURE,
    ScoreKind,
    make_act,
    make_scored_act,
    score_kind,
)
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.plots import style
from nlp_gym_agents.prediction.kinds import kind_of
from nlp_gym_agents.runs.calibration import read_calibration

_MOST = 2**31 - 1


@dataclass
class Player:
    """A trained run, and samples of a split to play. Made by `open_player`.

    Attributes:
        name: What figures call it.
        trained: The run.
        task: The split, with gold.
        rows: Samples of it that are played.
        split: Name of the split.
        progress: Show bars on stderr while its texts are encoded and played.
    """

    name: str
    trained: TrainedModel
    task: Task
    rows: list[int]
    split: str
    progress: bool = False

    @property
    def algo(self) -> str:
        """Name of its algorithm."""
        return str(self.trained.settings["algo"])

    @property
    def masked(self) -> bool:
        """Whether it acts on masks."""
        return resolve(self.algo).masked

    @property
    def sample(self) -> str:
        """What was played, for captions."""
        n, whole = len(self.rows), len(self.task.corpus)
        drawn = f"{n:,} of the {whole:,} samples (drawn)" if n < whole else f"all {n:,} samples"
        return f"{drawn} of {self.task.corpus.name} {self.split}"

    def outputs(self) -> list[Output]:
        """What it decides on each sample, greedily."""
        reading = self.trained.reading(self.task, progress=self.progress)
        with progress_wanted(self.progress), reading as model:
            act = make_act(model, self.masked)
            return rollout(self.task, act, self.rows, obs_type=self.trained.settings["obs_type"])


def played(players: Sequence[Player]) -> str:
    """What the runs of a figure were played on, for its caption."""
    return "; ".join(dict.fromkeys(style.name(player.sample, 120) for player in players))


@dataclass(frozen=True)
class Decisions:
    """M decisions of greedy play.

    Attributes:
        kind: What the policy scores actions by: ``"logits"``, ``"values"`` or ``"none"``.
        gamma: How returns were discounted in training, and are here.
        temperature: That of the run's confidences, fitted on dev; None: it has none.
        probability: (M,) of the action that was chosen, as the policy has it (of a Q-network by
            its values, see `INVERSE_TEMPERATURE`); NaN where its scores are not known.
        calibrated: (M,) the same at `temperature`.
        value: (M,) return that was expected: of the action chosen, or the critic's; NaN: not known.
        gain: (M,) discounted return from there to the end of the episode.
        right: (M,) bool, whether the expert decides so too; of a parser, whether none costs less.
        judged: (M,) bool, whether `right` means something: reading on is neither right nor wrong.
    """

    kind: ScoreKind
    gamma: float
    temperature: float | None
    probability: Float64Array
    calibrated: Float64Array
    value: Float64Array
    gain: Float64Array
    right: BoolArray
    judged: BoolArray


def open_player(
    run: str | Path,
    split: str,
    *,
    name: str = "",
    samples: int = 2000,
    checkpoint: str = "best",
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> Player:
    """A run that can be played on a split.

    Args:
        run: Its folder.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        name: What figures call it; by default its algorithm.
        samples: Most samples that are played, always the same ones.
        checkpoint: ``"best"`` or ``"last"``.
        data_dir: Folder of the corpora, where it is not the one the run was trained from.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        progress: Show bars on stderr while texts are encoded and played.
        trust: Modules that the run's settings may have imported.

    Raises:
        RunError: The run cannot be loaded, or was trained with another corpus.
        DataError: The corpus cannot be read.
        InvalidArgumentError: The split has no gold.
    """
    check_name("split", split, SPLITS)
    trained = load_trained(run, checkpoint=checkpoint, device=device, trust=trust)
    overrides: dict[str, Any] = {}
    if data_dir is not None:
        overrides = {"data_dir": str(data_dir), "corpus": "auto"}
    task = trained.task(split, **overrides)
    check_corpus(trained, task, explicit=data_dir is not None, overrides=overrides)
    task.require_gold("plot")
    most, n = check_int("samples", samples, 1, _MOST), len(task.corpus)
    rows = list(range(n))
    if n > most:
        rows = sorted(np.random.default_rng(0).choice(n, most, replace=False).tolist())
    shown = name or str(trained.settings["algo"])
    return Player(shown, trained, task, rows, split, progress)


def decisions_of(player: Player) -> Decisions:
    """Every decision of a run on the samples of a player, played greedily to their ends."""
    task, obs_type = player.task, player.trained.settings["obs_type"]
    rows, judge = np.array(player.rows, np.int64), kind_of(task).judge(task)
    parts: list[tuple[Float64Array, ...]] = []
    fit = read_calibration(player.trained.run, player.trained.settings["timesteps"])
    temperature = None if fit is None else fit["temperature"]
    with (
        progress_wanted(player.progress),
        player.trained.reading(task, progress=player.progress) as model,
        progress_bar(len(rows), playing(task), unit="samples") as advance,
    ):
        kind, act = score_kind(model.policy), make_scored_act(model, player.masked)
        gamma = float(getattr(model, "gamma", 1.0))
        scale = INVERSE_TEMPERATURE if kind == "values" else 1.0
        for places in side_by_side(task.lengths[rows], task.side_by_side):
            seen: list[tuple[Float64Array, ...]] = []

            def decide(state: Any, place: Int64Array, seen: Any = seen) -> Int64Array:
                obs, mask = task.views.observe_with_mask(state, obs_type)
                scored = act(obs, mask)
                raw = fitted = unknown = np.full(len(place), np.nan)
                if scored.scores is not None:
                    scores = scored.scores * np.float64(scale)
                    raw = _likelihood(scores, scored.actions)
                    fitted = _likelihood(scores / (temperature or 1.0), scored.actions)
                values = unknown if scored.values is None else scored.values
                if judge is None:
                    right = scored.actions == task.oracle(state)
                else:
                    right = judge(state, scored.actions)
                seen.append((raw, fitted, values, right))
                return scored.actions

            parts += _with_returns(task, rows[places], decide, seen, gamma)
            advance(len(places))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    raw, fitted, value, right, gain, judged = columns
    return Decisions(kind, gamma, temperature, raw, fitted, value, gain, right > 0, judged > 0)


def _with_returns(
    task: Task, rows: Int64Array, decide: Any, seen: list[Any], gamma: float
) -> list[tuple[Float64Array, ...]]:
    """Play `rows`; one tuple per step: the arrays of `seen`, return, judged."""
    steps: list[tuple[Int64Array, Float64Array]] = []
    judged, labels = [], isinstance(task, LabelText)
    for step in play(task, rows, decide):
        steps.append((step.place, step.rewards))
        judged.append(step.ended if labels else np.ones(len(step.place), bool))
        if labels:  # the expert reads to the end, and an early label may be right as well
            right = np.zeros(len(step.place), bool)
            where = {place: i for i, place in enumerate(step.place.tolist())}
            for number, output in finished(task, step):
                right[where[number]] = (output[0],) == task.sample(int(rows[number])).labels
            seen[-1] = (*seen[-1][:-1], right)
    ahead, gains = np.zeros(len(rows)), []
    for place, rewards in reversed(steps):
        ahead[place] = rewards + gamma * ahead[place]
        gains.append(ahead[place].copy())
    found = zip(seen, reversed(gains), judged, strict=True)
    return [(*known, gain, judge.astype(np.float64)) for known, gain, judge in found]


def _likelihood(logits: Float64Array, actions: Int64Array) -> Float64Array:
    """(B,) probability of each action chosen, from (B, A) logits."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Float64Array = weights[np.arange(len(actions)), actions] / weights.sum(axis=1)
    return found


def forced_outputs(player: Player, pieces: int) -> list[Output]:
    """What a reading classifier decides when it is made to read so many pieces, no more nor less.

    Args:
        player: Its task is a `LabelText` with ``reading=True``.
        pieces: At least 1; a shorter text is read to its end.
    """
    task, obs_type = player.task, player.trained.settings["obs_type"]
    read_on = len(task.labels)
    reading = player.trained.reading(task, progress=player.progress)
    with progress_wanted(player.progress), reading as model:
        act = make_act(model, True)

        def decide(obs: Observation, mask: BoolArray) -> Int64Array:
            more = mask[:, read_on] & (_pieces_read(obs) < pieces)
            labels = mask.copy()
            labels[:, read_on] = False
            return np.where(more, read_on, act(obs, labels))

        return rollout(task, decide, player.rows, obs_type=obs_type)


def _pieces_read(obs: Observation) -> Int64Array:
    """(B,) pieces read so far, the first included, from the task's `chunks`."""
    after = obs["chunks"]
    known = after.argmax(axis=1) if after.shape[1] > 1 else after[:, 0]
    return known.astype(np.int64) + 1
