"""Copies of texts with changes drawn at random: what an attack could try, without a victim.

One copy of a text hardly helps against an attack, which chooses among all slips of the weightiest
words: training has to have seen many of them. So every text has several copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from nlp_gym.data.text.changes.apply import apply_edits
from nlp_gym.data.text.changes.edits import ALLOWED, Edit
from nlp_gym.data.text.changes.find import Finder, known_words
from nlp_gym.data.text.perturb import names_by_type
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Sample, text_key

_TYPOS = 0.1
"""Share of a text's words with a typing error, beside the one that every copy has."""
_OTHERS = 0.25
"""Share of the copies that have a change of another kind as well."""
_MOST = 40
"""Replacements of one kind for a place: all typing errors of most words."""


def drawn_copies(samples: Sequence[Sample], n: int, family: str, *, seed: int = 1) -> list[Sample]:
    """Changed copies of samples; the gold stays right.

    Every copy has a typing error, or another change where no word can have one. A copy is a
    function of its text, the number of the copy and the seed, and of the words and names of all
    samples, which say what is a word and what is a name.

    Args:
        samples: Those of a training split.
        n: Copies of each.
        family: Of the samples.
        seed: Another one draws other changes.

    Raises:
        InvalidArgumentError: Texts of the family cannot be changed.
    """
    if family not in ALLOWED:
        raise InvalidArgumentError(
            f"augment={shown(f'changes:{n}')} does not suit the family {shown(family)}, whose "
            f"texts are what its gold is made of or compared with; it suits: {', '.join(ALLOWED)}."
        )
    pools = names_by_type(samples) if family == "tagging" else {}
    finder = Finder(family, pools=pools, known=known_words(samples), seed=seed, most=_MOST)
    copies: list[Sample] = []
    for sample in samples:
        edits = finder.edits(sample)
        digest = hashlib.sha256(f"{seed}:changes\0".encode() + text_key(sample.words)).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        drawn = [_drawn(edits, rng) for _ in range(n)]
        copies += [apply_edits(sample, some, family) for some in drawn if some]
    return copies


def _drawn(edits: Sequence[Edit], rng: np.random.Generator) -> list[Edit]:
    """Changes of different words."""
    typos: dict[int, list[Edit]] = {}
    others: dict[str, list[Edit]] = {}
    for edit in edits:
        if edit.kind == "typos":
            typos.setdefault(edit.start, []).append(edit)
        else:
            others.setdefault(edit.kind, []).append(edit)
    found: list[Edit] = []
    if typos:
        count = 1 + int(rng.binomial(len(typos) - 1, _TYPOS))
        for place in rng.permutation(list(typos))[:count].tolist():
            found.append(typos[place][int(rng.integers(len(typos[place])))])
    if others and (not found or rng.random() < _OTHERS):
        own = others[list(others)[int(rng.integers(len(others)))]]
        other = own[int(rng.integers(len(own)))]
        if all(edit.stop <= other.start or edit.start >= other.stop for edit in found):
            found.append(other)
    return found
