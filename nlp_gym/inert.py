"""Text of others made harmless where people see it: in messages, on a terminal, in pictures.

Corpora, run folders and arguments hold any character. Some of them command a terminal (escape
sequences), reverse what follows (bidirectional overrides), begin a line that looks like one of ours
or cannot be seen. `visible` spells them, and `shown` gives any value in a few characters. Files
that programs read keep the text as it is.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable
from itertools import islice
from pathlib import PurePath
from typing import Any

_LONGEST = 80
"""Most characters of a value in a message."""
_LONGEST_PATH = 240
"""Most characters of a path, which says little without its end."""
_LONGEST_LINE = 3000
"""Most characters of a message."""
_NAMES = 60
"""Most names that a message lists."""

# Controls (C0, DEL, C1), soft hyphen, marks and overrides of direction, characters without width,
# separators of lines, annotations, surrogates and tags.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
    # Joiners shape Indic and Arabic letters and emoji; beside anything else they are only unseen.
    "|(?:(?<=[\x00-\u02ff])|(?<!.))[\u200c\u200d]|[\u200c\u200d](?:(?=[\x00-\u02ff])|(?!.))",
    re.DOTALL,
)
_ENDLESS = re.compile(r"\S{400,}")
# From the start of a run of blanks on: the same matches, each run is read once.
_BREAKS = re.compile(r"(?<![^\S\n])[^\S\n]*[\n\r\v\f\x85\u2028\u2029]\s*")


def visible(text: str, *, lines: bool = False) -> str:
    r"""The text with every character that cannot be seen, or that acts, spelled: ``\x1b``.

    Args:
        text: Any text.
        lines: Line feeds are kept, for a text that has several lines by right.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(map(visible, text.split("\n")))
    return _UNSEEN.sub(_spelled, text)


def json_escaped(text: str) -> str:
    r"""JSON in which what acts or cannot be seen is escaped (``\u202e``): it means the same.

    Args:
        text: JSON on one line, or several such lines.
    """
    lines = text.split("\n")
    return "\n".join(
        line if line.isprintable() else _UNSEEN.sub(_json_unit, line) for line in lines
    )


def _json_unit(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def brief(text: str, most: int = 60) -> str:
    """A text of others as a cell of a table: inert, and no longer than `most` characters."""
    text = visible(text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_line(text: str) -> str:
    """The text on one line, without characters that act or cannot be seen.

    What has no blank for hundreds of characters, such as a name, is cut, and of a text of many
    thousands the middle is left out.
    """
    if not text.isprintable():
        text = visible(_BREAKS.sub(" ", text.strip()))
    text = _ENDLESS.sub(_shortened, text)
    if len(text) <= _LONGEST_LINE:
        return text
    return f"{text[: _LONGEST_LINE // 2]} [...] {text[-(_LONGEST_LINE // 2) :]}"


def _shortened(found: re.Match[str]) -> str:
    return f"{found[0][:_LONGEST]}..."


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class _Short(reprlib.Repr):
    """As `repr`, of bounded length and depth for anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxother = 3, 3, _LONGEST
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 6
        self.maxstring = self.maxlong = 40

    def repr_int(self, x: int, level: int) -> str:
        """An integer; of a very long one only its size, which Python refuses to print."""
        digits = int(x.bit_length() * 0.30103) + 1
        return repr(x) if digits <= self.maxlong else f"<int of about {digits:,} digits>"

    def repr_ndarray(self, x: object, level: int) -> str:
        """An array: its values where they are few, else its shape."""
        text = repr(x) if getattr(x, "size", _LONGEST) <= 8 else ""
        if text and len(text) <= _LONGEST:
            return " ".join(text.split())
        return f"<array of shape {getattr(x, 'shape', None)}, dtype {getattr(x, 'dtype', None)}>"

    def repr_instance(self, x: object, level: int) -> str:
        """Anything else; objects raise what they like in their own methods."""
        if isinstance(x, bytes | bytearray | memoryview) and len(x) > _LONGEST:
            return f"<{_type_name(x)} of length {len(x):,}>"
        try:
            text = repr(x)
        except Exception:
            return f"<{_type_name(x)} object>"
        return text if len(text) <= self.maxother else f"{text[: self.maxother - 3]}..."


_SHORT = _Short()
_COLLECTIONS = (list, tuple, set, frozenset, dict)


def shown(value: Any) -> str:
    """A value as a message shows it: as `repr`, but short, on one line and inert.

    Args:
        value: Anything, such as what a user gave for an argument; nothing of it can make this fail.
    """
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str):
        return _shown_text(str.__str__(value))  # a subclass may print otherwise
    try:
        text = visible(_SHORT.repr(value))
    except Exception:  # of a container: see `_Short.repr_instance`
        text = f"<{_type_name(value)} object>"
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 3]}..."
    if type(value) in _COLLECTIONS and len(value) > _SHORT.maxlist:
        text += f" ({type(value).__name__} of {len(value):,})"
    return text


def _shown_text(text: str) -> str:
    if len(text) <= (_LONGEST_PATH if "/" in text or "\\" in text else _LONGEST):
        return repr(text)
    return f"{visible(repr(text[: _LONGEST - 30]))}... ({len(text):,} characters)"


def _type_name(value: object) -> str:
    return visible(type(value).__name__)[:_LONGEST]


def listed(names: Iterable[object]) -> str:
    """Names separated by commas, for a message; of very many only the first."""
    first = [visible(str(name))[:_LONGEST] for name in islice(names, _NAMES + 1)]
    if len(first) <= _NAMES:
        return ", ".join(first)
    return ", ".join(first[:_NAMES]) + ", ..."
