"""Which task family a file is of: by what names and tabs tell, else by trying."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nlp_gym.data.readers import FAMILIES, READERS, find_reader
from nlp_gym.data.readers.guess.keys import hinted_family
from nlp_gym.data.readers.shared.base import Options, Reader
from nlp_gym.data.readers.shared.decoding import file_bytes
from nlp_gym.errors import DataError, UnknownNameError
from nlp_gym.types import Sample

_GENERIC = ("", ".txt", ".dat")
_LONG = 50  # words of one text without a blank line
_SHORT = 5  # labels that may all be different
_ANYTHING = ("conll", "label-first")  # formats that almost any file can be read as
_GOOD = 0.5  # of the rows: a file with more bad ones may still be of another family


def guess_family(path: str | Path, format: str | None = None, *, gold: bool = True) -> str:
    """Return the family that a file's keys, header or tabs tell, however broken its rows are.

    Else the first family whose reader can read half of the file, else the one that reads most.

    Args:
        path: The file.
        format: Name of its reader, if it is known.
        gold: Whether annotation is wanted.

    Returns:
        A name in `FAMILIES`; where none can read anything, the only one with files of that ending,
        else ``"tagging"``.

    Raises:
        DataNotFoundError: There is no such file.
        UnknownNameError: No family has that format.
    """
    path = Path(path)
    data = file_bytes(path)
    if format is not None and not any(format in readers for readers in READERS.values()):
        known = dict.fromkeys(name for readers in READERS.values() for name in readers)
        raise UnknownNameError("format", format, known)
    if format is None and (hinted := hinted_family(path, data)) is not None:
        return hinted
    ending = path.suffix.lower()
    by_ending = [
        family
        for family in FAMILIES
        if any(ending in reader.extensions for reader in READERS[family].values())
    ]
    best, best_share = by_ending[0] if len(by_ending) == 1 else "tagging", 0.0
    any_content = format is not None or ending in _GENERIC
    for family in FAMILIES if any_content else by_ending or FAMILIES:
        try:
            reader = find_reader(path, data, format, family=family, gold=gold)
        except UnknownNameError:
            continue
        share = _share_read(reader, path, data, gold)
        if share > best_share:
            best, best_share = family, share
        if share >= _GOOD:
            return family
    return best


def _share_read(reader: Reader, path: Path, data: bytes, gold: bool) -> float:
    try:
        parsed = reader.parsed(path, data, Options(gold=gold))
    except DataError:
        return 0.0
    good, bad = len(parsed.samples), len(parsed.problems)
    if not good:
        return 0.0
    share = good / (good + bad)
    return share * 0.4 if reader.name in _ANYTHING and _unlike_labels(parsed.samples) else share


def _unlike_labels(samples: Sequence[Sample]) -> bool:
    """Whether what can be read as texts with labels is rather a table.

    It is then one text without a blank line, or most labels are different.
    """
    labels = [label for sample in samples for label in sample.labels or ()]
    one_text = len(samples) == 1 and len(labels) > _LONG
    return one_text or (len(labels) > _SHORT and len(set(labels)) > len(labels) / 2)
