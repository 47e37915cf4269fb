"""Samples of sources with reference texts, for all readers of the family "generation"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nlp_gym.data.readers.shared.json_tools import RowError, checked_list, checked_string
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.types import Sample

SOURCE = ("source", "text", "document", "prompt", "context", "sentence")
TARGET = (
    "target",
    "targets",
    "reference",
    "references",
    "summary",
    "response",
    "continuation",
    "compression",
)


def one_line(text: str) -> str:
    """The text with single spaces as its white space, and none around it."""
    return " ".join(text.split())


def generation_sample(text: str, references: Iterable[str] | None, where: str) -> Sample:
    """Make a sample: words of the source, references as gold, the source's text in `extra`.

    Args:
        text: The source.
        references: The reference texts; white space around them and repeated ones are dropped, and
            nothing else, since a metric scores them as they are. None: not annotated.
        where: Id of the sample.

    Raises:
        RowError: The source or a reference holds no word.
    """
    words = tuple(word for word, _, _ in split_words(text))
    if not words:
        raise RowError("the source holds no word")
    gold: tuple[str, ...] | None = None
    if references is not None:
        distinct: dict[str, str] = {}
        for reference in references:
            distinct.setdefault(one_line(reference), reference.strip())
        gold = tuple(distinct.values())
        for reference in gold:
            # a text without letters and digits may be invisible
            if not any(map(str.isalnum, reference)) and not split_words(reference):
                raise RowError(f"the reference {reference!r} holds no word")
    return Sample(words, None, where, {"text": text}, gold)


def source_text(value: Any, key: str) -> str:
    """The source: a string, or the turns of a list joined by spaces."""
    return " ".join(filled(value, key)) if isinstance(value, list) else checked_string(value, key)


def reference_texts(value: Any, key: str) -> list[str]:
    """The references: a string, or those of a list."""
    return filled(value, key) if isinstance(value, list) else [checked_string(value, key)]


def filled(value: Any, key: str) -> list[str]:
    """Strings of a list without blank ones, which real corpora have.

    Raises:
        RowError: The value is no list of strings, or all of them are blank.
    """
    items = enumerate(checked_list(value, key, least=1))
    texts = [checked_string(item, f"{key}[{i}]", blank=True) for i, item in items]
    texts = [text for text in texts if text and not text.isspace()]
    if not texts:
        raise RowError(f"{key!r} holds nothing but empty strings")
    return texts
