"""Reads tags of other spellings, ``B_PER``, ``PER-B``, ``b-per`` or ``B`` alone, as ``B-PER``.

A file is respelled as a whole or not at all. It has one pattern: which mark separates letter and
type, which of them comes first, the case of the letters. Where a single label fits no pattern, or
where there is no tag outside of entities (which a tag set has and parts of speech do not), the
labels stay as they are. Only the distinct labels are examined, of which there are a few hundred.

What cannot mean anything is dropped before: white space and characters without width at the edges,
full-width letters (``Ｂ－PER``), dashes for the hyphen, Greek and Cyrillic letters that look like
the Latin ones.
"""

from __future__ import annotations

from collections.abc import Collection

from nlp_gym.data.tags.schemes import split_tag

UNTYPED = "ENT"
"""Type of the entities of tags that have none (``B``, ``I``, ``O``)."""

Parts = tuple[str, str]
"""Letter and type of a tag; the type is ``""`` where there is none."""

_LETTERS = "BIESLUMW"
_ENTIRE = frozenset("BISUW")
"""Letters one of which any tagged text with an entity has."""
_OUTSIDE = ("O", "o", "0")
_HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u30fc"
_MARKS = ("-", "_", ":", ".", "/", "|", "#", "+", "=", "~", "@", " ")
"""What may separate letter and type; ``-`` stands for every hyphen and dash."""
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2066\u2067\u2068\u2069\ufeff"
WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All characters that are white space."""
_EDGE = _INVISIBLE + WHITE_SPACE
_WIDE = {0xFF01 + i: 0x21 + i for i in range(94)}
_ALIKE = str.maketrans(
    # Greek, then Cyrillic: B E I M O o, B S I E M O o.
    "\u0392\u0395\u0399\u039c\u039f\u03bf\u0412\u0405\u0406\u0415\u041c\u041e\u043e",
    "BEIMOoBSIEMOo",
)


def respelled(labels: Collection[str]) -> dict[str, str]:
    """The tags as ``B-TYPE`` of the distinct labels of a file that has them in another spelling.

    Args:
        labels: The distinct labels.

    Returns:
        From each label that changes to its tag. Empty where the labels are tags already, or are no
        tags of one spelling.
    """
    if all(map(_is_tag, labels)):
        return {}
    plain = {label: _plain(label) for label in labels}
    outside = _outside(plain.values())
    inside = {label: text for label, text in plain.items() if text not in outside}
    parts = _parts(set(inside.values()), bool(outside))
    if parts is None:
        return {}
    tags = {label: "O" for label in plain if label not in inside}
    for label, text in inside.items():
        letter, kind = parts[text]
        tags[label] = f"{letter}-{kind or UNTYPED}"
    return {label: tag for label, tag in tags.items() if label != tag}


def _is_tag(label: str) -> bool:
    parts = split_tag(label)
    return parts is not None and parts[1] == _plain(parts[1])


def said(tags: dict[str, str]) -> str:
    """One line about what `respelled` changes, with examples."""
    # Tags with a type say more about the spelling than the one outside.
    shown = sorted(tags.items(), key=lambda pair: (pair[1] == "O", pair[1], pair[0]))[:3]
    pairs = ", ".join(f"{label!r} as {tag!r}" for label, tag in shown)
    more = f" and {len(tags) - len(shown)} more" if len(tags) > len(shown) else ""
    return (
        f"the tags are written in another way than B-TYPE, and are read as such: {pairs}{more} "
        "(scheme='none' leaves them as they are; in gym.make: data_scheme='none')"
    )


def _plain(label: str) -> str:
    """A label without what cannot mean anything."""
    return label.strip(_EDGE)


def _outside(labels: Collection[str]) -> set[str]:
    """Those of the labels that say that a word is outside; one letter, perhaps in several looks."""
    looks: dict[str, set[str]] = {}
    for label in labels:
        if len(label) == 1:
            looks.setdefault(_narrow(label), set()).add(label)
    return next((looks[letter] for letter in _OUTSIDE if letter in looks), set())


def _narrow(text: str) -> str:
    return text.translate(_WIDE).translate(_ALIKE)


def _parts(labels: set[str], has_outside: bool) -> dict[str, Parts] | None:
    """Letter and type of each label, by the first pattern that fits them all; None if none does."""
    if not labels:
        return {}
    patterns = [(mark, first) for first in (True, False) for mark in _MARKS]
    for mark, first in patterns if has_outside else patterns[:1]:
        parts = dict[str, Parts]()
        for label in labels:
            pair = _split(label, mark, letter_first=first)
            if pair is None:
                break
            parts[label] = pair
        else:
            typed = all(kind for _, kind in parts.values())
            if (typed or has_outside) and _is_regular(list(parts.values())):
                return {label: (letter.upper(), kind) for label, (letter, kind) in parts.items()}
    return None


def _split(label: str, mark: str, *, letter_first: bool) -> Parts | None:
    """Letter and type of a label in which `mark` separates them; None if it does not."""
    letter, rest = (label[:1], label[1:]) if letter_first else (label[-1:], label[:-1])
    letter = _narrow(letter)
    if letter.upper() not in _LETTERS:
        return None
    if not rest:
        return letter, ""
    at = 0 if letter_first else -1
    found = "-" if rest[at] in _HYPHENS else rest[at].translate(_WIDE)
    if found != mark:
        return None
    kind = _plain(rest[1:] if letter_first else rest[:-1])
    return letter, _ascii(kind)


def _ascii(kind: str) -> str:
    """A type that is written in full-width letters in usual ones; any other as it is."""
    narrow = kind.translate(_WIDE)
    return narrow if narrow.isascii() else kind


def _is_regular(parts: list[Parts]) -> bool:
    """Whether letters have one case, all tags have a type or none has, and some begin entities."""
    letters = {letter for letter, _ in parts}
    one_case = all(map(str.isupper, letters)) or all(map(str.islower, letters))
    typed = {bool(kind) for _, kind in parts}
    return one_case and len(typed) == 1 and bool({x.upper() for x in letters} & _ENTIRE)
