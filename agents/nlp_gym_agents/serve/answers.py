"""Answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from nlp_gym.inert import json_escaped
from nlp_gym_agents.serve.limits import RequestError


def json_answer(
    content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in which nothing acts on a terminal; what JSON escapes means the same.

    Args:
        content: JSON-able fields.
        status: The HTTP status.
        headers: Further headers.
    """
    text = json_escaped(json.dumps(content, ensure_ascii=False, allow_nan=False))
    return Response(
        text.encode("utf-8"), status, dict(headers or {}), media_type="application/json"
    )


def error_answer(error: RequestError) -> Response:
    """The answer to a request that is refused."""
    return json_answer(error.content(), error.status, error.headers)
