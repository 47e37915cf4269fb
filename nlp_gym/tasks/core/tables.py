"""Units and tables: what the vectors of an observation are, and where each state finds its own.

A task names the *units* that are encoded once (words, texts or spans of texts) and index tables
from states to units. A step then moves indices; vectors are gathered where they are needed, by the
environment (`features` observations) or by the agent (`index` observations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError

Indices = npt.NDArray[np.integer[Any]]


@dataclass
class TextIndex:
    """Numbers distinct texts in order of first sight.

    Attributes:
        texts: The texts.
        seconds: The word at which the second of a text's two parts begins, as in `Units`.
    """

    texts: list[tuple[str, ...]] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)
    _numbers: dict[tuple[str, ...], int] = field(default_factory=dict, repr=False)

    def add(self, words: Sequence[str], second: int = 0) -> int:
        """The number of a text; equal texts have one number, and the parts of the first of them.

        A text without a word has no vector: its number is -1, which `Tables.build` turns into the
        zero vector.

        Args:
            words: The text.
            second: The word at which its second part begins; 0: it has one part.
        """
        key = tuple(words)
        if not key:
            return -1
        number = self._numbers.setdefault(key, len(self.texts))
        if number == len(self.texts):
            self.texts.append(key)
            self.seconds.append(second if second < len(key) else 0)
        return number

    def seal(self) -> None:
        """Forget what only `add` needs, once all texts are known; it takes more than the texts."""
        self._numbers = {}


@dataclass(frozen=True)
class UnitFlags:
    """Flags of 0 or 1 of every unit: each distinct row is kept once.

    Attributes:
        rows: (P, n) int8, the distinct rows.
        numbers: (U+1,) which of them a unit has; the last stands for no unit.
    """

    rows: npt.NDArray[np.int8]
    numbers: Indices

    def of(self, units: Indices) -> npt.NDArray[np.int8]:
        """(B, K*n) flags of `units` (B, K)."""
        return self.rows.take(self.numbers.take(units), axis=0).reshape(len(units), -1)


@dataclass(frozen=True)
class NamedUnits:
    """Units that a state names itself, by their places among those of its row.

    A table over slots says what a state shows where that follows from how far the episode is. Where
    it follows from the decisions (the words on a parser's stack), the state says the places
    (`Task.named`), and an `index` observation holds them under the key ``words``.

    Attributes:
        begins: (N+1,) int64 the first unit of each row, whose units are consecutive, and last U.
        count: How many units K a state names.
        shared: Whether all rows have the same units: `begins` is then (2,), 0 and U.
        flags: What else is seen of each of them, by key. As with `Task.slot_flags`, keys come
            before those of `extras` in the alphabet, and `index` observations leave them out.
    """

    begins: npt.NDArray[np.int64]
    count: int
    shared: bool = False
    flags: Mapping[str, UnitFlags] = field(default_factory=dict)

    @property
    def longest(self) -> int:
        """Most units of a row; places are from 0 to this."""
        return int(np.diff(self.begins).max(initial=0))

    @property
    def flag_widths(self) -> dict[str, int]:
        """How many `flags` a state shows, by key."""
        return {key: self.count * flags.rows.shape[1] for key, flags in self.flags.items()}

    def of(self, rows: Indices, places: Indices) -> npt.NDArray[np.int64]:
        """(B, K) units at the `places` (B, K) of `rows` (B,); U for a place past the row's last."""
        if self.shared:
            return np.asarray(np.minimum(places, self.begins[-1]), np.int64)
        first = self.begins.take(rows)[:, None]
        units = first + places
        return np.where(units < self.begins.take(rows + 1)[:, None], units, self.begins[-1])


@dataclass(frozen=True)
class Tables:
    """Index tables from states to units; U, one past the last unit, is the zero vector.

    Attributes:
        offsets: (N,) int64 slot of position 0 of each row; slot = offsets[row] + position.
        context: (n_slots, K) units of the state.
        row_units: (N, R) units of the row itself, put before `context`; None: R = 0.
        candidates: (N or n_slots, C, J) units of each candidate; None: actions are labels.
        by: Whether `candidates` has one entry per ``"row"`` or per ``"slot"``.
        named: Units that states name themselves, put after `context`; None: there are none.
    """

    offsets: npt.NDArray[np.int64]
    context: Indices
    row_units: Indices | None = None
    candidates: Indices | None = None
    by: str = "row"
    named: NamedUnits | None = None

    @classmethod
    def build(
        cls,
        n_units: int,
        *,
        offsets: Any,
        context: Any,
        row_units: Any = None,
        candidates: Any = None,
        by: str = "row",
        named: NamedUnits | None = None,
    ) -> Tables:
        """Tables from integer arrays in which -1 stands for "no unit".

        Raises:
            InvalidArgumentError: The corpus has 2**31 units or more: their numbers are int32.
        """
        if n_units > np.iinfo(np.int32).max:
            raise InvalidArgumentError(
                f"The corpus has {n_units:,} units, of which tables can number 2**31 - 1: use a "
                "part of it."
            )

        def closed(array: Any) -> npt.NDArray[np.int32]:
            units = np.asarray(array)
            return np.where(units < 0, n_units, units).astype(np.int32)

        return cls(
            np.asarray(offsets, np.int64),
            closed(context),
            None if row_units is None else closed(row_units),
            None if candidates is None else closed(candidates),
            by,
            named,
        )

    @property
    def n_context(self) -> int:
        """Units in a context, those of the row, of the slot and those that the state names."""
        rows = 0 if self.row_units is None else int(self.row_units.shape[1])
        named = 0 if self.named is None else self.named.count
        return int(self.context.shape[1]) + rows + named

    def context_of(self, row: Indices, slot: Indices, places: Indices | None = None) -> Indices:
        """(B, `n_context`) units of the contexts of B states.

        Args:
            row: (B,) rows.
            slot: (B,) slots.
            places: (B, K) what the states name, where they do; see `NamedUnits`.
        """
        near = self.context.take(slot, axis=0)
        if self.row_units is not None:
            near = np.concatenate([self.row_units.take(row, axis=0), near], axis=1)
        if self.named is None:
            return near
        assert places is not None, "this task's states name units"
        named = self.named.of(row, places)
        return np.concatenate([near, named], axis=1) if near.shape[1] else named

    def candidates_of(self, row: Indices, slot: Indices) -> Indices:
        """(B, C, J) units of the candidates of B states; the task has candidates."""
        assert self.candidates is not None
        return self.candidates.take(row if self.by == "row" else slot, axis=0)


def index_type(n: int) -> type[np.signedinteger[Any]]:
    """Type of indices below `n` of which a state has many: int16 where they fit, else int32."""
    return np.int16 if n <= np.iinfo(np.int16).max + 1 else np.int32


def ragged(lists: Sequence[Sequence[int]], width: int) -> npt.NDArray[np.int32]:
    """(len(lists), width) int32, each list followed by -1; longer lists are cut."""
    table = np.full((len(lists), width), -1, np.int32)
    for row, values in enumerate(lists):
        part = values[:width]
        table[row, : len(part)] = part
    return table


@dataclass(frozen=True)
class SlotFlags:
    """Flags of 0 or 1 that follow from a state's slot alone: each distinct row is kept once.

    `features` and `tokens` observations have them; from `index` observations they are left out, as
    the slot that these name says them.

    Attributes:
        rows: (P, n) int8, the distinct rows.
        numbers: (n_slots,) which of them a slot has.
    """

    rows: npt.NDArray[np.int8]
    numbers: Indices

    def of(self, slots: Indices) -> npt.NDArray[np.int8]:
        """(B, n) flags at B slots."""
        return self.rows.take(self.numbers.take(slots), axis=0)

    @classmethod
    def around(cls, flags: UnitFlags, context: Indices) -> SlotFlags:
        """The K*n flags of the units that each slot shows.

        A corpus has far fewer distinct windows of flags than words.

        Args:
            flags: Of the units, n each.
            context: (n_slots, K) units of each slot, U for none.
        """
        numbers = np.zeros(len(context), np.int64)
        for column in context.T:  # windows that agree so far have one number
            pairs = numbers * len(flags.rows) + flags.numbers.take(column)
            numbers = np.unique(pairs, return_inverse=True)[1].reshape(-1)
        _, one = np.unique(numbers, return_index=True)
        return cls(flags.of(context[one]), numbers.astype(np.int32))


@dataclass(frozen=True)
class Extra:
    """Small integers seen of a state besides vectors, such as the last labels.

    In `features` observations they are floats where they are 0 or 1, one-hot vectors otherwise.

    Attributes:
        size: How many.
        high: Each is from 0 to this.
        plain: Integers in `features` observations too, for values too many for one-hot vectors.
    """

    size: int
    high: int
    plain: bool = False

    @property
    def dtype(self) -> type[np.integer[Any]]:
        """int8 for flags, of which a state may have hundreds; else int32."""
        return np.int8 if self.high == 1 else np.int32

    @property
    def width(self) -> int:
        """Floats they take in `features` observations."""
        return self.size if self.high == 1 else self.size * (self.high + 1)
