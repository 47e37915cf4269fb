"""Span question answering: choose the answer's first word in the passage, then its last."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.metrics.answers import FORMS, fitting_form, squad_score
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.tasks.base import Output, Played
from nlp_gym.tasks.checks import check_name
from nlp_gym.tasks.span_gold import SpanGold
from nlp_gym.tasks.span_task import SpanState, SpanTask
from nlp_gym.tasks.span_text import answer_of, span_frame
from nlp_gym.tasks.span_units import FLAGS, JointTokens, joint_units, question_flags, span_tables
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.tasks.views import Extra
from nlp_gym.types import Float64Array, Int64Array, Observation


class SpanQA(SpanTask):
    """Span question answering as a decision process.

    ## Description
    The answer to a question stands in a passage. The agent chooses the word at which it begins,
    then the word at which it ends (pointing as in Wang and Jiang 2017, Machine Comprehension Using
    Match-LSTM and Answer Pointer). Question and passage are encoded together.

    ## Data
    SQuAD 1.1 (Rajpurkar et al. 2016); dev is a tenth of the training passages, test the published
    dev file. Own files: SQuAD JSON, or JSONL with `context`, `question` and `answers`. An answer
    that does not begin and end with a word is pointed at by the words that cover it.

    ## Observation Space
    `Dict`, with C = `max_words`, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (C,) | int8 | 1 where the word can be chosen now |
    | features | `context` | (2*D,) | float32 | question (mean); first word of the answer or 0 |
    | features | `candidates` | (C, D) | float32 | words of the passage, 0 after its end |
    | features | `step` | (3,) | float32 | words chosen so far, one-hot |
    | tokens | `input_ids` | (L,) | int32 | sub-word ids of question and passage |
    | tokens | `attention_mask` | (L,) | int8 | 1 on ids, 0 on padding |
    | tokens | `word_starts` | (C,) | int32 | place of each word in `input_ids`, 0: not seen |
    | tokens, index | `step` | (1,) | int32 | words chosen so far |
    | index | `row` | (1,) | int32 | sample |
    | index | `position` | (1,) | int32 | 0, then 1 + first word of the answer |
    | all | `start` | (C,) | float32 or int8 | 1 at the first word of the answer |
    | all | `overlap` | (C,) | float32 or int8 | 1 at content words that the question has too |
    | all | `near` | (C,) | float32 or int8 | 1 within 5 words of one of those |
    | all | `dense` | (C,) | float32 or int8 | 1 within 15 words of three of those |

    ## Action Space
    `Discrete(C)`: word k of the passage.

    ## Action Mask
    First the words of the passage, then at most `max_answer` words from the first one on.

    ## Rewards
    - `correctness` (default): 1 for the first word of a gold answer; 1 for a last word that makes
      the span a gold answer.
    - `metric`: change of the answer's F1; after one decision the answer is that one word.
    - `sparse`: F1 of the answer, at the end.

    ## Starting State
    No word chosen.

    ## Episode End
    After two decisions.

    ## Metric
    SQuAD's F1 (`squad_f1`): words in normal form, the best over the golds, averaged over questions;
    exact match beside it. Where a script marks no words by spaces (Chinese, Japanese, Thai, ...),
    each of its characters is a word, and no punctuation is left: as MLQA scores Chinese.

    ## Information
    `info["score"]` at the end: the answer's F1. For the rest see `Task`.

    ## Arguments
    Those of `Task` (`max_tokens` is 512 here), and:

    | name | default | meaning |
    |---|---|---|
    | `max_words` | 600 | words C that can be chosen; later ones are read, but out of reach |
    | `max_answer` | 30 | most words in an answer |
    | `f1` | auto | what F1 counts: `words`, `characters` as above, or what suits the passages |

    ## Registered Ids
    `SpanQA-SQuAD-v0`, `SpanQA-v0`

    ## Version History
    * v0: initial version.
    """

    family = "spanqa"
    default_layers = (4,)
    metric_name = "squad_f1"

    def __init__(
        self, *, max_words: int = 600, max_answer: int = 30, f1: str = "auto", **kwargs: Any
    ) -> None:
        check_name("f1", f1, ("auto", *FORMS))
        super().__init__(max_words, max_answer, **{"max_tokens": 512, **kwargs})
        samples = self.corpus.samples
        self.extras = {**self.extras, **dict.fromkeys(FLAGS, Extra(self.max_words, 1))}
        self._flags = question_flags(samples, self.max_words)
        texts = {sample.extra["text"] for sample in samples}
        self.f1 = fitting_form(texts) if f1 == "auto" else f1
        self._gold = SpanGold(samples, self.max_answer, self.f1) if self.has_gold else None

    @cached_property
    def units(self) -> Units:
        """For each row its question, then the words of its passage."""
        return joint_units(self.corpus.samples, self.encoder)

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        return span_tables(np.diff(self.corpus.offsets), self.max_words)

    @cached_property
    def token_view(self) -> JointTokens:
        """Question and passage as one row of ids."""
        return JointTokens(self)

    def play(self, state: SpanState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        begins = state.first < 0
        state.last = np.where(begins, -1, actions)
        state.first = np.where(begins, actions, state.first)
        state.slot = self.tables.offsets.take(state.row) + 1 + state.first
        gold = self._gold
        right = None if gold is None else gold.right(state.row, state.first, state.last)
        return right, 0.0, ~begins

    def oracle(self, state: SpanState) -> Int64Array:
        """See `SpanGold.expert`."""
        self.require_gold("oracle")
        assert self._gold is not None
        return self._gold.expert(state.row, state.first, *self._bounds(state))

    def potential(self, state: SpanState) -> Float64Array:
        """See `Task.potential`."""
        assert self._gold is not None
        first = np.maximum(state.first, 0)
        value = self._gold.f1(state.row, first, np.maximum(state.last, first))
        return on_grid(np.where(state.first < 0, 0.0, value))

    def extra(self, state: SpanState) -> Observation:
        """See the class's Observation Space."""
        flags = {key: table.take(state.row, axis=0) for key, table in self._flags.items()}
        return super().extra(state) | flags

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        golds = [[answer[0] for answer in self._sample(row).gold] for row in rows]
        said = [
            answer_of(self._sample(row), output)[0]
            for row, output in zip(rows, outputs, strict=True)
        ]
        return squad_score(golds, said, f1=self.f1, bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The answer, its characters and its question."""
        extra, (answer, start, end) = self._sample(row).extra, answer_of(self._sample(row), output)
        asked = extra.get("question_text") or " ".join(extra["question"])
        identity = {"id": extra["qid"]} if extra["qid"] != "" else {}  # else its place in the file
        return {**identity, "question": asked, "answer": answer, "start": start, "end": end}

    def frame(self, state: SpanState, i: int) -> Any:
        """See `Task.frame`."""
        row = int(state.row[i])
        words, chosen = self._sizes[row], (int(state.first[i]), int(state.last[i]))
        return span_frame(self.title(row), self._sample(row), chosen, int(words))
