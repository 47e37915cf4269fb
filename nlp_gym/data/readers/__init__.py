"""Readers of text files, `read` and `check`; imports `data.text` and `data.tags`.

The formats of each task family are in a package of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nlp_gym.checks import check_name, check_path
from nlp_gym.data.readers.classification import formats as classification
from nlp_gym.data.readers.classification import multilabel
from nlp_gym.data.readers.dialogue import dialogue, policy
from nlp_gym.data.readers.generation import extractive as summary
from nlp_gym.data.readers.generation import formats as generation
from nlp_gym.data.readers.knowledge_graph import triples as kg
from nlp_gym.data.readers.questions import choice
from nlp_gym.data.readers.questions import span as spanqa
from nlp_gym.data.readers.relation import formats as relation
from nlp_gym.data.readers.shared.base import (
    CheckReport,
    Options,
    Reader,
    make_options,
    n_skipped,
)
from nlp_gym.data.readers.shared.check_counts import count_items
from nlp_gym.data.readers.shared.decoding import (
    Decoded,
    Problem,
    decode,
    file_bytes,
    text_name,
)
from nlp_gym.data.readers.tagging import formats as tagging
from nlp_gym.errors import UnknownNameError
from nlp_gym.types import Sample

__all__ = [
    "FAMILIES",
    "READERS",
    "CheckReport",
    "Options",
    "Problem",
    "Reader",
    "check",
    "find_reader",
    "read",
]

SHOWN_SAMPLES = 3
"""Number of samples that a `CheckReport` holds."""

_MODULES = {
    "tagging": tagging,
    "classification": classification,
    "multilabel": multilabel,
    "relation": relation,
    "spanqa": spanqa,
    "choice": choice,
    "dialogue": dialogue,
    "policy": policy,
    "summary": summary,
    "kg": kg,
    "generation": generation,
}

FAMILIES: tuple[str, ...] = tuple(_MODULES)
"""Task families; each has its own formats."""

READERS: Mapping[str, Mapping[str, Reader]] = MappingProxyType(
    {
        family: MappingProxyType({reader.name: reader for reader in module.FORMATS})
        for family, module in _MODULES.items()
    }
)
"""The readers by family, then by name of the format."""


def family_readers(family: str) -> Mapping[str, Reader]:
    """Return the readers of a family by name.

    Raises:
        UnknownNameError: There is no such family.
    """
    check_name("family", family, FAMILIES)
    return READERS[family]


def find_reader(
    path: Path,
    lines: list[str],
    format: str | None = None,
    *,
    family: str = "tagging",
    gold: bool = True,
) -> Reader:
    """Choose the reader of a file: by `format`, else by its ending, else by its first lines.

    Raises:
        UnknownNameError: There is no such family or format, or nothing decides on the format.
    """
    readers = family_readers(family)
    if format is not None:
        if not isinstance(format, str) or format not in readers:
            raise UnknownNameError("format", format, readers, f"(family {family!r})")
        return readers[format]
    ending = Path(text_name(path)).suffix.lower()
    if ending == ".txt" and not gold and "text" in readers:
        return readers["text"]
    fitting = [reader for reader in readers.values() if ending in reader.extensions]
    if len(fitting) == 1:
        return fitting[0]
    head = first_lines(lines)
    for reader in fitting or readers.values():
        if reader.sniff is not None and reader.sniff(head):
            return reader
    if fitting:
        return next((reader for reader in fitting if reader.sniff is None), fitting[0])
    known = "; ".join(f"{r.name}: {' '.join(r.extensions) or '-'}" for r in readers.values())
    raise UnknownNameError(
        "format",
        None,
        readers,
        f"Neither ending nor content of {path} tells it (family "
        f"{family!r}; endings: {known}): rename the file, or give format= (data_format= of an "
        "environment, --format of `nlp-gym data check`).",
    )


def first_lines(lines: list[str], characters: int = 20_000) -> list[str]:
    """The first lines that are not blank, up to a number of characters; the last may be cut off."""
    head = list[str]()
    for line in lines:
        if line and not line.isspace():
            head.append(line[:characters])
        characters -= len(line) + 1
        if characters <= 0:
            break
    return head


def read(
    path: str | Path,
    format: str | None = None,
    *,
    family: str = "tagging",
    column: str | int | None = None,
    scheme: str = "auto",
    gold: bool = True,
    split: str | None = None,
    pair: str | None = None,
    **options: Any,
) -> list[Sample]:
    """Read a file of texts.

    Args:
        path: The file; it may be compressed with gzip.
        format: A name in ``READERS[family]``; None: the file's ending, then its content decides.
        family: Task family, a name in `FAMILIES`.
        column: The column of the label: a number (conll), ``"upos"`` or ``"xpos"`` (conllu), the
            name of a column or key (csv, jsonl). None: the format's usual one.
        scheme: Tag scheme of the labels, which are converted to IOB2; see
            `nlp_gym.data.tags.schemes`.
        gold: Whether to read the annotation; False: none is needed and none is returned.
        split: The split to read of a format that holds all splits in one file; None: all.
        pair: Languages of source and target of parallel text (``"en-de"``).
        **options: `label_column` (the same as `column`), `text_column`, `word_column`,
            `label_separator`, `comments`, `encoding` and `bad_rows`; see
            `nlp_gym.data.readers.shared.base.Options`.

    Returns:
        The samples in file order, at least one.

    Raises:
        DataFormatError: The first bad row, with its line, or an empty file.
        DataNotFoundError: There is no such file.
        UnknownNameError: `family`, `format`, `column`, `scheme` or an option is not known.
        InvalidArgumentError: An option is outside what is allowed.
    """
    path = check_path("path", path)
    how = make_options(column=column, scheme=scheme, gold=gold, split=split, pair=pair, **options)
    text = read_text(path, how.encoding)
    reader = find_reader(path, text.lines, format, family=family, gold=gold)
    return list(reader.samples(path, text, how, family).samples)


def check(
    path: str | Path,
    format: str | None = None,
    *,
    family: str = "tagging",
    column: str | int | None = None,
    scheme: str = "auto",
    gold: bool = True,
    split: str | None = None,
    pair: str | None = None,
    **options: Any,
) -> CheckReport:
    """Read a file and report every bad row; the arguments are those of `read`.

    Raises:
        DataNotFoundError: There is no such file.
        UnknownNameError: `family`, `format`, `column`, `scheme` or an option is not known.
        InvalidArgumentError: An option is outside what is allowed.
    """
    path = check_path("path", path)
    how = make_options(column=column, scheme=scheme, gold=gold, split=split, pair=pair, **options)
    text = read_text(path, how.encoding)
    reader = find_reader(path, text.lines, format, family=family, gold=gold)
    parsed = reader.parsed(path, text, how)
    return CheckReport(
        path=path,
        format=reader.name,
        scheme=parsed.scheme,
        n_samples=len(parsed.samples),
        n_words=sum(len(sample.words) for sample in parsed.samples),
        labels=Counter(label for sample in parsed.samples for label in sample.labels or ()),
        problems=parsed.problems,
        warnings=sorted(parsed.warnings + parsed.notes, key=lambda note: note.line or 0),
        family=family,
        counts=count_items(parsed.samples),
        samples=tuple(parsed.samples[:SHOWN_SAMPLES]),
        n_skipped=n_skipped(parsed) if parsed.problems and how.skips else 0,
    )


def read_text(path: Path, encoding: str | None = None) -> Decoded:
    """The decoded content of a file.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It cannot be read.
    """
    return decode(file_bytes(path), encoding)
