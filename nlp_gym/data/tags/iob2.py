"""Converts IOB1, BIOES, BILOU and BMES tags to IOB2, and finds every tag that breaks its scheme.

All schemes (see `data.tags.schemes`) are bigram grammars: whether a tag is right, and what it is in
IOB2, depends on the tag and the one before it. So only the *distinct* pairs of neighbouring tags of
a corpus are examined, of which there are a few hundred.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from nlp_gym.data.tags.schemes import EDGE, canonical_scheme, detect_scheme, split_tag
from nlp_gym.errors import shown

# Letters of the same meaning: E and L close an entity; S, U and W are an entity of one word.
_MEANING = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
_LETTERS = {"iob2": "BI", "iob1": "BI", "bioes": "BIESMW", "bilou": "BILU"}


@dataclass
class Converted:
    """IOB2 tags of texts, and what was wrong with the tags they had.

    Attributes:
        tags: The IOB2 tags of each text.
        scheme: The scheme of the texts, as in `SCHEMES` (never ``"auto"``).
        wrong: (text, position in it, what is wrong) of each tag that breaks its scheme's grammar.
            It was read as the IOB2 tag that begins or continues an entity there.
        unknown: The same for labels that are no tags of the scheme; they were read as ``O``.
    """

    tags: list[list[str]]
    scheme: str
    wrong: list[tuple[int, int, str]] = field(default_factory=list)
    unknown: list[tuple[int, int, str]] = field(default_factory=list)


def to_iob2(texts: Sequence[Sequence[str]], scheme: str = "auto") -> Converted:
    """Convert the tags of texts to IOB2.

    Args:
        texts: The tags of each text.
        scheme: One of `SCHEMES`; ``"auto"`` detects it (see `detect_scheme`), ``"none"`` converts
            nothing.

    Returns:
        The tags, the scheme, and every tag that breaks it.

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
        scheme = detect_scheme(labels, pairs)
    if scheme == "none":
        return Converted([list(text) for text in texts], scheme)
    result = Converted([], scheme)
    good = {tag for tag in labels if tag == "O" or _is_of_scheme(tag, scheme)}
    if good != labels:
        result.unknown = _find_tags(texts, labels - good, _unknown_message(scheme))
        texts = [[tag if tag in good else "O" for tag in text] for text in texts]
        fixed = to_iob2(texts, scheme)
        result.tags, result.wrong = fixed.tags, fixed.wrong
        return result
    rule = _bioes_rule if scheme in ("bioes", "bilou") else _iob_rule
    table = {pair: rule(pair, scheme) for pair in pairs}
    mistakes = {pair: fault for pair, (_, fault) in table.items() if fault}
    tags = {pair: tag for pair, (tag, _) in table.items()}
    for number, text in enumerate(texts):
        padded = [EDGE, *text, EDGE]
        result.tags.append([tags[pair] for pair in zip(padded, text, strict=False)])
        if mistakes:
            result.wrong += _mistakes(number, padded, mistakes)
    return result


def _is_of_scheme(tag: str, scheme: str) -> bool:
    parts = split_tag(tag)
    return parts is not None and parts[0] in _LETTERS[scheme]


def _unknown_message(scheme: str) -> str:
    letters = ", ".join(f"{letter}-TYPE" for letter in _LETTERS[scheme])
    return (
        f"label {{tag}} is not one of the scheme {scheme} (O, {letters}); scheme='none' takes "
        "any (in gym.make: data_scheme='none')"
    )


def _find_tags(
    texts: Sequence[Sequence[str]], tags: set[str], message: str
) -> list[tuple[int, int, str]]:
    return [
        (number, position, message.format(tag=shown(tag)))
        for number, text in enumerate(texts)
        for position, tag in enumerate(text)
        if tag in tags
    ]


Fault = tuple[int, str]
"""Position of a wrong tag relative to the second tag of a pair, and what is wrong."""


def _iob_rule(pair: tuple[str, str], scheme: str) -> tuple[str, Fault | None]:
    """IOB1 and IOB2: the IOB2 tag of the second of a pair, and what is wrong."""
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


def _bioes_rule(pair: tuple[str, str], scheme: str) -> tuple[str, Fault | None]:
    """BIOES and BILOU: the IOB2 tag of the second of a pair, and what is wrong."""
    previous, current = split_tag(pair[0]), split_tag(pair[1])
    assert previous is not None
    assert current is not None
    kind = current[1]
    before, letter = _MEANING.get(previous[0], "O"), _MEANING.get(current[0], "O")
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
