"""Decodes the bytes of a file to lines, with a problem for each line that is not text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nlp_gym.errors import DataError, DataNotFoundError


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be read or, as a warning, may not be read as meant.

    Attributes:
        line: Its line number from 1; None: the problem concerns the whole file.
        message: What is wrong.
    """

    line: int | None
    message: str


def file_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It cannot be read (a folder, no permission, ...).
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{str(path)!r} cannot be read: {error}") from error


def decode(data: bytes) -> tuple[list[str], list[Problem]]:
    r"""Decode UTF-8 (a byte order mark is dropped) and cut at ``\n``, ``\r\n`` and ``\r``.

    Lines are cut nowhere else: a word may contain U+2028 or U+0085.

    Returns:
        The lines, without their ends, and one problem for each line that is not UTF-8 (bad bytes
        are then replaced) or holds a NUL.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        advice = "the file is UTF-16; convert it with: iconv -f UTF-16 -t UTF-8 FILE > NEW"
        return [], [Problem(1, advice)]
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    problems: list[Problem] = []
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = []
        for number, raw in enumerate(data.split(b"\n"), 1):
            try:
                lines.append(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                problems.append(Problem(number, _not_utf8(raw, error)))
                lines.append(raw.decode("utf-8", "replace"))
    if b"\0" in data:
        message = "the line holds a NUL byte; is this a text file?"
        problems += [Problem(n, message) for n, line in enumerate(lines, 1) if "\0" in line]
    return lines, problems


def _not_utf8(raw: bytes, error: UnicodeDecodeError) -> str:
    return (
        f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8; if the file is "
        "Latin-1, convert it with: iconv -f ISO-8859-1 -t UTF-8 FILE > NEW"
    )
