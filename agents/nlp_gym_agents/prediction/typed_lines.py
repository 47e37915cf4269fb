"""Lines that are answered as they are typed, or as another program writes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

from nlp_gym.data.readers.shared.decoding import decode
from nlp_gym.data.readers.shared.options import make_options
from nlp_gym.errors import DataFormatError

PROMPT = "> "


def typed_lines() -> Iterator[tuple[int, str | bytes]]:
    """The lines of stdin as they come, with their numbers; on a terminal behind a prompt.

    Yields:
        A number from 1, and the line: text from a terminal, else bytes, see `line_text`.
    """
    number = 0
    if sys.stdin.isatty() and sys.stdout.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401 - `input` then edits the line and remembers the ones before
        with suppress(EOFError):
            while True:
                line = input(PROMPT)
                number += 1
                yield number, line
        sys.stdout.write("\n")  # the prompt's line is left
        return
    while line_bytes := sys.stdin.buffer.readline():
        number += 1
        yield number, line_bytes


def line_text(line: str | bytes, number: int, encoding: str | None = None) -> str:
    """The text of a line.

    Args:
        line: A line of `typed_lines`.
        number: Its number, for messages.
        encoding: What bytes are encoded in; None: UTF-8.

    Raises:
        DataFormatError: The bytes are not of the encoding.
    """
    if isinstance(line, str):
        return line
    found = decode(line, make_options(encoding=encoding).encoding)
    for problem in found.problems:
        raise DataFormatError("stdin", number, problem.message)
    return found.lines[0] if found.lines else ""
