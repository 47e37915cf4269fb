"""The parts of a sample that the command line takes one by one: a question and its passage, ..."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown


@dataclass(frozen=True)
class Fields:
    """What was given of a sample; None or nothing: not given.

    Attributes:
        question: A question.
        passage: Where its answer stands.
        choice: What can be chosen as its answer.
        turn: Turns of a dialogue, in order.
        reply: Candidate replies to them.
        head: An entity of a graph, or the words of a relation's first argument.
        relation: What is asked of an entity of a graph.
        tail: The words of a relation's second argument.
    """

    question: str | None = None
    passage: str | None = None
    choice: Sequence[str] = ()
    turn: Sequence[str] = ()
    reply: Sequence[str] = ()
    head: str | None = None
    relation: str | None = None
    tail: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was given, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value not in (None, ())}


_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "spanqa": ("question", "passage"),
    "choice": ("question", "choice"),
    "dialogue": ("turn", "reply"),
    "policy": ("turn",),
    "kg": ("head", "relation"),
    "relation": ("text", "head", "tail"),
}
"""Which parts a sample of a family has; all of them are needed."""


def usage(family: str) -> str | None:
    """The options of the command line that make a sample of a family; None: there are none."""
    names = _FAMILIES.get(family)
    if names is None:
        return None
    shapes = {"text": "TEXT", "choice": "--choice A --choice B", "reply": "--reply A --reply B"}
    return " ".join(shapes.get(name, f"--{name} {name.upper()}") for name in names)


def sample_row(family: str, text: str | None, given: Fields) -> dict[str, Any]:
    """A sample with the keys of the family's JSON Lines.

    Args:
        family: Task family of the agent.
        text: The text of the command line.
        given: Its other parts.

    Raises:
        InvalidArgumentError: The family has no use for one of the parts, or lacks another.
    """
    found = {**given.given, **({} if text is None else {"text": text})}
    wanted = _FAMILIES.get(family, ())
    for name in found:
        if name not in wanted:
            form = usage(family)
            uses = "a text alone, or --input FILE" if form is None else form
            what = "TEXT" if name == "text" else f"--{name}"
            raise InvalidArgumentError(
                f"{what} {shown(found[name])}: samples of family {family!r} have no such part. "
                f"This run decides on: {uses}."
            )
    if missing := [name for name in wanted if name not in found]:
        what = "TEXT" if missing[0] == "text" else f"--{missing[0]}"
        raise InvalidArgumentError(
            f"{what} is missing: this run decides on {usage(family)}; or give a sample as "
            "JSON in place of the text."
        )
    if family == "relation":
        places = {name: _place(found["text"], found[name], name) for name in ("head", "tail")}
        return {"text": found["text"], "relations": [places]}
    if family == "policy":
        return {"turns": [{"user": turn} for turn in found["turn"]]}
    keys = {"passage": "context", "choice": "choices", "turn": "context", "reply": "candidates"}
    return {
        keys.get(name, name): list(value) if isinstance(value, tuple | list) else value
        for name, value in found.items()
    }


def _place(text: str, words: str, name: str) -> list[int]:
    start = text.find(words)
    if start < 0 or not words:
        raise InvalidArgumentError(
            f"--{name} {shown(words)} does not stand in the text {shown(text)}: give words of it, "
            "spelled alike."
        )
    return [start, start + len(words)]


def row_of_json(line: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None: it is another text."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
