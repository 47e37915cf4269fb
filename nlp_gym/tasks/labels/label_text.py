"""A text gets one label, at once or after it was read chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import Self, override

from nlp_gym.checks import check_bool, check_int, check_name, check_number
from nlp_gym.encode import encode_units
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.classification import text_accuracy
from nlp_gym.tasks.core.gold import expert_labels, single_gold
from nlp_gym.tasks.core.kinds import HookedTask, LabelTask, Text, UnitTask
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Focus, Output, Played, State
from nlp_gym.tasks.labels.chunks import MOST_CHUNKS, Chunks
from nlp_gym.tasks.labels.price import Price
from nlp_gym.types import BoolArray, Encoded, Float64Array, Int64Array, Observation, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame


PIECES = ("joint", "mean")
"""How a frozen encoder sees what was read of a text."""


@dataclass
class ClassificationState(State):
    """State of B texts.

    Attributes:
        label: (B,) int64 the label committed to, -1 before.
    """

    label: Int64Array


@dataclass
class PricedState(ClassificationState):
    """State of B texts that are read at a price of their own.

    Attributes:
        dial: (B,) int64 setting of the dial, see `Price.costs`.
    """

    dial: Int64Array


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
        read_cost: Reward that READ costs; ``"dial"`` or ascending costs: one of them is drawn with
            each episode and is observed.
        cost_per: What a cost is for: a ``"chunk"``, or a whole ``"text"``, of which a chunk costs
            its share of the words. None: ``"text"`` with a dial, else ``"chunk"``.
        skips: How many chunks can be passed over at once; an action each.
        jump: Whether there is an action that passes over all chunks but the last.
        pieces: How a frozen encoder sees what was read: as one text (``"joint"``, which encodes a
            text in each of its states), or as chunks of which the mean is taken (``"mean"``, which
            encodes it once). None: ``"mean"`` where chunks can be passed over, else ``"joint"``.
        holdout: Share of the training texts that environments draw from, where it is not 0; `bc`
            with `exits` learns labels from the others. How sure a classifier is of texts that it
            knows by heart says nothing of when to stop reading those it has never seen.
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
    fixed_arguments = ("skips", "jump", "pieces")

    def __init__(
        self,
        *,
        reading: bool = False,
        chunk: int = 8,
        read_cost: float | str | Sequence[float] = 1 / 64,
        cost_per: str | None = None,
        skips: Sequence[int] = (),
        jump: bool = False,
        pieces: str | None = None,
        holdout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.reading = check_bool("reading", reading)
        size = check_int("chunk", chunk, 1, 100_000)
        self.price = Price(read_cost, cost_per)
        # What any chunk costs in any episode, where that is one price: nothing is looked up then.
        one = not self.price.dial and not self.price.per_text
        self._flat = float(self.price.costs[0]) if one else None
        self.passes = _moves(skips, check_bool("jump", jump))
        skipping = len(self.passes) > 1
        if not self.reading and (skipping or self.price.dial):
            raise InvalidArgumentError(
                f"skips={shown(skips)}, jump={jump} and read_cost={shown(read_cost)} are ways to "
                "read chunk by chunk: they need reading=True."
            )
        if pieces is not None:
            check_name("pieces", pieces, PIECES)
        self.pieces = pieces or ("mean" if skipping else "joint")
        super().__init__(**kwargs)
        self._gold = single_gold(self.corpus.samples, self.labels)
        samples = self.corpus.samples
        share = check_number("holdout", holdout, 0.0, 0.9)
        if share and self.split == "train":
            held = max(1, round(share * len(samples)))
            self.drawn = np.sort(np.random.default_rng(0).permutation(len(samples))[:held])
        self._chunks = Chunks(samples, size if self.reading else None, skipping=skipping)
        self._held: int | None = None
        counted = {"chunks": Extra(1, MOST_CHUNKS - 1)} if self.reading else {}
        if self.reading and (skipping or self.price.dial or self.price.per_text):
            counted["left"] = Extra(1, MOST_CHUNKS - 1)
        if self.price.dial:
            counted["cost"] = Extra(len(self.price.costs) - 1, 1)
            self.dials, self.options = len(self.price.costs), ("read_cost",)
        self.extras = counted

    @property
    def read_cost(self) -> float | None:
        """The one price there is; None: it is a dial's, and none is held."""
        if self.price.dial and self._held is None:
            return None
        return float(self.price.costs[self._held or 0])

    def at_cost(self, read_cost: float) -> Self:
        """The same task with the dial held at a price, for `rollout` and evaluations.

        Raises:
            InvalidArgumentError: It is no setting of the dial.
        """
        held = copy(self)
        held._held = self.price.setting(read_cost)
        for name in ("views", "token_view"):
            vars(held).pop(name, None)
        return held

    @override
    def settled(self) -> Self:
        """The task at its lowest price, which is that of a text to predict."""
        return self.at_cost(float(self.price.costs[0])) if self.price.dial else self

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

    def words_read(self, row: int) -> list[int]:
        """How many words of a text are read after each of its chunks, where all are read."""
        return [self._chunks.stop(row, place) for place in range(int(self.lengths[row]))]

    def chunk_read(self, state: ClassificationState) -> Int64Array:
        """(B,) the chunk that was read last."""
        return self._chunks.place.take(state.slot).astype(np.int64)

    @property
    @override
    def n_actions(self) -> int:
        """Labels, and READ, SKIP and JUMP as far as there are these."""
        return len(self.labels) + (len(self.passes) if self.reading else 0)

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) chunks of each text: reading to the end is the longest episode."""
        return self._chunks.lengths

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per state of a text, its unit what was read."""
        if self.pieces == "mean":
            return self._chunks.own_tables()
        return self._chunks.tables(self.corpus.samples, self._texts)

    @cached_property
    @override
    def units(self) -> Units:
        """What was read in each state, as a text of its own."""
        if self.pieces == "mean":
            return self._chunks.own_units(self.corpus.samples)
        return UnitTask.units.func(self)  # type: ignore[attr-defined,no-any-return]

    @override
    def _vectors(self, **options: Any) -> Encoded:
        if self.pieces == "joint":
            return super()._vectors(**options)
        samples = self.corpus.samples
        return self._chunks.means(samples, lambda u: encode_units(u, self.encoder, **options))

    @override
    def initial(self, rows: Int64Array) -> ClassificationState:
        """Fresh episodes; the price of a text is the one held, else its number decides."""
        return self.initial_at(rows, rows if self.dials == 1 else rows % self.dials)

    @override
    def initial_at(self, rows: Int64Array, dial: Int64Array) -> ClassificationState:
        none = np.full(len(rows), -1, np.int64)
        if not self.price.dial:
            return ClassificationState(**self.state_fields(rows), label=none)
        setting = dial if self._held is None else np.full(len(rows), self._held)
        return PricedState(**self.state_fields(rows), label=none, dial=setting.astype(np.int64))

    @override
    def dial_of(self, options: Mapping[str, Any]) -> int | None:
        return self.price.setting(options["read_cost"]) if "read_cost" in options else None

    def _ahead(self, state: ClassificationState) -> Int64Array:
        """(B,) chunks behind the one that was read last."""
        return self.lengths.take(state.row) - 1 - self._chunks.place.take(state.slot)

    def _passed(self, state: ClassificationState, moves: Int64Array) -> Int64Array:
        """(B,) chunks that the moves `moves` (B,) pass over."""
        passed = np.array(self.passes, np.int64).take(moves)
        return np.where(passed < 0, self._ahead(state) - 1, passed)

    @override
    def mask(self, state: ClassificationState) -> BoolArray:
        n = len(self.labels)
        legal = np.ones((len(state.row), self.n_actions), bool)
        if self.passes == (0,):
            legal[:, n:] = ~self._chunks.last.take(state.slot)[:, None]
        else:
            least = [1 if passed < 0 else passed for passed in self.passes]
            legal[:, n:] = self._ahead(state)[:, None] > np.array(least)
        return legal

    @override
    def repair(
        self, state: ClassificationState, actions: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """The first label is played for a move for which there are too few chunks."""
        if self.passes != (0,):
            return super().repair(state, actions)
        illegal = (actions == len(self.labels)) & self._chunks.last.take(state.slot)
        return np.where(illegal, 0, actions), illegal

    @override
    def oracle(self, state: ClassificationState) -> Int64Array:
        """(B,) READ up to the end, then the gold label (0 if the inventory lacks it)."""
        last = self._chunks.last.take(state.slot)
        return np.where(last, self.commitment(state), len(self.labels))

    def commitment(self, state: ClassificationState) -> Int64Array:
        """(B,) what the expert would commit to now: the gold label."""
        self.require_gold("oracle")
        assert self._gold is not None
        return expert_labels(self._gold.take(state.row), len(self.labels))

    @override
    def play(self, state: ClassificationState, actions: Int64Array) -> Played:
        n = len(self.labels)
        moved = actions >= n
        state.label = np.where(moved, state.label, actions)
        slot = state.slot
        if self.passes == (0,):
            state.slot = slot + moved
        else:
            passed = self._passed(state, np.where(moved, actions - n, 0))
            state.slot = np.where(moved, self._chunks.after(slot, np.where(moved, passed, 0)), slot)
        right = None
        if self._gold is not None:
            right = (actions == self._gold.take(state.row)).astype(np.float64)
        cost = self._cost(state, slot) if self._flat is None else self._flat
        return right, np.asarray(cost * moved, np.float64), ~moved

    def _cost(self, state: ClassificationState, before: Int64Array) -> Float64Array:
        """(B,) price of what was read between the slots `before` (B,) and those of `state`."""
        read = self._chunks.read
        words = (read.take(state.slot) - read.take(before)).astype(np.int64)
        setting = state.dial if isinstance(state, PricedState) else 0
        return self.price.of(setting, words, self._chunks.words.take(state.row))

    @override
    def potential(self, state: ClassificationState) -> Float64Array:
        assert self._gold is not None
        return np.asarray(state.label == self._gold.take(state.row), np.float64)

    @override
    def extra(self, state: ClassificationState) -> Observation:
        """Where in the text the last chunk read is, how many are behind it, and the price."""
        seen: Observation = {}
        if "chunks" in self.extras:
            seen["chunks"] = self.chunk_read(state).astype(np.int32)[:, None]
        if "left" in self.extras:
            seen["left"] = self._ahead(state).astype(np.int32)[:, None]
        if isinstance(state, PricedState):
            settings = np.arange(1, self.dials)
            seen["cost"] = (state.dial[:, None] >= settings).astype(np.int8)
        return seen

    @override
    def outputs(self, state: ClassificationState) -> list[Output]:
        """Each output is (label, words read, words); the label is empty before the end."""
        names, read = [*self.labels, ""], self._chunks.read.take(state.slot).tolist()
        words = self._chunks.words.take(state.row).tolist()
        labels = state.label.tolist()
        return [(names[k], seen, n) for k, seen, n in zip(labels, read, words, strict=True)]

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
        n = len(self.labels)
        if action < n:
            return self.labels[action]
        passed = self.passes[action - n]
        return "JUMP" if passed < 0 else f"SKIP {passed}" if passed else "READ"

    @override
    def focus(self, state: ClassificationState, i: int) -> Focus:
        """The piece that was read last."""
        row, position = int(state.row[i]), int(self.position(state)[i])
        return Focus(self._chunks.pieces_of(row, position)[-1])

    @override
    def frame(self, state: ClassificationState, i: int) -> Frame:
        from nlp_gym.render import Frame, Piece

        row, place = int(state.row[i]), int(self.chunk_read(state)[i])
        pieces = self._chunks.drawn(self.sample(row), row, int(self.position(state)[i]))
        if state.label[i] >= 0:
            label = self.labels[state.label[i]]
            wrong = [gold for gold in self.sample(row).labels or () if gold != label]
            pieces.append(Piece("=", "wrong" if wrong else "chosen", label, "".join(wrong), True))
        return Frame(self.title(row), f"chunk {place + 1}/{self.lengths[row]}", pieces)


def _moves(skips: object, jump: bool) -> tuple[int, ...]:
    """Chunks that READ, the SKIPs and JUMP pass over; JUMP is -1.

    Raises:
        InvalidArgumentError: `skips` are not distinct numbers of chunks.
    """
    most = MOST_CHUNKS - 2  # the first is always read, and one behind those that are passed over
    listed = isinstance(skips, Sequence) and not isinstance(skips, str)
    numbers = [check_int("skips", n, 1, most) for n in skips] if listed else [0]  # type: ignore[attr-defined]
    if 0 in numbers or len(set(numbers)) < len(numbers):
        raise InvalidArgumentError(
            f"skips={shown(skips)} must be a list of distinct numbers of chunks from 1 to {most}, "
            "such as (1, 2); () is for none."
        )
    return (0, *numbers, *([-1] if jump else []))
