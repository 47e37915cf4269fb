"""Tag schemes: IOB1, BIOES, BILOU and BMES are read as IOB2.

All of them are bigram grammars: whether a tag is right, and what it is in IOB2, depends on the tag
and the one before it. So a corpus is looked at through its *distinct* pairs of neighbouring tags,
of which there are a few hundred, and not word by word.

| scheme | an entity of one, two, three words |
|---|---|
| IOB2 (BIO) | ``B`` / ``B I`` / ``B I I`` |
| IOB1 | ``I`` / ``I I`` / ``I I I``; ``B`` only right after an entity of the same type |
| BIOES (IOBES, BMES) | ``S`` / ``B E`` / ``B I E`` (BMES has M for I) |
| BILOU (BMEWO has W) | ``U`` / ``B L`` / ``B I L`` |

Source: Tjong Kim Sang and Veenstra (1999), "Representing Text Chunks"; Ratinov and Roth (2009).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nlp_gym.errors import UnknownNameError

SCHEMES = ("auto", "iob2", "iob1", "bioes", "bilou", "none")
_ALIASES = {"bio": "iob2", "iobes": "bioes", "bmes": "bioes", "iob": "iob1"}
_TAG = re.compile(r"([BIESLUMW])-(.*\S.*)", re.DOTALL)
# The closing and the single letter of the three dialects mean the same.
_CANONICAL = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
_LETTERS = {"iob2": "BI", "iob1": "BI", "bioes": "BIESMW", "bilou": "BILU"}
EDGE = ""
"""Stands before the first and after the last tag of a text."""

Parts = tuple[str, str]


def canonical_scheme(scheme: str, argument: str = "scheme") -> str:
    """Return the name of a scheme as in `SCHEMES`.

    Args:
        scheme: The name, or another usual one of the same scheme.
        argument: Name of the argument it was given as, for the message.

    Raises:
        UnknownNameError: There is no such scheme.
    """
    name = _ALIASES.get(scheme.lower(), scheme.lower()) if isinstance(scheme, str) else scheme
    if name not in SCHEMES:
        raise UnknownNameError(argument, scheme, SCHEMES)
    return name


def split_tag(tag: str) -> Parts | None:
    """Split ``"B-PER"`` into ``("B", "PER")``; ``"O"`` gives ``("O", "")``, no tag at all None."""
    if tag in ("O", EDGE):
        return "O", ""
    match = _TAG.fullmatch(tag)
    return (match[1], match[2]) if match else None


def inventory(labels: Iterable[str], scheme: str = "auto") -> tuple[str, ...]:
    """Return the label inventory in its fixed order.

    IOB2 tags: ``O``, then for each type, sorted, ``B-TYPE`` and ``I-TYPE`` (both, even where the
    texts have only one of them). Other labels, and with the scheme ``"none"`` all: sorted.
    """
    distinct = set(labels)
    if scheme == "none":
        return tuple(sorted(distinct))
    types = sorted({parts[1] for tag in distinct if (parts := split_tag(tag)) and parts[1]})
    if not types:
        return tuple(sorted(distinct))
    tags = ["O", *(f"{letter}-{kind}" for kind in types for letter in "BI")]
    return (*tags, *sorted(distinct - set(tags)))


@dataclass
class Converted:
    """IOB2 tags of a corpus and what was wrong with the tags it had.

    Attributes:
        tags: One list for each text.
        scheme: The scheme the texts were in, as in `SCHEMES` (never ``"auto"``).
        wrong: (text, position in it, what is wrong) of each tag that breaks its scheme's grammar.
            It was read as the IOB2 tag that begins or continues an entity there.
        unknown: The same for labels that are no tag of the scheme at all; they were read as ``O``.
    """

    tags: list[list[str]]
    scheme: str
    wrong: list[tuple[int, int, str]] = field(default_factory=list)
    unknown: list[tuple[int, int, str]] = field(default_factory=list)


def detect(labels: Iterable[str], pairs: Iterable[tuple[str, str]]) -> str:
    """Tell which scheme tags are in.

    No label of the form ``LETTER-TYPE``: ``"none"`` (parts of speech, say). One that ends or is an
    entity by itself (E, S, M, W, or L, U): BIOES or BILOU. Otherwise, with only B and I: IOB2 if no
    ``I-X`` begins an entity; else IOB1 if each ``B-X`` follows an entity of its type; else IOB2
    with mistakes. All three give the same IOB2 tags; only the complaints differ.

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


def to_iob2(texts: Sequence[Sequence[str]], scheme: str = "auto") -> Converted:
    """Convert the tags of texts to IOB2.

    Args:
        texts: One sequence of tags for each text.
        scheme: One of `SCHEMES`; ``"auto"`` detects it (see `detect`), ``"none"`` converts nothing.

    Returns:
        The tags, the scheme found and every tag that breaks it.

    Raises:
        UnknownNameError: There is no such scheme.
    """
    scheme = canonical_scheme(scheme)
    flat: list[str] = [EDGE]
    for text in texts:
        flat += text
        flat.append(EDGE)
    pairs = set(itertools.pairwise(flat))
    labels = {current for _, current in pairs} - {EDGE}
    if scheme == "auto":
        scheme = detect(labels, pairs)
    if scheme == "none":
        return Converted([list(text) for text in texts], scheme)
    result = Converted([], scheme)
    good = {tag for tag in labels if tag == "O" or _legal(tag, scheme)}
    if good != labels:
        result.unknown = _places(texts, labels - good, _complaint(scheme))
        texts = [[tag if tag in good else "O" for tag in text] for text in texts]
        fixed = to_iob2(texts, scheme)
        result.tags, result.wrong = fixed.tags, fixed.wrong
        return result
    rule = _closed_rule if scheme in ("bioes", "bilou") else _open_rule
    table = {pair: rule(pair, scheme) for pair in pairs}
    mistakes = {pair: fault for pair, (_, fault) in table.items() if fault}
    tags = {pair: tag for pair, (tag, _) in table.items()}
    for number, text in enumerate(texts):
        padded = [EDGE, *text, EDGE]
        result.tags.append([tags[pair] for pair in zip(padded, text, strict=False)])
        if mistakes:
            result.wrong += _mistakes(number, padded, mistakes)
    return result


def _legal(tag: str, scheme: str) -> bool:
    parts = split_tag(tag)
    return parts is not None and parts[0] in _LETTERS[scheme]


def _complaint(scheme: str) -> str:
    letters = ", ".join(f"{letter}-TYPE" for letter in _LETTERS[scheme])
    return (
        f"label {{tag!r}} is not one of the scheme {scheme} (O, {letters}); scheme='none' takes "
        "any (in gym.make: data_scheme='none')"
    )


def _places(
    texts: Sequence[Sequence[str]], tags: set[str], message: str
) -> list[tuple[int, int, str]]:
    return [
        (number, position, message.format(tag=tag))
        for number, text in enumerate(texts)
        for position, tag in enumerate(text)
        if tag in tags
    ]


Fault = tuple[int, str]  # where, relative to the pair's second tag, and what


def _open_rule(pair: tuple[str, str], scheme: str) -> tuple[str, Fault | None]:
    """IOB1 and IOB2: the IOB2 tag for the second of a pair, and its fault."""
    previous, current = split_tag(pair[0]), split_tag(pair[1])
    assert previous is not None
    assert current is not None
    letter, kind = current
    if letter == "O":
        return pair[1], None
    begins = letter == "B" or previous[1] != kind
    fault = None
    if scheme == "iob2" and letter == "I" and begins:
        fault = (
            0,
            f"{pair[1]} follows {pair[0] or 'nothing'}: IOB2 begins an entity with B-{kind}",
        )
    if scheme == "iob1" and letter == "B" and previous[1] != kind:
        fault = (
            0,
            f"{pair[1]} follows {pair[0] or 'nothing'}: IOB1 has B- only right after {kind}",
        )
    return f"{'B' if begins else 'I'}-{kind}", fault


def _closed_rule(pair: tuple[str, str], scheme: str) -> tuple[str, Fault | None]:
    """BIOES and BILOU: the IOB2 tag for the second of a pair, and its fault."""
    previous, current = split_tag(pair[0]), split_tag(pair[1])
    assert previous is not None
    assert current is not None
    kind = current[1]
    before, letter = _CANONICAL.get(previous[0], "O"), _CANONICAL.get(current[0], "O")
    is_open = before in "BI"
    continues = is_open and letter in "IE" and previous[1] == kind
    fault: Fault | None = None
    if is_open and not continues:
        end = "L" if scheme == "bilou" else "E"
        fault = (
            -1,
            f"{pair[0]} is followed by {pair[1] or 'the end'}: no {end}-{previous[1]} closes it",
        )
    elif letter in "IE" and not continues:
        fault = (0, f"{pair[1]} follows {pair[0] or 'nothing'}: no B-{kind} opens it")
    if letter == "O":
        return pair[1], fault
    return f"{'I' if continues else 'B'}-{kind}", fault


def _mistakes(
    number: int, padded: Sequence[str], mistakes: dict[tuple[str, str], Fault]
) -> list[tuple[int, int, str]]:
    found = []
    for position, pair in enumerate(itertools.pairwise(padded)):
        if pair in mistakes:
            shift, message = mistakes[pair]
            found.append((number, position + shift, message))
    return found


def entity_spans(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities of strict IOB2 tags as (first word, one past the last, type)."""
    found: list[tuple[int, int, str]] = []
    for i, label in enumerate(labels):
        if label.startswith("B-"):
            found.append((i, i + 1, label[2:]))
        elif label.startswith("I-") and found and found[-1][1:] == (i, label[2:]):
            found[-1] = (found[-1][0], i + 1, label[2:])
    return found
