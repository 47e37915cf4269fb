"""Multiple-choice questions, choices shown one at a time or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_bool, check_int
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import choice_accuracy
from nlp_gym.tasks.candidates.picking import PickState
from nlp_gym.tasks.candidates.selection import PickOne
from nlp_gym.tasks.core.tables import Extra, Tables, ragged
from nlp_gym.tasks.core.task import Focus, Output, Played
from nlp_gym.types import BoolArray, Int64Array, Observation

if TYPE_CHECKING:
    from nlp_gym.render import Frame


ANSWER, CONTINUE = 0, 1


MOST_LEFT = 3
"""Most choices to come that are told apart: so questions with more choices than those of training
(QASC's 8 after 3 to 5) look no stranger than they are."""


class ChoiceQA(PickOne):
    """Multiple-choice question answering as a decision process.

    ## Description
    `browse=True`: the choices of a question are shown one at a time; the agent gives the one it
    sees as its ANSWER or goes on with CONTINUE, and cannot come back. It decides before it has seen
    the rest (optimal stopping, Ferguson 1989), a handicap against comparing all choices, which
    `browse=False` allows: one decision, one of all choices.

    ## Data
    Questions with 2 to C choices, one of them right: JSON Lines (also of ARC's schema) or tables.
    The order of choices follows from a hash of the texts: the right one's place says nothing.

    ## Observation Space
    `Dict`, with C = `max_choices`, S = `seen`, D = width of the encoder, L = `max_tokens`. A choice
    has 2 units: question and choice read as one text, and the choice alone.

    | obs_type | key | shape browse / pick | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (2,) / (C,) | int8 | 1 where the action is legal now |
    | features | `context` | ((1+S)*D,) / (D,) | float32 | question; last S choices shown before |
    | features | `candidates` | (1, 2*D) / (C, 2*D) | float32 | the choice shown / all choices |
    | features | `left` | (min(C, 4),) / - | float32 | choices to come, at most 3, one-hot |
    | tokens | `input_ids`, `attention_mask` | (1+S, L) / (1, L) | int32, int8 | the context |
    | tokens | `candidate_ids`, `candidate_mask` | (1, 2*L) / (C, 2*L) | int32, int8 | choices |
    | tokens, index | `left` | (1,) / - | int32 | choices still to come, at most 3 |
    | index | `row`, `position` | (1,) | int32 | sample; place of the choice shown / 0 |

    ## Action Space
    Browse: `Discrete(2)`, 0 ANSWER, 1 CONTINUE. Pick: `Discrete(C)`, the choice.

    ## Action Mask
    Browse: no CONTINUE on the last choice. Pick: the choices there are.

    ## Rewards
    `correctness` (default), `metric` and `sparse` alike: 1 for the right choice, else 0; CONTINUE
    gives 0.

    ## Starting State
    Browse: the first choice of a question. Pick: all of them.

    ## Episode End
    With the answer.

    ## Metric
    Accuracy; the report has that of guessing and, browsing, the share of the choices shown.

    ## Information
    `info["score"]` at the end: 1 for the right choice, else 0. For the rest see `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `browse` | True | choices one at a time |
    | `max_choices` | by id | C; a question with more is an error |
    | `seen` | 0 | earlier choices in the context, read with the question, latest first |
    | `order_seed` | 0 | seed of the order of choices; None keeps the file's |

    ## Registered Ids
    `ChoiceQA-OpenBookQA-v0`, `ChoiceQA-ARC-v0`, `ChoiceQA-QASC-v0`, `ChoiceQA-v0`

    ## Version History
    * v0: initial version.
    """

    family = "choice"
    candidates_key = "choices"
    limit_argument = "max_choices"

    def __init__(
        self, *, browse: bool = True, max_choices: int = 8, seen: int = 0, **kwargs: Any
    ) -> None:
        c = check_int("max_choices", max_choices, 2, 64)
        self.most_candidates = c
        self.seen = check_int("seen", seen, 0, 8)
        self.browse = check_bool("browse", browse)
        super().__init__(**kwargs)
        self.extras = {"left": Extra(1, min(c - 1, MOST_LEFT))} if self.browse else {}

    @override
    def select(self, limit: int) -> None:
        super().select(limit)
        each = self._sizes if self.browse else np.ones_like(self._sizes)
        self.offsets: Int64Array = np.cumsum(each) - each

    @property
    @override
    def n_actions(self) -> int:
        """2 or C."""
        return 2 if self.browse else self.n_candidates

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) choices of each question, or 1."""
        return self._sizes if self.browse else self._limits

    @cached_property
    @override
    def tables(self) -> Tables:
        """Browsing, one slot per choice; else one per question."""
        add, c = self._texts.add, self.n_candidates
        questions = [[add(sample.words)] for sample in self.corpus.samples]
        joint, alone = [], []
        for sample, order in zip(self.corpus.samples, self._order.tolist(), strict=True):
            words = self.candidate_words(sample)
            choices = [words[k] for k in order if k >= 0]
            joint.append(
                [add((*sample.words, *choice), second=len(sample.words)) for choice in choices]
            )
            alone.append([add(choice) for choice in choices])
        before = [units[:k][::-1] for units in joint for k in range(len(units))]
        context = ragged(before, self.seen) if self.browse else np.zeros((len(joint), 0), int)
        pairs = np.stack([ragged(joint, c), ragged(alone, c)], axis=2)  # (N, C, 2)
        return Tables.build(
            len(self._texts.texts),
            offsets=self.offsets,
            context=context,
            row_units=questions,
            candidates=pairs[self._there][:, None] if self.browse else pairs,
            by="slot" if self.browse else "row",
        )

    def left(self, state: PickState) -> Int64Array:
        """(B,) choices still to come."""
        return self._sizes.take(state.row) - 1 - self.position(state)

    @override
    def mask(self, state: PickState) -> BoolArray:
        if not self.browse:
            return super().mask(state)
        legal = np.ones((len(state.row), 2), bool)
        legal[:, CONTINUE] = self.left(state) > 0
        return legal

    @override
    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the right choice; browsing, CONTINUE up to it (or, once missed, to the end)."""
        if not self.browse:
            return super().oracle(state)
        self.require_gold("oracle")
        here = self._right[state.row, self.position(state)]
        return np.where(here | (self.left(state) == 0), ANSWER, CONTINUE)

    @override
    def play(self, state: PickState, actions: Int64Array) -> Played:
        """An answer is picked; CONTINUE goes to the next choice."""
        if not self.browse:
            return super().play(state, actions)
        place, ended = self.position(state), actions == ANSWER
        self.pick(state, place, ended)
        state.slot += ~ended
        right = (self._right[state.row, place] & ended).astype(np.float64)
        return (right if self.has_gold else None), 0.0, ended

    @override
    def extra(self, state: PickState) -> Observation:
        """Choices still to come."""
        if not self.browse:
            return {}
        seen = np.minimum(self.left(state), self.extras["left"].high)
        return {"left": seen.astype(np.int32)[:, None]}

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        right = np.array(self.ranks(rows, [(answer,) for answer in outputs])) == 1
        sizes, shown = self._sizes[list(rows)], None
        if self.browse:
            place = (self._order[list(rows)] == np.array(outputs)[:, None]).argmax(axis=1)
            shown = np.where(np.array(outputs) < 0, sizes, place + 1)
        return choice_accuracy(right, sizes, shown=shown, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The question, its answer and the answer's index in the file."""
        sample = self.sample(row)
        texts = list(sample.extra.get("choice_texts", self.file_texts(row)))
        question = sample.extra.get("text", " ".join(sample.words))
        answer = texts[output] if output >= 0 else None
        return {"question": question, "answer": answer, "index": output, "choices": texts}

    @override
    def action_text(self, state: PickState, i: int, action: int) -> str:
        """The choice; browsing, what is done with it."""
        if not self.browse:
            return super().action_text(state, i, action)
        return "ANSWER" if action == ANSWER else "CONTINUE"

    @override
    def focus(self, state: PickState, i: int) -> Focus:
        """Browsing, the choice that is seen."""
        here = int(self.position(state)[i])
        return Focus(text=self.texts(int(state.row[i]))[here] if self.browse else "")

    @override
    def frame(self, state: PickState, i: int) -> Frame:
        from nlp_gym.render import Frame

        row, here, done = int(state.row[i]), int(self.position(state)[i]), bool(state.count[i])

        def waiting(k: int) -> str:
            if k < here:
                return "plain"
            return "dim" if done or (self.browse and k > here) else "here"

        pieces = [*self.context_pieces(row), *self.candidate_pieces(state, i, waiting)]
        place = f"choice {here + 1}/{self._sizes[row]}" if self.browse else f"answer {int(done)}/1"
        return Frame(self.title(row), place, pieces)
