"""The agent that is attacked: what it decides on changed texts, and how sure of the right it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.encode import encode_units
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.rollout import finished, play, side_by_side
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Sample, Units
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.explain.right import right_actions
from nlp_gym_agents.models.acting import INVERSE_TEMPERATURE, make_scored_act, score_kind
from nlp_gym_agents.models.trained import TrainedModel, load_trained

_TOGETHER = 512
"""Texts that are encoded and played together."""


@dataclass(frozen=True)
class Verdicts:
    """What a victim decides on n texts.

    Attributes:
        chances: (n,) probability of the right action, at the decision where it is smallest: a text
            is right only if all its decisions are. 1 or 0 where the victim has no probabilities.
        right: (n,) whether the whole text is right, which is a metric of 1.
        outputs: What was decided, in the terms of the task.
    """

    chances: Float64Array
    right: BoolArray
    outputs: list[Output] = field(repr=False)


class RunVictim:
    """A trained agent, asked about texts it is given. It plays greedily, without a search.

    Args:
        run: A run folder.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Attributes:
        trained: Its policy.
        family: Which files it reads.

    Raises:
        RunError: The run cannot be loaded.
        InvalidArgumentError: It was trained on a mixture of tasks.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        checkpoint: str = "best",
        device: str = "auto",
        trust: Sequence[str] | str = (),
    ) -> None:
        self.trained: TrainedModel = load_trained(
            run, checkpoint=checkpoint, device=device, trust=trust
        )
        cls = task_class(self.trained.env_id)
        if cls.is_mixture:
            raise InvalidArgumentError(
                f"{self.trained.env_id} is a mixture of tasks, whose texts are not of one family: "
                "attack an agent that was trained on one of them."
            )
        self.family = cls.sample_family()

    @property
    def labels(self) -> tuple[str, ...]:
        """Its label inventory."""
        return self.trained.labels

    @cached_property
    def _masked(self) -> bool:
        return resolve(self.trained.settings["algo"]).masked

    def task(self, samples: Sequence[Sample]) -> Task:
        """The victim's task on samples."""
        return self.trained.task("test", data=list(samples)).settled()

    def judge(self, samples: Sequence[Sample]) -> Verdicts:
        """Decide on annotated samples.

        Args:
            samples: Any number; their gold says what is right.
        """
        parts = [
            self._judge(samples[first : first + _TOGETHER])
            for first in range(0, len(samples), _TOGETHER)
        ]
        return Verdicts(
            np.concatenate([np.zeros(0), *(part.chances for part in parts)]),
            np.concatenate([np.zeros(0, bool), *(part.right for part in parts)]),
            [output for part in parts for output in part.outputs],
        )

    def probabilities(self, samples: Sequence[Sample]) -> Float64Array:
        """(n, L) probability of each label, at the decision that labels the text.

        Args:
            samples: Texts; gold is not looked at.

        Raises:
            InvalidArgumentError: The agent does not label texts, or has no probabilities.
        """
        found = np.zeros((len(samples), len(self.labels)))
        for first in range(0, len(samples), _TOGETHER):
            part = [sample.unannotated() for sample in samples[first : first + _TOGETHER]]
            task = self.task(part)
            with self.trained.reading(task, cache=False) as model:
                if not isinstance(task, LabelText) or score_kind(model.policy) == "none":
                    raise InvalidArgumentError(
                        f"{self.trained.env_id} with {self.trained.settings['algo']} gives no "
                        "probability of each label of a text: the victim of Attack-v0 is an agent "
                        "that labels whole texts, such as one of Sentiment-SST2-v0."
                    )
                player = _Judge(self, model, task, every=found[first : first + len(part)])
                player.play()
        return found

    def _judge(self, samples: Sequence[Sample]) -> Verdicts:
        task = self.task(samples)
        task.require_gold("an attack")
        with self.trained.reading(task, cache=False) as model:
            player = _Judge(self, model, task)
            outputs = player.play()
        return Verdicts(player.chances, player.right, outputs)

    def vectors(self, texts: Sequence[Sequence[str]]) -> Float64Array:
        """(n, D) mean vectors of texts, standardised, by the encoder as it was before training."""
        encoder = self.trained.task("test", data=[Sample(tuple(texts[0]))]).encoder
        encoded = encode_units(Units.whole(texts), encoder, cache=False)
        return np.asarray(encoded.gather(np.arange(len(texts))), np.float64)


class _Judge:
    """Plays a task's samples once, greedily, and notes the probability of what is right.

    Args:
        victim: Whose model plays.
        model: It.
        task: Encoded.
        every: (n, L) gets the probabilities of all labels, where gold is not known.
    """

    def __init__(
        self, victim: RunVictim, model: Any, task: Task, every: Float64Array | None = None
    ) -> None:
        self._task, self._obs_type = task, victim.trained.settings["obs_type"]
        self._masked = resolve(victim.trained.settings["algo"]).masked
        self._act = make_scored_act(model, self._masked, with_value=False)
        kind = score_kind(model.policy)
        self._scale = INVERSE_TEMPERATURE if kind == "values" else 1.0
        self._known = kind != "none"
        self._every = every
        n = len(task.corpus)
        self.chances, self.right = np.ones(n), np.zeros(n, bool)
        self._places = np.zeros(0, np.int64)

    def play(self) -> list[Output]:
        """Each sample to its end; one output each."""
        task = self._task
        outputs: list[Output] = [()] * len(task.corpus)
        for places in side_by_side(task.lengths, task.side_by_side):
            self._places = places
            for step in play(task, places, self._decide):
                for place, output in finished(task, step):
                    outputs[places[place]] = output
                if self._every is None and step.ended.any():
                    value = task.potential(step.state.take(step.ended))
                    self.right[places[step.place[step.ended]]] = value == 1.0
        if not self._known:
            self.chances = self.right.astype(np.float64)
        return outputs

    def _decide(self, state: Any, place: Int64Array) -> Int64Array:
        task = self._task
        seen, mask = task.views.observe_with_mask(state, self._obs_type)
        scored = self._act(seen, mask)
        actions = scored.actions
        if not self._masked:
            actions, _ = task.repair(state, actions)
        if scored.scores is None:
            return actions
        scores = scored.scores.astype(np.float64) * self._scale
        scores[~mask] = -np.inf
        rows = self._places[place]
        if isinstance(task, LabelText):
            n = len(task.labels)
            answers = actions < n  # the others read on, and decide nothing yet
            chances = _softmax(scores[answers, :n])
            if self._every is not None:
                self._every[rows[answers]] = chances
            else:
                gold = task.commitment(state)[answers]
                self.chances[rows[answers]] = chances[np.arange(len(gold)), gold]
            return actions
        if task.labels_words:
            right = np.zeros(mask.shape, bool)
            right[np.arange(len(mask)), task.oracle(state)] = True
        else:
            right = right_actions(task, state, mask)
        chance = (_softmax(scores) * right).sum(axis=1)
        self.chances[rows] = np.minimum(self.chances[rows], chance)
        return actions


def _softmax(scores: Float64Array) -> Float64Array:
    """(n, A) probabilities; all are 0 where every score is minus infinity."""
    top = scores.max(axis=1, keepdims=True, initial=-np.inf)
    each = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    return np.asarray(each / np.maximum(each.sum(axis=1, keepdims=True), 1e-300))
