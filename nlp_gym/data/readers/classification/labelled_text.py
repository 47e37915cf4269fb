"""Samples of labelled texts, for the readers of classification and of multi-label corpora."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nlp_gym.data.readers.shared.base import Options, Parsed
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_string,
    text_words,
    type_name,
)
from nlp_gym.data.readers.shared.table_tools import open_table, table_samples
from nlp_gym.types import Sample

TEXT = ("text", "sentence", "utterance", "question")
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
    return Sample(words, labels, where, {"text": text})


def label_text(value: Any, key: str) -> str:
    """A label as text, from text (without white space around it) or a whole number.

    Raises:
        RowError: The value is neither, or empty.
    """
    if type(value) is int and abs(value) < 10**12:  # bool is a subclass of int
        return str(value)
    if not isinstance(value, str):
        raise RowError(
            f"{key!r} is {type_name(value)} where a label is needed: text or a whole number"
        )
    return checked_string(value, key).strip()


def table_texts(
    lines: list[str],
    name: str,
    options: Options,
    wanted: tuple[str, ...],
    labels_of: Callable[[str], tuple[str, ...]],
) -> Parsed:
    """Read a table with a header, one text per row.

    Args:
        lines: The file.
        name: Its name.
        options: How it is read.
        wanted: Names of the label column, the best first.
        labels_of: Makes labels of a cell of that column; raises `RowError`.
    """
    parsed = Parsed()
    table = open_table(lines, name, parsed)
    if table is None:
        return parsed
    text = table.find(*TEXT)
    label = table.find(*wanted) if options.gold else None
    if text is None:
        parsed.problems.append(table.missing(*TEXT))
    if label is None and options.gold:
        parsed.problems.append(table.missing(*wanted))
    if parsed.problems or text is None:
        return parsed

    def build(cells: list[str], number: int) -> Sample:
        labels = None if label is None else labels_of(cells[label])
        return text_sample(cells[text], labels, f"{name}:{number}")

    return table_samples(table, parsed, build)
