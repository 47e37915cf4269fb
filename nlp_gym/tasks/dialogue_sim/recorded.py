"""Dialogues of a corpus as decisions of the system and turns of the user, in the task's terms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlp_gym.tasks.dialogue_sim.acts import ANY, NONE, Part, System, User
from nlp_gym.tasks.dialogue_sim.world import World
from nlp_gym.types import Int64Array, Sample

_ACTS = (
    ("SELECT", User.SELECT),
    ("AFFIRM_INTENT", User.AFFIRM_INTENT),
    ("NEGATE_INTENT", User.NEGATE_INTENT),
    ("INFORM_INTENT", User.OPEN),
    ("REQUEST_ALTS", User.ALTERNATIVES),
    ("REQUEST", User.ASK),
    ("AFFIRM", User.AFFIRM),
    ("INFORM", User.INFORM),
    ("THANK_YOU", User.THANKS),
)
"""Acts of SGD's users, the first that is there says what a turn is."""


@dataclass(frozen=True)
class Recorded:
    """N recorded dialogues; axis T: most decisions of one.

    Attributes:
        actions: (N, T) the system's decisions; -1: the dialogue is over.
        speeches: (N, T + 1, 7) what the user says at the beginning and after each decision.
        lengths: (N,) decisions of each.
    """

    actions: Int64Array
    speeches: Int64Array
    lengths: Int64Array


def compile_recorded(world: World, samples: Sequence[Sample], most: int) -> Recorded:
    """Read the dialogues on record; what the task has no decision for is left out.

    Args:
        world: Numbers of everything.
        samples: The samples; each must come from a dialogue.
        most: Most decisions of an episode; what comes after is left out.
    """
    n, k = len(samples), world.slot_at.shape[1]
    actions = np.full((n, most), -1, np.int64)
    speeches = np.full((n, most + 1, len(Part)), -1, np.int64)
    speeches[:, :, Part.ACT] = User.NOTHING
    lengths = np.zeros(n, np.int64)
    for row, sample in enumerate(samples):
        intent, step = -1, 0
        for turn in json.loads(sample.extra["record"]):
            for name, slot in turn["system"]:
                action = _action(world, intent, name, slot, k)
                if action is not None and step < most:
                    actions[row, step] = action
                    step += 1
            if "user" in turn:
                named = turn["intent"]
                intent = intent if named is None else world.intent_numbers[tuple(named)]
                speeches[row, step] = _speech(world, intent, turn)
        if step == 0 or actions[row, step - 1] != k + System.BYE:
            step = min(step + 1, most)
            actions[row, step - 1] = k + System.BYE
        lengths[row] = step
    return Recorded(actions, speeches, lengths)


def _action(world: World, intent: int, name: str, slot: str, k: int) -> int | None:
    if name != "REQUEST":
        return k + int(System[name])
    if intent < 0:
        return None
    names = world.slots[world.service[intent]]
    places = world.slot_at[intent].tolist()
    at = names.index(slot) if slot in names else -2
    return places.index(at) if at in places else None


def _speech(world: World, intent: int, turn: Mapping[str, Any]) -> Int64Array:
    speech = np.full(len(Part), -1, np.int64)
    acts = set(turn["user"])
    act = next((ours for theirs, ours in _ACTS if theirs in acts), User.LOST)
    if "GOODBYE" in acts or {"NEGATE", "THANK_YOU"} <= acts or acts == {"NEGATE"}:
        act = User.DONE
    elif "NEGATE" in acts and act == User.INFORM:
        act = User.NEGATE
    elif "REQUEST_ALTS" in acts and "INFORM" in acts:
        act = User.CHANGE
    speech[Part.ACT] = act
    if turn["intent"] is not None:
        speech[Part.INTENT] = intent
    if intent < 0:
        return speech
    service = int(world.service[intent])
    names = world.slots[service]
    if turn["ask"] in names:
        speech[Part.ASK] = names.index(turn["ask"])
    parts = ((Part.SLOT, Part.VALUE), (Part.SECOND_SLOT, Part.SECOND_VALUE))
    for (slot, text), (slot_part, value_part) in zip(turn["inform"].items(), parts, strict=False):
        if slot in names:
            value = world.find(service, names.index(slot), text)
            if value != NONE:
                speech[slot_part], speech[value_part] = names.index(slot), max(value, ANY)
    return speech
