"""Guesses the task family of a file: from its names and tabs, else by reading it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nlp_gym.data.readers import FAMILIES, READERS, find_reader, read_text
from nlp_gym.data.readers.guess.keys import family_from_names
from nlp_gym.data.readers.shared.base import Options, Reader
from nlp_gym.data.readers.shared.decoding import Decoded, text_name
from nlp_gym.errors import DataError, UnknownNameError
from nlp_gym.types import Sample

_GENERIC = ("", ".txt", ".dat")
_MAX_WORDS = 50  # a single text with more words, without a blank line, is no tagged text
_MAX_DISTINCT = 5  # so few labels may all be different
_PERMISSIVE = ("conll", "label-first")  # formats as which almost any file can be read
_ENOUGH = 0.5  # share of good rows from which on no other family is tried


def guess_family(
    path: str | Path, format: str | None = None, *, gold: bool = True, encoding: str | None = None
) -> str:
    """Guess the task family of a file.

    Keys, header or tabs decide if they can, however broken the rows are; else the first family
    whose reader can read half of the file; else the family that can read most of it.

    Args:
        path: The file.
        format: Name of its reader, if it is known.
        gold: Whether the annotation is to be read.
        encoding: Its encoding; None: UTF-8.

    Returns:
        A name in `FAMILIES`. If no family can read anything, it is the only one with files of that
        ending, else ``"tagging"``.

    Raises:
        DataNotFoundError: There is no such file.
        UnknownNameError: No family has that format.
    """
    path = Path(path)
    text = read_text(path, encoding)
    if format is not None and not any(format in readers for readers in READERS.values()):
        known = dict.fromkeys(name for readers in READERS.values() for name in readers)
        raise UnknownNameError("format", format, known)
    if format is None and (named := family_from_names(path, text.lines)) is not None:
        return named
    ending = Path(text_name(path)).suffix.lower()
    by_ending = [
        family
        for family in FAMILIES
        if any(ending in reader.extensions for reader in READERS[family].values())
    ]
    best, best_share = by_ending[0] if len(by_ending) == 1 else "tagging", 0.0
    any_content = format is not None or ending in _GENERIC
    for family in FAMILIES if any_content else by_ending or FAMILIES:
        try:
            reader = find_reader(path, text.lines, format, family=family, gold=gold)
        except UnknownNameError:
            continue
        share = _share_read(reader, path, text, gold)
        if share > best_share:
            best, best_share = family, share
        if share >= _ENOUGH:
            return family
    return best


def _share_read(reader: Reader, path: Path, text: Decoded, gold: bool) -> float:
    """Share of rows that a reader can read; less if what it reads does not look like labels."""
    try:
        parsed = reader.parsed(path, text, Options(gold=gold))
    except DataError:
        return 0.0
    good, bad = len(parsed.samples), len(parsed.problems)
    if not good:
        return 0.0
    share = good / (good + bad)
    return share * 0.4 if reader.name in _PERMISSIVE and _unlike_labels(parsed.samples) else share


def _unlike_labels(samples: Sequence[Sample]) -> bool:
    """Whether texts that were read with labels look rather like a table.

    That is one long text without a blank line, or most labels are different.
    """
    labels = [label for sample in samples for label in sample.labels or ()]
    one_text = len(samples) == 1 and len(labels) > _MAX_WORDS
    return one_text or (len(labels) > _MAX_DISTINCT and len(set(labels)) > len(labels) / 2)
