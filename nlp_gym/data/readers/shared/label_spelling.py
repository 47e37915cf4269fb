"""Spelling of labels: what is trimmed from their edges, and which of them look alike."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, combinations

from nlp_gym.data.readers.shared.decoding import BOM, Problem
from nlp_gym.data.tags.spellings import WHITE_SPACE
from nlp_gym.types import Sample

_INVISIBLE = f"{BOM}\u200b\u2060\u200e\u200f\u00ad"
"""Characters without a glyph that mean nothing at the edge of a label. The joiners U+200C and
U+200D may: they change the letter before them."""
_EDGE = _INVISIBLE + WHITE_SPACE
"""What is trimmed: that, and all white space."""
_HIDDEN = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe0f\ufeff]")
_WHOLE = re.compile(r"(?<![0-9])([+-]?[0-9]+)\.0*")
_SHOWN = 5


def trim(text: str) -> str:
    """The text without white space, byte order marks and zero-width characters at its edges."""
    return text.strip(_EDGE)


def look_alikes(samples: Sequence[Sample], *, tags: bool = False) -> list[Problem]:
    """At most one warning, of the labels of a file that look alike and are kept apart.

    Args:
        samples: The samples of the file.
        tags: Whether labels are tags, of which the types are compared.
    """
    if not samples or samples[0].labels is None:
        return []  # of one file all samples are annotated, or none is
    known = set(chain.from_iterable(sample.labels or () for sample in samples))
    names = {label: _type_of(label) if tags else label for label in known}
    alike = similar(set(names.values()))
    if not alike:
        return []
    counts: Counter[str] = Counter()
    for sample in samples:
        counts.update(names[label] for label in sample.labels or ())
    shown = "; ".join(
        f"{_shown(a, b)} ({counts[a]}x) and {_shown(b, a)} ({counts[b]}x) differ {how}"
        for a, b, how in alike[:_SHOWN]
    )
    more = f"; and {len(alike) - _SHOWN} more pairs" if len(alike) > _SHOWN else ""
    what = "types" if tags else "labels"
    message = f"{what} that look alike are kept apart: {shown}{more}. Are they the same?"
    return [Problem(None, message)]


def similar(labels: Iterable[str]) -> list[tuple[str, str, str]]:
    """Pairs of labels that look alike, and in what they differ; sorted."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        groups[_folded(label)].append(label)
    return [
        (a, b, _difference(a, b))
        for group in groups.values()
        if len(group) > 1
        for a, b in _pairs(group)
    ]


def _pairs(group: Sequence[str]) -> Iterable[tuple[str, str]]:
    """All pairs of a small group, else each with the first: their number stays linear."""
    return combinations(group, 2) if len(group) < 4 else ((group[0], other) for other in group[1:])


def _type_of(tag: str) -> str:
    return tag.partition("-")[2] or tag


def _folded(label: str) -> str:
    """What is left of a label without the differences that are not seen at a glance."""
    if label.isascii():
        text = label.casefold()
    else:
        text = unicodedata.normalize("NFKC", _HIDDEN.sub("", label)).casefold()
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.split())
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _difference(a: str, b: str) -> str:
    if a.casefold() == b.casefold():
        return "in case only"
    if unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        return "in the form of their accents only (NFC, NFD)"
    if " ".join(a.split()) == " ".join(b.split()):
        return "in blanks only"
    if _HIDDEN.sub("", a) == _HIDDEN.sub("", b):
        return "in invisible characters only"
    if _WHOLE.sub(r"\1", a) == _WHOLE.sub(r"\1", b):
        return "in how the number is written"
    return "in case, blanks or the form of characters"


def _shown(label: str, other: str) -> str:
    """A label in quotes; escaped where it would look like the other one."""
    plain = f"{label[:40]!r}"
    same = unicodedata.normalize("NFC", _HIDDEN.sub("", plain)) == unicodedata.normalize(
        "NFC", _HIDDEN.sub("", f"{other[:40]!r}")
    )
    return ascii(label[:40]) if same else plain
