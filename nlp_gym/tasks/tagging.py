"""What sequence tagging stands on: the state of an episode, its outputs, scores and drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels import Accuracy
from nlp_gym.metrics.spans import EntityF1
from nlp_gym.tasks.base import Output, State
from nlp_gym.tasks.words import WordTask
from nlp_gym.types import Int64Array

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame


@dataclass
class TaggingState(State):
    """Last labels (B, H), latest first; all labels so far (B, T); the metric's counts (B, K)."""

    history: npt.NDArray[np.int32]
    played: npt.NDArray[np.int16]
    counts: npt.NDArray[np.int32]

    def note(self, places: Int64Array, labels: Int64Array) -> None:
        """Write down the `labels` (B,) of the words at `places` (B,), and go to the next word."""
        self.played[np.arange(len(labels)), places] = labels
        self.history[:, 1:] = self.history[:, :-1]
        self.history[:, 0] = labels
        self.slot += 1


class TaggingTask(WordTask):
    """One label a word, scored over words or over entities; without the rules.

    Attributes:
        metric: The official score, and a sentence's from counts.
        neutral: Label that is not drawn where it is right, or None.
    """

    family = "tagging"
    metric: EntityF1 | Accuracy
    neutral: str | None

    def initial(self, rows: Int64Array) -> TaggingState:
        """See `Task.initial`: no label yet is the number A in the history."""
        b, h = len(rows), self.extras["history"].size
        return TaggingState(
            **self.blank(rows),
            history=np.full((b, h), self.n_actions, np.int32),
            played=np.zeros((b, int(self.lengths.max())), np.int16),
            counts=np.zeros((b, self.metric.n_counts), np.int32),
        )

    def outputs(self, state: TaggingState) -> list[Output]:
        """See `Task.outputs`: B tuples of labels, one a word tagged so far."""
        played = zip(state.played.tolist(), self.place(state).tolist(), strict=True)
        return [tuple(self.labels[k] for k in tags[:n]) for tags, n in played]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        gold = [self._sample(i).labels or () for i in rows]
        return self.metric.score(gold, outputs, bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Words and their labels."""
        return {"words": list(self._sample(row).words), "labels": list(output)}

    def frame(self, state: TaggingState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.envs.render import tagging_frame

        sample, n = self._sample(int(state.row[i])), int(self.place(state)[i])
        played = [self.labels[k] for k in state.played[i, :n]]
        title = self.title(int(state.row[i]))
        return tagging_frame(title, sample.words, played, sample.labels, neutral=self.neutral)
