"""Whether a word that an encoder has near another may stand in its place.

Vectors that were learned from what stands beside a word put opposites near each other, and every
form of a word beside all others. So a neighbour is taken where it seems to be of the same form and
part of speech, by its ending, and is neither the same word again, nor its opposite, nor of a closed
class. TextFooler (Jin et al. 2020) asks a tagger for the part of speech, keeps stop words, and has
vectors from which opposites were driven away.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from nlp_gym.data.text.changes.synonyms import lines_of

_FILE = Path(__file__).parent / "opposites.txt"
_SHORTEST = 3
_STEM = 4
"""Words that begin with as many of the same letters are taken for forms of one word."""
_FORMS = {
    "adverb": ("ly",),
    "noun": ("tion", "sion", "ness", "ment", "ity", "ism", "ship", "ance", "ence", "hood"),
    "adjective": ("ous", "ful", "ive", "able", "ible", "less", "ical", "ish"),
    "gerund": ("ing",),
    "past": ("ed",),
    "superlative": ("est",),
    "comparative": ("er",),
}
_ANY = "any"
_MAY_BE_PLAIN = (_ANY, "noun", "adjective", "comparative")
"""Words without an ending that says more are nouns, verbs or adjectives; -er is of nouns, too."""


def is_alike(word: str, other: str) -> bool:
    """Whether `other` may stand in the place of `word`; see above.

    Args:
        word: In the text, in any case.
        other: Near it.
    """
    one, two = word.lower(), other.lower()
    keep, opposites = _lists()
    if min(len(one), len(two)) < _SHORTEST or not (one.isalpha() and two.isalpha()):
        return False
    if one in keep or two in keep or two in opposites.get(one, ()):
        return False
    if one[:_STEM] == two[:_STEM] or one in two or two in one:
        return False
    return _is_plural(one) == _is_plural(two) and _same_form(_form(one), _form(two))


def _same_form(one: str, two: str) -> bool:
    return one == two or (_ANY in (one, two) and {one, two} <= set(_MAY_BE_PLAIN))


def _form(word: str) -> str:
    for form, endings in _FORMS.items():
        if word.endswith(endings):
            return form
    return _ANY


def _is_plural(word: str) -> bool:
    """Whether a word ends as plurals and third persons do."""
    return word.endswith("s") and not word.endswith(("ss", "us", "is", "ous", "less", "ness"))


@lru_cache(maxsize=1)
def _lists() -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Words that stay, and the opposites of each word."""
    keep: set[str] = set()
    found: dict[str, set[str]] = {}
    for line in lines_of(_FILE):
        left, bar, right = line.partition(" | ")
        if not bar:
            keep.update(line.split())
            continue
        for one in left.split():
            for other in right.split():
                found.setdefault(one, set()).add(other)
                found.setdefault(other, set()).add(one)
    return frozenset(keep), {word: frozenset(some) for word, some in found.items()}
