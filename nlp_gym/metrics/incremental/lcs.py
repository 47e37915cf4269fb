"""Longest common subsequences of growing word sequences with references, bit by bit.

The row of the dynamic program that is usually kept, the length for each beginning of the reference,
rises by 0 or 1 from one place to the next. So it is a string of bits, and adding a word to the
sequence is an addition of integers (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.text.ngrams import Trie
from nlp_gym.types import Int64Array

State = Mapping[str, npt.NDArray[Any]]

_BITS = 64
_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.int64)


class CommonSubsequence:
    """Longest common subsequences of B growing sequences with R documents each.

    State, B in front: ``bits`` (B, words + 1, R * limbs) uint64 the row after each word (a zero bit
    where the length rises), ``length`` (B,) in words.

    Args:
        documents: D texts as word ids from 1.
        table: (N, R) the documents of each row.
        longest: Most words of a sequence.
    """

    def __init__(self, documents: Sequence[Sequence[int]], table: Int64Array, longest: int) -> None:
        self._trie = Trie([[text] for text in documents], 1)
        self._table, self._longest = table, longest
        sizes = np.array([len(text) for text in documents], np.int64)
        self._limbs = max(-(-int(sizes.max(initial=1)) // _BITS), 1)
        owner = np.repeat(np.arange(len(documents)), sizes)
        words = np.fromiter((w for text in documents for w in text), np.int64, sizes.sum())
        place = np.arange(len(words)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        nodes = self._trie.find((owner + 1).astype(np.int32), words)
        self._masks = np.zeros((len(self._trie.limit), self._limbs), np.uint64)
        bit = np.uint64(1) << (place % _BITS).astype(np.uint64)
        np.bitwise_or.at(self._masks, (nodes, place // _BITS), bit)

    def blank(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """State of `n` empty sequences."""
        width = self._table.shape[1] * self._limbs
        bits = np.zeros((n, self._longest + 1, width), np.uint64)
        bits[:, 0] = ~np.uint64(0)
        return {"bits": bits, "length": np.zeros(n, np.int32)}

    def push(
        self, state: State, rows: Int64Array, at: Int64Array, words: npt.NDArray[np.int32]
    ) -> None:
        """Add a word to the sequences `at` (M,), which are of `rows` (M,)."""
        owner = self._table[rows]
        place = state["length"][at]
        shape = (*owner.shape, self._limbs)
        roots = (owner + 1).astype(np.int32).reshape(-1)
        nodes = self._trie.find(roots, np.repeat(words.astype(np.int64), owner.shape[1]))
        mask = self._masks[nodes].reshape(shape)
        old = state["bits"][at, place].reshape(shape)
        kept = old & mask
        carry = np.zeros(owner.shape, np.uint64)
        total = np.empty_like(old)
        for limb in range(self._limbs):
            part = old[..., limb] + kept[..., limb]
            total[..., limb] = part + carry
            carry = ((part < old[..., limb]) | (total[..., limb] < part)).astype(np.uint64)
        state["bits"][at, place + 1] = (total | (old & ~mask)).reshape(len(at), -1)
        state["length"][at] += 1

    def pop(self, state: State, rows: Int64Array, at: Int64Array) -> None:
        """Take the last word from the sequences `at` (M,); `rows` is not needed."""
        state["length"][at] -= 1

    def length(self, state: State, rows: Int64Array) -> Int64Array:
        """(B, R) length of the longest common subsequences."""
        bits = state["bits"][np.arange(len(rows)), state["length"]]
        shape = (len(rows), self._table.shape[1], self._limbs * 8)
        ones = _ONES[bits.view(np.uint8).reshape(shape)].sum(axis=-1)
        lengths: Int64Array = self._limbs * _BITS - ones
        return lengths
