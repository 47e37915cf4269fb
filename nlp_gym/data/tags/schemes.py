"""Tag schemes: their names, their tags, and how to detect the scheme of a corpus.

| scheme | an entity of one, two, three words |
|---|---|
| IOB2 (BIO) | ``B`` / ``B I`` / ``B I I`` |
| IOB1 | ``I`` / ``I I`` / ``I I I``; ``B`` only right after an entity of the same type |
| BIOES (IOBES, BMES) | ``S`` / ``B E`` / ``B I E`` (BMES has M for I) |
| BILOU (BMEWO has W) | ``U`` / ``B L`` / ``B I L`` |

Source: Tjong Kim Sang and Veenstra (1999), "Representing Text Chunks"; Ratinov and Roth (2009).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nlp_gym.checks import check_name

SCHEMES = ("auto", "iob2", "iob1", "bioes", "bilou", "none")
_ALIASES = {"bio": "iob2", "iobes": "bioes", "bmes": "bioes", "iob": "iob1"}
_TAG = re.compile(r"([BIESLUMW])-(.*\S.*)", re.DOTALL)
EDGE = ""
"""Placeholder before the first and after the last tag of a text."""

Parts = tuple[str, str]


def canonical_scheme(scheme: str, argument: str = "scheme") -> str:
    """Return the name of a scheme as in `SCHEMES`.

    Args:
        scheme: A name of the scheme, in any case.
        argument: Name of the argument that it was given as, for the message.

    Raises:
        UnknownNameError: There is no such scheme.
    """
    name = _ALIASES.get(scheme.lower(), scheme.lower()) if isinstance(scheme, str) else scheme
    check_name(argument, name, SCHEMES)
    return name


def split_tag(tag: str) -> Parts | None:
    """Split ``"B-PER"`` into ``("B", "PER")``; ``"O"`` gives ``("O", "")``, other labels None."""
    if tag in ("O", EDGE):
        return "O", ""
    match = _TAG.fullmatch(tag)
    return (match[1], match[2]) if match else None


def inventory(labels: Iterable[str], scheme: str = "auto") -> tuple[str, ...]:
    """Return the label inventory in its fixed order.

    IOB2 tags: ``O``, then ``B-TYPE`` and ``I-TYPE`` of each type, sorted (both, even if the texts
    have only one of them). Other labels, and with the scheme ``"none"`` all labels, are sorted.
    """
    distinct = set(labels)
    if scheme == "none":
        return tuple(sorted(distinct))
    types = sorted({parts[1] for tag in distinct if (parts := split_tag(tag)) and parts[1]})
    if not types:
        return tuple(sorted(distinct))
    tags = ["O", *(f"{letter}-{kind}" for kind in types for letter in "BI")]
    return (*tags, *sorted(distinct - set(tags)))


def detect_scheme(labels: Iterable[str], pairs: Iterable[tuple[str, str]]) -> str:
    """Detect the scheme of tags.

    Without labels of the form ``LETTER-TYPE`` it is ``"none"`` (parts of speech, say). With L or U
    it is BILOU, with another letter than B and I it is BIOES. With B and I alone it is IOB2 if no
    ``I-X`` begins an entity; else IOB1 if each ``B-X`` follows an entity of its type; else IOB2
    with mistakes. In these three cases the IOB2 tags are the same; only the messages differ.

    Args:
        labels: The distinct labels.
        pairs: The distinct pairs of neighbours, `EDGE` included.
    """
    parsed = [parts for label in labels if (parts := split_tag(label))]
    letters = {letter for letter, kind in parsed if kind}
    if not letters:
        return "none"
    if letters & set("LU"):
        return "bilou"
    if letters - set("BI"):
        return "bioes"
    known = [(a, b) for p, q in pairs if (a := split_tag(p)) and (b := split_tag(q))]
    if not any(cur[0] == "I" and prev[1] != cur[1] for prev, cur in known):
        return "iob2"
    return "iob1" if all(p[1] == c[1] for p, c in known if c[0] == "B") else "iob2"


def entity_spans(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities of strict IOB2 tags as (first word, one past the last, type)."""
    found: list[tuple[int, int, str]] = []
    for i, label in enumerate(labels):
        if label.startswith("B-"):
            found.append((i, i + 1, label[2:]))
        elif label.startswith("I-") and found and found[-1][1:] == (i, label[2:]):
            found[-1] = (found[-1][0], i + 1, label[2:])
    return found
