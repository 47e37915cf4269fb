"""What was decided, before the reasons: the text with its marks, and a few fields in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_gym.render import Piece
from nlp_gym.render.text import PALETTE
from nlp_gym_agents.explain.drawing import output_fields
from nlp_gym_agents.explain.trace import Trace

_MARKS = ("entities", "tokens")
"""Fields of an output whose items have their places in the text; the first one is drawn."""


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
class Outcome:
    """What came out of a trace, as the demo heads it.

    Attributes:
        stretches: The text, cut where labels begin and end; empty where words are not labelled.
        fields: Names and texts of what else came out, for people.
    """

    stretches: tuple[Stretch, ...]
    fields: tuple[tuple[str, str], ...]


def outcome_of(trace: Trace) -> Outcome:
    """What came out of a trace that `Agent.explain` gave."""
    stretches = _stretches(trace.output)
    drawn = _MARKS if stretches else ()
    fields = tuple(field for field in output_fields(trace) if field[0] not in drawn)
    return Outcome(stretches, fields)


def _stretches(output: Mapping[str, Any]) -> tuple[Stretch, ...]:
    """The text of an output with labels on its names, or else on its words."""
    text, marks = output.get("text"), next((output[n] for n in _MARKS if n in output), None)
    if marks is None or not isinstance(text, str):
        return ()
    found, place = [], 0
    for mark in marks:
        start, end, label = mark["start"], mark["end"], str(mark["label"])
        found.append(Stretch(text[place:start]))
        found.append(Stretch(text[start:end], label, PALETTE[Piece("", label=label).colour]))
        place = end
    found.append(Stretch(text[place:]))
    return tuple(stretch for stretch in found if stretch.text)
