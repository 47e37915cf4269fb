"""A cache of keys and values: texts in progress are not computed again from their beginning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th

from nlp_gym.types import Int64Array
from nlp_gym_agents.networks.decoder.prefixes import Texts, find_keys
from nlp_gym_agents.networks.decoder.transformer import Decoder, Memory, Pair

ReadSources = Callable[[Int64Array], Memory]
"""From samples (n,) to what is read of them."""

Version = tuple[float, int, bool]
"""Differs where weights, corpus or precision differ."""

_ROOM = 16
"""Room for places is made so many at a time."""


class StateCache:
    """What the decoder computed for the texts of the last step.

    A text is recognised by its sample and tokens, wherever it stands in the next batch: texts end,
    are begun, and are continued in several ways by a beam search.

    Args:
        decoder: The decoder that computes them.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self._version: Version | None = None
        self.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> StateCache:
        """A copy of the network has a cache of its own."""
        return StateCache(memo.get(id(self.decoder), self.decoder))

    def clear(self) -> None:
        """Drop all states."""
        self._texts: Texts | None = None
        self._pairs: list[Pair] = []
        self._memory: Memory | None = None
        self._states = th.empty(0)

    def match(self, texts: Texts, version: Version) -> tuple[Int64Array, bool]:
        """Where the texts went on from.

        Args:
            texts: n texts.
            version: Of the weights and the corpus; with another one the cache is empty.

        Returns:
            (n,) the place in the last step of the text that each continues, -1 where it begins or
            is not known; and whether each is itself one of the last step, in which case the places
            are those of the texts themselves.
        """
        if version != self._version:
            self.clear()
            self._version = version
        if self._texts is None:
            return np.full(len(texts), -1), False
        old = self._texts.keys()
        same = find_keys(texts.keys(), old)
        if (same >= 0).all():
            return same, True
        parents = texts.parents().keys()
        before = find_keys(parents, old)
        if len(parents) == len(old):  # of several samples that begin alike, each stays in its place
            before = np.where(parents == old, np.arange(len(old)), before)
        return np.where(texts.size > 0, before, -1), False

    def states_of(self, places: Int64Array) -> th.Tensor:
        """(n, width) states of texts of the last step."""
        return self._states.index_select(0, self._index(places))

    def memory(self, places: Int64Array | None = None) -> Memory:
        """What is read for texts of the last step; None: for all of them, in order."""
        assert self._memory is not None
        return self._memory if places is None else self._memory.take(self._index(places))

    def advance(self, texts: Texts, before: Int64Array, read_sources: ReadSources) -> th.Tensor:
        """(n, width) states of texts, which replace those in the cache.

        Args:
            texts: n texts.
            before: (n,) from `match`.
            read_sources: Gives the memory of samples.
        """
        new = before < 0
        self._arrange(before, texts.row, read_sources, room=int(texts.size.max()) + 1)
        assert self._memory is not None
        lost = new & (texts.size > 0)
        if not lost.all():
            last = np.where(
                texts.size > 0, texts.prefix[np.arange(len(texts)), texts.size - 1], 0
            ).astype(np.int64)
            self._states = self.decoder.step(
                self._index(last), self._index(texts.size), self._pairs, self._memory
            )
        else:
            self._states = self.decoder.norm.weight.new_empty(len(texts), self.decoder.width)
        if lost.any():
            self._begin(np.flatnonzero(lost), texts)
        self._texts = texts
        return self._states

    def _begin(self, places: Int64Array, texts: Texts) -> None:
        """Compute the texts at (m,) `places` from their beginning."""
        assert self._memory is not None
        own, index = texts.take(places), self._index(places)
        width = int(own.size.max()) + 1
        tokens = np.zeros((len(own), width), np.int64)
        tokens[:, 1:] = own.prefix[:, : width - 1]
        states, pairs = self.decoder(self._index(tokens), self._memory.take(index))
        for (keys, values), (key, value) in zip(self._pairs, pairs, strict=True):
            keys[index, :, :width] = key.to(keys.dtype)
            values[index, :, :width] = value.to(keys.dtype)
        row = th.arange(len(own), device=index.device)
        self._states[index] = states[row, self._index(own.size)]

    def _arrange(
        self, before: Int64Array, rows: Int64Array, read_sources: ReadSources, *, room: int
    ) -> None:
        """Put the cache in the order of the new texts, with memories of those that are new."""
        new = np.flatnonzero(before < 0)
        if self._memory is None:
            distinct, place = np.unique(rows, return_inverse=True)
            self._memory = read_sources(distinct)
            if len(distinct) < len(rows) or (distinct != rows).any():
                self._memory = self._memory.take(self._index(place))
            self._pairs = self._blank(len(rows), room)
            return
        in_place = (before < 0) | (before == np.arange(len(before)))
        if len(before) != len(self._states) or not in_place.all():
            index = self._index(np.maximum(before, 0))
            self._memory = self._memory.take(index)
            self._pairs = [(k[index], v[index]) for k, v in self._pairs]
        have = self._pairs[0][0].shape[2]
        if have < room:
            more = -(-room // _ROOM) * _ROOM - have
            self._pairs = [
                (th.nn.functional.pad(k, (0, 0, 0, more)), th.nn.functional.pad(v, (0, 0, 0, more)))
                for k, v in self._pairs
            ]
        if len(new):
            index, fresh = self._index(new), read_sources(rows[new])
            self._memory.put(index, fresh)

    def _blank(self, n: int, room: int) -> list[Pair]:
        weight, decoder = self.decoder.norm.weight, self.decoder
        places = -(-room // _ROOM) * _ROOM
        shape = (n, decoder.heads, places, decoder.width // decoder.heads)
        return [(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in decoder.layers]

    def _index(self, values: np.ndarray) -> th.Tensor:
        return th.as_tensor(values, device=self.decoder.norm.weight.device)
