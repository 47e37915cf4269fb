"""Readers of text files, `read` and `check`; imports `data.text` and `data.tags`.

The formats of each task family are in a package of their own.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_path
from nlp_gym.data.readers.guess.family import Guess, guess_file
from nlp_gym.data.readers.guess.find import find_reader
from nlp_gym.data.readers.registry import FAMILIES, READERS, family_readers
from nlp_gym.data.readers.report.check_report import CheckReport
from nlp_gym.data.readers.report.counts import count_items, crossed
from nlp_gym.data.readers.shared.base import Reader, n_skipped
from nlp_gym.data.readers.shared.decoding import Decoded, Problem, decode, file_bytes
from nlp_gym.data.readers.shared.options import Options, make_options
from nlp_gym.types import Sample

__all__ = [
    "FAMILIES",
    "READERS",
    "CheckReport",
    "Guess",
    "Options",
    "Problem",
    "Reader",
    "check",
    "family_readers",
    "find_reader",
    "guess_file",
    "read",
]

SHOWN_SAMPLES = 3
"""Number of samples that a `CheckReport` holds."""


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
            `nlp_gym.data.readers.shared.options.Options`.

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
    reader = find_reader(path, text.lines, format, family=family, options=how)
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
    reader = find_reader(path, text.lines, format, family=family, options=how)
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
        counts=count_items(parsed.samples) | crossed(parsed.samples, family),
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
