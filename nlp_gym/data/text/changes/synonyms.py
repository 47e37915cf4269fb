"""Synonyms of a word in its own form, from a small list that was written for this project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).parent / "synonyms.txt"
_UNIVERSAL = {"adj": "ADJ", "adv": "ADV", "n": "NOUN", "v": "VERB"}
_PENN = {"adj": "JJ", "adv": "RB", "n": "NN", "v": "VB"}
_VOWELS = "aeiou"


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a list that are no comments."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def synonyms_of(word: str, tag: str | None = None, before: str = "") -> list[str]:
    """Words of the same meaning, part of speech, form and case as `word`.

    Args:
        word: The word.
        tag: Its part of speech, universal or Penn Treebank's; None: it is not known, and what
            `word` is in most texts counts.
        before: The word before it: after "a" no vowel comes, and after "an" one does.
    """
    found = []
    for part, other in _table().get(word.lower(), ()):
        fits = tag is None or tag == _UNIVERSAL[part] or tag.startswith(_PENN[part])
        if fits and fits_article(before, other):
            found.append(in_case_of(word, other))
    return found


def fits_article(before: str, word: str) -> bool:
    """Whether `word` may stand behind `before`: after "a" no vowel comes, and after "an" one."""
    article = before.lower()
    return article not in ("a", "an") or (word[0].lower() in _VOWELS) == (article == "an")


def in_case_of(word: str, other: str) -> str:
    """`other` with capitals where `word` has them."""
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[tuple[str, str], ...]]:
    """From a form of a word to pairs of part of speech and the same form of a synonym."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    only: set[str] = set()
    for line in lines_of(_FILE):
        part, *entries = line.split()
        if part == "only":
            only.update(entries)
            continue
        forms = [_forms(part, entry) for entry in entries]
        for own in forms:
            for other in forms:
                for form, replacement in zip(own, other, strict=True):
                    if form != replacement and (part, replacement) not in found[form]:
                        found[form].append((part, replacement))
    return {word: tuple(pairs) for word, pairs in found.items() if word not in only and pairs}


def _forms(part: str, entry: str) -> list[str]:
    """The forms of a word, written out or inflected by rule; as many for all of a part."""
    if part in ("adj", "adv"):
        return [entry]
    forms = entry.split("/")
    if len(forms) > 1:
        return forms
    plural = _with_s(entry)
    if part == "n":
        return [entry, plural]
    past = _with_ed(entry)
    return [entry, plural, past, past, f"{_stem(entry)}ing"]


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return f"{word[:-1]}ies"
    return f"{word}s"


def _with_ed(word: str) -> str:
    if word.endswith("y") and word[-2] not in _VOWELS:
        return f"{word[:-1]}ied"
    return f"{_stem(word)}ed"


def _stem(word: str) -> str:
    """Without a silent e."""
    return word[:-1] if word.endswith("e") and not word.endswith("ee") else word
