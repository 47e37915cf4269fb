"""Triples as numbers: entities and relations of a graph, queries, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.types import BoolArray, Int64Array, Sample

Triples = Sequence[tuple[str, str, str]]
Ints = npt.NDArray[np.integer[Any]]
_HASH = np.int64(0x9E3779B97F4A7C1)


def triples_of(samples: Iterable[Sample]) -> list[tuple[str, str, str]]:
    """(head, relation, tail) of every answer of annotated samples."""
    return [
        (sample.extra["head"], sample.extra["relation"], tail)
        for sample in samples
        for tail in sample.gold or ()
    ]


@dataclass(frozen=True)
class Numbers:
    """Names of entities and relations by number: those of the graph first, each part sorted."""

    entities: dict[str, int]
    relations: dict[str, int]
    n_relations: int

    @classmethod
    def of(cls, facts: Triples, queries: Iterable[Sample]) -> Numbers:
        """Number the names of facts, then heads and relations that only queries have."""
        known = sorted({name for head, _, tail in facts for name in (head, tail)})
        kinds = sorted({relation for _, relation, _ in facts})
        heads, asked = set(), set()
        for sample in queries:
            heads.add(sample.extra["head"])
            asked.add(sample.extra["relation"])
        known += sorted(heads.difference(known))
        relations = kinds + sorted(asked.difference(kinds))
        return cls(_numbered(known), _numbered(relations), len(kinds))

    def facts(self, triples: Triples) -> Int64Array:
        """(F, 3) numbers of triples."""
        rows = [(self.entities[h], self.relations[r], self.entities[t]) for h, r, t in triples]
        return np.array(rows, np.int64).reshape(-1, 3)

    def queries(self, samples: Sequence[Sample]) -> Int64Array:
        """(N, 3) head, relation and first answer of samples; -1: no answer, or no such entity."""
        rows = []
        for sample in samples:
            answer = self.entities.get(sample.gold[0], -1) if sample.gold else -1
            head, relation = sample.extra["head"], sample.extra["relation"]
            rows.append((self.entities[head], self.relations[relation], answer))
        return np.array(rows, np.int64)


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


class Known:
    """Which facts are known, looked up for many at once.

    A table of bits says of most triples that they are not known; the others are searched for.

    Args:
        facts: (F, 3) known triples.
        numbers: How many entities and relations there are.
    """

    def __init__(self, facts: Int64Array, numbers: Numbers) -> None:
        self._n, self._relations = len(numbers.entities), len(numbers.relations)
        self._keys = np.unique(self._key(*facts.T))
        self._bits = len(self._keys).bit_length() + 5
        self._maybe = np.zeros(1 << self._bits, bool)
        self._maybe[self._place(self._keys)] = True

    def _key(self, head: Int64Array, relation: Int64Array, tail: Ints) -> Int64Array:
        keys: Int64Array = (head * self._relations + relation) * self._n + tail
        return keys

    def hold(self, head: Int64Array, relation: Int64Array, tail: Ints) -> BoolArray:
        """(n,) whether triples of numbers (n,) each are known."""
        keys = self._key(head, relation, tail)
        known: BoolArray = self._maybe.take(self._place(keys))
        at = np.flatnonzero(known)
        found = np.searchsorted(self._keys, keys[at])
        known[at] = self._keys.take(found, mode="clip") == keys[at]
        return known

    def _place(self, keys: Int64Array) -> Int64Array:
        """Places in the table, spread by multiplicative hashing (Knuth, TAOCP 6.4)."""
        with np.errstate(over="ignore"):
            spread = (keys * _HASH).view(np.uint64) >> np.uint64(64 - self._bits)
        places: Int64Array = spread.view(np.int64)
        return places
