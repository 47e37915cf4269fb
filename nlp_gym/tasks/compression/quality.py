"""What a compressed text is worth without a reference: likeness to the whole, length and fluency.

The vectors of words are rounded to integers once. All sums are then sums of integers, which are
exact in any order: a step adds the entries of one word, and a batch gives what single episodes do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_number
from nlp_gym.encode.compact import to_stored
from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.metrics.base import on_grid
from nlp_gym.tasks.compression.language import BOUNDARY, UNIT, Bigrams
from nlp_gym.types import BoolArray, Encoded, Float64Array, Int64Array, Sample

PARTS = ("similarity", "length", "fluency")
"""What the quality is the weighted mean of."""
SPREAD = 0.2
"""Standard deviation of the share of kept words around the one that is asked for."""
_SCALE = 1 << 10  # a product of two rounded unit vectors is below 2**21: exact in float32
_TEXTS = 1024
"""Texts whose means are made at a time."""
MOST_PRODUCTS = 1 << 28
"""Products of two words of a text, over all texts, that fit in memory (four bytes each)."""


def check_weights(given: object) -> tuple[float, ...]:
    """Weights of `PARTS` that sum to 1, from a mapping by name or a list of three numbers.

    Raises:
        InvalidArgumentError: They are something else, or none is above 0.
    """
    if isinstance(given, Mapping):
        for name in given:
            if name not in PARTS:
                raise UnknownNameError("reward_weights", name, PARTS)
        given = [given.get(name, 0.0) for name in PARTS]
    listed = list(given) if isinstance(given, list | tuple) else []
    found = [check_number("reward_weights", number, 0.0, 1e6) for number in listed]
    if len(found) != len(PARTS) or sum(found) <= 0.0:
        raise InvalidArgumentError(
            f"reward_weights={shown(given)} must be a mapping from {', '.join(PARTS)} to numbers "
            "from 0, or a list of these three; one of them is above 0."
        )
    return tuple(number / sum(found) for number in found)


@dataclass(frozen=True)
class Kept:
    """Sums over the kept words of B texts.

    Attributes:
        count: (B,) words kept.
        along: (B,) product of their summed vector with that of the whole text.
        norm: (B,) square of the length of their summed vector.
        chain: (B,) gains of them in this order and of the end, in 1/`UNIT` nats.
    """

    count: Int64Array
    along: Int64Array
    norm: Int64Array
    chain: Int64Array


@dataclass(frozen=True)
class Goal:
    """What is asked for.

    Attributes:
        ratio: Share of the words to keep.
        most: Most words that are kept.
        weights: Of `PARTS`, summing to 1.
    """

    ratio: float
    most: int
    weights: tuple[float, ...]

    def words(self, lengths: Int64Array) -> Int64Array:
        """(B,) number of words that texts of `lengths` (B,) words are asked to keep."""
        found: Int64Array = np.rint(lengths * self.ratio).astype(np.int64)
        return np.minimum(np.clip(found, 1, self.most), lengths)


class Quality:
    """Quality of any choice of words of the texts of a corpus.

    - *Similarity*: cosine of the sum of the kept words' vectors and that of all words; the vectors
      are the frozen encoder's, made as long as the word says much (`Bigrams.weights`).
    - *Length*: a Gaussian of the share of kept words around `Goal.ratio`, 1 at its centre.
    - *Fluency*: the exponential of the mean gain of the kept words and the end (their SLOR, see
      `language`), divided by that of the whole text; at most 1.

    Args:
        samples: The texts.
        numbers: (W,) entries of their words in the language model, text after text.
        model: The language model.
        encoded: Vectors, of which the first W are those of the words.
        goal: What is asked for.

    Raises:
        InvalidArgumentError: The texts are too long in all.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        numbers: Int64Array,
        model: Bigrams,
        encoded: Encoded,
        goal: Goal,
    ) -> None:
        self.goal, self.model, self.numbers = goal, model, numbers
        self.lengths = np.array([len(sample.words) for sample in samples], np.int64)
        ends = np.cumsum(self.lengths)
        self.first = ends - self.lengths
        squares = self.lengths**2
        if int(squares.sum()) > MOST_PRODUCTS:
            raise InvalidArgumentError(
                f"data: the products of all pairs of words within the texts are "
                f"{int(squares.sum()):,}, and {MOST_PRODUCTS:,} fit (the longest text has "
                f"{int(self.lengths.max()):,} words). Give shorter or fewer texts, such as single "
                "sentences."
            )
        self._block = np.cumsum(squares) - squares
        self.products = np.empty(int(squares.sum()), np.int32)
        self.along = np.empty(int(ends[-1]), np.int64)
        self.whole = np.empty(len(samples), np.int64)
        self._source = np.empty(len(samples))
        for i, (first, n, block) in enumerate(
            zip(self.first.tolist(), self.lengths.tolist(), self._block.tolist(), strict=True)
        ):
            mine = numbers[first : first + n]
            rows = encoded.gather(np.arange(first, first + n)).astype(np.float64)
            length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
            unit = rows / np.where(length > 0.0, length, 1.0)
            unit *= model.weights.take(mine)[:, None]
            whole = np.rint(unit * _SCALE).astype(np.float32)
            square = (whole @ whole.T).astype(np.int32)
            self.products[block : block + n * n] = square.ravel()
            self.along[first : first + n] = square.sum(axis=1, dtype=np.int64)
            self.whole[i] = int(square.sum(dtype=np.int64))
            self._source[i] = model.chain(mine) / (n + 1)
        self._last = model.gains(numbers, np.full(len(numbers), BOUNDARY))

    def block(self, rows: Int64Array, places: Int64Array) -> Int64Array:
        """(B,) where in `products` the products of a word with those of its text begin."""
        found: Int64Array = self._block.take(rows) + places * self.lengths.take(rows)
        return found

    def add(
        self, rows: Int64Array, places: Int64Array, last: Int64Array, kept: BoolArray
    ) -> tuple[Int64Array, Int64Array, Int64Array]:
        """What a word adds to `Kept.along`, `norm` and `chain`, each (B,).

        Args:
            rows: (B,) texts.
            places: (B,) the word, after all kept ones.
            last: (B,) the last kept word; -1: none.
            kept: (B, T) which words before it are kept.
        """
        width = int(places.max(initial=0)) + 1
        begin = self.block(rows, places)
        # An entry beyond the text is not read as kept; "clip" keeps the last ones inside.
        near = self.products.take(begin[:, None] + np.arange(width), mode="clip")
        cross = (near * kept[:, :width]).sum(axis=1, dtype=np.int64)
        own = self.products.take(begin + places).astype(np.int64)
        word = self.first.take(rows) + places
        now = self.numbers.take(word)
        before, left = self._before(rows, last)
        chain = self.model.gains(before, now) - left + self._last.take(word)
        return self.along.take(word), 2 * cross + own, chain

    def _before(self, rows: Int64Array, last: Int64Array) -> tuple[Int64Array, Int64Array]:
        """(B,) entry of the last kept word, and (B,) what its end counted in the chain."""
        some = last >= 0
        word = self.first.take(rows) + np.maximum(last, 0)
        before = np.where(some, self.numbers.take(word), BOUNDARY)
        return before, np.where(some, self._last.take(word), 0)

    def parts(self, rows: Int64Array, kept: Kept) -> Float64Array:
        """(B, 3) similarity, length and fluency, from 0 to 1; 0 where nothing is kept."""
        n = self.lengths.take(rows)
        size = np.sqrt(kept.norm.astype(np.float64) * self.whole.take(rows))
        similarity = np.where(size > 0.0, kept.along / np.where(size > 0.0, size, 1.0), 0.0)
        asked = np.minimum(self.goal.ratio, self.goal.most / n)
        off = (kept.count / n - np.maximum(asked, 1.0 / n)) / SPREAD
        mean = kept.chain / (kept.count + 1) - self._source.take(rows)
        found = np.stack(
            [
                np.clip(similarity, 0.0, 1.0),
                np.exp(-0.5 * off * off),
                np.exp(np.minimum(mean, 0.0) / UNIT),
            ],
            axis=1,
        )
        found[kept.count == 0] = 0.0
        return found

    def value(self, rows: Int64Array, kept: Kept) -> Float64Array:
        """(B,) the quality, on the grid of `on_grid`."""
        a, b, c = self.parts(rows, kept).T
        x, y, z = self.goal.weights
        return on_grid(x * a + y * b + z * c)

    def of(self, rows: Int64Array, kept: BoolArray) -> Kept:
        """Sums over whole choices of words.

        Args:
            rows: (B,) texts.
            kept: (B, T) which of their words are kept; False beyond a text.
        """
        b, width = kept.shape
        owner, place = kept.nonzero()
        text = rows.take(owner)
        word = self.first.take(text) + place
        count = kept.sum(axis=1).astype(np.int64)
        along = np.bincount(owner, self.along.take(word).astype(np.float64), b)
        norm = np.zeros(b, np.int64)
        chain = np.zeros(b, np.int64)
        last = np.full(len(owner), -1, np.int64)
        same = owner[1:] == owner[:-1]
        last[1:][same] = place[:-1][same]
        before, left = self._before(text, last)
        change = self.model.gains(before, self.numbers.take(word)) - left
        np.add.at(chain, owner, change + self._last.take(word))
        step = max(1, (1 << 22) // max(width, 1))
        for start in range(0, len(owner), step):
            mine = owner[start : start + step]
            begin = self.block(text[start : start + step], place[start : start + step])
            near = self.products.take(begin[:, None] + np.arange(width), mode="clip")
            part = (near * kept.take(mine, axis=0)).sum(axis=1, dtype=np.int64)
            np.add.at(norm, mine, part)
        return Kept(count, np.rint(along).astype(np.int64), norm, chain)


def mask_of(lists: Sequence[Sequence[int]], width: int) -> npt.NDArray[np.bool_]:
    """(B, width) flags from the lists of the places that are kept."""
    flags = np.zeros((len(lists), width), bool)
    for row, places in zip(flags, lists, strict=True):
        row[list(places)] = True
    return flags


def with_means(encoded: Encoded, lengths: Int64Array) -> Encoded:
    """Vectors of words, with the mean of each text after them.

    Args:
        encoded: (W+1, D) vectors of the words of N texts.
        lengths: (N,) words of each.

    Returns:
        (W+N+1, D) words, texts, and the zero vector.
    """
    words, n = int(lengths.sum()), len(lengths)
    features = np.empty((words + n + 1, encoded.dim), encoded.features.dtype)
    features[:words] = encoded.features[:words]
    features[-1] = 0
    first = np.cumsum(lengths) - lengths
    for start in range(0, n, _TEXTS):
        part = slice(start, start + _TEXTS)
        begin, end = int(first[start]), int((first[part] + lengths[part])[-1])
        rows = encoded.gather(np.arange(begin, end)).astype(np.float64)
        sums = np.add.reduceat(rows, first[part] - begin, axis=0)
        means = (sums / lengths[part, None]).astype(np.float16)
        features[words + start : words + start + len(means)] = to_stored(means, features.dtype)
    return Encoded(features, np.arange(words + n + 1))
