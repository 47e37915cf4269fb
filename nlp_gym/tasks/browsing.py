"""What multiple-choice questions stand on: places of choices, units, answers, scores, drawing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import choice_accuracy
from nlp_gym.tasks.base import Output
from nlp_gym.tasks.picking import PickState
from nlp_gym.tasks.selection import Selection
from nlp_gym.tasks.tables import Tables, ragged
from nlp_gym.types import Int64Array

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame

ANSWER, CONTINUE = 0, 1


class ChoiceTask(Selection):
    """One right choice out of several, shown one at a time or all at once; without the rules.

    Browsing, position k of a row shows choice k; otherwise a row has one position.

    Attributes:
        browse: Whether choices are shown one at a time.
        seen: Earlier choices in the context.
    """

    family = "choice"
    candidates_key = "choices"
    metric_name = "accuracy"
    browse: bool
    seen: int

    def select(self, *, argument: str, width: int, limit: int = 1) -> None:
        """See `Selection.select`."""
        super().select(argument=argument, width=width, limit=limit)
        each = self._sizes if self.browse else np.ones_like(self._sizes)
        self.offsets: Int64Array = np.cumsum(each) - each

    @property
    def lengths(self) -> Int64Array:
        """(N,) choices of each question, or 1."""
        return self._sizes if self.browse else self._limits

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        add, c = self._texts.add, self.n_candidates
        questions = [[add(sample.words)] for sample in self.corpus.samples]
        joint, alone = [], []
        for sample, order in zip(self.corpus.samples, self._order.tolist(), strict=True):
            choices = [self.words_of(sample)[k] for k in order if k >= 0]
            joint.append([add((*sample.words, *choice)) for choice in choices])
            alone.append([add(choice) for choice in choices])
        before = [units[:k][::-1] for units in joint for k in range(len(units))]
        context = ragged(before, self.seen) if self.browse else np.zeros((len(joint), 0), int)
        pairs = np.stack([ragged(joint, c), ragged(alone, c)], axis=2)  # (N, C, 2)
        return Tables.build(
            len(self._texts.texts),
            offsets=self.offsets,
            context=context,
            row_units=questions,
            candidates=pairs[self._real][:, None] if self.browse else pairs,
            by="slot" if self.browse else "row",
        )

    def left(self, state: PickState) -> Int64Array:
        """(B,) choices still to come."""
        return self._sizes.take(state.row) - 1 - self.place(state)

    def outputs(self, state: PickState) -> list[Output]:
        """See `Task.outputs`: the index of the choice in the file; -1 before there is an answer."""
        return [picked[0] if picked else -1 for picked in super().outputs(state)]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        right = np.array(self.ranks(rows, [(answer,) for answer in outputs])) == 1
        sizes, shown = self._sizes[list(rows)], None
        if self.browse:
            place = (self._order[list(rows)] == np.array(outputs)[:, None]).argmax(axis=1)
            shown = np.where(np.array(outputs) < 0, sizes, place + 1)
        return choice_accuracy(right, sizes, shown=shown, bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The question, its answer and the answer's index in the file."""
        sample = self._sample(row)
        choices = [" ".join(words) for words in self.words_of(sample)]
        texts = list(sample.extra.get("choice_texts", choices))
        question = sample.extra.get("text", " ".join(sample.words))
        answer = texts[output] if output >= 0 else None
        return {"question": question, "answer": answer, "index": output, "choices": texts}

    def frame(self, state: PickState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame, Piece

        row, here, done = int(state.row[i]), int(self.place(state)[i]), bool(state.count[i])

        def waiting(k: int) -> str:
            if k < here:
                return "plain"
            return "dim" if done or (self.browse and k > here) else "here"

        pieces = [Piece(" ".join(self._sample(row).words)), *self.drawn(state, i, waiting)]
        place = f"choice {here + 1}/{self._sizes[row]}" if self.browse else f"answer {int(done)}/1"
        return Frame(self.title(row), place, pieces)
