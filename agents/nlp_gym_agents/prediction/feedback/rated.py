"""Whether a prediction that is rated is one of the text, and one that the agent makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Sample
from nlp_gym_agents.prediction.inputs import Input
from nlp_gym_agents.prediction.records import input_fields
from nlp_gym_agents.prediction.results import Result


def check_of(result: Result, text: Any, item: Input | Sample) -> None:
    """Refuse a result on another text, which a list that is shifted by one easily gives."""
    given = {**text} if isinstance(text, Mapping) else {}
    given |= {"text": input_fields(item).get("text", result.text)}
    known = {**result.record, "text": result.text}
    for name in given.keys() & known.keys():
        own, theirs = given[name], known[name]
        if isinstance(own, str) and isinstance(theirs, str) and own != theirs:
            raise InvalidArgumentError(
                f"prediction is on the {name} {shown(theirs)}, and not on {shown(own)}, which is "
                "rated: give the result of that."
            )


def check_same(result: Result, prediction: Result | Mapping[str, Any] | None) -> None:
    """Refuse a prediction that is given by its fields and is not that of now."""
    if prediction is None:
        return
    given = prediction.to_dict() if isinstance(prediction, Result) else prediction
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(
            f"prediction={shown(prediction)} must be a result of `predict`, or its fields."
        )
    if _without_chances(given) != _without_chances(result.to_dict()):
        raise InvalidArgumentError(
            f"prediction={shown(dict(given))} is not what the agent decides now: it was learned "
            "from, or the text is another one. Predict again, or give the result object, which "
            "knows its decisions."
        )


def _without_chances(value: Any) -> Any:
    """A record without its confidences, which differ in the last place from batch to batch."""
    if isinstance(value, Mapping):
        unsure = ("confidence", "confidences", "calibrated", "probabilities", "id")
        return {k: _without_chances(v) for k, v in value.items() if k not in unsure}
    if isinstance(value, list | tuple):
        return [_without_chances(one) for one in value]
    return value
