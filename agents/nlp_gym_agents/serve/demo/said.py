"""The form with which a decision is corrected, by what was decided, and the answer in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_gym.files import parse_json
from nlp_gym_agents.serve.limits import RequestError
from nlp_gym_agents.serve.served import ServedRun

MOST_WORDS, MOST_LABELS = 100, 200
"""Longest text of which every word has a field, and most labels to choose from."""
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "relation": ("words", "relations"),
    "spanqa": ("answer", "start"),
    "choice": ("index",),
    "dialogue": ("ranking",),
    "policy": ("turns",),
    "summary": ("summary",),
    "generation": ("output",),
    "multilabel": ("labels",),
    "classification": ("label",),
    "tagging": ("entities",),
    "parsing": ("heads", "relations"),
}
"""Fields of a record that say its answer."""
_UNSURE = ("confidence", "confidences")


@dataclass(frozen=True)
class AnswerForm:
    """What is filled in to correct a decision.

    Attributes:
        kind: ``"label"`` (one of `labels`), ``"labels"`` (any of them), ``"words"`` (one for each
            word) or ``"json"`` (free).
        labels: What can be chosen.
        chosen: What was decided: labels, of ``"words"`` one for each word.
        words: The words.
        text: Of ``"json"`` what stands in it at first.
    """

    kind: str
    labels: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    text: str = ""


def answer_form(run: ServedRun, record: Mapping[str, Any]) -> AnswerForm:
    """The form for a record that `Agent.predict` gave."""
    labels, family = run.agent.labels, run.agent.family
    few = 0 < len(labels) <= MOST_LABELS
    if few and isinstance(record.get("label"), str):
        return AnswerForm("label", labels, (record["label"],))
    if few and family == "multilabel":
        return AnswerForm("labels", labels, tuple(record.get("labels", ())))
    tokens = record.get("tokens", ())
    if few and family == "tagging" and 0 < len(tokens) <= MOST_WORDS:
        chosen, words = (tuple(str(token[k]) for token in tokens) for k in ("label", "text"))
        return AnswerForm("words", labels, chosen, words)
    names = _ANSWERS.get(family, ())
    found = {name: _sure(record[name]) for name in names if name in record}
    if family == "kg" and record.get("answers"):
        found = {"entity": record["answers"][0]["entity"]}
    if family == "tagging" and not found:
        found = {"labels": [token["label"] for token in tokens]}
    return AnswerForm("json", text=json.dumps(found, ensure_ascii=False, indent=1))


def _sure(value: Any) -> Any:
    """A value without its confidences."""
    if isinstance(value, Mapping):
        return {key: _sure(one) for key, one in value.items() if key not in _UNSURE}
    return [_sure(one) for one in value] if isinstance(value, list) else value


def answer_of(sent: Mapping[str, Sequence[str]]) -> Any:
    """The answer in the fields of an `AnswerForm` that were sent.

    Raises:
        RequestError: It is none (422).
    """
    kind, values = sent.get("kind", [""])[0], list(sent.get("answer", ()))
    if kind == "labels":
        return values
    if kind == "words":
        return values
    if kind == "label" and len(values) == 1:
        return values[0]
    if kind == "json" and len(values) == 1:
        try:
            return parse_json(values[0])
        except ValueError as error:
            raise RequestError(422, f"the answer is not JSON: {error}.") from None
    raise RequestError(422, "there is no answer in the form: choose or write one.")
