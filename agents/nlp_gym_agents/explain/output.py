"""Traces written to a file: a page, a picture, or JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nlp_gym.checks import check_ending
from nlp_gym.files import write_output
from nlp_gym_agents.explain.trace import Trace

ENDINGS = (".html", ".json", ".png")
"""Endings of the files that traces can be written to."""


def check_output(path: Path) -> str:
    """The ending of a file for traces, in small letters.

    Raises:
        InvalidArgumentError: It is none of `ENDINGS`.
    """
    why = "a page, the trace for programs, or a picture"
    return check_ending("output", path, ENDINGS, why)


def write_traces(traces: Sequence[Trace], path: Path) -> None:
    """Write traces whole or not at all, in the form that the file's ending asks for.

    Args:
        traces: What was explained.
        path: ``.html`` gets one page with all, ``.png`` one picture with all, ``.json`` a list of
            `Trace.to_dict`.

    Raises:
        InvalidArgumentError: Another ending.
        DataError: The file cannot be written.
    """
    write_output("output", path, _content(traces, check_output(path)))


def _content(traces: Sequence[Trace], ending: str) -> bytes:
    if ending == ".png":
        from nlp_gym_agents.explain.picture import trace_png

        return trace_png(traces)
    if ending == ".html":
        from nlp_gym_agents.explain.page import trace_html

        return trace_html(traces).encode("utf-8")
    return traces_json(traces).encode("utf-8")


def traces_json(traces: Sequence[Trace]) -> str:
    """The traces as a JSON list of `Trace.to_dict`."""
    found = [trace.to_dict() for trace in traces]
    return json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
