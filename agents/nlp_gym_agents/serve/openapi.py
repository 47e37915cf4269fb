"""The description of the interface, as OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nlp_gym import __version__
from nlp_gym_agents.explain.decisions import MOST_OPTIONS
from nlp_gym_agents.explain.saliency import METHODS
from nlp_gym_agents.serve.limits import Limits
from nlp_gym_agents.serve.served import ServedRun

_ERRORS = {
    "400": "The request is no JSON object, or has other keys than it may.",
    "403": "The request comes from a page of another site.",
    "404": "There is no such run.",
    "408": "The request was sent too slowly.",
    "413": "The request is larger than a limit.",
    "415": "The request is not sent as application/json.",
    "422": "The agent cannot decide on what was sent.",
    "429": "Too many requests wait for the model.",
    "500": "The server failed.",
    "503": "No answer was found in time, or the server stops.",
}


def description(
    runs: Sequence[ServedRun], limits: Limits, *, feedback: bool = False
) -> dict[str, Any]:
    """The interface of a server.

    Args:
        runs: What it serves.
        limits: Its limits, which are named in the schemas.
        feedback: Whether it keeps what clients say of predictions.
    """
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "nlp_gym",
            "version": __version__,
            "summary": "Decisions of trained agents on new texts and samples.",
        },
        "paths": {
            "/predict": _asks("predict", "Decide on texts or samples.", "Predictions"),
            "/explain": _asks("explain", "Decide, and say why: a trace of each.", "Traces"),
            "/health": _tells("health", "Whether it answers, and what it serves.", "Health"),
            "/openapi.json": _tells("openapi", "This description.", "Description"),
        },
        "components": {
            "schemas": {
                "PredictRequest": _request(runs, limits.texts, limits.characters),
                "ExplainRequest": _request(
                    runs, limits.explained, limits.explained_characters, _options(limits)
                ),
                "Predictions": _results(
                    "predictions", "A record of each text or sample, as `nlp-gym predict` has it."
                ),
                "Traces": _results("traces", "A trace of each text or sample."),
                "Health": _HEALTH,
                "Description": {"type": "object"},
                "Error": _ERROR,
            }
        },
    }
    if feedback:
        found["paths"]["/feedback"] = _asks("feedback", "Say what a prediction is worth.", "Kept")
        found["paths"]["/feedback"]["post"]["responses"]["507"] = _answer(_FULL, "Error")
        found["components"]["schemas"] |= {"FeedbackRequest": _said(runs, limits), "Kept": _KEPT}
    return found


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What is wrong, and what is allowed."},
        "limit": {"type": "string", "description": "The limit that was passed."},
    },
}
_FULL = "As much feedback is kept of the run as may be."
_KEPT = {
    "type": "object",
    "required": ["run", "kept"],
    "properties": {
        "run": {"type": "string", "description": "Which run it is kept for."},
        "kept": {
            "type": "object",
            "required": ["corrections", "ratings"],
            "properties": {
                "corrections": {"type": "integer", "description": "Texts with their answers."},
                "ratings": {"type": "integer", "description": "Texts whose prediction was rated."},
            },
        },
    },
}
_HEALTH = {
    "type": "object",
    "required": ["status", "version", "seconds", "waiting", "batches", "decided", "runs"],
    "properties": {
        "status": {"const": "ok"},
        "version": {"type": "string"},
        "seconds": {"type": "number", "description": "Since the server started."},
        "waiting": {"type": "integer", "description": "Requests that wait for the model."},
        "batches": {"type": "integer", "description": "Calls of the model so far."},
        "decided": {"type": "integer", "description": "Texts and samples in these calls."},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "env", "algo", "family", "reads_text", "samples"],
                "properties": {
                    "name": {"type": "string"},
                    "env": {"type": "string"},
                    "algo": {"type": "string"},
                    "family": {"type": "string"},
                    "reads_text": {
                        "type": "boolean",
                        "description": "Whether a raw text is all that it needs.",
                    },
                    "samples": {"type": "string", "description": "Which keys a sample has."},
                },
            },
        },
    },
}


def _options(limits: Limits) -> dict[str, Any]:
    """Further properties of a request for traces."""
    return {
        "gold": {
            "type": "boolean",
            "description": "Samples have their answers: say what was right.",
        },
        "top": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_OPTIONS,
            "description": "Most actions that are kept of each decision.",
        },
        "relevance": {
            "type": "string",
            "enum": list(METHODS),
            "description": "How to say which words spoke for each choice, of at most "
            f"{limits.relevance_characters:,} characters.",
        },
    }


def _said(runs: Sequence[ServedRun], limits: Limits) -> dict[str, Any]:
    """The schema of feedback on one text or sample."""
    found = _request(runs, 1, limits.characters)
    del found["properties"]["texts"]
    found["properties"] |= {
        "correct": {"description": "The right answer: a label, or what a record of /predict has."},
        "reward": {
            "description": "What the prediction is worth, from 0 (wrong) to 1 (right).",
            "oneOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "boolean"}],
        },
        "prediction": {
            "type": "object",
            "description": "Which prediction; that of now where it is left out.",
        },
    }
    found["allOf"] = [
        {"oneOf": [{"required": [name]} for name in names]}
        for names in (("text", "samples"), ("correct", "reward"))
    ]
    del found["oneOf"]
    return found


def _request(
    runs: Sequence[ServedRun],
    most: int,
    characters: int,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    forms = "; ".join(f"{run.name}: {run.sample_form}" for run in runs)
    inputs: dict[str, dict[str, Any]] = {
        "text": {
            "type": "string",
            "maxLength": characters,
            "description": "One raw text.",
        },
        "texts": {
            "type": "array",
            "maxItems": most,
            "items": {"type": "string", "maxLength": characters},
            "description": "Several raw texts.",
        },
        "samples": {
            "type": "array",
            "maxItems": most,
            "items": {"type": "object"},
            "description": f"Samples without their answers. {forms}",
        },
    }
    run = {
        "type": "string",
        "enum": [run.name for run in runs],
        "description": f"Which run decides; {runs[0].name} where it is left out.",
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {**inputs, "run": run, **options},
        "oneOf": [{"required": [name]} for name in inputs],
    }


def _results(name: str, what: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["run", name],
        "properties": {
            "run": {"type": "string", "description": "Which run decided."},
            name: {"type": "array", "items": {"type": "object"}, "description": what},
        },
    }


def _asks(name: str, summary: str, result: str) -> dict[str, Any]:
    body = {"schema": _reference(f"{name.capitalize()}Request")}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": body}},
            "responses": {
                "200": _answer("The decisions.", result),
                **{status: _answer(what, "Error") for status, what in _ERRORS.items()},
            },
        }
    }


def _tells(name: str, summary: str, result: str) -> dict[str, Any]:
    responses = {"200": _answer(summary, result), "400": _answer(_ERRORS["400"], "Error")}
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}


def _answer(what: str, schema: str) -> dict[str, Any]:
    return {
        "description": what,
        "content": {"application/json": {"schema": _reference(schema)}},
    }


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
