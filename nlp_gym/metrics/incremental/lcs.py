"""Bit-parallel longest common subsequences of word sequences with references.

The usual dynamic program keeps a row with the length for each prefix of the reference. From one
entry to the next that length rises by 0 or 1. So the row is a string of bits, and appending a word
to the sequence is an addition of integers (Hyyrö 2004, "Bit-parallel LCS-length computation
revisited").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import spread
from nlp_gym.metrics.text.ngrams import DocumentTable, State, Trie
from nlp_gym.types import Int32Array, Int64Array

_BITS = 64
_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.int64)


class CommonSubsequence:
    """Length of the longest common subsequence of B sequences with R documents each.

    The state of B sequences: ``bits`` (B, words + 1, R * limbs) uint64, the row after each word (a
    zero bit where the length rises); ``length`` (B,), in words. A limb is a 64-bit part of a row.

    Args:
        documents: D texts as word ids from 1.
        table: The documents of each row.
        longest: Most words of a sequence.
    """

    def __init__(
        self, documents: Sequence[Sequence[int]], table: DocumentTable, longest: int
    ) -> None:
        self._trie = Trie([[text] for text in documents], 1)
        self._table, self._longest = table, longest
        sizes = np.array([len(text) for text in documents], np.int64)
        self._limbs = max(-(-int(sizes.max(initial=1)) // _BITS), 1)
        owner = np.repeat(np.arange(len(documents)), sizes)
        words = np.fromiter((w for text in documents for w in text), np.int64, sizes.sum())
        position = np.arange(len(words)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        nodes = self._trie.find((owner + 1).astype(np.int32), words)
        # A word of a long document has few of its limbs: only those are kept.
        keys = nodes.astype(np.int64) * self._limbs + position // _BITS
        parts, part = np.unique(keys, return_inverse=True)
        self._bits = np.zeros(len(parts), np.uint64)
        bit = np.uint64(1) << (position % _BITS).astype(np.uint64)
        np.bitwise_or.at(self._bits, part.reshape(-1), bit)
        self._limb = parts % self._limbs
        of_nodes = np.arange(len(self._trie.limit) + 1) * self._limbs
        self._first: Int64Array = np.searchsorted(parts, of_nodes)

    def initial(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """State of `n` empty sequences."""
        width = self._table.width * self._limbs
        bits = np.zeros((n, self._longest + 1, width), np.uint64)
        bits[:, 0] = ~np.uint64(0)
        return {"bits": bits, "length": np.zeros(n, np.int32)}

    def push(self, state: State, rows: Int64Array, at: Int64Array, words: Int32Array) -> None:
        """Append a word of `words` (M,) to each sequence of `at` (M,) of `rows` (M,), in place."""
        documents = self._table.of(rows)
        position = state["length"][at]
        shape = (*documents.shape, self._limbs)
        roots = (documents + 1).astype(np.int32).reshape(-1)
        nodes = self._trie.find(roots, np.repeat(words.astype(np.int64), documents.shape[1]))
        mask = self._mask(nodes).reshape(shape)
        old = state["bits"][at, position].reshape(shape)
        matched = old & mask
        carry = np.zeros(documents.shape, np.uint64)
        total = np.empty_like(old)
        for limb in range(self._limbs):
            part = old[..., limb] + matched[..., limb]
            total[..., limb] = part + carry
            carry = ((part < old[..., limb]) | (total[..., limb] < part)).astype(np.uint64)
        state["bits"][at, position + 1] = (total | (old & ~mask)).reshape(len(at), -1)
        state["length"][at] += 1

    def _mask(self, nodes: Int32Array) -> npt.NDArray[np.uint64]:
        """(M, limbs) where in its document the word of each node (M,) stands."""
        which, part = spread(self._first.take(nodes), self._first.take(nodes + 1))
        mask = np.zeros((len(nodes), self._limbs), np.uint64)
        mask[which, self._limb.take(part)] = self._bits.take(part)
        return mask

    def pop(self, state: State, rows: Int64Array, at: Int64Array) -> None:
        """Remove the last word of the sequences `at` (M,), in place; `rows` is not needed."""
        state["length"][at] -= 1

    def length(self, state: State, rows: Int64Array) -> Int64Array:
        """(B, R) length of the longest common subsequence with each document."""
        bits = state["bits"][np.arange(len(rows)), state["length"]]
        shape = (len(rows), self._table.width, self._limbs * 8)
        ones = _POPCOUNT[bits.view(np.uint8).reshape(shape)].sum(axis=-1)
        lengths: Int64Array = self._limbs * _BITS - ones
        return lengths
