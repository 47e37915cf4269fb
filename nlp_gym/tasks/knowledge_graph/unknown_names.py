"""Queries whose names a graph does not have: what is wrong with them, and what may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from nlp_gym.errors import shown
from nlp_gym.tasks.knowledge_graph.triples import NameNumbers
from nlp_gym.types import Int64Array

_MOST = 20
"""Unknown names of one kind for which the nearest known one is searched, up to a second each."""


class GraphNames:
    """The names of a graph, in which the head and the relation of a query are looked up.

    Args:
        entities: Those of the graph.
        relations: Those of the graph.
        labels: Labels of entities; a query may give one in place of the entity.
    """

    def __init__(
        self, entities: Iterable[str], relations: Iterable[str], labels: Mapping[str, str]
    ) -> None:
        self._entities, self._relations = frozenset(entities), frozenset(relations)
        self._labels = labels
        labelled = {label: name for name, label in labels.items() if name in self._entities}
        self._similar_entities = _SimilarNames(
            {**labelled, **{name: name for name in sorted(self._entities)}}
        )
        self._similar_relations = _SimilarNames({name: name for name in sorted(self._relations)})

    @classmethod
    def of(cls, facts: Int64Array, numbers: NameNumbers, labels: Mapping[str, str]) -> GraphNames:
        """The names in the facts (F, 3) of a graph."""
        entities, relations = list(numbers.entities), list(numbers.relations)
        there = [entities[number] for number in np.unique(facts[:, [0, 2]])]
        return cls(there, relations[: numbers.n_relations], labels)

    def record(self, head: str, relation: str, answers: Sequence[str]) -> dict[str, Any]:
        """The prediction for a query: its answers, none from an unknown head, and its `problem`."""
        names = answers if head in self._entities else ()
        found = [{"entity": name, "label": self._labels.get(name, name)} for name in names]
        record = {"head": head, "relation": relation, "answers": found}
        problem = self.problem(head, relation)
        return record if problem is None else {**record, "problem": problem}

    def problem(self, head: str, relation: str) -> str | None:
        """What is wrong with a query, with the nearest known names; None: nothing."""
        found = []
        if head not in self._entities:
            what = f"head {shown(head)} is none of the graph's {len(self._entities)} entities"
            found.append(what + self._similar_entities.hint(head))
        if relation not in self._relations:
            n = len(self._relations)
            what = f"relation {shown(relation)} is none of the graph's {n} relations"
            found.append(what + self._similar_relations.hint(relation))
        return "; ".join(found) or None


class _SimilarNames:
    """Finds names that are spelled much like another.

    Args:
        spelled: The name meant by each spelling.
    """

    def __init__(self, spelled: Mapping[str, str]) -> None:
        self._spelled = spelled
        self._folded = {_folded(spelling): spelling for spelling in spelled}
        self._searched = 0
        self._search = lru_cache(maxsize=None)(self._closest)

    def hint(self, name: str) -> str:
        """A question to append to a message; empty where no name is near."""
        spelling = self._folded.get(_folded(name)) or self._search(name)
        if spelling is None:
            return ""
        meant = self._spelled[spelling]
        return f" (did you mean {shown(meant)}{'' if meant == spelling else f', {spelling}'}?)"

    def _closest(self, name: str) -> str | None:
        self._searched += 1
        if self._searched > _MOST:
            return None
        near = difflib.get_close_matches(name, self._spelled, n=1)
        return near[0] if near else None


def _folded(name: str) -> str:
    """A name without case, and without what may stand between its words."""
    return " ".join(name.replace("_", " ").casefold().split())
