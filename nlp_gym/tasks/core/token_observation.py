"""`tokens` observations of tasks that show units: a row of sub-word ids for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from typing_extensions import override

from nlp_gym.tasks.core.observation import ObservedTask
from nlp_gym.types import Observation

_MASKS = {"input_ids": "attention_mask", "candidate_ids": "candidate_mask"}


class UnitTokens:
    """Sub-word ids of the units that a state shows, one row of ids per unit.

    A unit longer than `max_tokens` allows is seen from its beginning only.

    Args:
        task: Its `max_tokens` is the length of a row, special tokens included (or what the encoder
            takes, if that is less): the same for all splits, whatever texts they have.
    """

    def __init__(self, task: ObservedTask) -> None:
        self.task = task
        texts = self._texts()
        tokens = task.encoder.tokenize(texts)
        sizes = np.diff(tokens.offsets)
        self.length = min(task.max_tokens, tokens.max_length)
        sizes = np.minimum(sizes, self.length - 2)
        column = np.arange(self.length - 1)
        body = tokens.ids.take(tokens.offsets[:-1, None] + column, mode="clip")
        self._ids = np.full((len(texts) + 1, self.length), tokens.pad_id, np.int32)
        self._ids[:-1, 0] = tokens.bos_id
        ends = np.where(column == sizes[:, None], tokens.eos_id, tokens.pad_id)
        self._ids[:-1, 1:] = np.where(column < sizes[:, None], body, ends)
        self._sizes = np.append(sizes + 2, 0)  # the unit of padding has no token
        self._top = tokens.vocab_size - 1

    def _texts(self) -> Sequence[Sequence[str]]:
        """The texts that have one row of ids each."""
        units = self.task.units
        if units.spans is None:
            return [(word,) for text in units.texts for word in text]
        most = self.task.max_tokens  # a word has at least one token: further words are not seen
        return [units.texts[t][a : min(b, a + most)] for t, a, b in units.spans.tolist()]

    def spaces(self) -> dict[str, spaces.Space[Any]]:
        """`input_ids`, `attention_mask` (R+K, L); `candidate_ids`, `candidate_mask` (C, J*L)."""
        tables = self.task.tables
        shapes = {"input_ids": (tables.n_context, self.length)} if tables.n_context else {}
        if tables.candidates is not None:
            _, count, units = tables.candidates.shape
            shapes["candidate_ids"] = (count, units * self.length)
        boxes: dict[str, spaces.Space[Any]] = {}
        for key, shape in shapes.items():
            boxes[key] = spaces.Box(0, self._top, shape, np.int32)
            boxes[_MASKS[key]] = spaces.Box(0, 1, shape, np.int8)
        return boxes

    def observe(self, state: Any) -> Observation:
        """Arrays of the keys of `spaces`, with B in front."""
        tables = self.task.tables
        seen: Observation = {}
        if tables.n_context:
            places = None if tables.named is None else self.task.named(state)
            units = tables.context_of(state.row, state.slot, places)
            seen |= self._rows("input_ids", units)
        if tables.candidates is not None:
            seen |= self._rows("candidate_ids", tables.candidates_of(state.row, state.slot))
        return seen

    def _rows(self, key: str, units: npt.NDArray[Any]) -> Observation:
        """Ids and mask of `units` (B, n) or (B, C, J): (B, n, L) or (B, C, J*L)."""
        shape = (*units.shape[:2], -1)
        mask = np.arange(self.length) < self._sizes.take(units)[..., None]
        ids = self._ids.take(units, axis=0)
        return {key: ids.reshape(shape), _MASKS[key]: mask.astype(np.int8).reshape(shape)}


class SourceTokens(UnitTokens):
    """Sub-word ids of each sample's text, one row of ids."""

    @override
    def _texts(self) -> Sequence[Sequence[str]]:
        return [sample.words[: self.task.max_tokens] for sample in self.task.corpus.samples]

    @override
    def spaces(self) -> dict[str, spaces.Space[Any]]:
        """`input_ids`, `attention_mask` (1, L)."""
        shape = (1, self.length)
        return {
            "input_ids": spaces.Box(0, self._top, shape, np.int32),
            "attention_mask": spaces.Box(0, 1, shape, np.int8),
        }

    @override
    def observe(self, state: Any) -> Observation:
        return self._rows("input_ids", state.row[:, None])
