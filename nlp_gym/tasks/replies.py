"""Tasks whose candidates are replies to a dialogue: units, scores and drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import Ranking
from nlp_gym.tasks.base import Output
from nlp_gym.tasks.picking import PickState
from nlp_gym.tasks.selection import Selection
from nlp_gym.tasks.tables import Tables, ragged
from nlp_gym.types import Sample

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame


class ReplyTask(Selection):
    """Candidate replies to a dialogue: units, scores and drawing; without the rules.

    Attributes:
        negatives: The set of candidates that is shown, where a row has several.
        turns: Single turns in the context, beside all of them as one text.
        metric: The official score.
    """

    family = "dialogue"
    metric_name = "recall_at_1"
    negatives: str
    turns: int
    metric: Ranking

    def context_of(self, sample: Sample) -> Sequence[Sequence[str]]:
        """The words of every turn so far; the sample's own where it has no turns."""
        context: Sequence[Sequence[str]] = sample.extra.get("context", (sample.words,))
        return context

    def shown_of(self, sample: Sample) -> Sequence[int]:
        """The candidates of the set asked for; all where there is no such set."""
        sets: Mapping[str, Sequence[int]] = sample.extra.get("sets", {})
        return sets.get(self.negatives) or super().shown_of(sample)

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        add, rows, replies = self._texts.add, [], []
        for sample, order in zip(self.corpus.samples, self._order.tolist(), strict=True):
            last = list(self.context_of(sample))[::-1]
            rows.append([add(sample.words), *map(add, last[: self.turns])])
            replies.append([add(sample.extra["candidates"][k]) for k in order if k >= 0])
        n = len(rows)
        return Tables.build(
            len(self._texts.texts),
            offsets=np.arange(n),
            context=np.zeros((n, 0), int),
            row_units=ragged(rows, 1 + self.turns),
            candidates=ragged(replies, self.n_candidates)[:, :, None],
        )

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        return self.metric.score(self.ranks(rows, outputs), bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The context, the reply, and the ranking as indices of candidates."""
        sample = self._sample(row)
        turns = [" ".join(turn) for turn in self.context_of(sample)]
        replies = [" ".join(reply) for reply in self.words_of(sample)]
        turns = list(sample.extra.get("context_texts", turns))
        reply = sample.extra.get("candidate_texts", replies)[output[0]] if output else None
        return {"context": turns, "reply": reply, "ranking": list(output)}

    def frame(self, state: PickState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame, Piece

        row, n = int(state.row[i]), int(state.count[i])
        limit = int(self._limits[row])
        turns = self.context_of(self._sample(row))
        pieces = [Piece(" ".join(turn), line=True) for turn in turns]
        pieces += self.drawn(state, i, lambda k: "here" if n < limit else "dim")
        return Frame(self.title(row), f"pick {n}/{limit}", pieces)
