"""Reader of doccano's export: texts with entities at offsets, with and without relations."""

from __future__ import annotations

from typing import Any

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.json_tools import RowError, checked_object
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.exports.rows import (
    first_objects,
    is_objects,
    is_spans,
    read_rows,
)
from nlp_gym.data.readers.tagging.jsonl import with_id
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts, checked_marks, raw_text

_TEXT = ("text", "data")
_ENTITIES = ("label", "labels", "entities", "annotations")


def is_doccano(lines: list[str]) -> bool:
    """Whether lines look like doccano's export."""
    return any(
        any(key in row for key in _TEXT)
        and (
            any(is_spans(row.get(key)) for key in ("label", "labels"))
            or any(is_objects(row.get(key), "start_offset") for key in _ENTITIES)
        )
        for row in first_objects(lines)
    )


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``{"text": "...", "label": [[0, 3, "PER"]]}``, one object per line.

    Other keys of the text: ``data``; of the entities: ``labels``, ``entities``. With relations
    doccano writes ``"entities": [{"id", "label", "start_offset", "end_offset"}]``; the relations
    are not read.
    """
    text_keys = options.text_names(_TEXT)
    entity_keys = options.label_names(_ENTITIES)

    def add(value: Any, line: int, texts: MarkedTexts) -> None:
        row = checked_object(value, "the row")
        text_key = next((key for key in text_keys if key in row), None)
        if text_key is None:
            raise RowError(f"there is no text ({' or '.join(map(repr, text_keys))})")
        found = with_id(raw_text(row[text_key], text_key, line), row)
        if not options.gold:
            texts.add(found)
            return
        key = next((key for key in entity_keys if key in row), None)
        if key is None:
            raise RowError(
                f"there are no entities ({' or '.join(map(repr, entity_keys))}; give [] where the "
                "text has none)"
            )
        texts.add_marked(found, checked_marks(row[key], key))

    return read_rows(lines, name, options, add)
