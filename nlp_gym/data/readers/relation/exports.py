"""Readers of the relations of annotation tools: doccano and Prodigy, and of SpERT's JSON."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from nlp_gym.data.readers.relation.annotated import (
    Annotated,
    add_relation,
    checked_label,
    read_annotated,
)
from nlp_gym.data.readers.shared import json_tools as tools
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.offsets import Mark
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import shown

_LABEL = ("label", "type")
_HEAD = 20  # number of lines that are examined

Relations = dict[tuple[int, int], str]


def parse_spert(lines: list[str], name: str, options: Options) -> Parsed:
    """Read SpERT's JSON (Eberts and Ulges 2020), a list of objects or one object per line.

    ``{"tokens": [...], "entities": [{"type", "start", "end"}], "relations": [{"type", "head",
    "tail"}], "orig_id"}``: `start` and `end` (exclusive) are numbers of tokens, `head` and `tail`
    numbers of entities, all from 0.
    """

    def read(row: dict[str, Any]) -> Annotated:
        words = tools.checked_strings(tools.field(row, "tokens", "words"), "tokens", least=1)
        items = tools.checked_list(tools.field(row, "entities"), "entities")
        marks = [_mark(item, ("start", "end")) for item in items]
        identity = row.get("orig_id", row.get("id"))
        relations = _relations(row, options, marks, ("head", "tail"), range(len(marks)))
        return Annotated(None, words, marks, relations, identity=identity)

    return read_annotated(lines, name, options, read)


def parse_doccano(lines: list[str], name: str, options: Options) -> Parsed:
    """Read doccano's export of relations, one object per line.

    ``{"text": "...", "entities": [{"id", "label", "start_offset", "end_offset"}], "relations":
    [{"from_id", "to_id", "type"}]}``, with offsets in characters.
    """

    def read(row: dict[str, Any]) -> Annotated:
        key = next(iter(options.text_names(("text", "data"))))
        text = tools.checked_string(tools.field(row, key, "data"), key)
        items = tools.checked_list(tools.field(row, "entities"), "entities")
        marks = [_mark(item, ("start_offset", "end_offset")) for item in items]
        ids = [tools.field(item, "id") for item in items]
        relations = _relations(row, options, marks, ("from_id", "to_id"), ids)
        return Annotated(text, None, marks, relations, identity=row.get("id"))

    return read_annotated(lines, name, options, read)


def parse_prodigy(lines: list[str], name: str, options: Options) -> Parsed:
    """Read Prodigy's export of relations, one object per line.

    ``{"text": "...", "spans": [{"start", "end", "label"}], "relations": [{"head_span",
    "child_span", "label"}]}``, with offsets in characters; spans of relations that are none of
    `spans` are entities too. Rows whose answer is not ``accept`` are left out, with gold.
    """

    def read(row: dict[str, Any]) -> Annotated | None:
        if options.gold and row.get("answer", "accept") != "accept":
            return None
        key = next(iter(options.text_names(("text",))))
        text = tools.checked_string(tools.field(row, key), key)
        items = list(tools.checked_list(row.get("spans", []), "spans"))
        relations = tools.checked_list(tools.field(row, "relations"), "relations")
        for item in relations:
            for end in ("head_span", "child_span"):
                items.append(tools.field(tools.checked_object(item, "a relation"), end))
        marks = {(mark.start, mark.end): mark for mark in map(_prodigy_mark, reversed(items))}
        ordered = sorted(marks.values(), key=lambda mark: (mark.start, mark.end))
        if len(relations) and options.gold:
            found = _prodigy_relations(relations, ordered, options)
        else:
            found = {}
        return Annotated(text, None, ordered, found, identity=row.get("id"))

    return read_annotated(lines, name, options, read)


def _prodigy_mark(item: Any) -> Mark:
    return _mark(item, ("start", "end"), typed=False)


def _prodigy_relations(items: Sequence[Any], marks: Sequence[Mark], options: Options) -> Relations:
    index = {(mark.start, mark.end): i for i, mark in enumerate(marks)}
    (key,) = options.label_names(("label",))
    relations: Relations = {}
    for item in items:
        ends = [_prodigy_mark(item[end]) for end in ("head_span", "child_span")]
        head, tail = (index[mark.start, mark.end] for mark in ends)
        label = checked_label(tools.field(item, key), key)
        add_relation(relations, head, tail, label, marks)
    return relations


def _mark(item: Any, edges: tuple[str, str], *, typed: bool = True) -> Mark:
    row = tools.checked_object(item, "an entity")
    start, end = (tools.checked_int(tools.field(row, key), key) for key in edges)
    kind = next((row[key] for key in _LABEL if key in row), None)
    if kind is None and typed:
        raise RowError(f"there is no {' or '.join(map(repr, _LABEL))} of an entity")
    text = row.get("text")
    label = "" if kind is None else checked_label(kind, "an entity's label")
    return Mark(start, end, label, text if isinstance(text, str) and text else None)


def _relations(
    row: Mapping[str, Any],
    options: Options,
    marks: Sequence[Mark],
    ends: tuple[str, str],
    ids: Sequence[Any],
) -> Relations:
    """The relations of a row, whose ends name entities by their `ids`."""
    relations: Relations = {}
    if not options.gold:
        return relations
    index = {value: i for i, value in enumerate(ids) if isinstance(value, Hashable)}
    if len(index) < len(marks):
        raise RowError("two entities have the same id")
    names = options.label_names(_LABEL)
    for item in tools.checked_list(tools.field(dict(row), "relations"), "relations"):
        relation = tools.checked_object(item, "a relation")
        places = []
        for end in ends:
            value = tools.field(relation, end)
            if not isinstance(value, (int, str)) or isinstance(value, bool) or value not in index:
                raise RowError(f"{end!r} of a relation is {shown(value)}, which is no entity")
            places.append(index[value])
        key = next((name for name in names if name in relation), names[0])
        label = checked_label(tools.field(relation, *names), key)
        add_relation(relations, places[0], places[1], label, marks)
    return relations


def _first_objects(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Objects of the first lines, or of a list on the first line."""
    for line in lines[:_HEAD]:
        try:
            value = tools.load_json(line)
        except RowError:
            continue
        items = value[:_HEAD] if isinstance(value, list) else [value]
        yield from (item for item in items if isinstance(item, dict))


def _holds(value: Any, *keys: str) -> bool:
    """Whether a value is a list that begins with an object that has all of the keys."""
    items = value if isinstance(value, list) else []
    return bool(items) and isinstance(items[0], dict) and set(keys) <= set(items[0])


def is_spert(lines: list[str]) -> bool:
    """Whether lines look like SpERT's JSON."""
    return any(
        isinstance(row.get("tokens"), list)
        and _holds(row.get("entities"), "type", "start", "end")
        and all(type(end) is int for end in _ends(row.get("relations"), "head", "tail"))
        for row in _first_objects(lines)
    )


def _ends(value: Any, *keys: str) -> list[Any]:
    items = value if isinstance(value, list) else []
    return [item.get(key) for item in items if isinstance(item, dict) for key in keys]


def is_doccano(lines: list[str]) -> bool:
    """Whether lines look like doccano's export of relations."""
    return any(
        _holds(row.get("entities"), "id", "start_offset", "end_offset") and "relations" in row
        for row in _first_objects(lines)
    )


def is_prodigy(lines: list[str]) -> bool:
    """Whether lines look like Prodigy's export of relations."""
    return any(
        _holds(row.get("relations"), "head_span", "child_span") for row in _first_objects(lines)
    )
