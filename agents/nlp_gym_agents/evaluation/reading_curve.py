"""Accuracy against the share of the text that is read: of an agent with a dial, and of early exits.

A reader with a price (`Classification`, ``read_cost="dial"``) has one operating point for each
setting of its dial. The classifier it is compared with (`bc`, ``exits: reading``) reads on until
its highest probability passes a threshold, as in early-exit networks (Schwartz et al. 2020, "The
Right Tool for the Job"; Schuster et al. 2022, "Confident Adaptive Language Modeling").

Thresholds are quantiles of the confidences on dev. A curve has all points, good and bad: none is
chosen by its accuracy. Between two of them it is a straight line, which a coin that chooses one of
them for each text attains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import play, rollout, side_by_side
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.models.acting import make_act, make_scored_act
from nlp_gym_agents.models.trained import TrainedModel

THRESHOLDS = 64
"""Thresholds that an early exit is tried with."""


@dataclass(frozen=True)
class Point:
    """One operating point.

    Attributes:
        setting: Price of the dial, threshold of the exit; NaN: made to commit at once.
        words: (N,) words read of each text.
        right: (N,) bool, whether its label is right.
        of: (N,) words of each text.
    """

    setting: float
    words: Int64Array
    right: BoolArray
    of: Int64Array

    @property
    def share(self) -> float:
        """Share of all words that was read."""
        return float(self.words.sum() / max(self.of.sum(), 1))

    @property
    def accuracy(self) -> float:
        """Share of texts whose label is right."""
        return float(self.right.mean())


@dataclass(frozen=True)
class Curve:
    """Points by the share that is read, one or more.

    Attributes:
        name: For tables and figures.
        points: Of ascending share.
    """

    name: str
    points: tuple[Point, ...]

    @property
    def shares(self) -> Float64Array:
        """(P,) ascending."""
        return np.array([point.share for point in self.points])

    @property
    def accuracies(self) -> Float64Array:
        """(P,) of each point."""
        return np.array([point.accuracy for point in self.points])

    def at(self, share: float) -> float:
        """Accuracy where this share may be read: between points a line, outside them constant."""
        return float(np.interp(share, self.shares, self.accuracies))

    def area(self, low: float) -> float:
        """Mean accuracy over shares from `low` to 1; that at 1 where `low` is 1."""
        if low >= 1.0:
            return self.at(1.0)
        grid = np.unique(np.concatenate([np.linspace(low, 1.0, 513), self.shares]))
        grid = grid[(grid >= low) & (grid <= 1)]
        heights = np.interp(grid, self.shares, self.accuracies)
        widths = np.diff(grid)
        return float((widths * (heights[1:] + heights[:-1]) / 2).sum() / (1.0 - low))

    def share_for(self, accuracy: float) -> float | None:
        """Smallest share at which the curve has this accuracy; None: nowhere."""
        grid = np.unique(np.concatenate([np.linspace(0.0, 1.0, 1001), self.shares]))
        enough = np.interp(grid, self.shares, self.accuracies) >= accuracy
        enough &= grid >= self.shares[0]
        return float(grid[enough.argmax()]) if enough.any() else None

    def table(self) -> list[dict[str, float | None]]:
        """The points as JSON has them."""
        settings = [None if np.isnan(p.setting) else p.setting for p in self.points]
        return [
            {"setting": setting, "read": point.share, "accuracy": point.accuracy}
            for setting, point in zip(settings, self.points, strict=True)
        ]


def curve_of(name: str, points: Sequence[Point]) -> Curve:
    """The curve through all points."""
    return Curve(name, tuple(sorted(points, key=lambda point: (point.share, point.accuracy))))


def agent_points(
    trained: TrainedModel, task: LabelText, labels: TrainedModel | None = None
) -> list[Point]:
    """One point for each setting of the dial, and one where it is made to commit at once.

    Args:
        trained: The run.
        task: A split with a dial, and gold.
        labels: A run of `bc` whose labels it is to commit to: when to commit is learned on texts
            held out from the labels (``holdout``), but labels can be learned from all. Both have
            a `commit_head`. None: its own.

    Raises:
        InvalidArgumentError: There is no dial.
    """
    if not task.price.dial:
        raise InvalidArgumentError(
            'read_cost: the run has one price, hence one point: train it with read_cost="dial".'
        )
    points = []
    obs_type = trained.settings["obs_type"]
    with trained.reading(task) as model:
        if labels is not None:
            _take_labels(model, labels.model(task))
        act = make_act(model, True)
        n = len(task.labels)

        def at_once(obs: Observation, mask: BoolArray) -> Int64Array:
            labels = mask.copy()
            labels[:, n:] = False
            return act(obs, labels)

        dearest = task.at_cost(task.price.costs[-1])
        points.append(_point(np.nan, dearest, rollout(dearest, at_once, obs_type=obs_type)))
        for cost in task.price.costs.tolist():
            held = task.at_cost(cost)
            points.append(_point(cost, held, rollout(held, act, obs_type=obs_type)))
    return points


def _take_labels(model: BaseAlgorithm, other: BaseAlgorithm) -> None:
    """Give a policy the trunk and the labels of another one."""
    own, given = model.policy.state_dict(), other.policy.state_dict()
    names = [name for name in given if ".trunk." in name or name.startswith("action_net.labels.")]
    if not any(name.startswith("action_net.") for name in names) or not set(names) <= set(own):
        raise InvalidArgumentError(
            "labels: both runs need features_extractor_kwargs commit_head, and trunks alike."
        )
    model.policy.load_state_dict({**own, **{name: given[name] for name in names}})


def _point(setting: float, task: LabelText, outputs: Sequence[Any]) -> Point:
    labels, words, of = zip(*outputs, strict=True)
    golds = [(sample.labels or ("",))[0] for sample in task.corpus.samples]
    right = np.array([a == b for a, b in zip(labels, golds, strict=True)])
    return Point(setting, np.array(words), right, np.array(of))


@dataclass(frozen=True)
class Exits:
    """What a classifier holds of N texts after each chunk, at most K of them.

    Attributes:
        confidence: (N, K) its highest probability of a label; 2 behind the last chunk.
        right: (N, K) bool, whether that label is right.
        words: (N, K) words read.
        lengths: (N,) chunks of each text.
    """

    confidence: Float64Array
    right: BoolArray
    words: Int64Array
    lengths: Int64Array

    def point(self, threshold: float) -> Point:
        """Each text read until the confidence is at least `threshold`, or to its end."""
        each = np.arange(len(self.lengths))
        sure = self.confidence >= threshold
        first = np.where(sure.any(axis=1), sure.argmax(axis=1), sure.shape[1])
        place = np.minimum(first, self.lengths - 1)
        of = self.words[each, self.lengths - 1]
        return Point(threshold, self.words[each, place], self.right[each, place], of)

    def thresholds(self, n: int = THRESHOLDS) -> list[float]:
        """Quantiles of the confidences, 0 (the first chunk) and 1.5 (all is read)."""
        real = self.confidence[self.confidence <= 1]
        inner = np.quantile(real, np.linspace(0, 1, n)).tolist()
        return sorted({0.0, *inner, 1.5})


def exits_of(trained: TrainedModel, task: LabelText) -> Exits:
    """What a run holds of every text of a split after each chunk, where all chunks are read."""
    with trained.reading(task) as model:
        return exits_of_model(model, task, obs_type=trained.settings["obs_type"])


def exits_of_model(model: BaseAlgorithm, task: LabelText, *, obs_type: str = "index") -> Exits:
    """As `exits_of`, of a model that reads the task's corpus."""
    n, most = len(task.corpus), int(task.lengths.max())
    labels = len(task.labels)
    confidence = np.full((n, most), 2.0)
    right = np.zeros((n, most), bool)
    words = np.zeros((n, most), np.int64)
    act = make_scored_act(model, True, with_value=False)
    for places in side_by_side(task.lengths, task.side_by_side):

        def decide(state: Any, place: Int64Array) -> Int64Array:
            seen, mask = task.views.observe_with_mask(state, obs_type)
            only = mask.copy()
            only[:, labels:] = False
            scored = act(seen, only)
            assert scored.scores is not None
            chances = th.from_numpy(scored.scores[:, :labels]).double().softmax(dim=1)
            at = state.row, task.chunk_read(state)
            confidence[at] = chances.max(dim=1).values.numpy()
            right[at] = scored.actions == task.commitment(state)
            words[at] = [read for _, read, _ in task.outputs(state)]
            return np.where(mask[:, labels], labels, scored.actions)

        for _ in play(task, places, decide):
            pass
    return Exits(confidence, right, words, task.lengths)


def exit_curve(name: str, dev: Exits, test: Exits) -> Curve:
    """The curve of a classifier with a confidence exit, with thresholds of dev."""
    return curve_of(name, [test.point(threshold) for threshold in dev.thresholds()])
