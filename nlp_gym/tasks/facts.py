"""Triples as numbers: entities and relations of a graph, queries, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.types import BoolArray, Int64Array, Sample

Triples = Sequence[tuple[str, str, str]]
_SLOTS = 22
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
        self._maybe = np.zeros(1 << _SLOTS, bool)
        self._maybe[_place(self._keys)] = True

    def _key(self, head: Int64Array, relation: Int64Array, tail: npt.NDArray) -> Int64Array:
        keys: Int64Array = (head * self._relations + relation) * self._n + tail
        return keys

    def holds(self, head: Int64Array, relation: Int64Array, tails: npt.NDArray) -> BoolArray:
        """(B, C) whether (head (B,), relation (B,), tail (B, C)) is known."""
        keys = self._key(head[:, None], relation[:, None], tails)
        known: BoolArray = self._maybe.take(_place(keys))
        at = np.nonzero(known)
        found = np.searchsorted(self._keys, keys[at])
        known[at] = self._keys.take(found, mode="clip") == keys[at]
        return known


def _place(keys: Int64Array) -> Int64Array:
    """Bits of keys, spread by multiplicative hashing (Knuth, TAOCP 6.4)."""
    with np.errstate(over="ignore"):
        places: Int64Array = (keys * _HASH) >> np.int64(64 - _SLOTS) & np.int64((1 << _SLOTS) - 1)
    return places
