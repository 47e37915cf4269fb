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
class NameNumbers:
    """The numbers of entities and relations by their names (often called entity2id, relation2id).

    Names of the graph come first, then those that only queries have, each part sorted.

    Attributes:
        entities: Number of each entity.
        relations: Number of each relation.
        n_relations: Relations R of the graph.
    """

    entities: dict[str, int]
    relations: dict[str, int]
    n_relations: int

    @classmethod
    def of(cls, facts: Triples, queries: Iterable[Sample]) -> NameNumbers:
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


class KnownFacts:
    """Which facts are known, looked up for many at once.

    At the last hop of 256 walks up to 18,000 edges are looked up, of which few are known facts. A
    table of bits says of most others that they are not known, and only the rest are searched for
    by bisection. Against bisection of all, `KnowledgeGraph-FB15k237-v0` makes 1.2 to 1.3 times as
    many steps a second (665,000 against 548,000 in training, 841,000 against 650,000 on dev, random
    actions); `KnowledgeGraph-WN18RR-v0`, whose entities have few edges, 1.01 to 1.05 times. A set
    of Python's makes half as many.

    Args:
        facts: (F, 3) known triples.
        numbers: How many entities and relations there are.
    """

    def __init__(self, facts: Int64Array, numbers: NameNumbers) -> None:
        self._n, self._relations = len(numbers.entities), len(numbers.relations)
        self._keys = np.unique(self._key(*facts.T))
        self._bits = len(self._keys).bit_length() + 5
        self._maybe = np.zeros(1 << self._bits, bool)
        self._maybe[self._hash(self._keys)] = True

    def _key(self, head: Int64Array, relation: Int64Array, tail: Ints) -> Int64Array:
        keys: Int64Array = (head * self._relations + relation) * self._n + tail
        return keys

    def hold(self, head: Int64Array, relation: Int64Array, tail: Ints) -> BoolArray:
        """(n,) whether triples of numbers (n,) each are known."""
        keys = self._key(head, relation, tail)
        known: BoolArray = self._maybe.take(self._hash(keys))
        at = np.flatnonzero(known)
        found = np.searchsorted(self._keys, keys[at])
        known[at] = self._keys.take(found, mode="clip") == keys[at]
        return known

    def _hash(self, keys: Int64Array) -> Int64Array:
        """Places in the table, spread by multiplicative hashing (Knuth, TAOCP 6.4)."""
        with np.errstate(over="ignore"):
            spread = (keys * _HASH).view(np.uint64) >> np.uint64(64 - self._bits)
        places: Int64Array = spread.view(np.int64)
        return places
