"""What a person fills in, by task family, and the sample that becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nlp_gym.errors import shown
from nlp_gym_agents.serve.limits import RequestError
from nlp_gym_agents.serve.served import ServedRun

Values = Mapping[str, str]


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Attributes:
        name: Its name.
        label: What it is called.
        example: What stands in it at first.
        hint: How it is filled in.
        rows: Its height in lines; 1: it is a single line.
    """

    name: str
    label: str
    example: str
    hint: str = ""
    rows: int = 3


@dataclass(frozen=True)
class Form:
    """The form of the runs that are asked for the same.

    Attributes:
        key: ``"text"``, or the family.
        name: What links to it are called.
        title: What is asked for.
        fields: What is filled in.
        body: The body of a request (see `nlp_gym_agents.serve.body`) of the values of the fields.
    """

    key: str
    name: str
    title: str
    fields: tuple[Field, ...]
    body: Callable[[Values], dict[str, Any]]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    return {"samples": [row]}


def _relation(values: Values) -> dict[str, Any]:
    text, spans = values["text"], []
    for name in _lines(values["entities"]):
        start = text.find(name)
        if start < 0:
            raise RequestError(422, f"entities: {shown(name)} is not in the text.")
        spans.append([start, start + len(name)])
    return _sample({"text": text, "entities": spans})


_TEXT = Form(
    "text",
    "Text",
    "A text",
    (Field("text", "Text", "Ann Lee moved from Rome to work for Acme Corp. in Oslo.", rows=4),),
    lambda values: {"text": values["text"]},
)
_PASSAGE = (
    "The Amber Bridge was built in 1911 by the engineer Ida Holm. It joins the old harbour of Lund "
    "with the island of Ven."
)
_ONE_A_LINE = "One per line."

FORMS: dict[str, Form] = {
    form.key: form
    for form in (
        _TEXT,
        Form(
            "spanqa",
            "Passage",
            "A question and a passage",
            (
                Field("question", "Question", "Who built the Amber Bridge?", rows=1),
                Field("context", "Passage", _PASSAGE, rows=5),
            ),
            lambda v: _sample({"question": v["question"], "context": v["context"]}),
        ),
        Form(
            "choice",
            "Choices",
            "A question and its choices",
            (
                Field("question", "Question", "What do plants need to grow?", rows=2),
                Field("choices", "Choices", "sunlight\nplastic\nsilence\nsand", _ONE_A_LINE, 4),
            ),
            lambda v: _sample({"question": v["question"], "choices": _lines(v["choices"])}),
        ),
        Form(
            "dialogue",
            "Replies",
            "A dialogue and replies to choose from",
            (
                Field("context", "Turns so far", "How was your trip?\nTiring.", _ONE_A_LINE, 3),
                Field(
                    "candidates",
                    "Replies",
                    "Did you sleep at all?\nThe blue one is cheaper.\nTwo tickets, please.",
                    _ONE_A_LINE,
                    4,
                ),
            ),
            lambda v: _sample(
                {"context": _lines(v["context"]), "candidates": _lines(v["candidates"])}
            ),
        ),
        Form(
            "policy",
            "Dialogue",
            "A dialogue of a user with a system",
            (
                Field(
                    "turns",
                    "What the user says",
                    "I want a table for two tonight.\nSomewhere in Oslo, please.",
                    "One turn per line.",
                    4,
                ),
            ),
            lambda v: _sample({"turns": [{"user": turn} for turn in _lines(v["turns"])]}),
        ),
        Form(
            "relation",
            "Relations",
            "A text and the entities in it",
            (
                Field("text", "Text", "Ann Lee works for Acme Corp. in Oslo.", rows=3),
                Field("entities", "Entities", "Ann Lee\nAcme Corp.\nOslo", _ONE_A_LINE, 4),
            ),
            _relation,
        ),
        Form(
            "summary",
            "Summary",
            "A document to take sentences from",
            (
                Field(
                    "document",
                    "Document",
                    f"{_PASSAGE} The bridge was closed for repairs in 1987. Today it carries a "
                    "tram line.",
                    rows=6,
                ),
            ),
            lambda v: _sample({"document": v["document"]}),
        ),
        Form(
            "kg",
            "Graph",
            "A question to a knowledge graph",
            (
                Field("head", "Entity", "", "As the graph of the first run names it.", 1),
                Field("relation", "Relation", "", "As the graph of the first run names it.", 1),
            ),
            lambda v: _sample({"head": v["head"], "relation": v["relation"]}),
        ),
    )
}
"""Forms by key."""


def example_of(form: Form, run: ServedRun) -> dict[str, str]:
    """What stands in the fields at first; names of a graph are from the run's own questions."""
    values = {field.name: field.example for field in form.fields}
    if form.key == "kg":
        extra = run.corpus_task("dev").corpus.samples[0].extra
        values |= {name: str(extra[name]) for name in values}
    return values


def form_of(run: ServedRun) -> Form | None:
    """The form for a run; None where nothing can be asked, as of a mixture without a task."""
    return _TEXT if run.agent.reads_text else FORMS.get(run.agent.family)
