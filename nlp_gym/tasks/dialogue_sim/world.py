"""Services, intents, slots, values and entities of a corpus, as numbered arrays, and queries.

Axis letters: I intents, S slots of a service (the most of any), K slots of an intent that can be
requested, E entities, V values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.errors import DataError, InvalidArgumentError, shown
from nlp_gym.tasks.dialogue_sim.acts import ANY, FIRST_VALUE, NONE
from nlp_gym.tasks.dialogue_sim.table import EntityTable
from nlp_gym.types import BoolArray, Int32Array, Int64Array, Sample

DONTCARE = "dontcare"
_MOST = 2**15
"""Queries that are remembered; then all are forgotten."""


@dataclass(frozen=True)
class Intent:
    """What users can want of a service.

    Attributes:
        service: Number of the service.
        name: As the schema has it.
        about: What it is for, in words; may be empty.
        transactional: Whether it does something (books, buys) rather than searches.
        required: Slots without which it cannot be called.
        optional: Other slots that it takes.
    """

    service: int
    name: str
    about: str
    transactional: bool
    required: tuple[str, ...]
    optional: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """What all episodes of a corpus share.

    Attributes:
        services: Names, sorted.
        slots: Names of the slots of each service.
        intents: The I intents.
        service: (I,) service of each intent.
        transactional: (I,) bool.
        inside: (I, S) bool, slots that an intent takes.
        required: (I, S) bool.
        slot_at: (I, K) slot of each request; -1: none.
        follows: (I,) the intent that does something which the system offers after it; -1: none.
        values: The texts of values from `FIRST_VALUE` on.
        first_value: (services * S + 1,) number of the first value of each slot, and the end.
        entities: (E, S) value of each slot of an entity, `NONE` where it has none.
        entity_range: (services + 1,) entities of each service lie between.
        table: The entities as texts.
    """

    services: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...]
    intents: tuple[Intent, ...]
    service: Int64Array
    transactional: BoolArray
    inside: BoolArray
    required: BoolArray
    slot_at: Int64Array
    follows: Int64Array
    values: tuple[str, ...]
    first_value: Int64Array
    entities: Int32Array
    entity_range: Int64Array
    table: EntityTable

    @property
    def n_slots(self) -> int:
        """Most slots S of a service."""
        return int(self.inside.shape[1])

    @cached_property
    def _value_numbers(self) -> dict[tuple[int, str], int]:
        slot = np.repeat(np.arange(len(self.first_value) - 1), np.diff(self.first_value))
        return {
            (key, text): number
            for number, (key, text) in enumerate(
                zip(slot.tolist(), self.values, strict=True), FIRST_VALUE
            )
        }

    def value(self, service: int, slot: int, text: str) -> int:
        """Number of a value; `ANY` for "dontcare"."""
        if text == DONTCARE:
            return ANY
        return self._value_numbers[service * self.n_slots + slot, text]

    def find(self, service: int, slot: int, text: str) -> int:
        """As `value`; `NONE` for a text that is no value of the slot."""
        if text == DONTCARE:
            return ANY
        return self._value_numbers.get((service * self.n_slots + slot, text), NONE)

    def text(self, value: int) -> str:
        """A value in words."""
        return self.values[value - FIRST_VALUE] if value >= FIRST_VALUE else ""

    @cached_property
    def intent_numbers(self) -> dict[tuple[str, str], int]:
        """Number of each intent by service and name."""
        return {
            (self.services[intent.service], intent.name): n for n, intent in enumerate(self.intents)
        }

    def search(
        self, intent: Int64Array, belief: Int32Array, most: int
    ) -> tuple[Int64Array, Int64Array]:
        """Entities that agree with what is known, as a query of the table gives them.

        An entity without a value of a slot agrees with any.

        Args:
            intent: (B,) what is searched for.
            belief: (B, S) values that are known.
            most: Entities R that are kept.

        Returns:
            (B, R) the first of them, then -1, and (B,) how many there are.
        """
        b = len(intent)
        found, count = np.full((b, most), -1, np.int64), np.zeros(b, np.int64)
        asked = np.where(self.inside[intent] & (belief >= FIRST_VALUE), belief, NONE)
        service = self.service.take(intent)
        for one in np.unique(service).tolist():
            first, stop = self.entity_range[one], self.entity_range[one + 1]
            (at,) = (service == one).nonzero()
            if stop == first:
                continue
            rows, wanted = self.entities[first:stop], asked[at]
            match = np.ones((len(at), stop - first), bool)
            for slot in wanted.any(axis=0).nonzero()[0].tolist():
                want, have = wanted[:, slot, None], rows[:, slot]
                match &= (want == NONE) | (have == NONE) | (want == have)
            count[at] = match.sum(axis=1)
            which, entity = match.nonzero()
            rank = np.arange(len(which)) - (np.cumsum(count[at]) - count[at])[which]
            near = rank < most
            found[at[which[near]], rank[near]] = first + entity[near]
        return found, count


class Queries:
    """Answers to queries, by what was asked.

    Users of one service ask for the same things over and over: a query is looked up by the bytes of
    its intent and values, and only a new one goes to the table.

    Args:
        world: Has the table.
        results: Entities R of an answer that are kept.
    """

    def __init__(self, world: World, results: int) -> None:
        self.world, self.results = world, results
        self._forget()

    def _forget(self) -> None:
        self._number: dict[bytes, int] = {}
        self._found = np.empty((64, self.results + 1), np.int64)

    def search(self, intent: Int64Array, belief: Int32Array) -> tuple[Int64Array, Int64Array]:
        """As `World.search` of the first R entities."""
        asked = np.empty((len(intent), belief.shape[1] + 1), np.int32)
        asked[:, 0] = intent
        asked[:, 1:] = np.where(self.world.inside[intent] & (belief >= FIRST_VALUE), belief, NONE)
        keys = asked.view(f"V{asked.itemsize * asked.shape[1]}").ravel().tolist()
        if not self._number.keys() >= set(keys):
            self._ask(asked, keys)
        numbers = np.fromiter(map(self._number.__getitem__, keys), np.int64, len(keys))
        answers: Int64Array = self._found.take(numbers, axis=0)
        return answers[:, :-1], answers[:, -1]

    def _ask(self, asked: Int32Array, keys: list[bytes]) -> None:
        """Let the table answer what is new."""
        if len(self._number) > _MOST:
            self._forget()
        new = {key: place for place, key in enumerate(keys) if key not in self._number}
        places, first = np.array(list(new.values())), len(self._number)
        found, count = self.world.search(asked[places, 0], asked[places, 1:], self.results)
        self._number |= dict(zip(new, range(first, first + len(new)), strict=True))
        if len(self._number) > len(self._found):
            more = np.empty((max(len(self._found), len(new)), self.results + 1), np.int64)
            self._found = np.concatenate([self._found, more])
        self._found[first : first + len(new), :-1] = found
        self._found[first : first + len(new), -1] = count


def build_world(
    samples: Sequence[Sample], table: EntityTable | None, max_slots: int
) -> tuple[World, list[list[dict[str, Any]]]]:
    """Number all that is in a corpus.

    Args:
        samples: Those of the family "goals".
        table: Entities in place of those that the samples come with.
        max_slots: Most slots K of an intent that the system can request.

    Returns:
        The world, and the tasks of each sample's goal.

    Raises:
        InvalidArgumentError: An intent has more slots.
        DataError: The table has no service of the schema.
    """
    goals = [json.loads(sample.extra["goal"]) for sample in samples]
    schema: dict[str, Any] = {}
    for text in dict.fromkeys(sample.extra["schema"] for sample in samples):
        schema |= json.loads(text)
    if table is None:
        table = EntityTable()
        for text in dict.fromkeys(str(s.extra.get("table", "{}")) for s in samples):
            for service, rows in json.loads(text).items():
                table.add(service, rows)
        for sample in samples:
            for service, rows in json.loads(sample.extra.get("results", "{}")).items():
                table.add(service, rows)
    elif not set(table.services) & set(schema):
        raise DataError(
            f"table: its services ({_names(table.services)}) are none of the schema's "
            f"({_names(schema)})."
        )
    services = tuple(sorted(schema))
    slots = tuple(
        tuple(dict.fromkeys([*schema[name]["slots"], *table.slots(name)])) for name in services
    )
    width = max(1, *map(len, slots))
    intents = [
        Intent(
            number,
            given["name"],
            given["about"],
            given["transactional"],
            tuple(given["required"]),
            tuple(given["optional"]),
        )
        for number, name in enumerate(services)
        for given in schema[name]["intents"]
    ]
    return (
        World(
            services=services,
            slots=slots,
            intents=tuple(intents),
            **_intent_arrays(intents, slots, width, max_slots),
            **_value_arrays(services, slots, width, table, goals),
            table=table,
        ),
        goals,
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:8]) or "none"


def _intent_arrays(
    intents: list[Intent], slots: tuple[tuple[str, ...], ...], width: int, most: int
) -> dict[str, Any]:
    n = len(intents)
    inside, required = np.zeros((n, width), bool), np.zeros((n, width), bool)
    slot_at, follows = np.full((n, most), -1), np.full(n, -1)
    for i, intent in enumerate(intents):
        names = slots[intent.service]
        wanted = [*intent.required, *intent.optional]
        if len(wanted) > most:
            raise InvalidArgumentError(
                f"max_slots={most}: the intent {shown(intent.name)} has {len(wanted)} slots; give "
                f"max_slots={len(wanted)}."
            )
        places = [names.index(slot) for slot in wanted]
        inside[i, places] = True
        required[i, places[: len(intent.required)]] = True
        slot_at[i, : len(places)] = places
        next_one = (
            j
            for j, other in enumerate(intents)
            if other.service == intent.service and other.transactional and j != i
        )
        if not intent.transactional:
            follows[i] = next(next_one, -1)
    return {
        "service": np.array([intent.service for intent in intents], np.int64),
        "transactional": np.array([intent.transactional for intent in intents], bool),
        "inside": inside,
        "required": required,
        "slot_at": slot_at,
        "follows": follows,
    }


def _value_arrays(
    services: tuple[str, ...],
    slots: tuple[tuple[str, ...], ...],
    width: int,
    table: EntityTable,
    goals: list[list[dict[str, Any]]],
) -> dict[str, Any]:
    place = {name: n for n, name in enumerate(services)}
    texts: list[set[str]] = [set() for _ in range(len(services) * width)]
    for tasks in goals:
        for task in tasks:
            service = place[task["service"]]
            for slot, values in task["inform"].items():
                texts[service * width + slots[service].index(slot)].update(values)
    for name, number in place.items():
        for row in table.services.get(name, ()):
            for slot, value in row.items():
                texts[number * width + slots[number].index(slot)].add(value)
    ordered = [sorted(found - {DONTCARE}) for found in texts]
    sizes = np.array([len(found) for found in ordered], np.int64)
    first = FIRST_VALUE + np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    numbers = [
        {value: int(start) + n for n, value in enumerate(found)}
        for start, found in zip(first, ordered, strict=False)
    ]
    rows, bounds = [], [0]
    for service, name in enumerate(services):
        for row in table.services.get(name, ()):
            entity = np.zeros(width, np.int32)
            for slot, value in row.items():
                k = slots[service].index(slot)
                entity[k] = ANY if value == DONTCARE else numbers[service * width + k][value]
            rows.append(np.where(entity == ANY, NONE, entity))
        bounds.append(len(rows))
    return {
        "values": tuple(value for found in ordered for value in found),
        "first_value": first,
        "entities": np.array(rows, np.int32).reshape(-1, width),
        "entity_range": np.array(bounds, np.int64),
    }
