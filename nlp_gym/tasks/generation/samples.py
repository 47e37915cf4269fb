"""Samples with references, the vocabulary learnt from them, and the state of texts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.data.text.vocabulary import Vocabulary, normalise_spaces
from nlp_gym.errors import DataError, shown
from nlp_gym.metrics.text.rouge import make_tokenizer
from nlp_gym.tasks.core.task import State
from nlp_gym.types import Corpus, Int64Array, Sample

_METRIC = "metric_"
_FEW = 16
"""References of a sample that are copied for each of them."""


class WritingState(State):
    """State of B texts; `slot` counts the tokens written.

    Besides its attributes it has arrays of the metric, whose names begin with ``metric_``.

    Attributes:
        prefix: (B, L) int32 tokens written so far, then 0.
        missing: (B,) int64 bytes that the last character still wants.
    """

    prefix: npt.NDArray[np.int32]
    missing: Int64Array

    def __init__(self, **arrays: npt.NDArray[Any]) -> None:
        vars(self).update(arrays)

    @property
    def metric(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the metric by their own names."""
        named = vars(self).items()
        return {k.removeprefix(_METRIC): a for k, a in named if k.startswith(_METRIC)}

    @staticmethod
    def named(metric: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The names of `metric` as attributes."""
        return {_METRIC + name: array for name, array in metric.items()}


@lru_cache(maxsize=4)
def learnt_vocabulary(texts: tuple[str, ...], size: int, kind: str) -> Vocabulary:
    """The vocabulary of some texts, learnt once for all splits and environments."""
    return Vocabulary.learn(texts, size=size, kind=kind)


class Rotated(Sequence[str]):
    """The references of a sample, from one of them on; the first ones come last.

    Nothing is copied: a sample with thousands of references becomes as many with as many each.

    Args:
        references: In their own order.
        first: Index of the one that comes first.
    """

    __slots__ = ("first", "references")

    def __init__(self, references: tuple[str, ...], first: int) -> None:
        self.references, self.first = references, first

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    @override
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        n = len(self.references)
        if isinstance(place, slice):
            return tuple(self[i] for i in range(*place.indices(n)))
        if not -n <= place < n:
            raise IndexError(place)
        return self.references[(self.first + place) % n]

    @override
    def __len__(self) -> int:
        return len(self.references)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.references!r}, {self.first})"


def each_reference(corpus: Corpus) -> Corpus:
    """One sample per reference, which comes first in it; the others follow."""
    samples = [
        sample if k == 0 else replace(sample, gold=_rotated(sample.gold, k))
        for sample in corpus.samples
        for k in range(max(len(sample.gold), 1) if isinstance(sample.gold, tuple) else 1)
    ]
    return replace(corpus, samples=samples)


def _rotated(references: tuple[str, ...], first: int) -> Sequence[str]:
    if len(references) > _FEW:
        return Rotated(references, first)
    return (*references[first:], *references[:first])


def reference_sets(samples: Sequence[Sample]) -> tuple[list[Sequence[str]], Int64Array]:
    """References of samples, those that `each_reference` shares once, and (N,) which each has."""
    places: dict[int, int] = {}
    sets: list[Sequence[str]] = []
    which = []
    for sample in samples:
        gold = sample.gold.references if isinstance(sample.gold, Rotated) else sample.gold
        place = places.setdefault(id(gold), len(sets))
        if place == len(sets):
            sets.append(gold)
        which.append(place)
    return sets, np.array(which, np.int64)


def check_references(samples: Sequence[Sample]) -> None:
    """Raise `DataError` unless what is annotated has references that can be written."""
    checked: set[int] = set()
    for index, sample in enumerate(samples):
        gold = sample.gold
        if gold is None and sample.labels is None:
            continue
        listed = isinstance(gold, (tuple, list, Rotated)) and len(gold) > 0
        whole = gold.references if isinstance(gold, Rotated) else gold
        if id(whole) in checked:
            continue
        if not listed or not all(map(writable, whole)):
            where = f"sample {index}{f' ({sample.id})' if sample.id else ''}"
            raise DataError(
                f"{where}: gold={shown(gold)}, allowed: references, strings with a word."
            )
        checked.add(id(whole))


def writable(text: object) -> bool:
    """Whether a reference is a string with a word, in which no character is half of a pair."""
    if not isinstance(text, str):
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return bool(normalise_spaces(text))


def source_text(sample: Sample) -> str:
    """The source as it was given; its words, where only they are known."""
    return str(sample.extra.get("text", "")) or " ".join(sample.words)


def source_pieces(
    vocabulary: Vocabulary, sources: Sequence[Sequence[str]], most: int
) -> Int64Array:
    """Tokens that write each word of the sources, for agents that copy words.

    A word without a letter or digit has none: how it is spaced depends on what is around it.

    Args:
        vocabulary: Of what is written.
        sources: With U words in all.
        most: Tokens K of a word; further ones of a longer word are left out.

    Returns:
        (U+1, K) tokens, then 0; row U is a word that is not there.
    """
    words = [word for source in sources for word in source]
    distinct = sorted({word for word in words if any(map(str.isalnum, word))})
    encoded = dict(zip(distinct, vocabulary.encode(distinct), strict=True))
    table = np.zeros((len(words) + 1, most), np.int64)
    for row, word in zip(table, words, strict=False):
        tokens = encoded.get(word, [])[:most]
        row[: len(tokens)] = tokens
    return table


def targets(vocabulary: Vocabulary, samples: Sequence[Sample], length: int) -> tuple[Any, Any]:
    """Tokens of the first references.

    Returns:
        (N, length) int32 tokens, then 0, which is STOP; and (N,) number of them.
    """
    table = np.zeros((len(samples), length), np.int32)
    encoded = vocabulary.encode([sample.gold[0] for sample in samples])
    for row, tokens in zip(table, encoded, strict=True):
        row[: len(tokens)] = tokens[:length]
    sizes = np.array([len(tokens) for tokens in encoded], np.int64)
    if (longer := int((sizes > length).sum())) > 0:
        _warn(
            f"{longer} of {len(encoded)} references have more than {length} tokens and cannot be "
            "written whole. max_length= allows more."
        )
    return table, sizes


def warn_cut_sources(samples: Sequence[Sample], most: int) -> None:
    """Say how many sources are longer than what is read of them."""
    longer = sum(len(sample.words) > most for sample in samples)
    if longer:
        _warn(
            f"{longer} of {len(samples)} sources have more than {most} words, and those after are "
            "not seen. max_source= allows more; an agent reads as many as in training."
        )


def warn_uncounted(samples: Sequence[Sample], tokenizer: str) -> None:
    """Say where most references have no word that ROUGE counts, so that nothing can be earned."""
    cut = make_tokenizer(tokenizer).tokenize
    empty = sum(not cut(sample.gold[0]) for sample in samples)
    if 2 * empty > len(samples):
        _warn(
            f"{empty} of {len(samples)} references have no letter a-z or digit, and ROUGE counts "
            "nothing else: it is always 0 there. tokenize='zh' counts words of any script."
        )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=6)
