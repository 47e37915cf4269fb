"""Multiple-choice questions: choices shown one at a time, or one picked out of all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import choice_accuracy
from nlp_gym.tasks.base import Output, Played
from nlp_gym.tasks.checks import check_bool, check_int
from nlp_gym.tasks.picking import PickState
from nlp_gym.tasks.selection import Selection
from nlp_gym.tasks.tables import Tables, ragged
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation, Sample

ANSWER, CONTINUE = 0, 1


class ChoiceQA(Selection):
    """Multiple-choice question answering as a decision process.

    ## Description
    `browse=True`: the choices of a question are shown one at a time; the agent gives the one it
    sees as its ANSWER or goes on with CONTINUE, and cannot come back. It must decide before it has
    seen the rest, as in optimal stopping (Ferguson 1989), so it is handicapped against an agent
    that compares all choices. `browse=False`: one decision, one of all choices.

    ## Data
    Questions with 2 to C choices, one of them right: JSON Lines (also of ARC's schema) or tables.
    The order of the choices is drawn by a hash of the question and their texts, so that the place
    of the right one says nothing.

    ## Observation Space
    `Dict`, with C = `max_choices`, D = width of the encoder, L = longest text in sub-words, J = 2
    units a choice: question and choice read as one text, and the choice alone.

    | obs_type | key | shape browse / pick | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (2,) / (C,) | int8 | 1 where the action is legal now |
    | features | `context` | ((1+S)*D,) / (D,) | float32 | question; S = `seen` earlier choices |
    | features | `candidates` | (1, 2*D) / (C, 2*D) | float32 | the choice shown / all choices |
    | features | `left` | (C,) / - | float32 | choices still to come, one-hot |
    | tokens | `input_ids`, `attention_mask` | (1+S, L) / (1, L) | int32, int8 | the context |
    | tokens | `candidate_ids`, `candidate_mask` | (1, 2*L) / (C, 2*L) | int32, int8 | the choices |
    | tokens, index | `left` | (1,) / - | int32 | choices still to come |
    | index | `row`, `position` | (1,) | int32 | sample; place of the choice shown / 0 |

    ## Action Space
    Browse: `Discrete(2)`, 0 ANSWER, 1 CONTINUE. Pick: `Discrete(C)`, the choice.

    ## Action Mask
    Browse: no CONTINUE on the last choice. Pick: the choices the question has. An illegal action is
    played as the first legal one and costs 1/8.

    ## Rewards
    `correctness` (default), `metric` and `sparse` alike: 1 for the right choice, else 0; CONTINUE
    gives 0. Illegal actions cost 1/8. Without gold only these costs are left.

    ## Starting State
    The first choice of a question drawn uniformly, or of sample i with `reset(options={"row": i})`.

    ## Episode End
    `terminated` with the answer. Never `truncated`, unless a step limit is asked for.

    ## Metric
    Accuracy; the report has that of guessing and, browsing, the share of the choices shown.

    ## Information
    `info["action_mask"]` as above; at the end, with gold, `info["score"]`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `browse` | True | choices one at a time |
    | `max_choices` | by id | C; a question with more is an error |
    | `seen` | 1 | earlier choices (read with the question) in the context, latest first |
    | `order_seed` | 0 | seed of the order of choices; None keeps the file's |

    ## Registered Ids
    `ChoiceQA-OpenBookQA-v0`, `ChoiceQA-ARC-v0`, `ChoiceQA-QASC-v0` (trained on the other two),
    `ChoiceQA-v0`

    ## Version History
    * v0: initial version.
    """

    family = "choice"
    metric_name = "accuracy"

    def __init__(
        self,
        *,
        browse: bool = True,
        max_choices: int = 8,
        seen: int = 1,
        **kwargs: Any,
    ) -> None:
        self.browse = check_bool("browse", browse)
        c = check_int("max_choices", max_choices, 2, 64)
        self.seen = check_int("seen", seen, 0, 8)
        super().__init__(**kwargs)
        self.select(self._all, argument="max_choices", width=c, limit=1)
        if browse:
            self.extras = {"left": Extra(1, c - 1)}
        before = np.cumsum(self._sizes) - self._sizes
        self._offsets = before if browse else np.arange(len(before))

    def _all(self, sample: Sample) -> Sequence[int]:
        return range(len(self.words_of(sample)))

    def words_of(self, sample: Sample) -> Sequence[Sequence[str]]:
        """The words of every choice."""
        choices: Sequence[Sequence[str]] = sample.extra.get("choices", ())
        return choices

    def right_of(self, sample: Sample) -> Sequence[int]:
        """The gold is one index."""
        return (sample.gold,)

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        add = self._texts.add
        question = [[add(sample.words)] for sample in self.corpus.samples]
        joint, alone = [], []
        for sample, order in zip(self.corpus.samples, self._order.tolist(), strict=True):
            choices = [sample.extra["choices"][k] for k in order if k >= 0]
            joint.append([add((*sample.words, *choice)) for choice in choices])
            alone.append([add(choice) for choice in choices])
        flat = [
            [pair] for a, b in zip(joint, alone, strict=True) for pair in zip(a, b, strict=True)
        ]
        before = [units[:k][::-1] for units in joint for k in range(len(units))]
        c = self.n_candidates
        pairs = np.stack([ragged(joint, c), ragged(alone, c)], axis=2)
        return Tables.build(
            len(self._texts.texts),
            offsets=self._offsets,
            context=ragged(before, self.seen) if self.browse else np.zeros((len(pairs), 0), int),
            row_units=question,
            candidates=flat if self.browse else pairs,
            by="slot" if self.browse else "row",
        )

    @property
    def n_actions(self) -> int:
        """2 or C."""
        return 2 if self.browse else self.n_candidates

    @property
    def lengths(self) -> Int64Array:
        """(N,) choices of each question, or 1."""
        return self._sizes if self.browse else self._limits

    def _left(self, state: PickState) -> Int64Array:
        """(B,) choices still to come."""
        return self._sizes.take(state.row) - 1 - self._place(state)

    def _place(self, state: PickState) -> Int64Array:
        """(B,) place of the choice shown."""
        return state.slot - self._offsets.take(state.row)

    def extra(self, state: PickState) -> Observation:
        """Choices still to come."""
        return {"left": self._left(state).astype(np.int32)[:, None]} if self.browse else {}

    def mask(self, state: PickState) -> BoolArray:
        """See the class's Action Mask."""
        if not self.browse:
            return super().mask(state)
        legal = np.ones((len(state.row), 2), bool)
        legal[:, CONTINUE] = self._left(state) > 0
        return legal

    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the right choice; browsing, CONTINUE up to it (or, once missed, to the end)."""
        if not self.browse:
            return super().oracle(state)
        self.require_gold("oracle")
        here = self._right[state.row, self._place(state)]
        return np.where(here | (self._left(state) == 0), ANSWER, CONTINUE)

    def play(self, state: PickState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        if self.browse:
            ended = actions == ANSWER
            self.pick(state, self._place(state), ended)
            state.slot += ~ended
        else:
            ended = self.pick(state, actions)
        return (self.potential(state) if self.has_gold else None), 0.0, ended

    def potential(self, state: PickState) -> Float64Array:
        """(B,) 1 where the right choice was picked."""
        right: BoolArray = np.any(self._right[state.row] & state.chosen, axis=1)
        return right.astype(np.float64)

    def outputs(self, state: PickState) -> list[Output]:
        """See `Task.outputs`: the index of the choice in the file; -1 before there is an answer."""
        return [picked[0] if picked else -1 for picked in super().outputs(state)]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        answers, order = np.array(outputs, np.int64), self._order[list(rows)]
        place = (order == answers[:, None]).argmax(axis=1)
        right = self._right[list(rows), place] & (answers >= 0)
        sizes = self._sizes[list(rows)]
        shown = np.where(answers >= 0, place + 1, sizes) if self.browse else None
        return choice_accuracy(right, sizes, shown=shown, bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The question and its answer."""
        extra = self._sample(row).extra
        texts = extra.get("choice_texts") or [" ".join(words) for words in extra["choices"]]
        question = extra.get("text") or " ".join(self._sample(row).words)
        answer = {"index": output, "answer": texts[output] if output >= 0 else None}
        return {"question": question, **answer, "choices": list(texts)}

    def frame(self, state: PickState, i: int) -> Any:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame, Piece

        row, here = int(state.row[i]), int(self._place(state)[i])
        done = bool(state.count[i])

        def waiting(k: int) -> str:
            if not self.browse:
                return "dim" if done else "here"
            return "plain" if k < here else "dim" if k > here or done else "here"

        pieces = [Piece(" ".join(self._sample(row).words)), *self.drawn(state, i, waiting)]
        place = f"choice {here + 1}/{self._sizes[row]}" if self.browse else f"answer {int(done)}/1"
        return Frame(self.title(row), place, pieces)
