"""What `nlp-gym predict` reads and writes; no model in here.

A prediction is one JSON-able dict a text:

``text``      the text as given (words that came split are joined by single spaces)
``tokens``    ``{"text", "start", "end", "label"}`` a word; offsets count characters of ``text``
``entities``  ``{"text", "start", "end", "label"}`` an entity; only where the labels are BIO tags
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from nlp_gym.data.readers import read
from nlp_gym.data.tokenize import split_sentences, split_words
from nlp_gym.errors import (
    DataError,
    DataFormatError,
    DataNotFoundError,
    InvalidArgumentError,
    UnknownNameError,
)
from nlp_gym.files import atomic_path

Word = tuple[str, int, int]
_JSON_FILES = (".jsonl", ".ndjson", ".json")
FORMATS = ("json", "color", "conll")
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


@dataclass(frozen=True)
class Input:
    """One text to predict.

    Attributes:
        text: The text, unchanged.
        sentences: Its words with character offsets, in order, by sentence; none for a blank text.
    """

    text: str
    sentences: tuple[tuple[Word, ...], ...]

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order."""
        return tuple(word for sentence in self.sentences for word in sentence)


def from_text(text: str) -> Input:
    """Split raw text into sentences and these into words."""
    sentences = []
    for part, start, _ in split_sentences(text):
        words = tuple((word, start + i, start + j) for word, i, j in split_words(part))
        if words:
            sentences.append(words)
    return Input(text, tuple(sentences))


def from_words(words: Sequence[str]) -> Input:
    """Take words as they are; the text is the words joined by spaces."""
    spans, start = [], 0
    for word in words:
        spans.append((word, start, start + len(word)))
        start += len(word) + 1
    return Input(" ".join(words), (tuple(spans),) if spans else ())


def _from_json(line: str, path: Path | str, number: int) -> Input:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataFormatError(path, number, f"not JSON ({error}).") from error
    if isinstance(row, dict):
        words = row.get("words", row.get("tokens"))
        if isinstance(words, list) and all(isinstance(word, str) and word for word in words):
            return from_words(words)
        if isinstance(row.get("text"), str):
            return from_text(row["text"])
    raise DataFormatError(
        path, number, 'expected {"text": "..."} or {"words": ["...", ...]} on each line.'
    )


def parse_lines(lines: Iterable[str], *, jsonl: bool, path: Path | str) -> list[Input]:
    """One text a line, raw or JSON. A blank line of raw text is a blank text, so line numbers stay.

    Raises:
        DataFormatError: A line is not JSON of the expected form.
    """
    rows = [line.rstrip("\r\n") for line in lines]
    if not jsonl:
        return [from_text(row) for row in rows]
    return [_from_json(row, path, i) for i, row in enumerate(rows, 1) if row.strip()]


def read_inputs(path: str | Path) -> list[Input]:
    """Read ``.txt`` (a text a line), ``.jsonl`` (text or words), or what `nlp_gym.data` reads.

    Raises:
        DataNotFoundError: No such file.
        DataFormatError: A line cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"input={str(path)!r} does not exist.")
    suffix = path.suffix.lower()
    if suffix not in (".txt", *_JSON_FILES):
        return [from_words(sample.words) for sample in read(path, gold=False)]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataFormatError(
            path, None, f"not UTF-8 ({error.reason} at byte {error.start}); convert it first."
        ) from error
    return parse_lines(io.StringIO(text, newline=None), jsonl=suffix in _JSON_FILES, path=path)


def spans_of(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities of strict BIO tags as (first word, one past the last, type)."""
    spans: list[tuple[int, int, str]] = []
    for i, label in enumerate(labels):
        kind = label[2:]
        if label.startswith("B-"):
            spans.append((i, i + 1, kind))
        elif label.startswith("I-") and spans and spans[-1][1:] == (i, kind):
            spans[-1] = (spans[-1][0], i + 1, kind)
    return spans


def is_bio(labels: Sequence[str]) -> bool:
    """Whether an inventory is one of BIO tags."""
    return "O" in labels and all(name == "O" or name[:2] in ("B-", "I-") for name in labels)


def to_record(item: Input, labels: Sequence[str], *, bio: bool) -> dict[str, Any]:
    """The prediction of one text, see the module."""
    tokens = [
        {"text": word, "start": start, "end": end, "label": label}
        for (word, start, end), label in zip(item.words, labels, strict=True)
    ]
    record: dict[str, Any] = {"text": item.text, "tokens": tokens}
    if bio:
        record["entities"] = []
        for first, stop, kind in spans_of(labels):
            start, end = item.words[first][1], item.words[stop - 1][2]
            entity = {"text": item.text[start:end], "start": start, "end": end, "label": kind}
            record["entities"].append(entity)
    return record


def to_json(records: Iterable[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def to_conll(records: Iterable[dict[str, Any]]) -> str:
    """``word<TAB>label`` a line, a blank line after each text."""
    return "".join(
        "".join(f"{token['text']}\t{token['label']}\n" for token in record["tokens"]) + "\n"
        for record in records
        if record["tokens"]
    )


def to_text(record: dict[str, Any]) -> Text:
    """The text for a terminal: entities coloured, or each word with its label."""
    marks = record.get("entities", record["tokens"])
    kinds = sorted({mark["label"] for mark in marks})
    line, place = Text(), 0
    for mark in marks:
        colour = _COLOURS[kinds.index(mark["label"]) % len(_COLOURS)]
        line.append(record["text"][place : mark["start"]])
        line.append(record["text"][mark["start"] : mark["end"]], style=f"bold {colour}")
        line.append(f"[{mark['label']}]", style=f"dim {colour}")
        place = mark["end"]
    return line.append(record["text"][place:])


def write_output(path: str | Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        DataError: It cannot be written.
    """
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def choose_format(form: str | None, output: Path | None) -> str:
    """The format asked for, or the one that suits where the output goes.

    Raises:
        UnknownNameError: `form` is none of `FORMATS`.
    """
    if form is not None and form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    if form is None and output is not None:
        return "conll" if output.suffix.lower() == ".conll" else "json"
    return form or ("color" if sys.stdout.isatty() else "json")


def gather_inputs(text: str | None, file: Path | None) -> list[Input]:
    """The texts of a command line: an argument, ``-`` for stdin, or a file.

    Raises:
        InvalidArgumentError: None of them or two, or an argument without any text.
        DataError: The file cannot be read.
    """
    if (text is None) == (file is None):
        raise InvalidArgumentError("Give either a text (`-` for stdin) or --input FILE.")
    if file is not None:
        return read_inputs(file)
    if text == "-":
        return parse_lines(sys.stdin, jsonl=False, path="stdin")
    item = from_text(text or "")
    if not item.sentences:
        raise InvalidArgumentError(
            f"text={text!r} holds no word. Give some text in quotes: predict RUN 'text'."
        )
    return [item]


def formatted(records: Sequence[dict[str, Any]], form: str, *, output: Path | None = None) -> None:
    """Write predictions in one of `FORMATS` to a file or to stdout.

    Colours appear only where stdout is a terminal and ``NO_COLOR`` is not set.
    """
    if form == "color":
        console = Console(file=io.StringIO() if output else None, highlight=False)
        for record in records:
            console.print(to_text(record), soft_wrap=True)
        text = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    else:
        text = to_json(records) if form == "json" else to_conll(records)
    if output is not None:
        write_output(output, text)
    elif form != "color":
        sys.stdout.write(text)
