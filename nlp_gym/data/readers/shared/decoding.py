"""Decodes the bytes of a file to lines: line ends, byte order marks, encodings, gzip."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from nlp_gym.data.readers.shared.encodings import (
    advice_of,
    advise,
    decode_as,
    likely_encoding,
    marked_encoding,
)
from nlp_gym.errors import DataError, DataNotFoundError
from nlp_gym.files import read_at_most, read_regular
from nlp_gym.memory import memory_limit, readable_size

BOM = "\ufeff"
"""Byte order mark: says how a file is encoded, and is no part of its text."""
_MARKED_CELL = re.compile(f"\t{BOM}+")
_GZIP = b"\x1f\x8b"
_NOT_TEXT = (
    (b"PK\x03\x04", "a ZIP archive (or an Excel or Word file): unpack it, or export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file: export it as CSV"),
    (b"BZh", "compressed with bzip2: unpack it with bunzip2"),
    (b"\xfd7zXZ\0", "compressed with xz: unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it with unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"),
    (b"%PDF-", "a PDF: export its text"),
    (b"PAR1", "a Parquet file: export it, as with datasets' to_json or pandas' to_csv"),
    (
        b"x\x9c",
        "compressed with zlib, as spaCy's DocBin (.spacy): write its documents as JSON lines, "
        '[text, {"entities": [[start, end, label]]}] each',
    ),
    (b"ARROW1", "an Arrow file: export it, as with datasets' to_json"),
    (b"SQLite format 3\0", "an SQLite database: export a table of it as CSV"),
)
"""First bytes of files that are no text, and what they are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be read or, as a warning, may not be read as meant.

    Attributes:
        line: Its line number from 1; None: the problem concerns the whole file.
        message: What is wrong.
    """

    line: int | None
    message: str


@dataclass(slots=True)
class Decoded:
    """The text of a file.

    Attributes:
        lines: Its lines without their ends and without byte order marks before them.
        problems: Lines that are not text: bad bytes (replaced in `lines`), a NUL, and so on.
        warnings: What may have been read otherwise than meant: carriage returns that end no line.
        notes: Remarks that only `check` shows: byte order marks of joined files.
    """

    lines: list[str]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    @property
    def blank(self) -> bool:
        """Whether there is nothing but white space."""
        return not any(line.strip() for line in self.lines)


def file_bytes(path: Path) -> bytes:
    """Read a whole regular file; one that is compressed with gzip is unpacked.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It cannot be read (a folder, a device, no permission, damaged gzip, too large).
    """
    return unpacked(packed_bytes(path), path)


def packed_bytes(path: Path) -> bytes:
    """Read a whole regular file as it is.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It cannot be read.
    """
    try:
        return read_regular(path)
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise DataError(f"{str(path)!r} cannot be read: {reason}") from error


def text_name(path: Path) -> str:
    """Name of a file, whose ending tells the format, without the ``.gz`` of a packed one."""
    return path.name[:-3] if path.suffix.lower() == ".gz" else path.name


def unpacked(data: bytes, path: Path) -> bytes:
    """Unpack the bytes of a file where they are compressed with gzip.

    Raises:
        DataError: They are damaged, or do not fit in memory.
    """
    if not data.startswith(_GZIP):
        return data
    limit = memory_limit() // 2
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as file:
            content = read_at_most(file, limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r} is damaged gzip: {error}") from error
    if len(content) > limit:
        raise DataError(
            f"{str(path)!r} holds more than {readable_size(limit)} when it is unpacked, which does "
            "not fit in memory: split it."
        )
    return content


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    r"""Decode the bytes of a file and cut them at ``\n`` and ``\r\n``, and nowhere else.

    A word may contain U+2028 or U+0085, and a text a carriage return alone, as sacreBLEU reads it;
    carriage returns that end no line give a warning. A byte order mark at the beginning of a line,
    which joined files have, is no part of its text.

    Args:
        data: The bytes, unpacked.
        encoding: Their encoding, from `encodings.check_encoding`; None: UTF-8.
    """
    for start, what in _NOT_TEXT:
        if data.startswith(start):
            return Decoded([], [Problem(None, f"the file is no text: it is {what}")])
    if encoding is None:
        text, problems = _utf8(data)
    else:
        text, fault = decode_as(data, encoding)
        problems = [] if fault is None else [Problem(*fault)]
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    found = Decoded(text.split("\n"), problems)
    if "\r" in text:
        _report_carriage_returns(found)
    if BOM in text:
        _drop_marks(found)
    if "\0" in text:
        message = "the line holds a NUL byte; is this a text file?"
        numbers = (n for n, line in enumerate(found.lines, 1) if "\0" in line)
        found.problems += [Problem(n, message) for n in numbers]
    return found


def _utf8(data: bytes) -> tuple[str, list[Problem]]:
    marked = marked_encoding(data)
    if marked is not None:
        return "", [Problem(1, f"the file is {marked.upper()}; {advice_of(marked)}")]
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    bad: list[tuple[int, bytes, int]] = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            bad.append((number, raw, error.start))
    encoding = likely_encoding([raw for _, raw, _ in bad])
    return data.decode("utf-8", "replace"), [
        Problem(n, f"byte 0x{raw[at]:02x} at column {at + 1} is not UTF-8; {advise(raw, encoding)}")
        for n, raw, at in bad
    ]


def _report_carriage_returns(found: Decoded) -> None:
    r"""Warn of carriage returns that end no line; those before a line's end are dropped."""
    doubled, alone = list[int](), list[int]()
    lines = found.lines
    for index, line in enumerate(lines):
        if "\r" not in line:
            continue
        if line.endswith("\r"):
            lines[index] = line.rstrip("\r")
            if index + 1 < len(lines) or line.endswith("\r\r"):
                doubled.append(index + 1)
        if "\r" in lines[index]:
            alone.append(index + 1)
    first_only = not any(lines[1:])
    if first_only and lines[0].count("\r") >= len(lines):
        message = (
            "the lines end with carriage returns alone, as on old Macs, but only a line feed ends "
            r"a line here: convert the file with: tr '\r' '\n' < FILE > NEW"
        )
        found.problems.append(Problem(1, message))
        return
    if doubled:
        message = "more than one carriage return before the line's end; all are dropped"
        found.warnings.append(Problem(doubled[0], message + _others(doubled)))
    if alone:
        message = "a carriage return alone ends no line, and is read as part of the text"
        found.warnings.append(Problem(alone[0], message + _others(alone)))


def _drop_marks(found: Decoded) -> None:
    """Drop byte order marks at the beginning of lines, with a note, and of cells after a tab."""
    lines = found.lines
    joined = [n for n, line in enumerate(lines, 1) if n > 1 and line.startswith(BOM)]
    for number in (1, *joined):
        lines[number - 1] = lines[number - 1].lstrip(BOM)
    for index, line in enumerate(lines):
        if BOM in line:
            lines[index] = _MARKED_CELL.sub("\t", line)
    if joined:
        message = "a byte order mark begins this line, as where files were joined; it is dropped"
        found.notes.append(Problem(joined[0], message + _others(joined)))


def _others(numbers: list[int]) -> str:
    more = len(numbers) - 1
    return f" ({more} more such lines)" if more else ""
