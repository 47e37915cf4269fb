"""Typing errors: what a slip of the hand makes of one place of a word.

A place is a character as a reader sees it: a letter with the accents that follow it. So an error
never parts a letter from its accent, in whatever way the text has them encoded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOUR_KEYS = {
    char: [row[j] for j in (i - 1, i + 1) if 0 <= j < len(row)]
    for row in _KEYBOARD
    for i, char in enumerate(row)
}
"""The keys beside each letter on a QWERTY keyboard."""

_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
_SHORTEST = 4


def characters(word: str) -> list[str]:
    """The characters of a word as a reader sees them, accents and joiners with their letter."""
    found: list[str] = []
    for char in word:
        joined = bool(unicodedata.combining(char)) or char in _JOINERS
        if found and (joined or found[-1][-1] == "\u200d"):
            found[-1] += char
        else:
            found.append(char)
    return found


def swapped(parts: list[str], i: int) -> str:
    """The word with character `i` and the next one in the other order."""
    return "".join([*parts[:i], parts[i + 1], parts[i], *parts[i + 2 :]])


def dropped(parts: list[str], i: int) -> str:
    """The word without character `i`."""
    return "".join([*parts[:i], *parts[i + 1 :]])


def doubled(parts: list[str], i: int) -> str:
    """The word with character `i` twice."""
    return "".join([*parts[: i + 1], *parts[i:]])


def mistyped(parts: list[str], i: int, key: str) -> str:
    """The word with `key` in place of character `i`."""
    return "".join([*parts[:i], key, *parts[i + 1 :]])


def typos_of(word: str) -> Iterator[str]:
    """Every word that one typing error inside `word` makes: swap, drop, double, neighbouring key.

    The first and the last character stay, and words of fewer than four characters or without a
    letter have none: people then still read the word that was meant (Pruthi et al. 2019).
    """
    parts = characters(word)
    if len(parts) < _SHORTEST or not any(part[0].isalpha() for part in parts):
        return
    seen = {word}
    for i in range(1, len(parts) - 1):
        made = [dropped(parts, i), doubled(parts, i)]
        if i + 1 < len(parts) - 1:
            made.append(swapped(parts, i))
        near = NEIGHBOUR_KEYS.get(parts[i].lower(), [])
        made += [mistyped(parts, i, k.upper() if parts[i].isupper() else k) for k in near]
        for typo in made:
            if typo not in seen:
                seen.add(typo)
                yield typo
