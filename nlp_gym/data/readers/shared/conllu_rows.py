"""Rows of CoNLL-U: which are words, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Sequence

COLUMNS = {"upos": 3, "xpos": 4}
"""Columns of the parts of speech."""
FORM, HEAD, DEPREL, DEPS = 1, 6, 7, 8
"""Columns of a word, of its head, of its relation to it and of its enhanced dependencies."""

_ROW = re.compile(r"[0-9]+(?:[-.][0-9]+)?\t[^\t]*(?:\t[^\t]*){8}")
_SEEN = 50
"""First lines by which the format is recognised."""


def head_rows(lines: Sequence[str]) -> list[list[str]]:
    """Cells of the first rows of words, if lines look like CoNLL-U, or like CoNLL-X before it.

    Most of the rows are numbered and have ten columns; else there are none.
    """
    rows = [line for line in lines[:_SEEN] if line[0] != "#"]
    fitting = [line.split("\t") for line in rows if _ROW.fullmatch(line) is not None]
    if 2 * len(fitting) <= len(rows):
        return []
    return [cells for cells in fitting if cells[0].isdecimal()]


def are_attached(rows: Sequence[Sequence[str]]) -> bool:
    """Whether most rows have a head and a relation."""
    full = [cells[HEAD].isdecimal() and cells[DEPREL] not in ("", "_") for cells in rows]
    return 2 * sum(full) > len(full)


def is_word(cells: Sequence[str]) -> bool:
    """Whether the cells of a row are those of a word of its own."""
    return len(cells) == 10 and cells[0].isdecimal()


def is_skipped(key: str) -> bool:
    """Whether a word number is that of a multi-word token or of an empty node."""
    for separator in "-.":
        left, found, right = key.partition(separator)
        if found and left.isdecimal() and right.isdecimal():
            return True
    return False


def row_fault(cells: list[str], expected: int, column: int, gold: bool) -> str | None:
    """What is wrong with a row; None if nothing is."""
    if len(cells) != 10:
        return f"{len(cells)} column(s), separated by tabs, where CoNLL-U has 10"
    if cells[0] != str(expected):
        joined = "; is a blank line missing?" if cells[0] == "1" else ""
        return f"the word's number is {cells[0]!r}, expected '{expected}'{joined}"
    if not cells[1] or cells[1].isspace():
        return "the word (FORM) is empty"
    if gold and (cells[column] in ("", "_") or cells[column].isspace()):
        which, other = ("UPOS", "XPOS") if column == 3 else ("XPOS", "UPOS")
        there = cells[COLUMNS[other.lower()]]
        hint = f" (column={other.lower()!r} reads {other}, {there!r} here)" if there != "_" else ""
        return f"the word {cells[1]!r} has no {which}{hint}"
    return None
