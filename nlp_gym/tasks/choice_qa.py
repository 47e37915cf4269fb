"""Multiple-choice questions: choices shown one at a time, or one picked out of all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import choice_accuracy
from nlp_gym.tasks.base import Output
from nlp_gym.tasks.browsing import Browsing
from nlp_gym.tasks.checks import check_int
from nlp_gym.tasks.picking import PickState
from nlp_gym.tasks.tables import Tables, ragged


class ChoiceQA(Browsing):
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
    `Dict`, with C = `max_choices`, S = `seen`, D = width of the encoder, L = longest text in
    sub-words. A choice has 2 units: question and choice read as one text, and the choice alone.

    | obs_type | key | shape browse / pick | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (2,) / (C,) | int8 | 1 where the action is legal now |
    | features | `context` | ((1+S)*D,) / (D,) | float32 | question; last S choices shown before |
    | features | `candidates` | (1, 2*D) / (C, 2*D) | float32 | the choice shown / all choices |
    | features | `left` | (C,) / - | float32 | choices still to come, one-hot |
    | tokens | `input_ids`, `attention_mask` | (1+S, L) / (1, L) | int32, int8 | the context |
    | tokens | `candidate_ids`, `candidate_mask` | (1, 2*L) / (C, 2*L) | int32, int8 | choices |
    | tokens, index | `left` | (1,) / - | int32 | choices still to come |
    | index | `row`, `position` | (1,) | int32 | sample; place of the choice shown / 0 |

    ## Action Space
    Browse: `Discrete(2)`, 0 ANSWER, 1 CONTINUE. Pick: `Discrete(C)`, the choice.

    ## Action Mask
    Browse: no CONTINUE on the last choice. Pick: the choices there are. An illegal action is played
    as the first legal one and costs 1/8.

    ## Rewards
    `correctness` (default), `metric` and `sparse` alike: 1 for the right choice, else 0; CONTINUE
    gives 0. Without gold only the costs of illegal actions are left.

    ## Starting State
    A question drawn uniformly, or sample i with `reset(options={"row": i})`.

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
    | `seen` | 0 | earlier choices in the context, read with the question, latest first |
    | `order_seed` | 0 | seed of the order of choices; None keeps the file's |

    ## Registered Ids
    `ChoiceQA-OpenBookQA-v0`, `ChoiceQA-ARC-v0`, `ChoiceQA-QASC-v0`, `ChoiceQA-v0`

    ## Version History
    * v0: initial version.
    """

    family = "choice"
    candidates_key = "choices"
    metric_name = "accuracy"

    def __init__(self, *, max_choices: int = 8, seen: int = 0, **kwargs: Any) -> None:
        c = check_int("max_choices", max_choices, 2, 64)
        self.seen = check_int("seen", seen, 0, 8)
        super().__init__(**kwargs)
        self.select(argument="max_choices", width=c, limit=1)

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

    def frame(self, state: PickState, i: int) -> Any:
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
