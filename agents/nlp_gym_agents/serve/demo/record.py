"""A record of a prediction, as a page draws it: the text with its marks, then the other fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_gym.render import Piece
from nlp_gym.render.text import PALETTE

_DRAWN = ("text", "tokens", "entities")
_LONGEST = 2000
"""Most characters of a field that are shown."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of the text.

    Attributes:
        text: The characters.
        label: Its label; ``""``: it has none.
        colour: Background of the label, as CSS writes it.
    """

    text: str
    label: str = ""
    colour: str = ""


@dataclass(frozen=True)
class RecordView:
    """What is drawn of a record.

    Attributes:
        stretches: The text, cut where labels begin and end; empty where words are not labelled.
        fields: The other fields by name, as text.
    """

    stretches: tuple[Stretch, ...]
    fields: Mapping[str, str]


def record_view(record: Mapping[str, Any]) -> RecordView:
    """What is drawn of a record as `nlp-gym predict` writes it."""
    marks = record.get("entities", record.get("tokens"))
    stretches: list[Stretch] = []
    if marks is not None and isinstance(record.get("text"), str):
        text, place = record["text"], 0
        for mark in marks:
            start, end, label = mark["start"], mark["end"], str(mark["label"])
            stretches.append(Stretch(text[place:start]))
            colour = PALETTE[Piece("", label=label).colour]
            stretches.append(Stretch(text[start:end], label, colour))
            place = end
        stretches.append(Stretch(text[place:]))
    drawn = _DRAWN if stretches else ("text",)
    fields = {name: _shown(value) for name, value in record.items() if name not in drawn}
    return RecordView(tuple(s for s in stretches if s.text), fields)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} [...]"
