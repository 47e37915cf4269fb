"""An encoded corpus as tensors, which all networks gather vectors from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.utils import get_device

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.tables import SlotFlags, Tables
from nlp_gym.types import INT8_STEP, BoolArray, Encoded, Int64Array
from nlp_gym_agents.networks.encoder.placement import home
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts, ranges, shared_tensor

MAX_ROWS = 2**24
"""Stable-Baselines3 casts observations to float32, which is exact below this."""

_NUMBERS = itertools.count()
_SHARED = 4
"""Look for units that repeat where there are fewer than this many units a gathered one."""


class TableTask(Protocol):
    """The part of a task that `FeatureSource` reads."""

    @property
    def encoded(self) -> Encoded:
        """Vectors of the units."""

    @property
    def tables(self) -> Tables:
        """From states to units."""

    @property
    def slot_flags(self) -> Mapping[str, SlotFlags]:
        """What follows from the slot alone."""

    @property
    def masks(self) -> BoolArray | None:
        """(K, A) all the masks there are, where observations name them by number."""

    def source_pieces(self, most: int) -> Int64Array | None:
        """(U+1, most) tokens of each unit, where texts are written."""


def looked_up_widths(task: TableTask) -> dict[str, int]:
    """Widths of what a task's states show besides vectors that `index` observations leave out."""
    named = task.tables.named
    widths = {key: int(flags.rows.shape[1]) for key, flags in task.slot_flags.items()}
    return widths | ({} if named is None else named.flag_widths)


class FeatureSource:
    """The encoded units of a task and its tables as tensors, to gather observations from.

    On the CPU the features share memory with the task's (memory-mapped) array; on a GPU they are
    moved there once, if they fit into 80% of the free memory. Networks share a source, and it is
    no part of their weights.

    Args:
        task: Whose corpus is read.
        device: Where gathered vectors are wanted: `"auto"`, `"cpu"`, `"cuda"`.
        trainable: The encoder learns: units are only named here, and the policy encodes them.

    Attributes:
        features: (U+1, D) float16, or int8 in units of `INT8_STEP`; row U is zeros. Absent where
            the encoder learns.
        unit_texts: The texts of the units; None where the encoder is frozen.
        number: No other source of this process has it.
        dim: Width D of a unit.
        n_units: Number U of units; it also stands for "none" in the tables.
        width: n_context*D, the width of a context.
        masks: (K, A) bool that `legal` of an observation counts; None where it has `action_mask`.
        longest: Most units of a row, of those that all its states share.
        n_candidates: Most candidates C a state has; 0 where actions are labels.
        parts: Units J a candidate.
        flags: Widths of what is looked up by what an observation names, by key: see
            `Task.slot_flags` and `NamedUnits.flags`.

    Raises:
        InvalidArgumentError: The corpus has 2**24 texts (or states of one text) or more.
    """

    def __init__(
        self, task: TableTask, device: th.device | str = "auto", *, trainable: bool = False
    ) -> None:
        self.device = get_device(device)
        self.number = next(_NUMBERS)
        tables = task.tables
        if len(tables.offsets) > MAX_ROWS:
            raise InvalidArgumentError(
                f"task: {len(tables.offsets)} texts, but observations count rows in float32, which "
                f"is exact below {MAX_ROWS}: split the corpus."
            )
        self._home = self.device
        self.unit_texts: UnitTexts | None = None
        if trainable:
            texts = UnitTexts(task)  # type: ignore[arg-type]  # a whole task, not tables alone
            self.unit_texts, self.dim, self.n_units = texts, texts.encoder.dim, texts.n_units
        else:
            features = shared_tensor(task.encoded.features)
            self._home = home(features.nbytes, self.device)
            self.features = features.to(self._home)
            self.dim, self.n_units = int(features.shape[1]), len(features) - 1
        self._offsets = self._here(tables.offsets)
        self._context = self._here(tables.context)
        self._row_units = None if tables.row_units is None else self._here(tables.row_units)
        self._candidates = None if tables.candidates is None else self._here(tables.candidates)
        self._flags = {
            key: (self._here(flags.numbers), self._here(flags.rows))
            for key, flags in task.slot_flags.items()
        }
        self._pieces_of = task.source_pieces
        self._pieces: dict[int, th.Tensor] = {}
        self.masks = None if task.masks is None else shared_tensor(task.masks).to(self.device)
        self._begins_of = None if tables.named is None else self._here(tables.named.begins)
        self._shares_units = tables.named is not None and tables.named.shared
        self._unit_flags = {
            key: (self._here(flags.numbers), self._here(flags.rows))
            for key, flags in (tables.named.flags.items() if tables.named is not None else ())
        }
        self._by_row = tables.by == "row"
        rows = tables.row_units
        self.longest = 0 if rows is None else int((rows != self.n_units).sum(axis=1).max())
        self._begins = np.unique(tables.offsets)
        self.width = tables.n_context * self.dim
        self.flags = looked_up_widths(task)
        shape = (0, 0) if tables.candidates is None else tables.candidates.shape[1:]
        self.n_candidates, self.parts = int(shape[0]), int(shape[1])

    def __deepcopy__(self, memo: object) -> FeatureSource:
        """Copies of a network read the same corpus."""
        return self

    def gather_into(
        self,
        out: th.Tensor,
        row: th.Tensor,
        position: th.Tensor,
        places: th.Tensor | None = None,
    ) -> None:
        """Write the contexts of B states, and the flags of each, into `out`.

        Args:
            out: (B, `width` + all `flags`) float32; may be a slice of a wider tensor.
            row: (B, 1) index of the text.
            position: (B, 1) index of the state in it.
            places: (B, K) what the states name, where they do; see `NamedUnits`.
        """
        self._widen(out[:, : self.width], self.context(row, position, places).reshape(-1))
        self.flags_into(out[:, self.width :], row, position, places)

    def flags_into(
        self,
        out: th.Tensor,
        row: th.Tensor,
        position: th.Tensor,
        places: th.Tensor | None = None,
    ) -> None:
        """Write the flags of B states into `out` (B, all `flags`) float32, as for `gather_into`."""
        first = 0
        for numbers, rows in self._flags.values():
            n = rows.shape[1]
            slot = self._places(row, position)[1]
            out[:, first : first + n] = rows.index_select(0, numbers.index_select(0, slot))
            first += n
        if self._unit_flags:
            units = self._named(row.to(self._home).long().view(-1), places)
        for numbers, rows in self._unit_flags.values():
            n = units.shape[1] * rows.shape[1]
            distinct = numbers.index_select(0, units.flatten()).int()
            out[:, first : first + n] = rows.index_select(0, distinct).view(len(units), n)
            first += n

    def context(
        self, row: th.Tensor, position: th.Tensor, places: th.Tensor | None = None
    ) -> th.Tensor:
        """(B, n_context) units of the contexts of B states; arguments as for `gather_into`."""
        row, slot = self._places(row, position)
        units = self._context.index_select(0, slot)
        if self._row_units is not None:
            units = th.cat([self._row_units.index_select(0, row), units], dim=1)
        if self._begins_of is None:
            return units
        named = self._named(row, places)
        return th.cat([units, named.to(units.dtype)], dim=1) if units.shape[1] else named

    def _named(self, row: th.Tensor, places: th.Tensor | None) -> th.Tensor:
        """(B, K) units that B states name."""
        assert places is not None, "states of this task name units, and places= is not given"
        assert self._begins_of is not None, "states of this task name no units"
        if self._shares_units:
            row = th.zeros_like(row)
        named = self._begins_of[row][:, None] + places.to(self._home).long()
        there = named < self._begins_of[row + 1][:, None]
        return th.where(there, named, self._begins_of[-1])

    def pieces(self, units: th.Tensor, most: int) -> th.Tensor:
        """(..., most) tokens of words of sources, see `Task.source_pieces`; 0 for no word.

        Args:
            units: (...) words.
            most: Tokens of each.
        """
        if most and most not in self._pieces:
            pieces = self._pieces_of(most)
            if pieces is not None:
                self._pieces[most] = th.as_tensor(pieces)
        if most not in self._pieces:
            return units.new_zeros(*units.shape, most)
        return self._pieces[most][units.cpu()].long()

    def gather(
        self, row: th.Tensor, position: th.Tensor, places: th.Tensor | None = None
    ) -> th.Tensor:
        """The contexts of B states, (B, `width`) float32 on the source's device."""
        out = th.empty((row.numel(), self.width), device=self.device)
        return self._widen(out, self.context(row, position, places).reshape(-1))

    def candidates(self, row: th.Tensor, position: th.Tensor) -> th.Tensor:
        """(B, C, J) units of the candidates of B states, `n_units` where there is none."""
        assert self._candidates is not None, "this task has no candidates"
        row, slot = self._places(row, position)
        return self._candidates.index_select(0, row if self._by_row else slot)

    def units(self, ids: th.Tensor) -> tuple[th.Tensor, th.Tensor | None]:
        """Vectors of N units on the source's device, each once where they are likely to repeat.

        Args:
            ids: (N,) units.

        Returns:
            (n, D) float32 vectors, and the row (N,) of each of `ids` in them; None where n is N.
        """
        rows = None
        if self.n_units < _SHARED * len(ids):
            seen = th.zeros(self.n_units + 1, dtype=th.bool, device=ids.device)
            seen[ids.long()] = True
            distinct = seen.nonzero().flatten()
            if 2 * len(distinct) < len(ids):  # else spreading costs more than it saves
                place = th.cumsum(seen, 0) - 1
                ids, rows = distinct, place[ids.long()].to(self.device)
        return self._widen(th.empty((len(ids), self.dim), device=self.device), ids), rows

    def _widen(self, out: th.Tensor, ids: th.Tensor) -> th.Tensor:
        """Write the vectors of units into `out`, of as many numbers as they have, and return it."""
        # Only the gathered rows are widened to float32, in the same pass that copies them.
        out.copy_(self.features.index_select(0, ids).view(out.shape))
        return out.mul_(INT8_STEP) if self.features.dtype == th.int8 else out

    def texts_of(self, rows: Int64Array, *, first: bool = False) -> Int64Array:
        """The texts, by number, that some rows' observations are made of.

        Where all rows share their slots (a graph), those of the rows themselves alone.

        Args:
            rows: The rows.
            first: Only of their first states: which others there are, actions decide (a text that
                is read piece by piece).
        """
        assert self.unit_texts is not None, "the encoder is frozen"
        slots = th.from_numpy(self._slots_of(rows, first=first)).to(self._home)
        mine = th.from_numpy(rows).to(self._home)
        parts = [self._context.index_select(0, slots)]
        if self._begins_of is not None and not self._shares_units:  # any of a row may be named
            begins = self._begins_of.numpy(force=True)
            parts.append(th.from_numpy(ranges(begins[rows], begins[rows + 1])).to(self._home))
        if self._row_units is not None:
            parts.append(self._row_units.index_select(0, mine))
        if self._candidates is not None:
            parts.append(self._candidates.index_select(0, mine if self._by_row else slots))
        units = th.cat([part.reshape(-1) for part in parts]).unique().numpy(force=True)
        texts = self.unit_texts.texts_of(units[units < self.n_units].astype(np.int64))
        return np.unique(texts)

    def _slots_of(self, rows: Int64Array, *, first: bool) -> Int64Array:
        if len(self._begins) == 1 < len(self._offsets):
            return np.zeros(0, np.int64)
        starts = self._offsets.numpy(force=True)[rows]
        if first:
            return starts
        # Rows may repeat a sample, and then follow each other in another order than slots do.
        ends = np.append(self._begins, len(self._context))
        return ranges(starts, ends[np.searchsorted(self._begins, starts) + 1])

    def _here(self, array: npt.NDArray[Any]) -> th.Tensor:
        return shared_tensor(array).to(self._home)

    def _places(self, row: th.Tensor, position: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Rows and slots, (B,) each, where the tables are."""
        row = row.to(self._home).long().view(-1)
        return row, self._offsets[row] + position.to(self._home).long().view(-1)
