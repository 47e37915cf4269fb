"""One change of a text, and what each family of tasks allows so that its gold stays right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

USUAL = ("typos", "synonyms", "entities", "paraphrase")
"""Kinds of changes that are tried unless others are asked for."""
NEIGHBOURS = "neighbours"
CHANGES = (*USUAL, NEIGHBOURS)
"""Kinds of changes.

``typos``: one typing error inside a word; ``synonyms``: a word of the same meaning and form;
``entities``: another name of the same type; ``paraphrase``: another wording, or words that may
stand before any text; ``neighbours``: a word that an encoder has near. The last has to be asked
for: what is near to an encoder means about the same, and not always the same.
"""


class Edit(NamedTuple):
    """Other words in place of some words of a text.

    Attributes:
        kind: A name of `CHANGES`.
        start: First word that is replaced.
        stop: One past the last; equal to `start` where words are put in.
        words: What stands there instead.
    """

    kind: str
    start: int
    stop: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Allowed:
    """What may be changed in the samples of a family.

    Attributes:
        kinds: Names of `CHANGES`.
        keeps_count: Whether as many words have to stand there as before: the gold counts words, or
            a sample has its text in parts.
        why: What keeps the gold right, for people.
        neighbours: Whether words may give way to an encoder's neighbours: not where labels are
            parts of speech or hang on them.
    """

    kinds: tuple[str, ...]
    keeps_count: bool
    why: str
    neighbours: bool = True

    @property
    def known(self) -> tuple[str, ...]:
        """All kinds, those included that have to be asked for."""
        return (*self.kinds, NEIGHBOURS) if self.neighbours else self.kinds


ALLOWED: Mapping[str, Allowed] = MappingProxyType(
    {
        "tagging": Allowed(
            ("typos", "synonyms", "entities"),
            True,
            "The number of words stays, so every label keeps its word. A name is replaced by a "
            "name of its type and length; synonyms replace words outside of entities, of the part "
            "of speech that the labels say where they are parts of speech.",
        ),
        "parsing": Allowed(
            ("typos", "synonyms"),
            True,
            "The number of words stays, so every arc keeps its words.",
            neighbours=False,
        ),
        "classification": Allowed(USUAL, False, "The label is of the text as a whole."),
        "multilabel": Allowed(USUAL, False, "The labels are of the text as a whole."),
        "relation": Allowed(
            ("typos", "synonyms", "paraphrase"),
            False,
            "No word of an entity is changed, and spans move with what is put in before them.",
        ),
        "choice": Allowed(USUAL, False, "The question is changed; the choices stay."),
        "spanqa": Allowed(
            USUAL,
            False,
            "The question is changed, but for words of an answer; the passage stays.",
        ),
        "dialogue": Allowed(
            ("typos", "synonyms"), True, "Turns keep their number of words; the replies stay."
        ),
        "policy": Allowed(
            ("typos", "synonyms"), True, "Turns keep their number of words; the acts are theirs."
        ),
    }
)
"""By family; texts of the others are what their gold is made of or compared with."""
