"""Goals of users as arrays: what they want, in which turn, and what they ask for.

Axis letters: N samples, T tasks of a goal, S slots of a service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlp_gym.errors import DataError
from nlp_gym.tasks.dialogue_sim.acts import FIRST_VALUE, NONE
from nlp_gym.tasks.dialogue_sim.noise import uniform
from nlp_gym.tasks.dialogue_sim.world import World
from nlp_gym.types import BoolArray, Int32Array, Int64Array, Sample

_CHANGES = 101
"""Channel of the noise that decides which goals begin with a wish that cannot be met."""


@dataclass(frozen=True)
class Goals:
    """What the users of N samples want; hidden from the agent.

    Attributes:
        count: (N,) tasks of each goal.
        intent: (N, T) intent of each task; -1: none.
        first: (N, T, S) values that are wanted at first; `NONE`: no matter.
        last: (N, T, S) values that are wanted once the first ones were refused.
        carried: (N, T, S) bool: taken from the entity that was chosen before, if there is one.
        asked: (N, T, S) bool: slots the user wants to be told.
        opened: (N, T, 2) slots that are named with the intent; -1: none.
        rejects: (N, T) offers that are turned down although they fit.
        waits: (N, T) bool: what comes after the task is told only when the system asks.
    """

    count: Int64Array
    intent: Int64Array
    first: Int32Array
    last: Int32Array
    carried: BoolArray
    asked: BoolArray
    opened: Int64Array
    rejects: Int64Array
    waits: BoolArray


def compile_goals(
    world: World,
    goals: Sequence[Sequence[dict[str, Any]]],
    samples: Sequence[Sample],
    changes: float,
) -> Goals:
    """Number the goals of a corpus.

    A search that no entity of the table fits gives up wishes, the optional ones first, until one
    does, if the goal was read of a dialogue; of a file of goals it is an error.

    Args:
        world: Numbers of everything.
        goals: Tasks of each sample.
        samples: The samples, for messages.
        changes: Share of searches that begin with a wish that nothing in the table meets.

    Raises:
        DataError: No entity of the table fits a goal.
    """
    n, most, s = len(goals), max(map(len, goals)), world.n_slots
    found = Goals(
        count=np.array([len(tasks) for tasks in goals], np.int64),
        intent=np.full((n, most), -1, np.int64),
        first=np.zeros((n, most, s), np.int32),
        last=np.zeros((n, most, s), np.int32),
        carried=np.zeros((n, most, s), bool),
        asked=np.zeros((n, most, s), bool),
        opened=np.full((n, most, 2), -1, np.int64),
        rejects=np.zeros((n, most), np.int64),
        waits=np.ones((n, most), bool),
    )
    for row, tasks in enumerate(goals):
        for t, task in enumerate(tasks):
            _fill(found, world, row, t, task)
    _fit_searches(found, world, samples)
    if changes:
        _refuse_first(found, world, changes)
    return found


def _fill(found: Goals, world: World, row: int, t: int, task: dict[str, Any]) -> None:
    """Write one task into the arrays."""
    intent = world.intent_numbers[task["service"], task["intent"]]
    service = int(world.service[intent])
    names = world.slots[service]
    found.intent[row, t] = intent
    for slot, values in task["inform"].items():
        k = names.index(slot)
        found.first[row, t, k] = world.value(service, k, values[0])
        found.last[row, t, k] = world.value(service, k, values[-1])
    for slot in task.get("carry", ()):
        found.carried[row, t, names.index(slot)] = True
    for slot in task["request"]:
        found.asked[row, t, names.index(slot)] = True
    opened = [names.index(slot) for slot in task["open"][:2]]
    found.opened[row, t, : len(opened)] = opened
    found.rejects[row, t] = task["reject"]
    found.waits[row, t] = task["wait"]


def _fit_searches(found: Goals, world: World, samples: Sequence[Sample]) -> None:
    """Make sure that searches can succeed."""
    rows, tasks = (found.intent >= 0).nonzero()
    intent = found.intent[rows, tasks]
    search = ~world.transactional[intent]
    rows, tasks, intent = rows[search], tasks[search], intent[search]
    _, count = world.search(intent, found.last[rows, tasks], 1)
    for row, t, i in zip(*(x[count == 0].tolist() for x in (rows, tasks, intent)), strict=True):
        sample = samples[row]
        start, stop = world.entity_range[world.service[i] : world.service[i] + 2]
        if "record" not in sample.extra or start == stop:
            service = world.services[world.service[i]]
            raise DataError(
                f"{sample.id or f'goal {row + 1}'}: no entity of the table fits the goal of task "
                f"{t + 1} ({world.intents[i].name}): change the goal, or add an entity to "
                f"{service!r}."
            )
        wanted = found.last[row, t]
        rows_of = world.entities[start:stop]
        agree = (wanted < FIRST_VALUE) | (rows_of == NONE) | (rows_of == wanted)
        needed = world.required[i]
        best = int((agree[:, world.inside[i]].sum(1) + agree[:, needed].sum(1)).argmax())
        wrong = ~agree[best] & world.inside[i]
        found.last[row, t, wrong] = np.where(needed, rows_of[best], NONE)[wrong]
    # What is wanted at first may differ from what is wanted at last in named slots alone.
    unset = found.last == NONE
    found.first[unset] = NONE


def _refuse_first(found: Goals, world: World, changes: float) -> None:
    """Let a share of the searches begin with a value of one slot that no entity fits."""
    rows, tasks = (found.intent >= 0).nonzero()
    intent = found.intent[rows, tasks]
    chosen = ~world.transactional[intent] & (uniform(rows, tasks, _CHANGES) < changes)
    for row, t, i in zip(*(x[chosen].tolist() for x in (rows, tasks, intent)), strict=True):
        if (found.first[row, t] != found.last[row, t]).any():
            continue
        wanted = found.last[row, t]
        slots = (world.inside[i] & (wanted >= FIRST_VALUE)).nonzero()[0].tolist()
        if len(slots) < 2:
            continue
        turn = row % len(slots)
        for slot in slots[turn:] + slots[:turn]:
            key = int(world.service[i]) * world.n_slots + slot
            others = np.arange(world.first_value[key], world.first_value[key + 1])
            tried = np.repeat(wanted[None], len(others), axis=0)
            tried[:, slot] = others
            _, count = world.search(np.full(len(others), i), tried, 1)
            (none,) = (count == 0).nonzero()
            if len(none):
                found.first[row, t, slot] = others[none[row % len(none)]]
                break
