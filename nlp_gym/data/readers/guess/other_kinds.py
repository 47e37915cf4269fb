"""Recognises files that are no data of a task: web pages, logs, source code, subtitles, prose."""

from __future__ import annotations

import re

from nlp_gym.data.readers.guess.keys import are_columns
from nlp_gym.data.readers.shared.head import Head

_LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL"
_KINDS: tuple[tuple[str, re.Pattern[str], float], ...] = (
    ("subtitles", re.compile(r"(?:\d+:)?\d\d:\d\d[.,]\d{3} --> "), 0.1),
    (
        "a log",
        re.compile(
            r"[\[<(]?\d{2,4}[-/.]\d\d[-/.]\d\d(?:[T ]|$)|[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d|"
            rf"\[?\d\d:\d\d:\d\d|[\[<(]?(?:{_LEVELS})\b"
        ),
        0.6,
    ),
    (
        "Python code",
        re.compile(
            r"import [\w., ]+(?: as \w+)?$|from [\w.]+ import |\s*(?:async )?def \w+\(.*|"
            r"class \w.*:$|\s*(?:return|raise|assert)\b|@\w+|if __name__|\s*print\("
        ),
        0.3,
    ),
    (
        "source code",
        re.compile(r".*[;{}]\s*$|\s*(?://|/\*|\*/|#include|using |package |function )"),
        0.5,
    ),
    (
        "Markdown",
        re.compile(r"#{1,6} \S|\s*[-*+] \S|\s*\d+\. \S|```|\||>|\[[^]]*\]\([^)]*\)|---+$"),
        0.4,
    ),
    (
        "names and values, as of settings",
        re.compile(r"\s*(?:- )?[\w.-]+:(?: |$)|\s+- \S|\[[\w. -]+\]$|[\w.]+ ?= ?\S+$"),
        0.7,
    ),
)
"""Kinds of text, a pattern of their lines, and the share of lines from which on it is one."""

_MARKUP = re.compile(r"\s*<(?:!doctype|html|\?xml|!--|[a-z][\w:-]*(?:\s[^<>]*)?/?>)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d*(?:[.,]\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)


def other_kind(head: Head) -> str | None:
    """What a file is, if it is a known kind of text that is no data of a task; else None."""
    if head.is_json and are_columns(head.objects):
        return "JSON with all texts in one list, where one object for each row is needed"
    if not head or head.is_json:
        return None
    if _MARKUP.match(head[0]):
        return "a page of HTML or XML"
    if head[0].startswith("#!") or head[0].startswith(r"\documentclass"):
        return "source code"
    cells = [cell.strip() for line in head for cell in re.split(r"[,;\t ]", line)]
    numbers = sum(_NUMBER.fullmatch(cell) is not None for cell in cells)
    if 20 * numbers > 19 * len(cells):
        return "numbers only"
    for kind, pattern, least in _KINDS:
        if sum(pattern.match(line) is not None for line in head) > least * len(head):
            return kind
    return None


def described(head: Head) -> str:
    """What the lines of a file have in common, for the message that nothing can read it."""
    if head.is_json:
        return _described_json(head)
    table = head.table
    if table is not None and table.regular and len(head) > 1:
        shown = ", ".join(repr(cell[:30]) for cell in table.header[:8])
        return (
            f"a table of {len(table.header)} columns whose first row, {shown}, names none that are "
            "known"
        )
    if not any(re.search(r"[\t ]", line.strip()) for line in head):
        return "one word per line, without a second column that could be its label"
    return "text without labels" if len(head) > 1 else "one line of text"


def _described_json(head: Head) -> str:
    if not head.values:
        return "JSON whose first value is broken or very large"
    if not head.objects:
        return "JSON without objects that have keys"
    keys = dict.fromkeys(key for row in head.objects[:20] for key in row)
    shown = ", ".join(repr(key[:30]) for key in list(keys)[:12]) or "none"
    return f"JSON whose objects have keys of no family: {shown}"
