"""Samples of labelled texts, for the readers of classification and of multi-label corpora."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_string,
    text_words,
    type_name,
)
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.tools import (
    Table,
    open_text_table,
    table_samples,
)
from nlp_gym.errors import shown
from nlp_gym.types import Sample

SURE_TEXT = ("text", "sentence", "utterance", "question")
TEXT = (*SURE_TEXT, "review", "comment_text", "comment", "tweet", "content", "data")
TEXT_KEYS = (*TEXT, "words", "tokens")


def text_sample(value: Any, labels: tuple[str, ...] | None, where: str) -> Sample:
    """Make the sample of a raw text, which is cut into words, or of a list of words.

    Args:
        value: The text or the words.
        labels: Gold labels; None: not annotated.
        where: Id of the sample.

    Raises:
        RowError: `value` is neither, or holds no word.
    """
    words, text, _ = text_words(value, "text")
    labels = None if labels is None else _shared(labels)
    return Sample(words, labels, where, {"text": text})


@lru_cache(maxsize=1024)
def _shared(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The same labels, one object for many samples."""
    return labels


class RefusedLabels:
    """Rows of Prodigy whose label a person did not accept: they are left out and counted."""

    def __init__(self) -> None:
        self._lines = dict[str, list[int]]()

    def leaves_out(self, row: dict[str, Any], line: int) -> bool:
        """Whether the label of a row was rejected, or the row passed over."""
        answer = row.get("answer")
        if answer not in ("reject", "ignore"):
            return False
        self._lines.setdefault(str(answer), []).append(line)
        return True

    def report(self, parsed: Parsed) -> Parsed:
        """Say how many there are; return `parsed`."""
        for answer, lines in self._lines.items():
            message = f"{len(lines)} row(s) with the answer {answer!r}, as of Prodigy, are left out"
            parsed.warnings.append(Problem(lines[0], message))
        return parsed


def label_text(value: Any, key: str) -> str:
    """A label as text, from text (see `trim`) or a whole number.

    Raises:
        RowError: The value is neither, or empty.
    """
    if type(value) is int and abs(value) < 10**12:  # bool is a subclass of int
        return str(value)
    if not isinstance(value, str):
        raise RowError(
            f"{key!r} is {type_name(value)} where a label is needed: text or a whole number"
        )
    label = trim(checked_string(value, key))
    if not label:
        raise RowError(f"{key!r} is empty")
    return label


def table_texts(
    lines: list[str],
    name: str,
    options: Options,
    usual: tuple[str, ...],
    labels_of: Callable[[str, int], tuple[str, ...]],
) -> Parsed:
    """Read a table, one text per row.

    It has a header, unless the columns of the text and of the label are given by their numbers.

    Args:
        lines: The file.
        name: Its name.
        options: How it is read.
        usual: Usual names of the label column, the best first.
        labels_of: Makes labels of (cell of that column, line number); raises `RowError`.
    """
    parsed = Parsed()
    found = open_text_table(lines, name, options, parsed, text=TEXT, answer=usual)
    if found is None:
        return parsed
    table, text, label = found

    def build(cells: list[str], number: int) -> Sample:
        labels = None if label is None else labels_of(cells[label], number)
        return text_sample(cells[text], labels, f"{name}:{number}")

    table_samples(table, parsed, build)
    _doubt_first_row(table, parsed)
    if options.text_column is None:
        _doubt_text_column(table, text, parsed)
    return parsed


def _doubt_text_column(table: Table, text: int, parsed: Parsed) -> None:
    """Warn where several columns may be the text."""
    names = [cell for i, cell in enumerate(table.header) if i == text or trim(cell).lower() in TEXT]
    if len(names) > 1:
        chosen, found = shown(trim(table.header[text])), " and ".join(map(shown, map(trim, names)))
        message = (
            f"the columns {found} may all be the text, and {chosen} is read: text_column= "
            "(--text-column) says which one is meant"
        )
        parsed.warnings.append(Problem(table.line, message))


def _doubt_first_row(table: Table, parsed: Parsed) -> None:
    """Warn where the first row of a table without a header may be one."""
    if table.headed or len(parsed.samples) < 2:
        return
    first = (parsed.samples[0].labels or ("",))[0]
    counts = Counter(label for sample in parsed.samples for label in sample.labels or ())
    if not first or counts.pop(first) > 1 or _is_number(first):
        return
    if any(n > 1 for n in counts.values()) or all(map(_is_number, counts)):
        message = (
            "the line is read as a row, not as a header, since the columns are given by number, "
            f"but its label {shown(first)} occurs nowhere else. If it is a header, give the "
            "columns by their names"
        )
        parsed.warnings.append(Problem(table.line, message))


def _is_number(label: str) -> bool:
    return label.lstrip("+-").replace(".", "", 1).isdecimal()
