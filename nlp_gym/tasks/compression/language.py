"""A small language model of words, learnt from the training texts: how well one follows another.

It is a bigram model with absolute discounting whose lower order counts contexts, as that of Kneser
and Ney (1995). Words that are rare in training share the entry of their form: a number, a name, a
sign, another word. Pairs of a single text are left out: else a training text would be judged by a
model that knows it by heart.

A *gain* is the logarithm of the probability of a word after another one, less that without context:
the mean of gains over a text is its SLOR (Kann, Rothe and Filippova 2018), a measure of fluency in
which rare words cost nothing. Gains are integers in units of 1/`UNIT` nats, so that sums of them
are exact in any order.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Float64Array, Int64Array, IntArray

UNIT = 1 << 16
"""What 1 nat is in gains."""
BOUNDARY = 0
"""The number that stands before the first word and after the last one."""
FORMS = ("<number>", "<name>", "<sign>", "<word>")
_FIRST = 1 + len(FORMS)
_MOST_WORDS = 1 << 16
MOST_PAIRS = 1 << 18
"""Pairs of words that are kept; of more, the rarest are left out."""
_LEAST_WEIGHT = 0.1
_DISCOUNT = 0.75
_UNSEEN = 0.5
"""Contexts that every entry has besides those of training."""


def word_form(word: str) -> int:
    """The number of the entry that stands for a word which the vocabulary lacks."""
    if any(map(str.isdigit, word)):
        return 1
    if not any(map(str.isalpha, word)):
        return 3
    return 2 if word[:1].isupper() else 4


@dataclass(frozen=True)
class Bigrams:
    """Counts of words and of pairs of words.

    Attributes:
        words: The vocabulary in lower case; word i has the number 5 + i.
        n_texts: Texts that were learnt from.
        frequency: (V,) int64 texts that hold each entry; V counts boundary and forms too.
        uses: (V,) int64 how often something follows each entry.
        contexts: (V,) int64 how many entries each one follows.
        pairs: (P,) int64, ascending, ``before * V + after`` of each pair of two texts or more.
        counts: (P,) int64 how often.
    """

    words: tuple[str, ...]
    n_texts: int
    frequency: Int64Array
    uses: Int64Array
    contexts: Int64Array
    pairs: Int64Array
    counts: Int64Array

    @classmethod
    def learn(cls, texts: Iterable[Sequence[str]], *, size: int = 8000) -> Bigrams:
        """Count the words and pairs of texts.

        Args:
            texts: Their words; at least one text.
            size: Most words of the vocabulary; each is in two texts or more.
        """
        given = [tuple(text) for text in texts]
        counted = Counter(word for text in given for word in {word.lower() for word in text})
        often = sorted((-n, word) for word, n in counted.items() if n > 1)
        words = tuple(word for _, word in often[:size])
        total = _FIRST + len(words)
        zeros = np.zeros(total, np.int64)
        model = cls(words, len(given), zeros, zeros, zeros, zeros, zeros)
        frequency = zeros.copy()
        found, owners = [zeros[:0]], [zeros[:0]]
        for number, text in enumerate(given):
            numbers = model.numbers(text)
            frequency[np.unique(numbers)] += 1
            chain = np.concatenate([[BOUNDARY], numbers, [BOUNDARY]])
            found.append(chain[:-1] * total + chain[1:])
            owners.append(np.full(len(numbers) + 1, number))
        every, owner = np.concatenate(found), np.concatenate(owners)
        pairs, which, counts = np.unique(every, return_inverse=True, return_counts=True)
        uses = np.bincount(every // total, minlength=total)
        contexts = np.bincount(pairs % total, minlength=total)
        first = np.full(len(pairs), len(given))
        np.minimum.at(first, which, owner)
        last = np.zeros(len(pairs), np.int64)
        np.maximum.at(last, which, owner)
        several = last > first
        pairs, counts = pairs[several], counts[several]
        rarest = 2
        while len(pairs) > MOST_PAIRS:
            pairs, counts = pairs[counts > rarest], counts[counts > rarest]
            rarest += 1
        return cls(words, len(given), frequency, uses, contexts, pairs, counts.astype(np.int64))

    @classmethod
    def read(cls, settings: object) -> Bigrams:
        """Make the model that `settings` describe.

        Raises:
            InvalidArgumentError: They are not those of a model.
        """
        try:
            return _read(settings)
        except (ValueError, TypeError, KeyError, zlib.error, binascii.Error, OverflowError) as why:
            raise InvalidArgumentError(
                f"language_model={shown(settings)} is no language model that a run stored "
                f"({why}). Leave it out: it is learnt from the training texts."
            ) from why

    @cached_property
    def settings(self) -> str:
        """The model as one line of JSON, which runs store."""
        return json.dumps(
            {
                "words": list(self.words),
                "n_texts": self.n_texts,
                "frequency": _packed(self.frequency),
                "uses": _packed(self.uses),
                "contexts": _packed(self.contexts),
                "pairs": _packed(np.diff(self.pairs, prepend=0)),
                "counts": _packed(self.counts),
            },
            ensure_ascii=False,
        )

    @property
    def size(self) -> int:
        """Number V of entries."""
        return _FIRST + len(self.words)

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {word: number for number, word in enumerate(self.words, _FIRST)}

    def numbers(self, words: Sequence[str]) -> Int64Array:
        """(T,) entries of words."""
        index = self._index
        found = (index.get(word.lower()) or word_form(word) for word in words)
        return np.fromiter(found, np.int64, len(words))

    @cached_property
    def _tables(self) -> tuple[Int64Array, Int64Array]:
        """(P,) gains of known pairs, and (V,) those of any other pair by its first entry."""
        v, before, after = self.size, self.pairs // self.size, self.pairs % self.size
        shares = (self.contexts + _UNSEEN) / (self.contexts.sum() + _UNSEEN * v)
        seen = (self.counts - _DISCOUNT) / np.maximum(self.uses[before], 1)
        back = np.maximum(1.0 - np.bincount(before, seen, v), 1e-6)
        return _logs(seen / shares[after] + back[before]), _logs(back)

    def gains(self, before: IntArray, after: IntArray) -> Int64Array:
        """(B,) by how much, in 1/`UNIT` nats, an entry is likelier after another than without."""
        known, back = self._tables
        found: Int64Array = back.take(before)
        if len(self.pairs):
            wanted = before * np.int64(self.size) + after
            at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
            found = np.where(self.pairs.take(at) == wanted, known.take(at), found)
        return found

    def chain(self, numbers: Int64Array) -> int:
        """Sum of the gains of a text and of its end."""
        before = np.concatenate([[BOUNDARY], numbers])
        return int(self.gains(before, np.concatenate([numbers, [BOUNDARY]])).sum())

    @cached_property
    def weights(self) -> Float64Array:
        """(V,) from 0.1 to 1: how much an entry says, by the share of texts that lack it (idf)."""
        seen = self.frequency.copy()
        seen[[1, 2, 4]] = 0  # forms of words that are rare, each of which is in one text or none
        found = np.log((self.n_texts + 1) / (seen + 1)) / np.log(self.n_texts + 1)
        return np.asarray(np.clip(found, _LEAST_WEIGHT, 1.0), np.float64)


def _logs(values: Float64Array) -> Int64Array:
    return np.asarray(np.rint(np.log(values) * UNIT), np.int64)


def _packed(numbers: Int64Array) -> str:
    data = zlib.compress(np.ascontiguousarray(numbers, "<i8").tobytes(), 9)
    return base64.b64encode(data).decode("ascii")


def _unpacked(text: object, size: int | None) -> Int64Array:
    """The integers of a string; not more than a model can have, whatever the string says."""
    if not isinstance(text, str):
        raise ValueError("numbers are no string")
    most = 8 * (MOST_PAIRS if size is None else size)
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(text, validate=True), most + 8)
    if not unpacker.eof or len(data) > most or len(data) % 8:
        raise ValueError("numbers are cut, or too many")
    found: Int64Array = np.frombuffer(data, "<i8").astype(np.int64)
    if size is not None and len(found) != size:
        raise ValueError(f"{len(found)} numbers where {size} are needed")
    return found


def _read(settings: object) -> Bigrams:
    if not isinstance(settings, str):
        raise ValueError("it is no string")
    fields: Any = json.loads(settings)
    if not isinstance(fields, dict) or not isinstance(fields["words"], list):
        raise ValueError("it has no words")
    words, n_texts = tuple(fields["words"]), fields["n_texts"]
    if len(words) > _MOST_WORDS or not all(isinstance(word, str) and word for word in words):
        raise ValueError("its words are no list of strings, or too many")
    if len(set(words)) < len(words):
        raise ValueError("a word is in it twice")
    if type(n_texts) is not int or not 1 <= n_texts < 2**40:
        raise ValueError("n_texts is no number of texts")
    size = _FIRST + len(words)
    frequency, uses, contexts = (
        _unpacked(fields[name], size) for name in ("frequency", "uses", "contexts")
    )
    pairs = np.cumsum(_unpacked(fields["pairs"], None))
    counts = _unpacked(fields["counts"], len(pairs))
    if frequency.min() < 0 or frequency.max() > n_texts:
        raise ValueError("a frequency is outside the texts")
    if min(uses.min(), contexts.min()) < 0 or max(uses.max(), contexts.max()) > 2**40:
        raise ValueError("a count is no count")
    if len(pairs) and (pairs[0] < 0 or pairs[-1] >= size * size or (np.diff(pairs) <= 0).any()):
        raise ValueError("pairs are not ascending, or of words that are not there")
    if len(counts) and (counts.min() < 1 or counts.max() > 2**40):
        raise ValueError("a count is no count")
    return Bigrams(words, n_texts, frequency, uses, contexts, pairs, counts)
