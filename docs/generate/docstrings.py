"""Docstrings for the API reference: the little Markdown in them as reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME = re.compile(r"(~?)[A-Za-z_][\w.]*(\(\))?")
_CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)


def restructured(lines: Sequence[str]) -> list[str]:
    """A docstring up to its first Markdown heading, which only task classes have.

    Their sections are the page of each id. Names in backticks become references where something
    has that name, other code becomes a literal, and signs that mean something in
    reStructuredText stand for themselves.
    """
    kept: list[str] = []
    for line in lines:
        if line.startswith("## "):
            kept += ["Its reference is the page of each of its ids, under Environments.", ""]
            break
        kept.append(line)
    parts = _CODE.split("\n".join(kept))
    return "".join(_code(part) if i % 2 else _escaped(part) for i, part in enumerate(parts)).split(
        "\n"
    )


def _code(part: str) -> str:
    inner = part.strip("`")
    if part.startswith("``") or not _NAME.fullmatch(inner):
        return f"``{' '.join(inner.split())}``"
    return f":py:obj:`{inner.removesuffix('()')}`"


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)(\*|\||(?<=\w)_(?=\W|$))", r"\\\1", text)
