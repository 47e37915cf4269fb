"""A trie of the n-grams of references, and clipped n-gram matches of word sequences with it.

Every n-gram of a document, up to an order, is a node of the trie; its parent is the n-gram without
the last word. Appending a word w to a sequence takes one look-up per order: the n-gram that ends
with w is the child w of the (n-1)-gram that ended before it. The trie is a hash table in numpy
arrays, so that the look-ups of a batch are a handful of array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Int32Array, Int64Array

State = Mapping[str, npt.NDArray[Any]]
"""Arrays with one row per sequence."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: Fibonacci hashing
_HALF = np.uint64(32)
_SLOTS_PER_NGRAM = 3  # of the hash table: a search then takes 1.6 slots on average
_PADDED = 4  # a table of shifts is kept that has at most so many places per document
_BATCH = 1 << 20  # words of the sequences and documents that are compared at once


def number_words(
    references: Sequence[Sequence[str]], tokenize: Callable[[str], Sequence[str]]
) -> tuple[dict[str, int], list[list[list[int]]]]:
    """Number the distinct words of references from 1, in order of first occurrence.

    Args:
        references: One or more texts per row.
        tokenize: Cuts a text into words.

    Returns:
        The number of each word, and the word ids of each text of each row.
    """
    index: dict[str, int] = {}
    ids = [
        [[index.setdefault(word, len(index) + 1) for word in tokenize(text)] for text in texts]
        for texts in references
    ]
    return index, ids


def word_ids(
    texts: Sequence[str], tokenize: Callable[[str], Sequence[str]], index: Mapping[str, int]
) -> list[list[int]]:
    """Ids of the words of texts by `index`; 0 for words that it lacks."""
    return [[index.get(word, 0) for word in tokenize(text)] for text in texts]


class Trie:
    """The n-grams of D documents.

    Nodes are numbers: 0 stands for no n-gram, 1 to D for the roots (the empty n-gram of each
    document). The n-grams follow, those of a document side by side.

    Args:
        documents: One or more texts of each document, as word ids from 1 (0 stands for words that
            no document has).
        order: Longest n-gram.

    Attributes:
        limit: (nodes,) int32 most occurrences of the n-gram in one text of its document.
        base: (D,) int64; the nodes of document d are `base[d]` + 1, + 2, ...
        width: One more than the highest number of n-grams of a document.
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
        self._n_words = int(self._words.max(initial=0)) + 1
        nodes = self._collect(len(documents))
        del self._words, self._text, self._document, self._end
        self._number(len(documents), *nodes)
        self._build_table()

    def _collect(self, n: int) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
        """Parent, word, document and limit of every n-gram, shortest first."""
        starts, prefix = np.arange(len(self._words)), self._document + 1
        found: list[tuple[Int64Array, ...]] = []
        total, texts = n + 1, int(self._text.max(initial=0)) + 1
        for size in range(1, self.order + 1):
            inside = starts + size <= self._end[starts]
            starts, prefix = starts[inside], prefix[inside]
            keys = prefix * self._n_words + self._words[starts + size - 1]
            unique, first, node = np.unique(keys, return_index=True, return_inverse=True)
            node = node.reshape(-1)
            pairs, counts = np.unique(node * texts + self._text[starts], return_counts=True)
            limit = np.zeros(len(unique), np.int64)
            np.maximum.at(limit, pairs // texts, counts)
            document = self._document[starts[first]]
            found.append((unique // self._n_words, unique % self._n_words, document, limit))
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
        self._keys = np.concatenate([lead - 1, place[parent[order]] * self._n_words + word[order]])
        self.limit = np.concatenate([lead, limit[order]]).astype(np.int32)
        sizes = np.bincount(document, minlength=n)
        self.base: Int64Array = n + np.cumsum([0, *sizes[:-1]])
        self.width = int(sizes.max(initial=0)) + 1

    def _build_table(self) -> None:
        first = len(self.base) + 1
        nodes = np.arange(first, len(self._keys), dtype=np.int32)
        self._n_slots = max(_SLOTS_PER_NGRAM * len(nodes), 16)
        self._table = np.zeros(self._n_slots, np.int32)
        slot = self._slot(self._keys[first:])
        while len(nodes):
            free = self._table[slot] == 0
            self._table[slot[free]] = nodes[free]  # of several nodes the last one stays
            left = self._table[slot] != nodes
            nodes, slot = nodes[left], (slot[left] + 1) % self._n_slots

    def _slot(self, keys: Int64Array) -> Int64Array:
        """Slot of the hash table at which the search for each key begins."""
        mixed = keys.view(np.uint64) * _MULTIPLIER
        mixed >>= _HALF
        mixed *= np.uint64(self._n_slots)
        mixed >>= _HALF
        return mixed.view(np.int64)

    def find(self, parents: Int32Array, words: Int64Array) -> Int32Array:
        """(M,) the child of each node of `parents` (M,) by the word of `words` (M,); 0: none."""
        found = np.zeros(len(parents), np.int32)
        live = ((parents != 0) & (words != 0) & (words < self._n_words)).nonzero()[0]
        keys = parents.take(live) * np.int64(self._n_words) + words.take(live)
        slot = self._slot(keys)
        while len(live):
            node = self._table.take(slot)
            right = self._keys.take(node) == keys
            found[live] = node * right
            left = (right < (node != 0)).nonzero()[0]
            live, keys = live.take(left), keys.take(left)
            slot = (slot.take(left) + 1) % self._n_slots
        return found


class DocumentTable:
    """The documents that each row is compared with, numbered one row after the other.

    Args:
        counts: (N,) documents of each row.
        start: Number of the first document of row 0.

    Attributes:
        width: Most documents R of a row.
        total: Documents of all rows.
    """

    def __init__(self, counts: Sequence[int], start: int) -> None:
        self._counts = np.array(counts, np.int64)
        self.total = int(self._counts.sum())
        self._first: Int64Array = start + np.cumsum(self._counts) - self._counts
        self.width = int(self._counts.max(initial=1))

    def __len__(self) -> int:
        return len(self._counts)

    def of(self, rows: Int64Array) -> Int64Array:
        """(M, R) the documents of `rows` (M,); 0 where a row has fewer."""
        first = self._first.take(rows)[:, None]
        if self.width == 1:
            return first
        place = np.arange(self.width)
        return np.where(place < self._counts.take(rows)[:, None], first + place, 0)


class NgramMatcher:
    """Counts the n-grams of B sequences that R documents each have, as words come and go.

    An n-gram matches at most as often as `Trie.limit` says (clipped matches). The state of B
    sequences: ``nodes`` (B, words + 1, R * order), the n-grams that end at each word; ``counts``
    (B, R * width), how often the sequence has each n-gram; ``matches`` (B, R * order), the clipped
    matches; ``length`` (B,), in words.

    Args:
        trie: The documents' n-grams.
        documents: The documents of each row.
        longest: Most words of a sequence.
    """

    def __init__(self, trie: Trie, documents: DocumentTable, longest: int) -> None:
        self._trie, self._documents, self._longest = trie, documents, longest
        n_documents = documents.width
        self._shape = (n_documents, trie.order)
        # First counter of each (document, order) in `counts`: it counts what is no n-gram of the
        # document and matches nothing; the counters of the document's n-grams follow it.
        self._spare = np.repeat(np.arange(n_documents) * trie.width, trie.order)
        self._shifts = None
        if len(documents) * n_documents <= _PADDED * documents.total:
            self._shifts = self._shift(np.arange(len(documents)))

    def _shift(self, rows: Int64Array) -> Int64Array:
        """(M, R * order) what is taken off a node of a row's document to give its counter."""
        if self._shifts is not None:
            return self._shifts.take(rows, axis=0)
        base = self._trie.base.take(self._documents.of(rows))
        return np.repeat(base, self._trie.order, axis=1) - self._spare

    def initial(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """State of `n` empty sequences."""
        documents, order = self._shape
        return {
            "nodes": np.zeros((n, self._longest + 1, documents * order), np.int32),
            "counts": np.zeros((n, documents * self._trie.width), np.uint16),
            "matches": np.zeros((n, documents * order), np.int32),
            "length": np.zeros(n, np.int32),
        }

    def push(self, state: State, rows: Int64Array, at: Int64Array, words: Int32Array) -> None:
        """Append a word of `words` (M,) to each sequence of `at` (M,), in place.

        Args:
            state: See the class.
            rows: (M,) rows of the sequences.
            at: (M,) indices of the sequences in the state.
            words: (M,) word ids.
        """
        documents, order = self._shape
        ends, owner = self._ends(state, at), self._documents.of(rows)
        nodes = self._flat(state, "nodes")
        parents = np.empty((len(at), documents, order), np.int32)
        parents[:, :, 0] = owner + 1
        parents[:, :, 1:] = nodes.take(ends, axis=0).reshape(parents.shape)[:, :, :-1]
        each = np.repeat(words.astype(np.int64), documents * order)
        ngrams = self._trie.find(parents.reshape(-1), each).reshape(len(at), -1)
        nodes[ends + 1] = ngrams
        self._count(state, rows, at, ngrams, 1)

    def pop(self, state: State, rows: Int64Array, at: Int64Array) -> None:
        """Remove the last word of the sequences `at` (M,) of `rows` (M,), in place."""
        ngrams = self._flat(state, "nodes").take(self._ends(state, at), axis=0)
        self._count(state, rows, at, ngrams, -1)

    def _ends(self, state: State, at: Int64Array) -> Int64Array:
        ends: Int64Array = at * (self._longest + 1) + state["length"][at]
        return ends

    @staticmethod
    def _flat(state: State, name: str) -> npt.NDArray[Any]:
        return state[name].reshape(-1, state[name].shape[-1])

    def _count(
        self, state: State, rows: Int64Array, at: Int64Array, ngrams: Int32Array, by: int
    ) -> None:
        """Count the n-grams (M, R * order) of the last words once more or once less."""
        counts = state["counts"]
        counter = np.where(ngrams != 0, ngrams - self._shift(rows), self._spare)
        counter += (at * counts.shape[1])[:, None]
        flat = counts.reshape(-1)
        before = flat.take(counter)
        after = before + np.uint16(by % 2**16)
        flat[counter] = after
        lower = before if by > 0 else after
        state["matches"][at] += by * (lower < self._trie.limit.take(ngrams))
        state["length"][at] += by


def sequence_matches(
    documents: Sequence[Sequence[Sequence[int]]], words: Sequence[Sequence[int]], order: int
) -> Int64Array:
    """(N, order) clipped n-gram matches of N whole sequences, each with a document of its own.

    Args:
        documents: One or more texts of each document, as for `Trie`.
        words: Word ids of each sequence.
        order: Longest n-gram.
    """
    matches = np.zeros((len(words), order), np.int64)
    sizes = [len(text) + sum(map(len, texts)) for text, texts in zip(words, documents, strict=True)]
    ends = np.cumsum(sizes)
    first = 0
    while first < len(words):
        # As many sequences as have so many words, with their documents; at least one.
        before = int(ends[first]) - sizes[first]
        stop = max(int(np.searchsorted(ends, before + _BATCH, side="right")), first + 1)
        matches[first:stop] = _batch_matches(documents[first:stop], words[first:stop], order)
        first = stop
    return matches


def _batch_matches(
    documents: Sequence[Sequence[Sequence[int]]], words: Sequence[Sequence[int]], order: int
) -> Int64Array:
    trie = Trie(documents, order)
    length = np.array([len(text) for text in words], np.int64)
    flat = np.fromiter((word for text in words for word in text), np.int64, length.sum())
    owner = np.repeat(np.arange(len(words)), length)
    end = np.cumsum(length)[owner]
    start, nodes = np.arange(len(flat)), (owner + 1).astype(np.int32)  # the n-grams of no word
    matches = np.zeros((len(words), order), np.int64)
    for size in range(1, order + 1):
        inside = (nodes != 0) & (start + size <= end[start])
        start, nodes = start[inside], nodes[inside]
        nodes = trie.find(nodes, flat[start + size - 1])
        # A node belongs to one document, and that to one sequence.
        found, at, counts = np.unique(nodes, return_index=True, return_counts=True)
        clipped = np.minimum(counts, trie.limit[found]) * (found != 0)
        matches[:, size - 1] = np.bincount(owner[start[at]], clipped, len(words))
    return matches
