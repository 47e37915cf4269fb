"""Reader of JSON Lines of relations, with arguments at character or word offsets."""

from __future__ import annotations

from typing import Any

from nlp_gym.data.readers.relation.annotated import (
    Annotated,
    add_relation,
    checked_label,
    read_annotated,
    shown_span,
)
from nlp_gym.data.readers.relation.pairs import Span
from nlp_gym.data.readers.shared import json_tools as tools
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.offsets import Mark
from nlp_gym.data.readers.shared.options import Options


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line; blank lines are skipped.

    ``{"text": "...", "relations": [{"head": [0, 5], "tail": [9, 14], "label": "Work_For"}]}`` with
    offsets in characters, or ``"words": [...]`` (or ``tokens``) in place of ``text``, with offsets
    in words; ends are exclusive. `options.column` names another key than ``label``, and
    `options.text_column` another one than ``text``.

    With ``"entities": [[0, 5, "PER"], ...]`` (or objects with ``start``, ``end``, ``label``; types
    may be left out, and a ``text`` is checked) every ordered pair of entities is to be labelled,
    and those without a relation are ``NONE``. Without it only the pairs of ``relations`` are, from
    left to right; their label may be ``NONE``. Without gold, labels are not needed. A text without
    pairs is left out. A word in which an argument begins or ends is cut there. Offsets that count
    UTF-16 code units or bytes are corrected where the entities say which text they have. A key
    ``id`` is kept in the sample's `extra`.
    """

    def read(row: dict[str, Any]) -> Annotated:
        text, words = _text(row, options)
        given = _entities(row["entities"]) if "entities" in row else None
        marks, relations = given or [], dict[tuple[int, int], str]()
        index = {(mark.start, mark.end): i for i, mark in enumerate(marks)}
        if given is None or options.gold:
            if "relations" not in row:
                raise RowError("there are no 'relations' (give [] where the text has none)")
            _add_relations(row["relations"], given is None, marks, index, relations, options)
        return Annotated(text, words, marks, relations, given is not None, row.get("id"))

    return read_annotated(lines, name, options, read)


def _text(row: dict[str, Any], options: Options) -> tuple[str | None, list[str] | None]:
    """The text or the words of a row, and None for the other one."""
    key = options.text_names(("text",))[0]
    value = tools.field(row, "words", "tokens", key)
    if "words" in row or "tokens" in row:
        return None, tools.checked_strings(value, "words", least=1)
    return tools.checked_string(value, key), None


def _entities(value: Any) -> list[Mark]:
    """The entities, with their types (``""``: not given)."""
    found: dict[Span, Mark] = {}
    for item in tools.checked_list(value, "entities"):
        kind = text = None
        if isinstance(item, dict):
            kind, text = item.get("label", item.get("type")), item.get("text")
        elif isinstance(item, list) and len(item) == 3:
            *item, kind = item
        span = _span(item, "an entity")
        if span in found:
            raise RowError(f"the entity {shown_span(span)} is there twice")
        label = "" if kind is None else checked_label(kind, "an entity's label")
        found[span] = Mark(*span, label, text if isinstance(text, str) and text else None)
    return list(found.values())


def _add_relations(
    value: Any,
    alone: bool,
    marks: list[Mark],
    index: dict[Span, int],
    relations: dict[tuple[int, int], str],
    options: Options,
) -> None:
    """Add the relations of a row (labels ``""`` without gold), and, if `alone`, their arguments."""
    (key,) = options.label_names(("label",))
    for item in tools.checked_list(value, "relations"):
        relation = tools.checked_object(item, "a relation")
        ends: list[int] = []
        for name in ("head", "tail"):
            span = _span(relation.get(name), f"'{name}'")
            if span not in index:
                if not alone:
                    raise RowError(
                        f"the argument {shown_span(span)} of a relation is none of the entities"
                    )
                index[span] = len(marks)
                marks.append(Mark(*span))
            ends.append(index[span])
        label = checked_label(tools.field(relation, key), key) if options.gold else ""
        add_relation(relations, ends[0], ends[1], label, marks)


def _span(value: Any, what: str) -> Span:
    if isinstance(value, dict):
        value = [value.get("start"), value.get("end")]
    # bool is a subclass of int
    if not isinstance(value, list) or len(value) != 2 or any(type(x) is not int for x in value):
        raise RowError(f"{what} of the form [start, end], in whole numbers, is needed")
    return value[0], value[1]
