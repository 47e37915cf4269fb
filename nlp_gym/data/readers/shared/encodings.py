"""Encodings other than UTF-8: which one a file may have, and how it is decoded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from nlp_gym.errors import InvalidArgumentError, shown

CESU8 = "cesu-8"
"""UTF-8 in which characters beyond U+FFFF are surrogate pairs, as some databases export it."""
_WIDE = ("utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_NO_TEXT = {"unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape"}
_NO_TEXT |= {"idna", "punycode", "undefined", "utf-7", "mbcs", "oem"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]+")
_OTHERS = "cp1251, koi8-r, shift_jis, euc-jp, euc-kr, big5, ..."
_SHOWN = 40
_EXAMINED = 200  # number of bad lines from which the advice is made


def check_encoding(value: object, argument: str = "encoding") -> str:
    """Return the name of an encoding in Python's spelling (``"Windows-1252"`` is ``"cp1252"``).

    Args:
        value: The name; `CESU8` and every text encoding of Python are known.
        argument: Name of the argument that it was given as, for the message.

    Raises:
        InvalidArgumentError: There is no such encoding of text.
    """
    try:
        if not isinstance(value, str):
            raise LookupError
        if value.lower().replace("_", "-") in (CESU8, "cesu8"):
            return CESU8
        name = codecs.lookup(value).name
        "".encode(name)  # refuses codecs that are no encodings of text, such as rot13
        if name in _NO_TEXT:
            raise LookupError
    except (LookupError, ValueError) as error:  # ValueError: a NUL in the name
        raise InvalidArgumentError(
            f"{argument}={shown(value)} is no encoding of text: give its name, such as "
            "'utf-8', 'cp1252', 'gb18030', 'utf-16' or 'cesu-8'."
        ) from error
    return name


def decode_as(data: bytes, encoding: str) -> tuple[str, tuple[int, str] | None]:
    """Decode bytes; bad ones are replaced.

    Args:
        data: The bytes.
        encoding: A name from `check_encoding`.

    Returns:
        The text, and (line, message) of the first bytes that are not of the encoding.
    """
    try:
        return _strict(data, encoding), None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
    name = "utf-8" if encoding == CESU8 else encoding
    line = data[:start].decode(name, "replace").count("\n") + 1
    message = f"byte 0x{data[start]:02x} is not {encoding}" if data else f"no {encoding}"
    return data.decode(name, "replace"), (line, f"{message}; is encoding={encoding!r} right?")


def _strict(data: bytes, encoding: str) -> str:
    if encoding != CESU8:
        return data.decode(encoding)
    halves = data.decode("utf-8", "surrogatepass")
    return halves.encode("utf-16", "surrogatepass").decode("utf-16")


def marked_encoding(data: bytes) -> str | None:
    """UTF-16, UTF-32 or ISO-2022-JP where the bytes are marked as such, or every other is 0."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x1b" in data and (b"\x1b$B" in data or b"\x1b$@" in data):
        return "iso2022_jp"
    head = data[:4000]
    if len(head) < 4 or head.count(0) * 3 < len(head):
        return None
    for name, even in (("utf-16-le", False), ("utf-16-be", True)):
        zeros, others = head[0 if even else 1 :: 2], head[1 if even else 0 :: 2]
        if zeros.count(0) * 3 > len(zeros) * 2 and others.count(0) * 10 < len(others):
            return name
    return None


def likely_encoding(bad: Sequence[bytes]) -> str | None:
    """An encoding that reads lines that are not UTF-8, without control characters."""
    lines = list(bad[:_EXAMINED])
    return next((name for name in _candidates(lines) if _reads(lines, name)), None)


def advise(line: bytes, encoding: str | None) -> str:
    """What to do about a line that is not UTF-8.

    Nobody can tell from the bytes alone which encoding is the right one, so a part of the line is
    shown as it would be read.

    Args:
        line: The line.
        encoding: From `likely_encoding`.
    """
    try:
        shown = "" if encoding is None else _strict(line, encoding).strip()
    except UnicodeError:  # only the first lines were examined
        shown = ""
    if encoding is None or not shown:
        return f'give its encoding as encoding="NAME" (--encoding NAME): {_OTHERS}'
    at = next((i for i, char in enumerate(shown) if not char.isascii()), 0)
    shown = shown[max(at - _SHOWN // 2, 0) :][:_SHOWN]
    return (
        f"as {encoding} it reads {shown!r}: if that is right, {advice_of(encoding)}; if not, name "
        f"another one: {_OTHERS}"
    )


def advice_of(encoding: str) -> str:
    """How to have a file of an encoding read."""
    convert = f"iconv -f {encoding.upper()} -t UTF-8 FILE > NEW"
    return f'give encoding="{encoding}" (--encoding {encoding}), or convert it with: {convert}'


def _candidates(lines: list[bytes]) -> tuple[str, ...]:
    """Encodings to try, the likeliest first.

    GB18030 writes a Chinese character as two bytes, mostly both above 0xa0, so that such bytes
    stand in runs of even length; in Western text they stand alone.
    """
    runs = [run for line in lines for run in _HIGH.findall(line)]
    paired = sum(len(run) for run in runs if len(run) % 2 == 0)
    chinese = 2 * paired > sum(map(len, runs))
    western = ("cp1252", "gb18030")
    return (CESU8, *(reversed(western) if chinese else western))


def _reads(lines: list[bytes], encoding: str) -> bool:
    try:
        return not any(_CONTROL.search(_strict(line, encoding).rstrip("\r")) for line in lines)
    except UnicodeError:
        return False
