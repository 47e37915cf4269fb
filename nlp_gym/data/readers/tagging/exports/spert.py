"""Reader of the entities of SpERT's JSON: words, and entities at numbers of words."""

from __future__ import annotations

from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_object,
    checked_strings,
    field,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.exports.rows import (
    first_objects,
    is_objects,
    read_rows,
    tags_of_words,
)
from nlp_gym.data.readers.tagging.jsonl import LABEL_KEYS, WORD_KEYS, with_id
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts, checked_marks


def is_spert(lines: list[str]) -> bool:
    """Whether lines look like SpERT's JSON: words, and entities with a type."""
    return any(
        any(isinstance(row.get(key), list) for key in WORD_KEYS)
        and is_objects(row.get("entities"), "start", "end")
        and not any(isinstance(row.get(key), list) for key in LABEL_KEYS)
        for row in first_objects(lines)
    )


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``{"tokens": [...], "entities": [{"type", "start", "end"}]}``, a list or one per line.

    `start` and `end` (exclusive) are numbers of tokens, from 0. Relations are not read here: the
    task family "relation" reads them.
    """

    def add(value: Any, line: int, texts: MarkedTexts) -> None:
        row = checked_object(value, "the row")
        words = checked_strings(field(row, *WORD_KEYS), "tokens", least=1)
        found = with_id(TaggedText(words, [], [line] * len(words)), {**row, **_id(row)})
        if options.gold:
            key = options.label_names(("entities",))[0]
            if key not in row:
                raise RowError(f"there are no {key!r} (give [] where the text has none)")
            found.labels = tags_of_words(checked_marks(row[key], key), len(words))
        texts.add(found)

    return read_rows(lines, name, options, add)


def _id(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["orig_id"]} if "orig_id" in row and "id" not in row else {}
