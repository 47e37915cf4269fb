"""Sequence tagging from left to right, one label per word: entities (BIO) and parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.checks import check_bool, check_int, check_name
from nlp_gym.data.tags.schemes import canonical_scheme
from nlp_gym.data.text.shapes import ShapeTable
from nlp_gym.errors import shown
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.accuracy import Accuracy
from nlp_gym.metrics.labels.entities import EntityF1
from nlp_gym.tasks.core.gold import expert_labels, index_gold
from nlp_gym.tasks.core.kinds import HookedTask, LabelTask
from nlp_gym.tasks.core.positions import Positions
from nlp_gym.tasks.core.tables import Extra, SlotFlags, Tables, UnitFlags, index_type
from nlp_gym.tasks.core.task import Focus, Output, Played, State
from nlp_gym.tasks.tagging.bio import check_inventory
from nlp_gym.tasks.tagging.words import TokenWindows
from nlp_gym.types import (
    BoolArray,
    Float64Array,
    Int64Array,
    IntArray,
    Observation,
    Sample,
    Tokens,
    Units,
)

if TYPE_CHECKING:
    from nlp_gym.knowledge import KnowledgeBase
    from nlp_gym.render import Frame


_TABLE = 1 << 14
"""Pairs of labels up to which the answers for all of them are kept in tables."""


class Transitions:
    """What may follow what: with ``"BIO"`` ``I-X`` only ``B-X`` and ``I-X``, else anything.

    What is known is kept by label, and by pair of labels only where these are few.

    Args:
        labels: The A labels; A stands for no label yet.
        scheme: ``"BIO"`` or another one.

    Raises:
        InvalidArgumentError: BIO, and `labels` is no inventory of it.
    """

    def __init__(self, labels: Sequence[str], scheme: str) -> None:
        n = len(labels)
        self._free = np.ones(n, bool)  # whether a label may follow any other
        self._begin = np.arange(n)  # the label that is played where one may not follow
        self._continue = np.full(n + 1, -1)  # the I-X that may follow a label; -1: none
        if scheme == "BIO":
            check_inventory(labels)
            place = {name: i for i, name in enumerate(labels)}
            for i, name in enumerate(labels):
                self._continue[i] = place.get(f"I-{name[2:]}", -1) if name != "O" else -1
                if name.startswith("I-"):
                    self._free[i], self._begin[i] = False, place[f"B-{name[2:]}"]
        self._rows = self._played = None
        if (n + 1) * n <= _TABLE:
            self._rows = self._legal(np.arange(n + 1))
            every = np.repeat(np.arange(n + 1), n), np.tile(np.arange(n), n + 1)
            self._played = self._repaired(*every).reshape(n + 1, n)

    def legal(self, last: npt.NDArray[np.integer[Any]]) -> BoolArray:
        """(B, A) whether each label may follow the labels `last` (B,), in an array of its own."""
        if self._rows is None:
            return self._legal(last)
        return self._rows.take(last, axis=0)

    def _legal(self, last: npt.NDArray[np.integer[Any]]) -> BoolArray:
        legal = np.empty((len(last), len(self._free)), bool)
        legal[:] = self._free
        following = self._continue.take(last)
        (at,) = (following >= 0).nonzero()
        legal[at, following[at]] = True
        return legal

    def repair(self, last: npt.NDArray[np.integer[Any]], actions: Int64Array) -> Int64Array:
        """(B,) what is played for `actions`: ``B-X`` for an ``I-X`` that may not follow `last`."""
        if self._played is None:
            return self._repaired(last, actions)
        played: Int64Array = self._played[last, actions]
        return played

    def _repaired(self, last: npt.NDArray[np.integer[Any]], actions: Int64Array) -> Int64Array:
        legal = self._free.take(actions) | (self._continue.take(last) == actions)
        return np.where(legal, actions, self._begin.take(actions))


@dataclass
class TaggingState(State):
    """State of B texts.

    Attributes:
        history: (B, H) int32 last labels, latest first; A: none yet.
        played: (B, T) integers, all labels so far; see `index_type`.
        counts: (B, K) int32 counts of the metric.
    """

    history: npt.NDArray[np.int32]
    played: npt.NDArray[np.signedinteger[Any]]
    counts: npt.NDArray[np.int32]

    def note(self, places: IntArray, labels: Int64Array) -> None:
        """Write down the `labels` (B,) of the words at `places` (B,), and go to the next word."""
        self.played[np.arange(len(labels)), places] = labels
        if self.history.shape[1] > 1:
            self.history[:, 1:] = self.history[:, :-1]
        self.history[:, 0] = labels
        self.slot += 1


class LabelWords(LabelTask, HookedTask):
    """A kind of task: every word of a text gets one label, from left to right.

    A subclass overrides `right`, which gives one label per word::

        class Capitals(LabelWords):
            def right(self, row):
                return ["upper" if w[0].isupper() else "lower" for w in self.sample(row).words]

    It reads files of tagged words, unless `family` says otherwise. The labels are those that
    training has, sorted, or `labels=[...]`. The score is accuracy over words or, where labels are
    BIO tags (`scheme = "BIO"`), entity F1.

    Args:
        history_length: Number H of earlier labels that are seen.
        window: Words seen on each side of the current one in `features` observations.
        shape: What these words look like is seen too, see `nlp_gym.data.text.shapes`.
        **kwargs: Those of `Task`.

    Attributes:
        metric: The official score, and a sentence's from counts.
        scheme: ``"BIO"`` where labels are tags of entities, else ``"flat"``.
        neutral: Label that is not drawn where it is right, or None.
    """

    family = "tagging"
    labels_words = True
    trace_view = "tagging"
    reads_text = True
    baselines = ("majority-word",)
    hooks = ("right",)
    later_arguments = MappingProxyType({"shape": False})
    hooked_family = "tagging"
    metric: EntityF1 | Accuracy
    scheme: str = "flat"
    neutral: str | None = None

    def __init__(
        self, *, history_length: int = 1, window: int = 1, shape: bool = True, **kwargs: Any
    ) -> None:
        history_length = check_int("history_length", history_length, 1, 64)
        self.window = check_int("window", window, 0, 16)
        self.shape = check_bool("shape", shape)
        super().__init__(**kwargs)
        self._positions = Positions(self.corpus)
        gold_labels, self._gold = index_gold(self.corpus.samples, self.labels)
        self.metric = (EntityF1 if self.scheme == "BIO" else Accuracy)(self.labels, gold_labels)
        self.metric_name = self.metric.name
        self._transitions = Transitions(self.labels, self.scheme)
        self._last = self._positions.ends()
        self._place = self._positions.places()[1].astype(np.int32)
        self.extras = {"history": Extra(history_length, self.n_actions)}

    def right(self, row: int) -> Sequence[str]:
        """The gold labels of a text, one per word."""
        return self.sample(row).labels or ()

    @override
    def hooked_sample(self, row: int) -> Sample:
        sample = self.sample(row)
        if not sample.annotated:
            return sample
        allowed, n = "a list of labels, which are strings, one per word", len(sample.words)
        given = self.hooked_list("right", row, self.right(row), allowed)
        for label in given:
            if not isinstance(label, str) or not label:
                fault = f"gave {shown(given)}, in which {shown(label)} is no label"
                raise self.hook_error("right", row, f"{fault}; allowed: {allowed}.")
        if len(given) != n:
            raise self.hook_error(
                "right", row, f"gave {len(given)} labels for {n} words; give one per word."
            )
        return replace(sample.unannotated(), labels=tuple(given))

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) words of each text."""
        return self._positions.lengths

    @cached_property
    @override
    def units(self) -> Units:
        """Every word of the corpus."""
        return Units([sample.words for sample in self.corpus.samples])

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per word and one for each end; what lies outside a text is the zero unit."""
        return Tables(self._positions.offsets, self._positions.neighbours(self.window))

    @cached_property
    @override
    def slot_flags(self) -> Mapping[str, SlotFlags]:
        """What the words of the context look like, with `shape`."""
        if not self.shape:
            return {}
        table = ShapeTable(self.corpus)
        words = UnitFlags(table.rows, table.numbers)
        return {"flags": SlotFlags.around(words, self.tables.context)}

    @cached_property
    def tokens(self) -> Tokens:
        """Sub-word tokens of the corpus."""
        return self.encoder.tokenize([sample.words for sample in self.corpus.samples])

    @cached_property
    @override
    def token_view(self) -> TokenWindows:
        """The text around the current word; see `TokenWindows`."""
        return TokenWindows(self.tokens, self.corpus, self.max_tokens)

    @override
    def describe(self, knowledge: KnowledgeBase) -> npt.NDArray[np.int8]:
        """(n_slots, roles + 2): roles of the name a word is part of, and whether it begins one."""
        numbers = np.full(self._positions.n_slots, -1)
        begins = np.zeros((len(numbers), 2), np.int8)
        offsets = self._positions.offsets.tolist()
        for sample, offset in zip(self.corpus.samples, offsets, strict=True):
            for first, stop, number in knowledge.find(sample.words):
                numbers[offset + first : offset + stop] = number
                begins[offset + first, 0] = 1
                begins[offset + first + 1 : offset + stop, 1] = 1
        return np.concatenate([knowledge.describe(numbers), begins], axis=1)

    @override
    def initial(self, rows: Int64Array) -> TaggingState:
        """In the history of a fresh episode no label yet is the number A."""
        b, h = len(rows), self.extras["history"].size
        return TaggingState(
            **self.state_fields(rows),
            history=np.full((b, h), self.n_actions, np.int32),
            played=np.zeros((b, int(self.lengths.max())), index_type(self.n_actions)),
            counts=np.zeros((b, self.metric.n_counts), np.int32),
        )

    @override
    def mask(self, state: TaggingState) -> BoolArray:
        return self._transitions.legal(state.history[:, 0])

    @override
    def repair(self, state: TaggingState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """B-X is played for a forbidden I-X."""
        played = self._transitions.repair(state.history[:, 0], actions)
        return played, played != actions

    @override
    def oracle(self, state: TaggingState) -> Int64Array:
        """(B,) gold labels; the first label where the gold is not in the inventory."""
        self.require_gold("oracle")
        assert self._gold is not None
        return expert_labels(self._gold.take(state.slot), self.n_actions)

    @override
    def play(self, state: TaggingState, actions: Int64Array) -> Played:
        right = None
        if self._gold is not None:
            gold = self._gold.take(state.slot)
            self.metric.update(state.counts, actions, gold)
            right = (actions == gold).astype(np.float64)
        state.note(self._place.take(state.slot), actions)
        return right, 0.0, self._last.take(state.slot)

    @override
    def potential(self, state: TaggingState) -> Float64Array:
        return self.metric.potential(state.counts, self.lengths.take(state.row))

    @override
    def extra(self, state: TaggingState) -> Observation:
        """The last labels."""
        return {"history": state.history.copy()}

    @override
    def outputs(self, state: TaggingState) -> list[Output]:
        """Each output is a tuple of labels, one per word tagged so far."""
        played = zip(state.played.tolist(), self.position(state).tolist(), strict=True)
        return [tuple(self.labels[k] for k in tags[:n]) for tags, n in played]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        gold = [self.sample(i).labels or () for i in rows]
        return self.metric.score(gold, outputs, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Words and their labels."""
        return {"words": list(self.sample(row).words), "labels": list(output)}

    @override
    def focus(self, state: TaggingState, i: int) -> Focus:
        """The word."""
        place = int(self.position(state)[i])
        return Focus((place, place + 1))

    @override
    def frame(self, state: TaggingState, i: int) -> Frame:
        from nlp_gym.render import tagging_frame

        sample, n = self.sample(int(state.row[i])), int(self.position(state)[i])
        played = [self.labels[k] for k in state.played[i, :n]]
        title = self.title(int(state.row[i]))
        return tagging_frame(title, sample.words, played, sample.labels, neutral=self.neutral)

    @override
    def __getstate__(self) -> dict[str, Any]:
        """As `CorpusTask.__getstate__`; what is made again quickly is left out too."""
        dropped = {"tokens", "tables", "slot_flags", "views", "knowledge_table"}
        return {k: v for k, v in super().__getstate__().items() if k not in dropped}


SCHEMES = ("BIO", "flat")


class SequenceTagging(LabelWords):
    """Sequence tagging as a decision process.

    ## Description
    The agent reads a sentence from left to right and gives every word one label: a BIO tag of a
    named entity (`scheme="BIO"`) or a plain label such as a part of speech (`scheme="flat"`). It
    sees its own earlier labels, as in SEARN and DAgger (Daumé III et al. 2009; Ross et al. 2011).

    ## Data
    A corpus whose samples have words and one label per word: CoNLL, CoNLL-U, JSONL, CSV, or the
    export of an annotation tool. Gold labels that the inventory lacks are counted as missed. BIO
    tags may be spelled otherwise (`B_PER`, `PER-B`, `b-per`) in the whole file; the type of tags
    without one (`B`, `I`, `O`) is `ENT`.

    ## Observation Space
    A labels, H = `history_length`, D the width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the label is legal now |
    | features | `context` | ((2*window+1)*D,) | float32 | words around, 0 outside the text |
    | features | `history` | (H*(A+1),) | float32 | last labels, one-hot, latest first |
    | features | `flags` | ((2*window+1)*F,) | float32 | shape of these words, F flags each |
    | tokens, index | `history` | (H,) | int32 | last labels, latest first; A: none |
    | tokens | `flags` | ((2*window+1)*F,) | int8 | as above |
    | tokens | `input_ids`, `attention_mask` | (L,) | int32, int8 | the text around the word |
    | tokens | `focus` | (2,) | int32 | [start, end) of the current word in `input_ids` |
    | index | `row`, `position` | (1,) | int32 | sample and word |

    At the end of a text `context`, `flags` and `focus` are zero and `position` is its length.
    `index` observations name the word that `flags` follow from, and leave them out; our agents look
    them up in `task.slot_flags`.

    `flags` say what an encoder that ignores case does not see: the case of each word, its digits
    and signs, forms such as initials and Roman numbers, and whether it begins its text; the flags
    are `nlp_gym.data.text.shapes.SHAPE_FLAGS`. A word of a script without case, such as
    Chinese, has no flag of case, and a place outside the text has none.

    ## Action Space
    `Discrete(A)`: the label of the current word, numbered as `task.labels`.

    ## Action Mask
    BIO: `I-X` only after `B-X` or `I-X`; a forbidden `I-X` is played as `B-X` (the repair the
    lenient scorers make). Flat: everything is legal.

    ## Rewards
    - `correctness` (default): 1 for the gold label, else 0.
    - `metric`: change of the sentence's metric over the words tagged so far: strict entity F1 (an
      entity still open counts as it stands; nothing to find and nothing found is 1) or, flat, right
      labels over the sentence's length. The metric is 0 before the first word.
    - `sparse`: the sentence's metric, at its end.

    ## Starting State
    The first word of a sentence.

    ## Episode End
    After the last word.

    ## Metric
    BIO: micro-averaged entity F1, seqeval strict with IOB2. Flat: accuracy over words.

    ## Information
    `info["score"]` at the end: the sentence's metric. For the rest see `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `scheme` | by id | `"BIO"` or `"flat"` (reads labels as they are, unless `data_scheme` says) |
    | `history_length` | 1 | number H of earlier labels seen |
    | `window` | 1 | words seen on each side of the current one, but in `tokens` observations |
    | `shape` | True | see what the words look like, F = 23 flags each |
    | `data_scheme` | auto | tag scheme of the file: `"iob1"`, `"bioes"`, ... or `"none"` |

    ## Registered Ids
    `NER-CoNLL-v0`, `NER-WNUT-v0`, `NER-v0`, `POS-EWT-v0`, `POS-v0`

    ## Version History
    * v0: initial version.
    """

    def __init__(self, *, scheme: str = "BIO", data_scheme: str = "auto", **rest: Any) -> None:
        check_name("scheme", scheme, SCHEMES)
        bio = scheme == "BIO"
        self.scheme, self.neutral = scheme, "O" if bio else None
        given = canonical_scheme(data_scheme, "data_scheme")
        # A plain label is no tag, whatever it looks like.
        self._scheme = "none" if given == "auto" and not bio else given
        super().__init__(**rest)
