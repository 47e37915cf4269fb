"""The user's goal in a dialogue of SGD, what services answered, and the acts of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_object,
    checked_string,
)
from nlp_gym.data.readers.shared.json_tools import field as key

ANY = "dontcare"
_MOST_REJECTED = 2

Step = dict[str, Any]


@dataclass
class DialogueGoal:
    """What is read of a dialogue.

    Attributes:
        tasks: Its tasks in turn: service, intent, values of slots (first and last), requested
            slots, slots that are named at once, offers that are rejected, and whether the task
            after it is named only when the system asks.
        results: Entities that each service answered with.
        record: Turns of the user, each after the system's acts of the turn before.
    """

    tasks: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    record: list[Step] = field(default_factory=list)


@dataclass
class _Task:
    service: str
    intent: str
    first: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)
    request: list[str] = field(default_factory=list)
    reject: int = 0
    called: bool = False
    failed: bool = False
    wait: bool = True


def dialogue_goal(row: dict[str, Any], schema: Mapping[str, Any]) -> DialogueGoal:
    """Read a dialogue.

    Args:
        row: The dialogue, as SGD has it, with acts.
        schema: Services, as `nlp_gym.data.readers.dialogue.goals.read_schema` gives them.

    Raises:
        RowError: It has not that form, or a service that the schema does not have.
    """
    found, tasks = DialogueGoal(), list[_Task]()
    said: list[list[str]] = []
    for at, value in enumerate(checked_list(key(row, "turns"), "turns", least=1), 1):
        turn = checked_object(value, f"turn {at}")
        speaker = checked_string(key(turn, "speaker"), "speaker")
        frames = checked_list(key(turn, "frames"), "frames", least=1)
        if speaker == "USER":
            found.record.append(_heard(frames, tasks, schema, said, at))
            said = []
        elif speaker == "SYSTEM":
            said = _said(frames, tasks, schema, found.results, at)
        else:
            raise RowError(f"turn {at} is of speaker {speaker!r}: USER or SYSTEM is needed")
    if said:
        found.record.append({"system": said})
    found.tasks = [_goal(task, schema) for task in tasks if task.called]
    return found


def _acts(frame: Any, at: int) -> tuple[str, list[dict[str, Any]]]:
    row = checked_object(frame, f"a frame of turn {at}")
    service = checked_string(key(row, "service"), "service")
    return service, [
        checked_object(act, "an action") for act in checked_list(row.get("actions", []), "actions")
    ]


def _value(act: dict[str, Any]) -> str | None:
    """The canonical value of an act, or the one that was said; None where there is none."""
    for name in ("canonical_values", "values"):
        values = act.get(name)
        if isinstance(values, list) and values and isinstance(values[0], str) and values[0]:
            return values[0]
    return None


def _intents(schema: Mapping[str, Any], service: str, at: int) -> dict[str, dict[str, Any]]:
    if service not in schema:
        raise RowError(f"turn {at} is of the service {service!r}, which the schema does not have")
    return {intent["name"]: intent for intent in schema[service]["intents"]}


def _heard(
    frames: list[Any],
    tasks: list[_Task],
    schema: Mapping[str, Any],
    said: list[list[str]],
    at: int,
) -> Step:
    """A turn of the user; what it says of the goal goes into `tasks`."""
    acts, informs, asked, intent = list[str](), dict[str, str](), None, None
    for frame in frames:
        service, given = _acts(frame, at)
        state = frame.get("state")
        active = state.get("active_intent") if isinstance(state, dict) else None
        known = _intents(schema, service, at)
        if isinstance(active, str) and active in known:
            last = tasks[-1] if tasks else None
            if last is None or (last.service, last.intent) != (service, active):
                if last is not None:
                    last.wait = any(name in ("REQ_MORE", "OFFER_INTENT") for name, _ in said)
                tasks.append(_Task(service, active))
                intent = [service, active]
        for act in given:
            kind, slot, value = str(act.get("act")), str(act.get("slot", "")), _value(act)
            acts.append(kind)
            if kind == "INFORM" and value is not None and tasks and tasks[-1].service == service:
                informs[slot] = value
                task = tasks[-1]
                task.told.add(slot)
                task.last[slot] = value
                if not task.called:
                    task.first[slot] = value
                if intent is not None:
                    task.opened.append(slot)
            elif kind == "REQUEST" and tasks:
                asked = slot
                if slot in schema[service]["slots"] and slot not in tasks[-1].request:
                    tasks[-1].request.append(slot)
            elif kind == "REQUEST_ALTS" and tasks:
                tasks[-1].reject += 1
    return {"system": said, "user": acts, "inform": informs, "ask": asked, "intent": intent}


def _said(
    frames: list[Any],
    tasks: list[_Task],
    schema: Mapping[str, Any],
    results: dict[str, list[dict[str, str]]],
    at: int,
) -> list[list[str]]:
    """The system's acts of a turn as those of the task, `[name, slot]` each, in order."""
    acts, slots, service, searched, empty = set[str](), dict[str, str](), "", False, False
    said = list[list[str]]()
    for frame in frames:
        service, given = _acts(frame, at)
        known = _intents(schema, service, at)
        for act in given:
            acts.add(str(act.get("act")))
            slots.setdefault(str(act.get("act")), str(act.get("slot", "")))
        call = frame.get("service_call")
        if not isinstance(call, dict):
            continue
        method, parameters = call.get("method"), call.get("parameters", {})
        if method not in known or not isinstance(parameters, dict):
            raise RowError(f"turn {at} calls {method!r}, which is no intent of {service!r}")
        rows = frame.get("service_results", [])
        rows = [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []
        results.setdefault(service, []).extend(
            {str(k): str(v) for k, v in row.items()} for row in rows
        )
        empty = not rows
        if not known[method]["transactional"]:
            searched = True
            said.append(["QUERY", ""])
        task = tasks[-1] if tasks else None
        if task is not None and (task.service, task.intent) == (service, method):
            values = {str(k): str(v) for k, v in parameters.items() if k in _all(known[method])}
            if not task.called:
                task.first |= values
            task.last |= values
            task.called = True
    named = (
        ("REQUEST", "REQUEST"),
        ("CONFIRM", "CONFIRM"),
        ("NOTIFY_SUCCESS", "EXECUTE"),
        ("NOTIFY_FAILURE", "NO_RESULT" if searched and empty else "EXECUTE"),
        ("OFFER", "OFFER"),
        ("INFORM", "INFORM"),
        ("OFFER_INTENT", "OFFER_INTENT"),
        ("REQ_MORE", "REQ_MORE"),
        ("GOODBYE", "BYE"),
    )
    spoken = next(([ours, slots.get(theirs, "")] for theirs, ours in named if theirs in acts), None)
    return said if spoken is None else [*said, spoken]


def _all(intent: Mapping[str, Any]) -> list[str]:
    return [*intent["required"], *intent["optional"]]


def _goal(task: _Task, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A task as goals have it."""
    intents = {intent["name"]: intent for intent in schema[task.service]["intents"]}
    inform = {}
    for slot in _all(intents[task.intent]):
        if slot in task.last:
            values = [task.first.get(slot, task.last[slot]), task.last[slot]]
            inform[slot] = list(dict.fromkeys(values))
    return {
        "service": task.service,
        "intent": task.intent,
        "inform": inform,
        "request": task.request,
        "open": [slot for slot in dict.fromkeys(task.opened) if slot in inform][:2],
        "carry": [slot for slot in inform if slot not in task.told],
        "reject": min(task.reject, _MOST_REJECTED),
        "wait": task.wait,
    }
