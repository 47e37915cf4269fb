"""N-grams of references as a trie, and growing word sequences matched against them.

All n-grams of a document (up to an order) are nodes of one trie: a node is an n-gram, its parent
the n-gram without the last word. A sequence that grows by a word w needs one look-up an order: the
n-gram that ends in w is the child w of the (n-1)-gram that ended before it. The trie is a hash
table in numpy arrays, so that the look-ups of a batch are a handful of array operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Int64Array

Int32Array = npt.NDArray[np.int32]
State = Mapping[str, npt.NDArray[Any]]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_ROOM = 3  # places of the hash table per n-gram: a search then ends after 1.6 places on average
_BATCH = 1 << 20  # numbers that a batch of sequences remembers


class Trie:
    """The n-grams of D documents.

    Nodes are numbers: 0 is no n-gram, 1 to D are the roots (the empty n-gram of each document), and
    then come the n-grams, those of a document side by side.

    Args:
        documents: One or more texts of each document, as word ids from 1 (0 is the word that no
            document has).
        order: Longest n-gram.

    Attributes:
        limit: (nodes,) int32 most occurrences of the n-gram in one text of its document.
        base: (D,) int64, node number minus this is 1, 2, ... within a document.
        width: Highest such number, plus one.
    """

    def __init__(self, documents: Sequence[Sequence[Sequence[int]]], order: int) -> None:
        self.order = order
        texts = [text for document in documents for text in document]
        sizes = np.array([len(text) for text in texts], np.int64)
        self._words = np.fromiter((word for text in texts for word in text), np.int64, sizes.sum())
        owner = np.repeat(np.arange(len(documents)), [len(texts) for texts in documents])
        self._text = np.repeat(np.arange(len(texts)), sizes)
        self._document = owner[self._text]
        self._end = np.cumsum(sizes)[self._text]
        self._span = int(self._words.max(initial=0)) + 1
        parts = self._grow(len(documents))
        del self._words, self._text, self._document, self._end
        self._number(len(documents), *parts)
        self._hash()

    def _grow(self, n: int) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
        """Parent, word, document and limit of every node after the roots, shortest first."""
        starts, prefix = np.arange(len(self._words)), self._document + 1
        found: list[tuple[Int64Array, ...]] = []
        total, texts = n + 1, int(self._text.max(initial=0)) + 1
        for size in range(1, self.order + 1):
            inside = starts + size <= self._end[starts]
            starts, prefix = starts[inside], prefix[inside]
            keys = prefix * self._span + self._words[starts + size - 1]
            unique, first, node = np.unique(keys, return_index=True, return_inverse=True)
            node = node.reshape(-1)
            pairs, counts = np.unique(node * texts + self._text[starts], return_counts=True)
            limit = np.zeros(len(unique), np.int64)
            np.maximum.at(limit, pairs // texts, counts)
            document = self._document[starts[first]]
            found.append((unique // self._span, unique % self._span, document, limit))
            prefix = total + node
            total += len(unique)
        parent, word, document, limit = map(np.concatenate, zip(*found, strict=True))
        return parent, word, document, limit

    def _number(
        self, n: int, parent: Int64Array, word: Int64Array, document: Int64Array, limit: Int64Array
    ) -> None:
        """Renumber the nodes so that those of a document are side by side."""
        order = np.argsort(document, kind="stable")
        place = np.arange(n + 1 + len(order))
        place[n + 1 + order] = n + 1 + np.arange(len(order))
        lead = np.zeros(n + 1, np.int64)
        self._keys = np.concatenate([lead - 1, place[parent[order]] * self._span + word[order]])
        self.limit = np.concatenate([lead, limit[order]]).astype(np.int32)
        sizes = np.bincount(document, minlength=n)
        self.base: Int64Array = n + np.cumsum([0, *sizes[:-1]])
        self.width = int(sizes.max(initial=0)) + 1

    def _hash(self) -> None:
        first = len(self.base) + 1
        nodes = np.arange(first, len(self._keys), dtype=np.int32)
        self._places = max(_ROOM * len(nodes), 16)
        self._table = np.zeros(self._places, np.int32)
        place = self._place(self._keys[first:])
        while len(nodes):
            free = self._table[place] == 0
            self._table[place[free]] = nodes[free]  # of several the last one stays
            left = self._table[place] != nodes
            nodes, place = nodes[left], (place[left] + 1) % self._places

    def _place(self, keys: Int64Array) -> Int64Array:
        mixed = keys.view(np.uint64) * _MIX
        mixed >>= _HALF
        mixed *= np.uint64(self._places)
        mixed >>= _HALF
        return mixed.view(np.int64)

    def find(self, parents: Int32Array, words: Int64Array) -> Int32Array:
        """(M,) the child `words` (M,) of each node `parents` (M,); 0 where there is none."""
        found = np.zeros(len(parents), np.int32)
        live = ((parents != 0) & (words != 0)).nonzero()[0]
        keys = parents.take(live) * np.int64(self._span) + words.take(live)
        place = self._place(keys)
        while len(live):
            node = self._table.take(place)
            right = self._keys.take(node) == keys
            found[live] = node * right
            left = (right < (node != 0)).nonzero()[0]
            live, keys = live.take(left), keys.take(left)
            place = (place.take(left) + 1) % self._places
        return found


class Matches:
    """How many n-grams of B growing sequences are in documents, each at most `Trie.limit` times.

    A sequence is matched against R documents at once. State, B sequences in front: ``nodes``
    (B, words + 1, R * order) the n-gram that ends at each word, ``counts`` (B, R * width) how often
    the sequence has it, ``matches`` (B, R * order), ``length`` (B,) in words.

    Args:
        trie: The documents' n-grams.
        documents: (N, R) the documents of each row.
        longest: Most words of a sequence.
    """

    def __init__(self, trie: Trie, documents: Int64Array, longest: int) -> None:
        self._trie, self._documents, self._longest = trie, documents, longest
        n_documents = documents.shape[1]
        self._shape = (n_documents, trie.order)
        # Where each (document, order) of a sequence has its counters: those of its n-grams, and the
        # one in front of them for all that is no n-gram of the document and matches nothing.
        self._lanes = np.repeat(np.arange(n_documents) * trie.width, trie.order)
        self._shift = np.repeat(trie.base[documents], trie.order, axis=1) - self._lanes

    def blank(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """State of `n` empty sequences."""
        documents, order = self._shape
        return {
            "nodes": np.zeros((n, self._longest + 1, documents * order), np.int32),
            "counts": np.zeros((n, documents * self._trie.width), np.uint16),
            "matches": np.zeros((n, documents * order), np.int32),
            "length": np.zeros(n, np.int32),
        }

    def push(self, state: State, rows: Int64Array, at: Int64Array, words: Int32Array) -> None:
        """Add a word to the sequences `at` (M,), which are of `rows` (M,)."""
        documents, order = self._shape
        ends, owner = self._ends(state, at), self._documents[rows]
        nodes = self._flat(state, "nodes")
        parents = np.empty((len(at), documents, order), np.int32)
        parents[:, :, 0] = owner + 1
        parents[:, :, 1:] = nodes.take(ends, axis=0).reshape(parents.shape)[:, :, :-1]
        each = np.repeat(words.astype(np.int64), documents * order)
        found = self._trie.find(parents.reshape(-1), each).reshape(len(at), -1)
        nodes[ends + 1] = found
        self._count(state, rows, at, found, 1)

    def pop(self, state: State, rows: Int64Array, at: Int64Array) -> None:
        """Take the last word from the sequences `at` (M,)."""
        found = self._flat(state, "nodes").take(self._ends(state, at), axis=0)
        self._count(state, rows, at, found, -1)

    def _ends(self, state: State, at: Int64Array) -> Int64Array:
        ends: Int64Array = at * (self._longest + 1) + state["length"][at]
        return ends

    @staticmethod
    def _flat(state: State, name: str) -> npt.NDArray[Any]:
        return state[name].reshape(-1, state[name].shape[-1])

    def _count(
        self, state: State, rows: Int64Array, at: Int64Array, found: Int32Array, by: int
    ) -> None:
        counts = state["counts"]
        place = np.where(found != 0, found - self._shift.take(rows, axis=0), self._lanes)
        place += (at * counts.shape[1])[:, None]
        flat = counts.reshape(-1)
        before = flat.take(place)
        after = before + np.uint16(by % 2**16)
        flat[place] = after
        lower = before if by > 0 else after
        state["matches"][at] += by * (lower < self._trie.limit.take(found))
        state["length"][at] += by


def sequence_matches(
    documents: Sequence[Sequence[Sequence[int]]], words: Sequence[Sequence[int]], order: int
) -> Int64Array:
    """(N, order) clipped matches of N whole sequences, each with the document of its own.

    Args:
        documents: See `Trie`.
        words: Word ids of each sequence.
        order: Longest n-gram.
    """
    length = np.array([len(text) for text in words], np.int64)
    flat = np.fromiter((word for text in words for word in text), np.int32, length.sum())
    starts = np.cumsum(length) - length
    ranked = np.argsort(-length, kind="stable")  # those of a like length together: little padding
    matches = np.zeros((len(words), order), np.int64)
    first = 0
    while first < len(ranked):
        longest = int(length[ranked[first]])
        rows = ranked[first : first + max(_BATCH // (order * max(longest, 1)), 1)]
        matcher = Matches(
            Trie([documents[row] for row in rows], order), np.arange(len(rows))[:, None], longest
        )
        state = matcher.blank(len(rows))
        for position in range(longest):
            at = np.arange(int((length[rows] > position).sum()))
            matcher.push(state, at, at, flat[starts[rows[at]] + position])
        matches[rows] = state["matches"]
        first += len(rows)
    return matches
