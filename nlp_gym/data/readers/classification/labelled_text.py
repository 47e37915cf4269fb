"""What the readers of labelled texts share (classification and multi-label)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nlp_gym.data.readers.shared.base import Options, Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_string,
    kind,
    text_words,
    with_id,
)
from nlp_gym.data.readers.shared.table_tools import open_table
from nlp_gym.types import Sample

TEXT = ("text", "sentence", "utterance", "question")
TEXT_KEYS = (*TEXT, "words", "tokens")


def text_sample(value: Any, labels: tuple[str, ...] | None, where: str) -> Sample:
    """A sample of a raw text, which is cut into words, or of a list of words.

    Raises:
        RowError: `value` is neither, or holds no word.
    """
    words, text, _ = text_words(value, "text")
    return Sample(words, labels, where, {"text": text})


def label_text(value: Any, key: str) -> str:
    """A label: text without white space around it, or a whole number.

    Raises:
        RowError: It is neither, or empty.
    """
    if type(value) is int and abs(value) < 10**12:  # bool is an int to Python, not to us
        return str(value)
    if not isinstance(value, str):
        raise RowError(f"{key!r} is {kind(value)} where a label is needed: text or a whole number")
    return checked_string(value, key).strip()


def table_texts(
    lines: list[str],
    name: str,
    options: Options,
    wanted: tuple[str, ...],
    labels_of: Callable[[str], tuple[str, ...]],
) -> Parsed:
    """Read a table with a header, one text a row.

    Args:
        lines: The file.
        name: Its name.
        options: How it is read.
        wanted: Names of the label column, the best first.
        labels_of: From a cell of that column to labels; raises `RowError`.
    """
    parsed = Parsed()
    table = open_table(lines, name, parsed)
    if table is None:
        return parsed
    text = table.find(*TEXT)
    label = table.find(*wanted) if options.gold else None
    identity = table.find("id")
    if text is None:
        parsed.problems.append(table.missing(*TEXT))
    if label is None and options.gold:
        parsed.problems.append(table.missing(*wanted))
    if parsed.problems or text is None:
        return parsed
    for number, cells in table.rows:
        try:
            labels = None if label is None else labels_of(cells[label])
            sample = text_sample(cells[text], labels, f"{name}:{number}")
            parsed.samples.append(with_id(sample, None if identity is None else cells[identity]))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed
