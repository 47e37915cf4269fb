"""Rows of CoNLL-U: which are words, and what is wrong with one."""

from __future__ import annotations

COLUMNS = {"upos": 3, "xpos": 4}
"""Columns of the parts of speech."""


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
