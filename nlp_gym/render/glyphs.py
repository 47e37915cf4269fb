"""Which font draws which character of a picture.

Each character is drawn with the first font that has it: the files named by `NLP_GYM_FONTS`
(separated as in `PATH`), the fonts of this package, then those of the machine in `SYSTEM`. A
character that none of them has is drawn as a box with its code point.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from nlp_gym.errors import InvalidArgumentError, shown

VARIABLE = "NLP_GYM_FONTS"
BUNDLED = tuple(
    str(Path(__file__).parent / "fonts" / name)
    for name in ("DejaVuSans.ttf", "DroidSansFallback.ttf", "UnifontUpper.otf")
)
SYSTEM = (
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansBengali-Regular.ttf",
    "NotoSansTamil-Regular.ttf",
    "NotoSansTelugu-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansEthiopic-Regular.ttf",
    "NotoSansKhmer-Regular.ttf",
    "NotoSansMyanmar-Regular.ttf",
    "Nirmala.ttc",
    "Nirmala.ttf",
    "LeelawUI.ttf",
    "ebrima.ttf",
    "mmrtext.ttf",
    "Kohinoor.ttc",
    "Thonburi.ttc",
    "Arial Unicode.ttf",
    "FreeSans.ttf",
    "FreeSerif.ttf",
    "unifont.otf",
)
"""Fonts of Linux, Windows and macOS for what the bundled ones lack; Pillow finds them by name."""

_PROBE = 20
_NOT_A_CHARACTER = "\U0010ffff"
_JOINERS = ("Mn", "Me", "Mc", "Cf", "Sk")
_UNDRAWN = ("Cc", "Cs", "Zl", "Zp")


class Run(NamedTuple):
    """Characters that are drawn together.

    Attributes:
        font: Its file or name; None: they are drawn as boxes.
        text: The characters.
    """

    font: str | None
    text: str


@lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)


def _is_there(name: str) -> bool:
    try:
        _font(name, _PROBE)
    except OSError:
        return False
    return True


@lru_cache(maxsize=4)
def _own_fonts(named: str) -> tuple[str, ...]:
    fonts = (*filter(None, named.split(os.pathsep)), *BUNDLED)
    for name in fonts:
        if not _is_there(name):
            raise InvalidArgumentError(
                f"{VARIABLE}={shown(named)}: {shown(name)} is no font that can be read; name files "
                f"of TrueType or OpenType fonts, separated by {shown(os.pathsep)}."
            )
    return fonts


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[str, ...]:
    return tuple(filter(_is_there, SYSTEM))


@lru_cache(maxsize=256)
def _glyph(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(name, _PROBE).getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=65_536)
def _font_of(character: str, named: str) -> str | None:
    """The first font that has the character.

    Pillow does not say which characters a font has: one it lacks looks like one that no font has.
    It fails on some control characters; those have no font.
    """
    if unicodedata.category(character) in _UNDRAWN:
        return None

    def first(fonts: tuple[str, ...]) -> str | None:
        return next((f for f in fonts if _glyph(f, character) != _glyph(f, _NOT_A_CHARACTER)), None)

    return first(_own_fonts(named)) or first(_system_fonts())


def runs(text: str) -> Iterator[Run]:
    """The text in stretches of one font; marks and joiners stay with what they belong to."""
    named = os.environ.get(VARIABLE, "")
    font: str | None = None
    held = ""
    for character in text:
        if held and unicodedata.category(character) in _JOINERS:
            held += character if font else ""
            continue
        found = _font_of(character, named)
        if held and found != font:
            yield Run(font, held)
            held = ""
        font = found
        held += character
    if held:
        yield Run(font, held)


@lru_cache(maxsize=65_536)
def text_width(text: str, size: int) -> float:
    """Width in pixels."""
    return sum(_run_width(run, size) for run in runs(text))


def _run_width(run: Run, size: int) -> float:
    if run.font is None:
        return len(run.text) * _box_width(size)
    return _font(run.font, size).getlength(run.text)


def _box_width(size: int) -> int:
    return size + 2


def draw_text(
    image: Image.Image, at: tuple[float, float], text: str, size: int, colour: str
) -> None:
    """Draw a text on a picture.

    Args:
        image: The picture, changed in place.
        at: Where its baseline begins.
        text: Any text.
        size: In pixels.
        colour: As Pillow takes it.
    """
    pen = ImageDraw.Draw(image)
    x, y = at
    for run in runs(text):
        if run.font is None:
            for i, character in enumerate(run.text):
                _draw_box(pen, (x + i * _box_width(size), y), character, size, colour)
        else:
            pen.text((x, y), run.text, colour, _font(run.font, size), anchor="ls")
        x += _run_width(run, size)


def _draw_box(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], character: str, size: int, colour: str
) -> None:
    """A box with the code point in two rows, as browsers draw what they have no font for."""
    x, y = at
    digits = f"{ord(character):04X}" if ord(character) < 0x10000 else f"{ord(character):06X}"
    half, font = len(digits) // 2, _font(BUNDLED[0], max(size * 2 // 5, 6))
    top, middle, bottom = y - size * 0.85, y - size * 0.37, y + size * 0.15
    pen.rectangle((x + 1, top, x + size, bottom), outline=colour)
    for row, centre in (
        (digits[:half], (top + middle) / 2),
        (digits[half:], (middle + bottom) / 2),
    ):
        pen.text((x + 1 + size / 2, centre), row, colour, font, anchor="mm")
