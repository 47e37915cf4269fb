"""What a word looks like: its case, digits, signs and form, which encoders without case do not see.

Word shapes are the oldest features of named-entity taggers (Bikel et al. 1999, "An algorithm that
learns what's in a name"). Here each is a 0 or 1. They are facts of the written word and of its
text, and use neither labels nor other texts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nlp_gym.types import BoolArray, Corpus, IntArray

Flags = npt.NDArray[np.int8]

OWN_FLAGS = (
    "lower",  # all letters that have a case are lower: "house", "e-mail"
    "title",  # the first is upper, all others lower: "Oslo"
    "upper",  # two or more, all upper: "EU"
    "capital",  # one, upper: "I", "A4"
    "mixed",  # upper and lower otherwise, beginning with an upper one: "McDonald's"
    "camel",  # the same, beginning with a lower one: "iPhone"
    "digit",  # a decimal digit somewhere: "4th"
    "number",  # digits, and signs at most: "1,000", "3-2"
    "year",  # four digits and nothing else: "1996"
    "code",  # digits and letters: "B52"
    "hyphen",  # a dash and something else: "Anglo-Saxon"
    "apostrophe",  # an apostrophe and something else: "'s"
    "period",  # a full stop and something else: "Corp."
    "sign",  # another sign and something else: "AT&T", "and/or"
    "handle",  # begins with # or @, and goes on: "#nlp"
    "link",  # "https://example.org", "www.example.org"
    "punctuation",  # punctuation alone: ",", "--"
    "symbol",  # symbols alone, emoji among them: "$", "🙂"
    "roman",  # a number in capital Roman digits: "XIV"
    "initial",  # a capital and a full stop: "J."
    "acronym",  # letters, each with a full stop: "U.S.", "e.g."
)
"""What the word alone says, in the order of the columns."""
TEXT_FLAGS = (
    "first",  # no word with a letter stands before it
    "capitals",  # the text has letters that have a case, and all of them are upper
)
"""What its text says besides, in the order of the columns after `OWN_FLAGS`."""
SHAPE_FLAGS = OWN_FLAGS + TEXT_FLAGS
"""Names of the flags of a word, in the order of the columns."""

_APOSTROPHES = frozenset("'’ʼ＇")
_PERIODS = frozenset(".．")
_ROMAN = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_PLACEHOLDER = re.compile(r"\[[A-Z]+\]|<[a-z/]+>")
"""What an encoder writes for a word that is not there, such as ``[MASK]``; it has no shape."""


def own_flags(word: str) -> tuple[bool, ...]:
    """The `OWN_FLAGS` of a word; none where its script has neither case nor digits, as in Chinese.

    Letters, digits and signs are those of Unicode, so that "Żółć" is a title as "Oslo" is.
    """
    if not word or _PLACEHOLDER.fullmatch(word):
        return (False,) * len(OWN_FLAGS)
    kinds = [unicodedata.category(letter) for letter in word]
    # Marks and joiners belong to the sign before them.
    signs = [c for c, kind in zip(word, kinds, strict=True) if kind[0] in "PS"]
    bare = len(signs) + sum(kind[0] == "M" or kind == "Cf" for kind in kinds) == len(word)
    cased = [c.isupper() or c.istitle() for c in word if c.isupper() or c.istitle() or c.islower()]
    n, capitals = len(cased), sum(cased)
    title = n > 1 and cased[0] and capitals == 1
    upper = n > 1 and capitals == n
    mixed = 0 < capitals < n and not title
    digit = "Nd" in kinds
    letter = any(kind[0] == "L" for kind in kinds)
    joined = [] if bare else signs  # signs of a word that is more than signs
    dash = any(unicodedata.category(c) == "Pd" for c in joined)
    apostrophe = any(c in _APOSTROPHES for c in joined)
    period = any(c in _PERIODS for c in joined)
    other = any(
        c not in _APOSTROPHES and c not in _PERIODS and unicodedata.category(c) != "Pd"
        for c in joined
    )
    pairs = len(word) // 2
    dotted = 2 * pairs == len(word) and all(
        kinds[2 * i][0] == "L" and word[2 * i + 1] in _PERIODS for i in range(pairs)
    )
    return (
        n > 0 and capitals == 0,
        title,
        upper,
        n == 1 and capitals == 1,
        mixed and cased[0],
        mixed and not cased[0],
        digit,
        digit and not letter,
        len(word) == 4 and all(kind == "Nd" for kind in kinds),
        digit and letter,
        dash,
        apostrophe,
        period,
        other,
        word[0] in "#@" and not bare,
        "://" in word or word[:4].lower() == "www.",
        bare and bool(signs) and all(unicodedata.category(c)[0] == "P" for c in signs),
        bare and any(unicodedata.category(c)[0] == "S" for c in signs),
        bool(_ROMAN.fullmatch(word)),
        dotted and pairs == 1 and capitals == 1,
        dotted and pairs > 1,
    )


class ShapeTable:
    """The flags of every word of a corpus: each distinct row once, and a number for each word.

    Args:
        corpus: W words in all.

    Attributes:
        rows: (P, n) 0/1, the distinct rows; the last is zeros.
        numbers: (W+1,) which of them a word has; the last stands for no word.
    """

    def __init__(self, corpus: Corpus) -> None:
        known: dict[str, int] = {}
        words = [known.setdefault(w, len(known)) for s in corpus.samples for w in s.words]
        kinds, kind = np.unique(
            np.array([_facts(word) for word in known], bool).reshape(len(known), -1),
            axis=0,
            return_inverse=True,
        )
        own = kind.reshape(-1)[np.array(words, np.int64)]  # (W,) rows of `kinds`
        upper, lower, letter = kinds[:, -3:][own].T
        first = ~_before(letter, corpus.offsets)
        capitals = _any(upper, corpus.offsets) & ~_any(lower, corpus.offsets)
        combined = own * 4 + 2 * first + capitals
        distinct, numbers = np.unique(combined, return_inverse=True)
        self.rows: Flags = np.zeros((len(distinct) + 1, len(SHAPE_FLAGS)), np.int8)
        self.rows[:-1, : len(OWN_FLAGS)] = kinds[distinct // 4, : len(OWN_FLAGS)]
        self.rows[:-1, -2], self.rows[:-1, -1] = distinct // 2 % 2, distinct % 2
        small = np.int16 if len(distinct) < np.iinfo(np.int16).max else np.int32
        self.numbers: IntArray = np.append(numbers.reshape(-1), len(distinct)).astype(small)


@lru_cache(maxsize=1 << 16)
def _facts(word: str) -> tuple[bool, ...]:
    """`own_flags`, and whether the word has an upper letter, a lower one, any."""
    cased = (
        any(c.isupper() or c.istitle() for c in word),
        any(c.islower() for c in word),
        any(c.isalpha() for c in word),
    )
    return (*own_flags(word), *cased)


def _before(there: BoolArray, offsets: npt.NDArray[np.int64]) -> BoolArray:
    """(W,) whether it is `there` (W,) for a word that stands before in the same text."""
    count = np.concatenate([[0], np.cumsum(there)])
    start = np.repeat(count[offsets[:-1]], np.diff(offsets))
    seen: BoolArray = count[:-1] > start
    return seen


def _any(there: BoolArray, offsets: npt.NDArray[np.int64]) -> BoolArray:
    """(W,) whether it is `there` (W,) for any word of the same text."""
    count = np.concatenate([[0], np.cumsum(there)])
    each = count[offsets[1:]] > count[offsets[:-1]]
    found: BoolArray = np.repeat(each, np.diff(offsets))
    return found
