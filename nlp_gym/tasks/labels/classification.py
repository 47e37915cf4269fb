"""Classification by reading a text chunk by chunk and committing to a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_bool, check_int, check_text
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.metrics.labels.classification import text_accuracy
from nlp_gym.tasks.core.gold import expert_labels, single_gold
from nlp_gym.tasks.core.kinds import HookedTask, LabelTask, Text, UnitTask
from nlp_gym.tasks.core.tables import Extra, Tables, TextIndex
from nlp_gym.tasks.core.task import Focus, Output, Played, State
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Frame, Piece


MOST_CHUNKS = 8
"""The last of so many chunks is all the rest: long texts take no more decisions than this."""


def check_cost(argument: str, value: object) -> float:
    """Return a reward that is lost, as a multiple of 2**-20 (sums of those are exact).

    Raises:
        InvalidArgumentError: It is no number from 0 to 1.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        raise InvalidArgumentError(f"{argument}={shown(value)} must be a number from 0 to 1.")
    return float(on_grid(np.array([value], np.float64))[0])


class Chunks:
    """The chunks of N texts; each has one slot.

    Attributes:
        words: (N,) words of each text.
        lengths: (N,) chunks of each text.
        last: (n_slots,) whether a slot is the last of its text.

    Args:
        samples: The texts.
        size: Words of a chunk; None: a text is one chunk.
    """

    def __init__(self, samples: Sequence[Sample], size: int | None) -> None:
        self.words = np.array([len(sample.words) for sample in samples], np.int64)
        self._size = size or int(self.words.max())
        self.lengths: Int64Array = np.clip(-(-self.words // self._size), 1, MOST_CHUNKS)
        ends = np.cumsum(self.lengths)
        self.last = np.zeros(ends[-1], bool)
        self.last[ends - 1] = True

    def stop(self, row: int, place: int) -> int:
        """Words of a text that are read after a chunk."""
        last = place == self.lengths[row] - 1
        return int(self.words[row]) if last else (place + 1) * self._size

    def tables(self, samples: Sequence[Sample], texts: TextIndex) -> Tables:
        """One unit per slot: the text up to there, numbered in `texts`."""
        numbers = (
            texts.add(sample.words[: self.stop(row, place)])
            for row, (sample, n) in enumerate(zip(samples, self.lengths.tolist(), strict=True))
            for place in range(n)
        )
        context = np.fromiter(numbers, np.int32)[:, None]
        texts.seal()
        offsets = np.cumsum(self.lengths) - self.lengths
        return Tables.build(len(texts.texts), offsets=offsets, context=context)

    def pieces(self, sample: Sample, row: int, place: int) -> list[Piece]:
        """A text for people: what was read, the latest chunk, and the rest."""
        from nlp_gym.render import Piece

        stops = [self.stop(row, k) for k in range(self.lengths[row])]
        marks = ["plain"] * place + ["here"] + ["dim"] * len(stops)
        parts = zip([0, *stops], stops, marks, strict=False)
        return [Piece(" ".join(sample.words[a:b]), mark) for a, b, mark in parts]


@dataclass
class ClassificationState(State):
    """State of B texts.

    Attributes:
        label: (B,) int64 the label committed to, -1 before.
    """

    label: Int64Array


class LabelText(UnitTask, LabelTask, HookedTask):
    """A kind of task: a text gets one label, at once or after reading it chunk by chunk.

    A subclass overrides `right` and, where what is read is not the sample's words, `text`::

        class Length(LabelText):
            family = "tagging"

            def right(self, row):
                return "long" if len(self.sample(row).words) > 10 else "short"

    It reads files of labelled texts, unless `family` says otherwise, as here. The labels are those
    that training has, sorted, or `labels=[...]`. The score is accuracy over texts.

    Args:
        reading: Read chunk by chunk, with an action READ; else one decision on the whole text.
        chunk: Words per chunk.
        read_cost: Reward that READ costs.
        **kwargs: Those of `Task`.
    """

    family = "classification"
    reads_text = True
    trace_view = "reading"
    metric_name = "accuracy"
    default_layers: ClassVar[Any] = (2, 4, 6)
    out_of_scope: str | None = None
    """Label of texts in no class, whose recall the report has."""
    hooks = ("text", "right")
    hooked_family = "classification"

    def __init__(
        self,
        *,
        reading: bool = False,
        chunk: int = 8,
        read_cost: float = 1 / 64,
        **kwargs: Any,
    ) -> None:
        self.reading = check_bool("reading", reading)
        size = check_int("chunk", chunk, 1, 100_000)
        self.read_cost = check_cost("read_cost", read_cost)
        super().__init__(**kwargs)
        self._gold = single_gold(self.corpus.samples, self.labels)
        self._chunks = Chunks(self.corpus.samples, size if self.reading else None)
        self.extras = {"chunks": Extra(1, MOST_CHUNKS - 1)} if self.reading else {}

    def text(self, row: int) -> Text:
        """What is read; by default the words of the sample."""
        return self.sample(row).words

    def right(self, row: int) -> str:
        """The gold label of the text."""
        labels = self.sample(row).labels or ()
        return labels[0] if len(labels) == 1 else ""

    @override
    def hooked_sample(self, row: int) -> Sample:
        sample, labels = self.sample(row), None
        if sample.annotated:
            label = self.right(row)
            if not isinstance(label, str) or not label:
                raise self.hook_error(
                    "right", row, f"gave {shown(label)}; allowed: a label, which is a string."
                )
            labels = (label,)
        return Sample(self.hooked_words("text", row, self.text(row)), labels, sample.id)

    @property
    @override
    def n_actions(self) -> int:
        """Labels, and READ."""
        return len(self.labels) + self.reading

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) chunks of each text: reading to the end is the longest episode."""
        return self._chunks.lengths

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per chunk, its unit the text up to there."""
        return self._chunks.tables(self.corpus.samples, self._texts)

    @override
    def initial(self, rows: Int64Array) -> ClassificationState:
        none = np.full(len(rows), -1, np.int64)
        return ClassificationState(**self.state_fields(rows), label=none)

    @override
    def mask(self, state: ClassificationState) -> BoolArray:
        legal = np.ones((len(state.row), self.n_actions), bool)
        legal[:, len(self.labels) :] = ~self._chunks.last.take(state.slot)[:, None]
        return legal

    @override
    def repair(
        self, state: ClassificationState, actions: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """The first label is played for a READ at the end of the text."""
        illegal = (actions == len(self.labels)) & self._chunks.last.take(state.slot)
        return np.where(illegal, 0, actions), illegal

    @override
    def oracle(self, state: ClassificationState) -> Int64Array:
        """(B,) READ up to the end, then the gold label (0 if the inventory lacks it)."""
        self.require_gold("oracle")
        assert self._gold is not None
        n = len(self.labels)
        label = expert_labels(self._gold.take(state.row), n)
        return np.where(self._chunks.last.take(state.slot), label, n)

    @override
    def play(self, state: ClassificationState, actions: Int64Array) -> Played:
        read = actions == len(self.labels)
        state.label = np.where(read, state.label, actions)
        state.slot += read
        right = None
        if self._gold is not None:
            right = (actions == self._gold.take(state.row)).astype(np.float64)
        return right, self.read_cost * read, ~read

    @override
    def potential(self, state: ClassificationState) -> Float64Array:
        assert self._gold is not None
        return np.asarray(state.label == self._gold.take(state.row), np.float64)

    @override
    def extra(self, state: ClassificationState) -> Observation:
        """How many chunks were read after the first."""
        return {key: self.position(state).astype(np.int32)[:, None] for key in self.extras}

    @override
    def outputs(self, state: ClassificationState) -> list[Output]:
        """Each output is (label, words read, words); the label is empty before the end."""
        columns = (state.label.tolist(), state.row.tolist(), self.position(state).tolist())
        names, words = [*self.labels, ""], self._chunks.words.take(state.row).tolist()
        return [
            (names[k], self._chunks.stop(i, at), n)
            for (k, i, at), n in zip(zip(*columns, strict=True), words, strict=True)
        ]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        gold = [(self.sample(row).labels or ("",))[0] for row in rows]
        return text_accuracy(
            gold, outputs, out_of_scope=self.out_of_scope, bootstrap=bootstrap, report=report
        )

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        return dict(zip(("label", "read", "words"), output, strict=True))

    @override
    def action_text(self, state: ClassificationState, i: int, action: int) -> str:
        return "READ" if action == len(self.labels) else self.labels[action]

    @override
    def focus(self, state: ClassificationState, i: int) -> Focus:
        """The piece that was read last."""
        row, place = int(state.row[i]), int(self.position(state)[i])
        first = self._chunks.stop(row, place - 1) if place else 0
        return Focus((first, self._chunks.stop(row, place)))

    @override
    def frame(self, state: ClassificationState, i: int) -> Frame:
        from nlp_gym.render import Frame, Piece

        row, place = int(state.row[i]), int(self.position(state)[i])
        pieces = self._chunks.pieces(self.sample(row), row, place)
        if state.label[i] >= 0:
            label = self.labels[state.label[i]]
            wrong = [gold for gold in self.sample(row).labels or () if gold != label]
            pieces.append(Piece("=", "wrong" if wrong else "chosen", label, "".join(wrong), True))
        return Frame(self.title(row), f"chunk {place + 1}/{self.lengths[row]}", pieces)


class Classification(LabelText):
    """Classification as a decision process.

    ## Description
    The agent reads a text chunk by chunk and may commit to a label at any time; to read on costs a
    little (Dulac-Arnold et al. 2011). With `reading=False` it decides once, on the whole text.

    ## Data
    Texts with one label: SST-2, AG News, TREC (`column="fine"`: 50 labels), CLINC150, BANKING77,
    SNIPS; your CSV, TSV (columns `text`, `label`), JSON Lines (`{"text", "label"}`). Gold labels
    that the inventory lacks are counted as missed.

    ## Observation Space
    `Dict`, with A actions, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal now |
    | features | `chunks` | (8,) | float32 | chunks read after the first, one-hot |
    | features | `context` | (D,) | float32 | mean vector of the words read so far |
    | tokens | `input_ids`, `attention_mask` | (1, L) | int32, int8 | sub-words read so far |
    | tokens, index | `chunks` | (1,) | int32 | the same number |
    | index | `row`, `position` | (1,) | int32 | text, and the same number |

    What was read is encoded as a text of its own: vectors of the whole text would tell of words not
    read yet. With `reading=False` there is no `chunks`.

    ## Action Space
    `Discrete(A)`: the labels, numbered as `task.labels`, then READ (not with `reading=False`).

    ## Action Mask
    READ is not legal at the end of the text.

    ## Rewards
    1 for the gold label, else 0, with each `reward`; READ costs `read_cost`. The expert reads to
    the end before it commits: one that did not could not be learned from the words it has seen.

    ## Starting State
    The first chunk of a text.

    ## Episode End
    With a label. A text has at most 8 chunks; the last is all the rest.

    ## Metric
    Accuracy. The report has macro F1 (over labels in gold or prediction), the share of all words
    that was read, the table of up to 60 labels; where `out_of_scope` occurs, its recall.

    ## Information
    `info["score"]` at the end: 1 for the gold label, else 0. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `reading` (True), `chunk` (words; by id, else 8), `read_cost` (1/64),
    `out_of_scope` (`"oos"`): the label of texts in no class.

    ## Registered Ids
    `Sentiment-SST2-v0`, `Topic-AGNews-v0`, `Question-TREC-v0`, `Intent-CLINC-v0` and
    `Classification-v0`

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self, *, reading: bool = True, out_of_scope: str | None = "oos", **kwargs: Any
    ) -> None:
        if out_of_scope is not None:
            self.out_of_scope = check_text("out_of_scope", out_of_scope)
        super().__init__(reading=reading, **kwargs)
