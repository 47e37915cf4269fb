"""Pairs of entities as slots: the spans that a pair shows, and which pairs share an argument."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import DataError
from nlp_gym.tasks.core.tables import Tables, TextIndex
from nlp_gym.types import Int64Array, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.knowledge import KnowledgeBase

Pair = tuple[int, int, int, int]
"""Head start and end, tail start and end, in words, ends exclusive."""


class PairTables:
    """Slots, units and indices of all pairs of a corpus; every sentence has an end slot of its own.

    Args:
        samples: Sentences with ``extra["pairs"]`` and, perhaps, ``extra["types"]``.
        typed: Whether the types of the arguments are units of the context.

    Attributes:
        lengths: (N,) pairs of each sentence.
        offsets: (N,) slot of each sentence's first pair.
        heads: (n_slots,) index of the head among the sentence's entities; `most_entities` at ends.
        tails: (n_slots,) the same for the tail.
        reverse: (n_slots,) place of the pair (tail, head) where it comes before this one, else -1.
        most_entities: Entities of the sentence that has most.

    Raises:
        DataError: A sample has no pairs, or they do not fit its words or labels.
    """

    def __init__(self, samples: Sequence[Sample], *, typed: bool) -> None:
        for index, sample in enumerate(samples):
            if fault := _fault(sample):
                raise DataError(f"sample {index} ({sample.id}): {fault}.")
        self._samples, self._typed = samples, typed
        self.lengths = np.array([len(sample.extra["pairs"]) for sample in samples], np.int64)
        self.offsets = np.cumsum(self.lengths + 1) - (self.lengths + 1)
        n_slots = int(self.lengths.sum()) + len(samples)
        self.heads = np.full(n_slots, -1, np.int64)
        self.tails = np.full(n_slots, -1, np.int64)
        self.reverse = np.full(n_slots, -1, np.int64)
        self.most_entities = 0
        for slot, sample in zip(self.offsets.tolist(), samples, strict=True):
            self._number(slot, sample.extra["pairs"])
        for entities in (self.heads, self.tails):
            entities[entities < 0] = self.most_entities

    def _number(self, slot: int, pairs: Sequence[Pair]) -> None:
        entities: dict[tuple[int, int], int] = {}
        places: dict[tuple[int, int], int] = {}
        for place, (a, b, c, d) in enumerate(pairs):
            head = entities.setdefault((a, b), len(entities))
            tail = entities.setdefault((c, d), len(entities))
            self.heads[slot + place], self.tails[slot + place] = head, tail
            self.reverse[slot + place] = places.get((tail, head), -1)
            places[head, tail] = place
        self.most_entities = max(self.most_entities, len(entities))

    @cached_property
    def _context(self) -> tuple[Units, Int64Array]:
        """The units, and (n_slots, K) which of them each pair shows; -1: none."""
        width = len(pair_spans((0, 1, 1, 2))) + 2 * self._typed
        context = np.full((len(self.heads), width), -1, np.int64)
        numbers: dict[tuple[int, int, int], int] = {}
        kinds = TextIndex()
        first_kind = len(self._samples)
        for text, (slot, sample) in enumerate(
            zip(self.offsets.tolist(), self._samples, strict=True)
        ):
            types = sample.extra.get("types") if self._typed else None
            for place, pair in enumerate(sample.extra["pairs"]):
                units = [(text, start, stop) for start, stop in pair_spans(pair)]
                for kind in types[place] if types else ():
                    units.append((first_kind + kinds.add((kind,)), 0, 1))
                for column, unit in enumerate(units):
                    if unit[1] < unit[2]:
                        context[slot + place, column] = numbers.setdefault(unit, len(numbers))
        texts = [sample.words for sample in self._samples] + kinds.texts
        return Units(texts, np.array(list(numbers), np.int64)), context

    def describe(self, knowledge: KnowledgeBase) -> npt.NDArray[np.int8]:
        """What `Relation.describe` gives; an argument is looked up as a whole."""
        names = np.full((len(self.heads), 2), -1, np.int64)
        links = np.zeros((len(self.heads), 2 * len(knowledge.relations)), np.int8)
        for slot, sample in zip(self.offsets.tolist(), self._samples, strict=True):
            for at, (a, b, c, d) in enumerate(sample.extra["pairs"], slot):
                head, tail = (knowledge.number(sample.words[i:j]) for i, j in ((a, b), (c, d)))
                names[at] = head, tail
                links[at] = knowledge.links(head, tail)
        roles = knowledge.describe(names).reshape(len(names), -1)
        return np.concatenate([roles, links], axis=1)

    @property
    def units(self) -> Units:
        """Spans of words, and the names of types as texts of one word."""
        return self._context[0]

    @cached_property
    def tables(self) -> Tables:
        """One slot per pair, and an empty one at the end of each sentence."""
        units, context = self._context
        return Tables.build(len(units), offsets=self.offsets, context=context)


def pair_spans(pair: Pair) -> list[tuple[int, int]]:
    """The spans that a pair shows, each the mean of its words: head, tail and what lies between.

    Where the arguments touch or overlap nothing lies between, an empty span.
    """
    a, b, c, d = pair
    return [(a, b), (c, d), (min(b, d), max(a, c))]


def _fault(sample: Sample) -> str | None:
    """What is wrong with the pairs of a sample."""
    pairs = sample.extra.get("pairs")
    if not pairs:
        return "extra['pairs'] is missing or empty: give (head start, end, tail start, end) tuples"
    n = len(sample.words)
    for pair in pairs:
        a, b, c, d = pair if len(pair) == 4 else (0, 0, 0, 0)
        if not (0 <= a < b <= n and 0 <= c < d <= n and (a, b) != (c, d)):
            return f"the pair {tuple(pair)} is not of two spans within {n} words"
    if len(set(pairs)) < len(pairs):
        return "extra['pairs'] holds a pair twice"
    if sample.labels is not None and len(sample.labels) != len(pairs):
        return f"{len(pairs)} pairs but {len(sample.labels)} labels"
    if sample.extra.get("types") is not None and len(sample.extra["types"]) != len(pairs):
        return f"{len(pairs)} pairs but {len(sample.extra['types'])} pairs of types"
    return None
