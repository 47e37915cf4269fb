"""Perturbations of texts: typos, changes of case, accents, exchanged names of entities.

A perturbation keeps the gold. It is a pure function of the sample, the perturbation's name, its
rate and a seed, so a perturbed split is the same for everyone. It tests how robust a policy is
against noisy text (Belinkov and Bisk 2018; Ribeiro et al. 2020); added to the training split it is
data augmentation.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.data.text.typos import NEIGHBOUR_KEYS, doubled, dropped, mistyped, swapped
from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.types import Corpus, Sample, text_key

Words = tuple[str, ...]
Rng = np.random.Generator

PERTURBED_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tagging": ("words",),
        "classification": ("words",),
        "multilabel": ("words",),
        "relation": ("words",),
        "parsing": ("words",),
        "choice": ("words",),
        "dialogue": ("words", "context"),
        "policy": ("words", "turns"),
        "spanqa": ("question",),
    }
)
"""The words that are perturbed, by family: `words` and keys of `extra`.

The rest (a passage, a reply) is kept, as gold points into it. If `words` are the joined turns of
`context` or `turns`, each turn is perturbed and `words` are joined again.
"""

RAW_TEXT_KEYS = ("text", "spans", "question_text", "context_texts", "turn_texts")
"""Keys of `extra` with the raw text of perturbed words, which are removed; a passage's are kept."""


def _typo(word: str, rng: Rng) -> str:
    """Make one typo in a word of at least three letters: swap, drop, double or neighbouring key."""
    if len(word) < 3 or not any(char.isalpha() for char in word):
        return word
    i = int(rng.integers(1, len(word) - 1))  # the first letter is rarely mistyped
    kind, letters = rng.integers(4), list(word)
    if kind == 0:
        return swapped(letters, i)
    if kind == 1:
        return dropped(letters, i)
    near = NEIGHBOUR_KEYS.get(word[i].lower())
    if kind == 2 or near is None:
        return doubled(letters, i)
    return mistyped(letters, i, near[int(rng.integers(len(near)))])


def _word_by_word(change: Callable[[str, Rng], str]) -> Callable[[Words, float, Rng], Words]:
    """Perturbation that applies `change` to a random share of the words."""

    def perturb(words: Words, rate: float, rng: Rng) -> Words:
        chosen = rng.random(len(words)) < rate
        return tuple(change(w, rng) if c else w for w, c in zip(words, chosen, strict=True))

    return perturb


_ACCENTS = str.maketrans("aeiouAEIOU", "áéíóúÁÉÍÓÚ")

WORD_PERTURBATIONS: Mapping[str, tuple[Callable[[Words, float, Rng], Words], float]] = (
    MappingProxyType(
        {
            "typos": (_word_by_word(_typo), 0.2),
            "lower": (_word_by_word(lambda word, _: word.lower()), 1.0),
            "upper": (_word_by_word(lambda word, _: word.upper()), 1.0),
            "case": (_word_by_word(lambda word, _: word.swapcase()), 0.3),
            "accents": (_word_by_word(lambda word, _: word.translate(_ACCENTS)), 0.3),
        }
    )
)
"""Perturbations of single words by name: the function, and the default share of words.

Typos; lower case; capitals throughout; swapped case; accents on vowels.
"""

ORDERED_FAMILIES = ("choice", "dialogue")
"""Families that order candidates by the unperturbed text, which is kept as ``"order_words"``."""

PERTURBATIONS = (*WORD_PERTURBATIONS, "entity-swap")
"""Names for `perturb=` and `augment=`; a rate may follow, as in ``"typos:0.5"``."""


def perturb(
    corpus: Corpus, spec: str, *, family: str, seed: int = 0, argument: str = "perturb"
) -> Corpus:
    """A corpus with every text perturbed.

    Args:
        corpus: Any split.
        spec: A name of `PERTURBATIONS`, or ``"NAME:RATE"`` with the share of words (of entities for
            ``entity-swap``) from 0 to 1.
        family: Task family of the corpus, which decides what of a sample is perturbed.
        seed: Seed of the perturbation.
        argument: Name of the argument that `spec` was given as, for messages.

    Raises:
        UnknownNameError: There is no such perturbation.
        InvalidArgumentError: The rate is not from 0 to 1, or the family cannot be perturbed so.
    """
    name, rate = parse_spec(spec, argument)
    if name == "entity-swap":
        return _swap_entities(corpus, rate, family, seed, argument)
    if family not in PERTURBED_FIELDS:
        raise InvalidArgumentError(
            f"{argument}={shown(spec)} does not suit the family {shown(family)}, whose texts are "
            f"what its gold is made of or compared with; it suits: {', '.join(PERTURBED_FIELDS)}."
        )
    change = WORD_PERTURBATIONS[name][0]
    samples = [
        _perturb_sample(
            sample, family, lambda words, rng: change(words, rate, rng), f"{seed}:{spec}"
        )
        for sample in corpus.samples
    ]
    return dataclasses.replace(corpus, samples=samples)


def augment(corpus: Corpus, specs: Sequence[str], *, family: str, seed: int = 1) -> Corpus:
    """A corpus followed by one perturbed copy of it for each of `specs`; see `perturb`."""
    options: dict[str, Any] = {"family": family, "seed": seed, "argument": "augment"}
    copies = [perturb(corpus, spec, **options).samples for spec in specs]
    return dataclasses.replace(corpus, samples=[*corpus.samples, *(s for c in copies for s in c)])


COPIES = "copies:"
"""Begins a name for `augment=` that is a file of changed samples; see `data.corpora.copies`."""


def checked_augment(augment: object) -> tuple[str, ...]:
    """Perturbations as a tuple, from one or several; raises what `parse_spec` raises."""
    specs = tuple(augment) if isinstance(augment, list | tuple) else (augment,)
    for spec in specs:
        if not copies_file(spec) and not drawn_count(spec):
            parse_spec(spec, "augment")
    return tuple(map(str, specs))


def copies_file(spec: object) -> str:
    """The file that ``"copies:FILE"`` names; empty for what is a perturbation."""
    return spec.removeprefix(COPIES) if isinstance(spec, str) and spec.startswith(COPIES) else ""


DRAWN = "changes"
"""Name for `augment=` of copies with the changes of an attack, drawn at random: ``"changes:8"``."""
_MOST_COPIES = 100


def drawn_count(spec: object) -> int:
    """How many copies of a text ``"changes:N"`` asks for; 0 for what is something else.

    Raises:
        InvalidArgumentError: N is not from 1 to 100.
    """
    name, colon, number = spec.partition(":") if isinstance(spec, str) else ("", "", "")
    if name != DRAWN:
        return 0
    if not colon:
        return 1
    count = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
    if not 1 <= count <= _MOST_COPIES:
        raise InvalidArgumentError(
            f"augment={shown(spec)}: {shown(number)} must be a number of copies from 1 to "
            f"{_MOST_COPIES}, as in 'changes:8'."
        )
    return count


def parse_spec(spec: object, argument: str = "perturb") -> tuple[str, float]:
    """Name and rate of ``"NAME"`` or ``"NAME:RATE"``."""
    name, colon, number = spec.partition(":") if isinstance(spec, str) else (spec, "", "")
    if not isinstance(name, str) or name not in PERTURBATIONS:
        known = (*PERTURBATIONS, DRAWN) if argument == "augment" else PERTURBATIONS
        raise UnknownNameError(argument, spec, known)
    if not colon:
        return name, 1.0 if name == "entity-swap" else WORD_PERTURBATIONS[name][1]
    try:
        rate = float(number)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise InvalidArgumentError(
            f"{argument}={shown(spec)}: the rate {shown(number)} must be a number from 0 to 1, as "
            "in 'typos:0.2'."
        )
    return name, rate


def _rng(sample: Sample, origin: str) -> Rng:
    digest = hashlib.sha256(origin.encode() + b"\0" + text_key(sample.words)).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _perturb_sample(
    sample: Sample, family: str, change: Callable[[Words, Rng], Words], origin: str
) -> Sample:
    rng = _rng(sample, origin)
    return changed_sample(sample, family, lambda words: change(words, rng))


def changed_sample(sample: Sample, family: str, change: Callable[[Words], Words]) -> Sample:
    """A sample with other words, as `PERTURBED_FIELDS` has it; its gold is left as it is.

    Args:
        sample: The sample.
        family: Of its files.
        change: Gives the new words of a text, or of its turns, which are asked for in order.
    """
    words, extra, joined = sample.words, dict(sample.extra), False
    for field in (name for name in PERTURBED_FIELDS[family] if name != "words" and name in extra):
        value: Any = extra[field]
        nested = bool(value) and not isinstance(value[0], str)
        extra[field] = tuple(change(v) for v in value) if nested else change(value)
        if "words" in PERTURBED_FIELDS[family] and sample.words == _joined(value):
            words, joined = _joined(extra[field]), True
    if "words" in PERTURBED_FIELDS[family] and not joined:
        words = change(words)
    passage = ("text", "spans") if family == "spanqa" else ()
    extra = {k: value for k, value in extra.items() if k in passage or k not in RAW_TEXT_KEYS}
    if family in ORDERED_FAMILIES:
        extra.setdefault("order_words", sample.words)
    return dataclasses.replace(sample, words=words, extra=extra)


def _joined(turns: Sequence[Words]) -> Words:
    return tuple(word for turn in turns for word in turn)


def _swap_entities(corpus: Corpus, rate: float, family: str, seed: int, argument: str) -> Corpus:
    """A corpus whose entities have names of other entities of their type in the same corpus."""
    if family != "tagging" or not any(label.startswith("B-") for label in corpus.labels):
        raise InvalidArgumentError(
            f"{argument}='entity-swap' needs BIO tags of entities, which the family "
            f"{shown(family)} ({corpus.name}) has not."
        )
    pools = names_by_type(corpus.samples)
    samples = [
        _swap_sample(sample, pools, rate, f"{seed}:entity-swap") for sample in corpus.samples
    ]
    return dataclasses.replace(corpus, samples=samples)


def names_by_type(samples: Iterable[Sample]) -> dict[str, list[Words]]:
    """The distinct names of each type of entities in samples with BIO tags, sorted."""
    names: dict[str, set[Words]] = defaultdict(set)
    for sample in samples:
        for first, stop, kind in entity_spans(sample.labels or ()):
            names[kind].add(tuple(sample.words[first:stop]))
    return {kind: sorted(found) for kind, found in names.items()}


def _swap_sample(
    sample: Sample, pools: Mapping[str, list[Words]], rate: float, origin: str
) -> Sample:
    if sample.labels is None:
        return sample  # its entities are not known
    rng = _rng(sample, origin)
    words: list[str] = []
    labels: list[str] = []
    at = 0
    for first, stop, kind in entity_spans(sample.labels):
        name = sample.words[first:stop]
        if rng.random() < rate:
            name = pools[kind][int(rng.integers(len(pools[kind])))]
        words += [*sample.words[at:first], *name]
        labels += [*sample.labels[at:first], f"B-{kind}"] + [f"I-{kind}"] * (len(name) - 1)
        at = stop
    words += sample.words[at:]
    labels += sample.labels[at:]
    extra = {key: value for key, value in sample.extra.items() if key not in ("text", "spans")}
    return Sample(tuple(words), tuple(labels), sample.id, extra)
