"""The chunks of texts that are read piece by piece, and what of a text was read in each state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.compact import to_stored
from nlp_gym.tasks.core.tables import Tables, TextIndex
from nlp_gym.types import BoolArray, Encoded, Int64Array, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.render import Piece

MOST_CHUNKS = 8
"""The last of so many chunks is all the rest: long texts take no more decisions than this."""

_BLOCK = 2**14
"""States whose vectors are averaged at a time."""


class Chunks:
    """The chunks of N texts, and the states in which a text of n chunks can be.

    The first chunk is always read. Without skipping there are n states, one after each chunk. With
    skipping there are 2**(n-1), one for each set of further chunks: the position of a state is the
    number whose bit k - 1 says whether chunk k was read, so that a move is an addition.

    Attributes:
        words: (N,) words of each text.
        lengths: (N,) chunks of each text.
        offsets: (N,) first slot of each text.
        place: (n_slots,) int8 the chunk of its text that was read last.
        read: (n_slots,) int32 words that were read.
        last: (n_slots,) whether the last chunk was read.

    Args:
        samples: The texts.
        size: Words of a chunk; None: a text is one chunk.
        skipping: Whether chunks can be passed over.
    """

    def __init__(
        self, samples: Sequence[Sample], size: int | None, *, skipping: bool = False
    ) -> None:
        self.words = np.array([len(sample.words) for sample in samples], np.int64)
        self.skipping = skipping
        self._size = size or int(self.words.max())
        self.lengths: Int64Array = np.clip(-(-self.words // self._size), 1, MOST_CHUNKS)
        states = 2 ** (self.lengths - 1) if skipping else self.lengths
        ends = np.cumsum(states)
        self.offsets: Int64Array = ends - states
        self.place = np.zeros(ends[-1], np.int8)
        self.read = np.zeros(ends[-1], np.int32)
        self.last = np.zeros(ends[-1], bool)
        for n, rows in self._by_length():
            sets = self.sets(n)
            slots = self.offsets[rows][:, None] + np.arange(len(sets))
            self.place[slots] = n - 1 - sets[:, ::-1].argmax(axis=1)
            self.read[slots] = self._sizes(rows, n) @ sets.T
            self.last[slots] = sets[:, -1]

    def _by_length(self) -> Iterator[tuple[int, Int64Array]]:
        """Each number of chunks that occurs, and the texts that have it."""
        for n in np.unique(self.lengths).tolist():
            yield n, np.flatnonzero(self.lengths == n)

    def _sizes(self, rows: Int64Array, n: int) -> Int64Array:
        """(B, n) words of each chunk of texts that have n."""
        sizes = np.full((len(rows), n), self._size, np.int64)
        sizes[:, -1] = self.words[rows] - (n - 1) * self._size
        return sizes

    def sets(self, n: int) -> BoolArray:
        """(S, n) which chunks of a text of n were read in each of its S states."""
        if not self.skipping:
            return np.tril(np.ones((n, n), bool))
        numbers = np.arange(2 ** (n - 1))[:, None]
        further = (numbers >> np.arange(n - 1)) & 1 > 0
        return np.concatenate([np.ones((len(numbers), 1), bool), further], axis=1)

    def after(self, slot: Int64Array, passed: Int64Array) -> Int64Array:
        """(B,) slots after the chunk behind the next `passed` (B,) ones was read."""
        if not self.skipping:
            return slot + 1
        return slot + (1 << (self.place.take(slot) + passed))

    def stop(self, row: int, place: int) -> int:
        """First word of a text behind a chunk."""
        last = place == self.lengths[row] - 1
        return int(self.words[row]) if last else (place + 1) * self._size

    def pieces_of(self, row: int, position: int) -> list[tuple[int, int]]:
        """First word of each chunk that was read in a state, and the one behind it."""
        chosen = np.flatnonzero(self.sets(int(self.lengths[row]))[position]).tolist()
        return [(k * self._size, self.stop(row, k)) for k in chosen]

    def _texts(self, samples: Sequence[Sample]) -> Iterator[tuple[str, ...]]:
        """What was read in each slot, as a text of its own."""
        for row, (sample, n) in enumerate(zip(samples, self.lengths.tolist(), strict=True)):
            bounds = [(k * self._size, self.stop(row, k)) for k in range(n)]
            chunks = [tuple(sample.words[a:b]) for a, b in bounds]
            for chosen in self.sets(n):
                picked = (chunk for chunk, read in zip(chunks, chosen, strict=True) if read)
                yield tuple(word for chunk in picked for word in chunk)

    def tables(self, samples: Sequence[Sample], texts: TextIndex) -> Tables:
        """One unit per slot: the text that was read, numbered in `texts`."""
        numbers = (texts.add(text) for text in self._texts(samples))
        context = np.fromiter(numbers, np.int32)[:, None]
        texts.seal()
        return Tables.build(len(texts.texts), offsets=self.offsets, context=context)

    def own_tables(self) -> Tables:
        """One unit per slot, each its own, for `means`."""
        units = np.arange(len(self.place))[:, None]
        return Tables.build(len(units), offsets=self.offsets, context=units)

    def own_units(self, samples: Sequence[Sample]) -> Units:
        """The texts behind `own_tables`, for an encoder that learns and for `tokens`."""
        return Units.whole(list(self._texts(samples)))

    def means(self, samples: Sequence[Sample], encode: Callable[[Units], Encoded]) -> Encoded:
        """The vectors of `own_tables`: means of the chunks read, each encoded on its own.

        A text is so encoded once, however many states it has.

        Args:
            samples: The texts.
            encode: Gives the vectors of units.
        """
        texts = TextIndex()
        starts = np.cumsum(self.lengths) - self.lengths
        numbers = np.fromiter(
            (
                texts.add(sample.words[k * self._size : self.stop(row, k)])
                for row, (sample, n) in enumerate(zip(samples, self.lengths.tolist(), strict=True))
                for k in range(n)
            ),
            np.int64,
        )
        chunks = encode(Units.whole(texts.texts))
        stored = chunks.features.dtype
        out = np.zeros((len(self.place) + 1, chunks.dim), stored)
        for n, rows in self._by_length():
            sets = self.sets(n)
            each = max(1, _BLOCK // len(sets))
            for first in range(0, len(rows), each):
                part = rows[first : first + each]
                vectors = chunks.gather(numbers[starts[part][:, None] + np.arange(n)])  # (B, n, D)
                slots = self.offsets[part][:, None] + np.arange(len(sets))
                out[slots] = _weighted(sets, self._sizes(part, n), vectors, stored)
        return Encoded(out, np.arange(len(out)))

    def drawn(self, sample: Sample, row: int, position: int) -> list[Piece]:
        """A text for people: what was read, the latest chunk, and the rest."""
        from nlp_gym.render import Piece

        n = int(self.lengths[row])
        chosen = self.sets(n)[position]
        latest = int(np.flatnonzero(chosen)[-1])
        pieces = []
        for k in range(n):
            mark = "here" if k == latest else "plain" if chosen[k] else "dim"
            words = sample.words[k * self._size : self.stop(row, k)]
            pieces.append(Piece(" ".join(words), mark))
        return pieces


def _weighted(
    sets: BoolArray, sizes: Int64Array, vectors: npt.NDArray[np.float32], stored: np.dtype
) -> npt.NDArray[np.generic]:
    """(B, S, D) means over words, of chunks (B, n, D) of `sizes` (B, n) words."""
    weights = sets[None] * sizes[:, None, :]  # (B, S, n)
    total = np.maximum(weights.sum(axis=2, keepdims=True), 1)  # a blank text has no word
    shares = (weights / total).astype(np.float32)
    return to_stored((shares @ vectors).astype(np.float16), stored)
