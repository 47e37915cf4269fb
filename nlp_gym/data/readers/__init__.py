"""Readers of text files, one module a format, and the table that names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nlp_gym.data.readers import conll, conllu, jsonl, plain, table
from nlp_gym.data.readers.base import CheckReport, Options, Problem, Reader, file_bytes
from nlp_gym.data.schemes import canonical_scheme
from nlp_gym.errors import UnknownNameError
from nlp_gym.types import Sample

__all__ = ["READERS", "CheckReport", "Options", "Problem", "Reader", "check", "find_reader", "read"]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        reader.name: reader
        for reader in (
            Reader(
                "conll",
                (".conll", ".iob", ".iob2", ".iob1", ".bio", ".bioes", ".bilou", ".ner"),
                conll.parse,
                "one word a line, first column the word, last column the label; blank lines",
            ),
            Reader("conllu", (".conllu",), conllu.parse, "Universal Dependencies, ten columns"),
            Reader(
                "jsonl",
                (".jsonl", ".ndjson"),
                jsonl.parse,
                'one object a line: {"words", "labels"} or {"text", "entities"}',
            ),
            Reader(
                "csv",
                (".csv",),
                table.parse,
                "columns sentence, word, label (or text), with a header",
            ),
            Reader("text", (), plain.parse, "one text a line, for prediction"),
        )
    }
)


def find_reader(path: Path, data: bytes, format: str | None = None, *, gold: bool = True) -> Reader:
    """Choose the reader of a file: `format`, else its ending, else a look at its first lines.

    Raises:
        UnknownNameError: There is no such format.
    """
    if format is not None:
        if format not in READERS:
            raise UnknownNameError("format", format, READERS)
        return READERS[format]
    ending = path.suffix.lower()
    for reader in READERS.values():
        if ending in reader.extensions:
            return reader
    if ending == ".txt" and not gold:
        return READERS["text"]
    return READERS[_guess(data)]


def _guess(data: bytes) -> str:
    head = data[:20_000].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        return "conll"
    if lines[0].lstrip().startswith("{"):
        return "jsonl"
    if any(line.count("\t") == 9 and line[0].isdigit() for line in lines[:20]):
        return "conllu"
    return "csv" if table.is_header(lines[0]) else "conll"


def read(
    path: str | Path,
    format: str | None = None,
    *,
    column: str | int | None = None,
    scheme: str = "auto",
    gold: bool = True,
) -> list[Sample]:
    """Read a file of texts.

    Args:
        path: The file, UTF-8.
        format: A name in `READERS`; None goes by the file's ending, then by its content.
        column: Which column holds the label: a number (conll), ``"upos"`` or ``"xpos"`` (conllu), a
            column's or key's name (csv, jsonl). None: the format's usual one.
        scheme: Tag scheme of the labels, converted to IOB2; see `nlp_gym.data.schemes`.
        gold: False reads the words alone: no labels are needed and none are returned.

    Returns:
        The samples in file order, at least one.

    Raises:
        DataFormatError: The first bad row, with its line, or an empty file.
        DataNotFoundError: There is no such file.
        UnknownNameError: `format`, `column` or `scheme` is not known.
    """
    path = Path(path)
    data = file_bytes(path)
    options = Options(column, canonical_scheme(scheme), gold)
    return find_reader(path, data, format, gold=gold).samples(path, data, options)


def check(
    path: str | Path,
    format: str | None = None,
    *,
    column: str | int | None = None,
    scheme: str = "auto",
    gold: bool = True,
) -> CheckReport:
    """Read a file and report every bad row; the arguments are those of `read`.

    Raises:
        DataNotFoundError: There is no such file.
        UnknownNameError: `format`, `column` or `scheme` is not known.
    """
    path = Path(path)
    data = file_bytes(path)
    reader = find_reader(path, data, format, gold=gold)
    parsed = reader.parsed(path, data, Options(column, canonical_scheme(scheme), gold))
    return CheckReport(
        path=path,
        format=reader.name,
        scheme=parsed.scheme,
        n_samples=len(parsed.samples),
        n_words=sum(len(sample.words) for sample in parsed.samples),
        labels=Counter(label for sample in parsed.samples for label in sample.labels or ()),
        problems=parsed.problems,
        warnings=sorted(parsed.warnings + parsed.notes, key=lambda note: note.line or 0),
    )
