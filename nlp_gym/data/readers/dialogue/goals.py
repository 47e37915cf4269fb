"""Format of the family "goals": users' goals over services, and dialogues that have them.

A sample has its goal, schema, entities and recorded acts as JSON texts in `extra`, which the task
`nlp_gym.tasks.dialogue_sim` makes arrays of. What is said is made there, from templates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nlp_gym.data.readers.dialogue.sgd_goals import dialogue_goal
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    Document,
    RowError,
    checked_int,
    checked_list,
    checked_object,
    checked_string,
    checked_strings,
    field,
    json_document,
    json_samples,
    load_json,
    with_id,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.types import Sample

SCHEMA, TABLE = "schema.json", "table.json"
Schema = dict[str, dict[str, Any]]


def parse_goals(lines: list[str], name: str, options: Options) -> Parsed:
    """Read goals with their schema, or a list of Schema-Guided Dialogues (Rastogi et al. 2020).

    Goals are an object ``{"schema": [...], "table": {...}, "goals": [...], "dialogues": [...]}``,
    of which `table` and one of the last two may be missing. A list is one of dialogues, whose
    schema is read from ``schema.json`` beside the file.
    """
    parsed = Parsed()
    document = json_document(lines, parsed)
    if document is None:
        return parsed
    if isinstance(document.value, list):
        schema = _companion_schema(options, parsed)
        if schema is not None:
            _add_dialogues(document.value, document, name, schema, options, parsed, {})
        return parsed
    try:
        value = checked_object(document.value, "the file")
        schema = read_schema(field(value, "schema"))
        table = checked_object(value.get("table", {}), "table")
        shared = {"table": _json(_checked_table(table))}
        goals = checked_list(value.get("goals", []), "goals")
        dialogues = checked_list(value.get("dialogues", []), "dialogues")
        if not goals and not dialogues:
            raise RowError("there are no goals and no dialogues")
    except RowError as error:
        parsed.problems.append(Problem(1, str(error)))
        return parsed
    text = _json(schema)
    for index, goal in enumerate(goals, 1):
        line = document.line(goal) if isinstance(goal, (dict, list)) else 1
        try:
            row = checked_object(goal, f"goal {index}")
            extra = {**shared, "schema": text}
            sample = _sample(_tasks(row, schema), f"{name}:{line}", options.gold, extra)
            parsed.samples.append(with_id(sample, row.get("id")))
        except RowError as error:
            parsed.problems.append(Problem(line, str(error)))
    _add_dialogues(dialogues, document, name, schema, options, parsed, shared)
    return parsed


def _add_dialogues(
    values: list[Any],
    document: Document,
    name: str,
    schema: Schema,
    options: Options,
    parsed: Parsed,
    shared: Mapping[str, str],
) -> None:
    """Add the goals of dialogues; those in which no service is called have none, which is noted."""
    text = _json(schema)
    for index, value in enumerate(values, 1):
        line = document.line(value) if isinstance(value, (dict, list)) else 1
        try:
            row = checked_object(value, f"dialogue {index}")
            found = dialogue_goal(row, schema)
            if not found.tasks:
                parsed.notes.append(Problem(line, "a dialogue that calls no service is left out"))
                continue
            extra = {
                **shared,
                "schema": text,
                "results": _json(found.results),
                "record": _json(found.record),
            }
            sample = _sample(found.tasks, f"{name}:{line}", options.gold, extra)
            parsed.samples.append(with_id(sample, row.get("dialogue_id")))
        except RowError as error:
            parsed.problems.append(Problem(line, str(error)))


def _sample(tasks: list[dict[str, Any]], where: str, gold: bool, extra: dict[str, Any]) -> Sample:
    parts = []
    for task in tasks:
        parts += [task["service"], task["intent"]]
        for slot, values in task["inform"].items():
            parts += [slot, *values]
        parts += task["request"]
    words = tuple(word for part in parts for word, _, _ in split_words(part.replace("_", " ")))
    wanted = tuple(f"{task['service']}.{task['intent']}" for task in tasks) if gold else None
    return Sample(words, None, where, {"goal": _json(tasks), **extra}, wanted)


def _tasks(row: dict[str, Any], schema: Schema) -> list[dict[str, Any]]:
    return [_task(task, schema) for task in checked_list(field(row, "tasks"), "tasks", least=1)]


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one goal per line, ``{"tasks": [...]}``.

    Schema and table are those of files beside it, ``schema.json`` and ``table.json``, or keys
    ``schema`` and ``table`` of the goal itself. A task that is given its `table` needs none.
    """
    parsed = Parsed()
    lacks: str | None = f"the services are not known: {SCHEMA} is needed beside the file"
    schema, shared = Schema(), dict[str, str]()
    if SCHEMA in options.companions:
        found = _companion_schema(options, parsed)
        if found is None:
            return parsed
        schema, lacks = found, None
    shared = {"schema": _json(schema)}
    try:
        given = load_json("\n".join(options.companions.get(TABLE, ["{}"])))
        shared["table"] = _json(_checked_table(checked_object(given, "the table")))
    except RowError as error:
        parsed.problems.append(Problem(1, f"{TABLE} beside it: {error}"))
        return parsed

    def build(row: dict[str, Any], number: int) -> Sample:
        services, extra = schema, dict(shared)
        if "schema" in row:
            services = read_schema(row["schema"])
            extra["schema"] = _json(services)
        elif lacks is not None:
            raise RowError(f"{lacks}, or a key 'schema'")
        if "table" in row:
            extra["table"] = _json(_checked_table(checked_object(row["table"], "table")))
        return _sample(_tasks(row, services), f"{name}:{number}", options.gold, extra)

    return json_samples(lines, parsed, build)


def _companion_schema(options: Options, parsed: Parsed) -> Schema | None:
    lines = options.companions.get(SCHEMA)
    if lines is None:
        message = f"the services are not known: {SCHEMA} is needed beside the file"
        parsed.problems.append(Problem(1, message))
        return None
    try:
        return read_schema(load_json("\n".join(lines)))
    except RowError as error:
        parsed.problems.append(Problem(1, f"{SCHEMA} beside it: {error}"))
        return None


def read_schema(value: Any) -> Schema:
    """The services of a schema in SGD's form, without what is not needed.

    Raises:
        RowError: It has not that form.
    """
    schema: Schema = {}
    for n, given in enumerate(checked_list(value, "schema", least=1)):
        at = f"schema[{n}]"
        service = checked_object(given, at)
        name = checked_string(field(service, "service_name"), f"{at}.service_name")
        if name in schema:
            raise RowError(f"the service {name!r} is there twice")
        slots = []
        for k, one in enumerate(checked_list(field(service, "slots"), f"{at}.slots")):
            slot = checked_object(one, f"{at}.slots[{k}]")
            slots.append(checked_string(field(slot, "name"), f"{at}.slots[{k}].name"))
        intents: list[dict[str, Any]] = []
        for k, one in enumerate(checked_list(field(service, "intents"), f"{at}.intents", least=1)):
            intent = _intent(checked_object(one, f"{at}.intents[{k}]"), slots, name)
            if any(intent["name"] == other["name"] for other in intents):
                raise RowError(f"the intent {intent['name']!r} of {name!r} is there twice")
            intents.append(intent)
        schema[name] = {"slots": slots, "intents": intents}
    return schema


def _intent(row: dict[str, Any], slots: list[str], service: str) -> dict[str, Any]:
    name = checked_string(field(row, "name"), "an intent's name")
    required = checked_strings(row.get("required_slots", []), f"{name}.required_slots")
    optional = row.get("optional_slots", [])
    optional = checked_strings(
        list(optional) if isinstance(optional, dict) else optional, f"{name}.optional_slots"
    )
    for slot in (*required, *optional):
        if slot not in slots:
            raise RowError(f"the intent {name!r} has the slot {slot!r}, which {service!r} has not")
    transactional = row.get("is_transactional", False)
    if not isinstance(transactional, bool):
        raise RowError(f"{name}.is_transactional must be true or false")
    about = row.get("description", "")
    return {
        "name": name,
        "about": checked_string(about, f"{name}.description", blank=True),
        "transactional": transactional,
        "required": list(dict.fromkeys(required)),
        "optional": [slot for slot in dict.fromkeys(optional) if slot not in required],
    }


def _task(value: Any, schema: Schema) -> dict[str, Any]:
    """A task of a goal as it stands in a file, checked, with defaults."""
    row = checked_object(value, "a task")
    service = checked_string(field(row, "service"), "service")
    if service not in schema:
        raise RowError(f"there is no service {service!r} in the schema ({', '.join(schema)})")
    name = checked_string(field(row, "intent"), "intent")
    intents = {intent["name"]: intent for intent in schema[service]["intents"]}
    if name not in intents:
        raise RowError(f"{service!r} has no intent {name!r} ({', '.join(intents)})")
    allowed = [*intents[name]["required"], *intents[name]["optional"]]
    inform: dict[str, list[str]] = {}
    for slot, given in checked_object(row.get("inform", {}), "inform").items():
        if slot not in allowed:
            raise RowError(f"{name!r} has no slot {slot!r} ({', '.join(allowed)})")
        values = given if isinstance(given, list) else [given]
        inform[slot] = checked_strings(values, f"inform.{slot}", least=1)
    request = checked_strings(row.get("request", []), "request")
    for slot in request:
        if slot not in schema[service]["slots"]:
            raise RowError(f"{service!r} has no slot {slot!r} to ask for")
    opened = checked_strings(row.get("open", list(inform)[:1]), "open")
    for slot in opened:
        if slot not in inform:
            raise RowError(f"open names {slot!r}, which is not in inform")
    wait = row.get("wait", True)
    if not isinstance(wait, bool):
        raise RowError("'wait' must be true or false")
    return {
        "service": service,
        "intent": name,
        "inform": inform,
        "request": request,
        "open": opened,
        "reject": checked_int(row.get("reject", 0), "reject", high=5),
        "wait": wait,
    }


def _checked_table(table: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    found = {}
    for service, rows in table.items():
        found[service] = [
            {
                slot: checked_string(
                    str(v) if type(v) in (int, float) else v, f"table.{service}[{n}].{slot}"
                )
                for slot, v in checked_object(row, f"table.{service}[{n}]").items()
                if v is not None  # as NULL in SQL: the entity has no such value
            }
            for n, row in enumerate(checked_list(rows, f"table.{service}"))
        ]
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _companions(name: str, options: Options) -> tuple[str, ...]:
    return (SCHEMA, TABLE)


def _is_goals(lines: list[str]) -> bool:
    text = "\n".join(lines)
    if '"speaker"' in text:  # dialogues, whose schema lies beside them
        return True
    whole = any(key in text for key in ('"goals"', '"dialogues"'))
    return '"service_name"' in text and (whole or '"tasks"' not in text)  # else a goal a line


FORMATS: tuple[Reader, ...] = (
    Reader(
        "goals",
        (".json",),
        parse_goals,
        'goals over services: {"schema": [...], "table": {...}, "goals": [{"tasks": [...]}]}; or '
        "Schema-Guided Dialogue beside its schema.json",
        _is_goals,
        companions=_companions,
    ),
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one goal per line: {"tasks": [{"service", "intent", "inform", "request"}]}, beside '
        "schema.json and table.json",
        companions=_companions,
    ),
)
