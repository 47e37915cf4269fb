"""ROUGE-1 of selections of a document's sentences, from token counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import spread
from nlp_gym.metrics.text.rouge import References, Tokenizer
from nlp_gym.types import Float64Array, Int64Array

_SPARSE = 32
"""Counts are kept as tables, too, where these have at most so many numbers per count."""


class _Bags:
    """Bags of tokens, each with the numbers of its tokens and how often it has them.

    Args:
        bags: The count of each token number, for each bag.

    Attributes:
        tokens: (E,) token of each entry.
        counts: (E,) how often the bag has it.
        bag: (E,) the bag of each entry, ascending.
    """

    def __init__(self, bags: Sequence[Mapping[int, int]]) -> None:
        self.tokens = np.array([token for bag in bags for token in bag], np.int64)
        self.counts = np.array([n for bag in bags for n in bag.values()], np.int64)
        sizes = np.array(list(map(len, bags)), np.int64)
        self.bag = np.repeat(np.arange(len(bags)), sizes)
        self._first = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])

    def entries(self, first: Int64Array, stop: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The entries of P runs of bags, as `spread` numbers them."""
        return spread(self._first.take(first), self._first.take(stop))


class SentenceRouge1:
    """ROUGE-1 F1 of any selection of a document's sentences, from token counts.

    The values equal those of rouge-score. What is kept grows with the texts, not with their number
    times the longest of them.

    Args:
        documents: The sentences of each of N documents.
        references: The reference summaries of each document.
        tokenizer: A tokenizer of `make_tokenizer`.

    Attributes:
        starts: (N,) number of each document's first sentence.
        width: V+1, one more than the most tokens that the references of a document have.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[str]],
        references: Sequence[References],
        tokenizer: Tokenizer,
    ) -> None:
        wanted: list[Mapping[int, int]] = []
        indices: list[dict[str, int]] = []
        for texts in references:
            index: dict[str, int] = {}
            for text in texts:
                counter = Counter(tokenizer.tokenize(text))
                wanted.append({index.setdefault(t, len(index)): n for t, n in counter.items()})
            indices.append(index)
        self._widths = [len(index) + 1 for index in indices]
        self.width = max(self._widths)
        self._wanted = _Bags(wanted)
        self._lengths = np.array([max(sum(bag.values()), 1) for bag in wanted], np.int64)
        self._references = np.cumsum([0, *map(len, references)], dtype=np.int64)
        self.starts: Int64Array = np.cumsum([0, *map(len, documents)], dtype=np.int64)[:-1]
        sizes: list[int] = []
        bags: list[Mapping[int, int]] = []
        for sentences, index in zip(documents, indices, strict=True):
            for sentence in sentences:
                tokens = tokenizer.tokenize(sentence)
                sizes.append(len(tokens))
                bags.append(Counter(index[token] for token in tokens if token in index))
        self._sizes, self._sentences = np.array(sizes, np.int32), _Bags(bags)
        self._keep_tables(len(documents))

    def _keep_tables(self, n: int) -> None:
        """Keep counts and wanted tokens as tables too, where these are small: they are faster."""
        self._counts = self._table = None
        of_documents = np.diff(self._references)
        most = int(of_documents.max())
        counts = len(self._sentences.counts) + len(self._wanted.counts)
        if (len(self._sizes) + n * most) * self.width > _SPARSE * counts:
            return
        self._counts = self.counts(np.arange(len(self._sizes)))
        bags = self._wanted
        owner, reference = spread(self._references[:-1], self._references[1:])
        place = reference - self._references.take(owner)  # of each reference in its document
        self._table = np.zeros((n, most, self.width - 1), np.int32)
        at = owner.take(bags.bag), place.take(bags.bag), bags.tokens
        self._table[at] = bags.counts
        self._most_tokens = np.ones((n, most), np.int64)
        self._most_tokens[owner, place] = self._lengths

    def counts(self, sentences: Int64Array, width: int | None = None) -> npt.NDArray[np.int32]:
        """(B, V+1) how often `sentences` (B,) have each token of their document's references.

        Args:
            sentences: Their numbers.
            width: V+1, if it need not be that of all documents.

        Returns:
            The counts; in the last column the number of tokens of the sentence.
        """
        if self._counts is not None:
            return self._counts.take(sentences, axis=0)
        counts = np.zeros((len(sentences), width or self.width), np.int32)
        which, entries = self._sentences.entries(sentences, sentences + 1)
        counts[which, self._sentences.tokens.take(entries)] = self._sentences.counts.take(entries)
        counts[:, -1] = self._sizes.take(sentences)
        return counts

    def f1(self, row: Int64Array, counts: npt.NDArray[np.int32]) -> Float64Array:
        """(B,) best F1 over the references of selections of sentences.

        Args:
            row: (B,) documents.
            counts: (B, V+1) sums of the `counts` of the selected sentences.
        """
        if self._table is not None and counts.shape[1] == self.width:
            shared = np.minimum(counts[:, None, :-1], self._table.take(row, axis=0)).sum(axis=-1)
            values = 2 * shared / (counts[:, -1:] + self._most_tokens.take(row, axis=0))
            return np.asarray(values.max(axis=1), np.float64)
        first, stop = self._references.take(row), self._references.take(row + 1)
        ends = np.cumsum(stop - first)
        which, entries = self._wanted.entries(first, stop)
        place = which * counts.shape[1] + self._wanted.tokens.take(entries)
        same = np.minimum(counts.reshape(-1).take(place), self._wanted.counts.take(entries))
        # References of the B documents are numbered one document after the other.
        pair = (ends - stop).take(which) + self._wanted.bag.take(entries)
        shared = np.bincount(pair, same, ends[-1])
        owner, reference = spread(first, stop)
        values = 2 * shared / (counts[:, -1].take(owner) + self._lengths.take(reference))
        best: Float64Array = np.maximum.reduceat(values, ends - (stop - first))
        return best

    def greedy(self, sizes: Int64Array, most: int) -> npt.NDArray[np.int16]:
        """Greedy summaries: add the sentence that raises F1 most, as long as one raises it.

        Args:
            sizes: (N,) the first so many sentences of a document can be picked, at least 1.
            most: Most sentences P of a summary; one is always picked.

        Returns:
            (N, P) sentences in the order of choice, then -1; ties go to the first sentence.
        """
        picked = np.full((len(sizes), most), -1, np.int16)
        for row, n in enumerate(sizes.tolist()):
            width = self.width if self._table is not None else self._widths[row]
            sentences = self.counts(self.starts[row] + np.arange(n), width)
            total, value = np.zeros_like(sentences[0]), -1.0
            for turn in range(min(most, n)):
                values = self.f1(np.full(n, row), total + sentences)
                values[picked[row, :turn]] = -1.0
                best = int(values.argmax())
                if values[best] <= value:
                    break
                value, total = float(values[best]), total + sentences[best]
                picked[row, turn] = best
        return picked
