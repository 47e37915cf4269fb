"""Span question answering: the first word of the answer, then its last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int, check_name
from nlp_gym.errors import shown
from nlp_gym.metrics.answers.squad import ANSWER_TOKENIZERS, choose_tokens, squad_score
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.tasks.core.kinds import HookedTask, Text
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import ILLEGAL_COST, Focus, Output, Played, State
from nlp_gym.tasks.span_qa.gold import SpanGold
from nlp_gym.tasks.span_qa.samples import (
    MAX_ANSWER,
    Span,
    answer_of,
    as_span,
    check_questions,
    reachable_words,
    warn_longer_answers,
)
from nlp_gym.tasks.span_qa.units import FLAGS, JointTokens, joint_units, question_flags, span_tables
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame


def span_frame(title: str, sample: Sample, words: Span, stop: int) -> Frame:
    """Drawing of an episode: passage, question, and once it is there the answer.

    Args:
        title: As in `Frame`.
        sample: The question.
        words: First and last word chosen; -1: not yet.
        stop: Words from here on cannot be chosen.
    """
    from nlp_gym.render import Frame, Piece

    first, last = words
    inside = range(first, max(first, last) + 1) if first >= 0 else range(0)
    golds = sample.gold or ()
    good = {i for _, begin, end in golds for i in range(begin, end + 1)}
    pieces = []
    for i, word in enumerate(sample.words):
        mark = "dim" if i >= stop or (first >= 0 and last < 0 and i < first) else "plain"
        if i in inside:
            mark = "chosen" if i in good or not golds else "wrong"
        pieces.append(Piece(word, mark))
    pieces.append(Piece("Question: " + " ".join(sample.extra["question"]), line=True))
    if first >= 0:
        right = not golds or (first, max(words)) in {answer[1:] for answer in golds}
        text = answer_of(sample, words)[0]
        gold = "" if right or last < 0 else " / ".join(answer[0] for answer in golds)
        mark = "here" if last < 0 else "chosen" if right else "wrong"
        pieces.append(Piece("Answer: " + text, mark, gold=gold, line=True))
    return Frame(title, f"decision {(first >= 0) + (last >= 0)}/2", pieces)


@dataclass
class SpanState(State):
    """State of B questions.

    Attributes:
        first: (B,) int64 first word of the span, -1 before it is chosen.
        last: (B,) int64 its last word, likewise.
    """

    first: Int64Array
    last: Int64Array


class PointSpan(HookedTask):
    """A kind of task: a span of the text is pointed at, its first word and then its last.

    A subclass says with `family` which files it reads, and overrides `question` and `right`::

        class Longest(PointSpan):
            family = "tagging"

            def question(self, row):
                return "Which word is the longest?"

            def right(self, row):
                words = [len(word) for word in self.sample(row).words]
                place = words.index(max(words))
                return [(place, place)]

    The score is SQuAD's F1.

    Args:
        max_words: Words C that can be chosen; later ones are out of reach.
        max_answer: Most words in a span; None: a number of `MAX_ANSWER`, by what suits the texts. A
            warning counts the gold answers that are longer.
        f1: What F1 counts: ``"words"``, ``"characters"`` or ``"auto"``, what suits the texts.
        **kwargs: Those of `Task`.
    """

    default_layers = (4,)
    metric_name = "squad_f1"
    trace_view = "span"
    hooks = ("question", "right")
    hooked_family = "spanqa"

    def __init__(
        self,
        *,
        max_words: int = 600,
        max_answer: int | None = None,
        f1: str = "auto",
        **kwargs: Any,
    ) -> None:
        check_name("f1", f1, ("auto", *ANSWER_TOKENIZERS))
        c = self.max_words = check_int("max_words", max_words, 1, 4096)
        if max_answer is not None:
            check_int("max_answer", max_answer, 1, 1000)
        super().__init__(**{"max_tokens": 512, **kwargs})
        samples = self.corpus.samples
        check_questions(samples)
        self._sizes = reachable_words(samples, c)
        # Row k is true below k: rows are taken many times faster than compared.
        self._below = np.tri(c + 1, c, -1, dtype=bool)
        flags = dict.fromkeys(FLAGS, Extra(c, 1))
        self.extras = {"start": Extra(c, 1), "step": Extra(1, 2), **flags}
        self._flags = question_flags(samples, c)
        tokens = choose_tokens({sample.extra["text"] for sample in samples})
        self.f1 = tokens if f1 == "auto" else f1
        self.max_answer = MAX_ANSWER[tokens] if max_answer is None else int(max_answer)
        warn_longer_answers(samples, self.max_answer, tokens)
        self._gold = SpanGold(samples, self.max_answer, self.f1) if self.has_gold else None

    def question(self, row: int) -> Text:
        """What is asked of the text, which is the words of the sample."""
        asked: Text = self.sample(row).extra.get("question", ())
        return asked

    def right(self, row: int) -> Sequence[Span]:
        """The gold answers: the index of the first and of the last word of each, both included."""
        gold = self.sample(row).gold
        return [answer[1:] for answer in gold] if isinstance(gold, (tuple, list)) else []

    @override
    def hooked_sample(self, row: int) -> Sample:
        sample = self.sample(row)
        asked = self.hooked_words("question", row, self.question(row))
        ends = np.cumsum([len(word) + 1 for word in sample.words]).tolist()
        text = " ".join(sample.words)
        spans = [(end - 1 - len(w), end - 1) for w, end in zip(sample.words, ends, strict=True)]
        gold = None
        if sample.annotated:
            answers = self._hooked_spans(row, len(sample.words))
            gold = tuple((text[spans[a][0] : spans[b][1]], a, b) for a, b in answers)
        extra = {"question": asked, "text": text, "spans": tuple(spans), "qid": ""}
        return Sample(sample.words, None, sample.id, extra, gold)

    def _hooked_spans(self, row: int, n: int) -> list[Span]:
        allowed = (
            "a list of answers, at least one, each a pair (first word, last word) of integers with "
            f"0 <= first <= last <= {n - 1}, as the text has {n} words"
        )
        given = self.hooked_list("right", row, self.right(row), allowed)
        spans = [as_span(answer, n) for answer in given]
        found = [span for span in spans if span is not None]
        if not found or len(found) < len(spans):
            which = f", in which {shown(given[spans.index(None)])} is none" if given else ""
            raise self.hook_error("right", row, f"gave {shown(given)}{which}; allowed: {allowed}.")
        return found

    @property
    @override
    def n_actions(self) -> int:
        """Number C of words that can be chosen."""
        return self.max_words

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) two decisions."""
        return np.full(len(self.corpus), 2, np.int64)

    @cached_property
    @override
    def units(self) -> Units:
        """For each row its question, then the words of its passage."""
        return joint_units(self.corpus.samples, self.encoder)

    @cached_property
    @override
    def tables(self) -> Tables:
        return span_tables(np.diff(self.corpus.offsets), self.max_words)

    @cached_property
    @override
    def token_view(self) -> JointTokens:
        """Question and passage as one row of ids."""
        return JointTokens(
            self.corpus.samples,
            self.encoder,
            max_tokens=self.max_tokens,
            max_words=self.n_actions,
        )

    @override
    def initial(self, rows: Int64Array) -> SpanState:
        none = np.full(len(rows), -1, np.int64)
        return SpanState(**self.state_fields(rows), first=none, last=none.copy())

    def _bounds(self, state: SpanState) -> tuple[Int64Array, Int64Array]:
        """(B,) first legal word and (B,) one past the last."""
        size = self._sizes.take(state.row)
        stop = np.where(state.first < 0, size, np.minimum(size, state.first + self.max_answer))
        return np.maximum(state.first, 0), stop

    @override
    def mask(self, state: SpanState) -> BoolArray:
        low, stop = self._bounds(state)
        legal: BoolArray = self._below.take(stop, axis=0)
        if low.any():
            legal ^= self._below.take(low, axis=0)
        return legal

    @override
    def repair(self, state: SpanState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """The first legal word is played for an illegal one; no mask is made."""
        low, stop = self._bounds(state)
        illegal = (actions < low) | (actions >= stop)
        return np.where(illegal, low, actions), illegal

    @override
    def action_rewards(self, state: SpanState) -> Float64Array:
        """(B, C) as in `Task`, where most words are out of reach and cost the same."""
        if self.constant_reward is not None:
            return np.full((len(state.row), self.max_words), self.constant_reward)
        low, stop = self._bounds(state)
        width = int((stop - low).max())
        tried = np.minimum(low[:, None] + np.arange(width), stop[:, None] - 1)
        legal = self.branch(state, tried).rewards
        lost = np.full(len(low), ILLEGAL_COST)
        if self.reward == "sparse":  # costs come with the last word, where there is gold
            lost *= (state.first >= 0) & self.has_gold
        rewards = np.repeat((legal[:, 0] - lost)[:, None], self.max_words, axis=1)
        np.put_along_axis(rewards, tried, legal, axis=1)
        return rewards

    @override
    def oracle(self, state: SpanState) -> Int64Array:
        """(B,) the best next word, see `SpanGold.expert`."""
        self.require_gold("oracle")
        assert self._gold is not None
        return self._gold.expert(state.row, state.first, *self._bounds(state))

    @override
    def play(self, state: SpanState, actions: Int64Array) -> Played:
        begins = state.first < 0
        state.last = np.where(begins, -1, actions)
        state.first = np.where(begins, actions, state.first)
        state.slot = self.tables.offsets.take(state.row) + 1 + state.first
        gold = self._gold
        right = None if gold is None else gold.right(state.row, state.first, state.last)
        return right, 0.0, ~begins

    @override
    def potential(self, state: SpanState) -> Float64Array:
        """(B,) F1 of the answer; after one decision that is the one word."""
        assert self._gold is not None
        first = np.maximum(state.first, 0)
        value = self._gold.f1(state.row, first, np.maximum(state.last, first))
        return on_grid(np.where(state.first < 0, 0.0, value))

    @override
    def extra(self, state: SpanState) -> Observation:
        """Where the span begins, how many words are chosen, and the marks of `question_flags`."""
        begun = state.first >= 0
        (at,) = begun.nonzero()
        start = np.zeros((len(begun), self.max_words), np.int8)
        start[at, state.first.take(at)] = 1
        step = begun.astype(np.int32) + (state.last >= 0)
        flags = {key: table.take(state.row, axis=0) for key, table in self._flags.items()}
        return {"start": start, "step": step[:, None], **flags}

    @override
    def outputs(self, state: SpanState) -> list[Output]:
        """Each output is (first word, last word) of the answer; (-1, -1) where there is none."""
        last = np.maximum(state.last, state.first)
        return list(zip(state.first.tolist(), last.tolist(), strict=True))

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        golds = [[answer[0] for answer in self.sample(row).gold] for row in rows]
        said = [
            answer_of(self.sample(row), output)[0]
            for row, output in zip(rows, outputs, strict=True)
        ]
        return squad_score(golds, said, tokens=self.f1, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The answer, its characters and its question."""
        extra, (answer, start, end) = self.sample(row).extra, answer_of(self.sample(row), output)
        asked = extra.get("question_text") or " ".join(extra["question"])
        identity = {"id": extra["qid"]} if extra["qid"] != "" else {}  # else its place in the file
        return {**identity, "question": asked, "answer": answer, "start": start, "end": end}

    @override
    def action_text(self, state: SpanState, i: int, action: int) -> str:
        """The word of the passage."""
        row = int(state.row[i])
        return self.sample(row).words[action] if action < self._sizes[row] else ""

    @override
    def focus(self, state: SpanState, i: int) -> Focus:
        """Whether the first or the last word is chosen."""
        return Focus(text="start" if state.first[i] < 0 else "end")

    @override
    def trace_context(self, row: int) -> dict[str, str]:
        extra = self.sample(row).extra
        return {"question": extra.get("question_text") or " ".join(extra["question"])}

    @override
    def frame(self, state: SpanState, i: int) -> Frame:
        row = int(state.row[i])
        words, chosen = self._sizes[row], (int(state.first[i]), int(state.last[i]))
        return span_frame(self.title(row), self.sample(row), chosen, int(words))


class SpanQA(PointSpan):
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
    | `max_answer` | None | most words (Chinese: characters) in an answer; None: 30 (100) |
    | `f1` | auto | what F1 counts: `words`, `characters` as above, or what suits the passages |

    ## Registered Ids
    `SpanQA-SQuAD-v0`, `SpanQA-v0`

    ## Version History
    * v0: initial version.
    """

    family = "spanqa"
