"""What `nlp-gym predict` reads: texts with their words and sentences."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_path
from nlp_gym.data.readers import READERS, find_reader, read, read_text
from nlp_gym.data.readers.shared.decoding import Decoded, decode, text_name
from nlp_gym.data.readers.shared.options import make_options
from nlp_gym.data.text.tokenize import split_sentences, split_words
from nlp_gym.errors import (
    DataError,
    DataFormatError,
    DataNotFoundError,
    InvalidArgumentError,
    shown,
)
from nlp_gym.types import Sample

Word = tuple[str, int, int]


@dataclass(frozen=True)
class Input:
    """One text to predict.

    Attributes:
        text: The text, unchanged.
        sentences: Its words with character offsets, in order, by sentence; none for a blank text.
        id: The id that the file gives it, or ``"file:line"``; ``""`` where it is from no file.
    """

    text: str
    sentences: tuple[tuple[Word, ...], ...]
    id: Any = field(default="", compare=False)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """All words in order."""
        return tuple(word for sentence in self.sentences for word in sentence)


def from_text(text: str) -> Input:
    """Split raw text into sentences and these into words.

    Raises:
        InvalidArgumentError: The text holds half of a surrogate pair, which is no character.
    """
    _check_characters(text)
    sentences = []
    for part, start, _ in split_sentences(text):
        words = tuple((word, start + i, start + j) for word, i, j in split_words(part))
        if words:
            sentences.append(words)
    return Input(text, tuple(sentences))


def from_words(words: Sequence[str]) -> Input:
    """Take words as they are; the text is the words joined by spaces.

    Raises:
        InvalidArgumentError: A word holds half of a surrogate pair, which is no character.
    """
    spans, start = [], 0
    for word in words:
        _check_characters(word)
        spans.append((word, start, start + len(word)))
        start += len(word) + 1
    return Input(" ".join(words), (tuple(spans),) if spans else ())


def _check_characters(text: str) -> None:
    """Refuse halves of surrogate pairs, which Python makes of bytes that are not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        near = text[max(error.start - 20, 0) : error.start + 20]
        raise InvalidArgumentError(
            f"text={shown(near)}: character {error.start + 1} is half of a surrogate pair, most "
            "often a byte that is not UTF-8. Give the text as UTF-8."
        ) from error


def read_inputs(
    path: str | Path,
    *,
    encoding: str | None = None,
    text_column: str | int | None = None,
) -> list[Input]:
    """Read one text per line, or what `nlp_gym.data` reads of tagged words without labels.

    Args:
        path: The file; see `read_file`.
        encoding: Its encoding; None: UTF-8.
        text_column: Column or key of the text, in a table or in JSON; None: the usual one.

    Raises:
        DataNotFoundError: No such file.
        DataFormatError: A line cannot be read, or the file is empty.
        DataError: It is a folder.
        InvalidArgumentError: An option that the file's format has no use for.
    """
    found = read_file(path, encoding=encoding, text_column=text_column)
    return [item if isinstance(item, Input) else from_sample(item) for item in found]


def read_file(
    path: str | Path,
    format: str | None = None,
    *,
    family: str = "tagging",
    pair: str | None = None,
    encoding: str | None = None,
    text_column: str | int | None = None,
) -> list[Input | Sample]:
    """Read a file to predict on, without labels.

    A ``.txt`` that is not JSON, and any file that is nothing but text, has one text per line; a
    blank line is a blank text, so that line numbers stay. Otherwise the content decides, and then
    the ending, as in `nlp_gym.data.read`.

    Args:
        path: The file; it may be packed with gzip.
        format: Name of its reader; None: see above.
        family: Task family.
        pair: Languages of parallel text.
        encoding: Its encoding; None: UTF-8.
        text_column: Column or key of the text.

    Returns:
        Inputs where the file has one text per line, else samples.

    Raises:
        DataError: It cannot be read; see `read_inputs`.
        InvalidArgumentError: An option that the file's format has no use for.
    """
    path = check_path("input", path)
    if os.path.isdir(path):
        raise DataError(f"input={shown(path)} is a folder: give one of the files in it.")
    if not os.path.exists(path):
        raise DataNotFoundError(f"input={shown(path)} does not exist.")
    options: dict[str, Any] = {"encoding": encoding, "text_column": text_column}
    how = make_options(gold=False, pair=pair, **options)
    text = read_text(path, how.encoding)
    reader = find_reader(path, text.lines, format, family=family, options=how)
    if reader.name != "text":
        return list(read(path, reader.name, family=family, gold=False, pair=pair, **options))
    if text_column is not None:
        raise InvalidArgumentError(
            f"text_column={shown(text_column)}: {path} has one text per line, and no columns. "
            "Leave it out."
        )
    return list(from_lines(text, path))


PLAIN_TEXT = {"summary": "document"}
"""Families whose samples are more than a text, but can be made of one, and the key that it has."""


def from_mappings(rows: Sequence[Mapping[str, Any]], family: str) -> list[Input | Sample]:
    """Samples from mappings, as the family's reader of JSON Lines makes them of a file's lines.

    Args:
        rows: Each has the keys of a line; gold is not looked at.
        family: Task family.

    Raises:
        InvalidArgumentError: A mapping is no JSON, or the reader cannot make a sample of it.
    """
    if not rows:
        return []
    lines = []
    for place, row in enumerate(rows):
        try:
            lines.append(json.dumps(dict(row), ensure_ascii=False, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(
                f"given: mapping {place + 1}, {shown(row)}, cannot be written as JSON: {error}."
            ) from error
    reader = READERS[family]["jsonl"]
    parsed = reader.parse(lines, "given", make_options(gold=False))
    for problem in parsed.problems:
        raise InvalidArgumentError(
            f"given: mapping {problem.line}, {shown(rows[(problem.line or 1) - 1])}: "
            f"{problem.message}. Wanted is {reader.description}, the answers left out."
        )
    if len(parsed.samples) < len(rows):
        warning = parsed.warnings[0]
        raise InvalidArgumentError(f"given: mapping {warning.line}: {warning.message}.")
    samples = [replace(sample, id="") for sample in parsed.samples]
    if family == "relation":  # files are read without their text, which mentions point to
        pairs = zip(samples, rows, strict=True)
        samples = [
            replace(sample, extra={**sample.extra, "text": row["text"]})
            if "text" in row
            else sample
            for sample, row in pairs
        ]
    return [from_sample(s) if family == "tagging" else s for s in samples]


def from_sample(sample: Sample) -> Input:
    """The raw text of a sample; words that were given stay as they are."""
    raw = "spans" in sample.extra
    item = from_text(str(sample.extra["text"])) if raw else from_words(sample.words)
    return replace(item, id=sample_id(sample))


def sample_id(sample: Sample) -> Any:
    """The id that the file gives a sample, where that can be written as JSON; else its place."""
    own = sample.extra.get("id", "")
    try:
        json.dumps(own, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError):
        own = ""
    return sample.id if own in ("", None) else own


def from_lines(text: Decoded, name: str | Path) -> list[Input]:
    """One raw text per line.

    Args:
        text: The lines.
        name: Where they are from, for messages.

    Raises:
        DataFormatError: A line that is not of the encoding, or no text at all.
    """
    if text.problems:
        raise DataFormatError(name, text.problems[0].line, text.problems[0].message)
    if text.blank:
        raise DataFormatError(name, None, "there is no text in it: nothing to predict.")
    for warning in text.warnings:
        warnings.warn(f"{name}:{warning.line}: {warning.message}", UserWarning, stacklevel=2)
    lines, place = text.lines, text_name(Path(name))
    lines = lines if lines[-1] else lines[:-1]
    return [replace(from_text(line), id=f"{place}:{i}") for i, line in enumerate(lines, 1)]


def gather_inputs(
    text: str | None, file: Path | None, *, encoding: str | None = None
) -> list[Input]:
    """The texts of a command line: an argument, ``-`` for stdin, or a file.

    Args:
        text: The argument.
        file: The file.
        encoding: Encoding of stdin or the file; None: UTF-8.

    Raises:
        InvalidArgumentError: None of them or two, or an argument without any text.
        DataError: The file cannot be read.
    """
    if (text is None) == (file is None):
        raise InvalidArgumentError("Give either a text (`-` for stdin) or --input FILE.")
    if file is not None:
        return read_inputs(file, encoding=encoding)
    if text == "-":
        how = make_options(encoding=encoding)
        return from_lines(decode(sys.stdin.buffer.read(), how.encoding), "stdin")
    item = from_text(text or "")
    if not item.sentences:
        raise InvalidArgumentError(
            f"text={shown(text)} holds no word. Give some text in quotes: predict RUN 'text'."
        )
    if os.path.isfile(text or ""):  # unlike Path.is_file, False where a text is too long for a name
        warnings.warn(
            f"text={shown(text)} is read as a text, and there is a file of that name. For the "
            f"texts in it: --input {text}",
            stacklevel=2,
        )
    return [item]
