"""Find the changes that a sample allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from nlp_gym.checks import check_int, check_name
from nlp_gym.data.tags.schemes import entity_spans, split_tag
from nlp_gym.data.text.changes.alike import is_alike
from nlp_gym.data.text.changes.apply import text_of
from nlp_gym.data.text.changes.edits import ALLOWED, CHANGES, NEIGHBOURS, Allowed, Edit
from nlp_gym.data.text.changes.synonyms import fits_article, in_case_of, lines_of, synonyms_of
from nlp_gym.data.text.hash_order import hash_rank, hash_ranker
from nlp_gym.data.text.perturb import names_by_type
from nlp_gym.data.text.typos import typos_of
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Sample

__all__ = ["Finder", "checked_kinds", "known_words", "names_by_type"]

Words = tuple[str, ...]
Pools = Mapping[str, Sequence[Words]]
"""Names by type of entity."""
Near = Callable[[str], Sequence[str]]
"""Words that an encoder has near a word, nearest first."""

_NAMES = Path(__file__).parent / "names.txt"
_PARAPHRASES = Path(__file__).parent / "paraphrases.txt"
_AMBIGUOUS = ("woman", "man", "surname", "month")
"""Types whose names are names only with a capital: May, Mark, Grace, Walker."""
_LONGEST = 6
_RANKED = 500
"""Names of a type among which some are drawn for a name."""


def checked_kinds(kinds: str | Sequence[str] | None, family: str) -> tuple[str, ...]:
    """Names of `CHANGES` in their order.

    Args:
        kinds: Names, in one text with commas or in a list; None: the usual ones that suit the
            family.
        family: Of the samples.

    Raises:
        UnknownNameError: There is no such kind.
        InvalidArgumentError: The family's texts cannot be changed, or not so.
    """
    allowed = allowed_of(family)
    if kinds is None:
        return allowed.kinds
    if not isinstance(kinds, str | list | tuple):
        raise InvalidArgumentError(
            f"changes={shown(kinds)} must be names, such as 'typos,synonyms', or a list of them; "
            f"allowed: {', '.join(allowed.known)}."
        )
    given = kinds.split(",") if isinstance(kinds, str) else list(kinds)
    names = [name.strip() if isinstance(name, str) else name for name in given]
    for name in names:
        check_name("changes", name, CHANGES)
        if name not in allowed.known:
            raise InvalidArgumentError(
                f"changes={shown(name)} would not keep the gold of the family {shown(family)}; "
                f"these do: {', '.join(allowed.known)}. {allowed.why}"
            )
    if not names:
        raise InvalidArgumentError(f"changes is empty; allowed: {', '.join(allowed.known)}.")
    return tuple(name for name in CHANGES if name in names)


def allowed_of(family: str) -> Allowed:
    """What may be changed in the samples of a family.

    Raises:
        InvalidArgumentError: Nothing.
    """
    if family not in ALLOWED:
        raise InvalidArgumentError(
            f"Texts of the family {shown(family)} are what its gold is made of or compared with, "
            f"so no change of them keeps it; those of these do: {', '.join(ALLOWED)}."
        )
    return ALLOWED[family]


class Finder:
    """Finds changes of samples, the same ones for the same words in every process.

    Args:
        family: Of the samples, a name of `ALLOWED`.
        kinds: As for `checked_kinds`.
        pools: Names of each type, for samples with BIO tags: see `names_by_type`.
        known: Words in small letters, such as those of the training texts: a typing error that
            makes one of them would change what the text says, and is none.
        seed: Other seeds choose other typos and names.
        most: Most replacements of one kind for a place.
        near: Gives the words that an encoder has near a word, nearest first, for the kind
            ``"neighbours"``; see `nlp_gym.encode.Neighbours`.

    Attributes:
        kinds: The names of `CHANGES` that it looks for.

    Raises:
        UnknownNameError: There is no such kind.
        InvalidArgumentError: One that does not suit the family, or a number out of range; or
            ``"neighbours"`` without `near`.
    """

    def __init__(
        self,
        family: str,
        kinds: str | Sequence[str] | None = None,
        *,
        pools: Pools = MappingProxyType({}),
        known: Collection[str] = frozenset(),
        seed: int = 0,
        most: int = 6,
        near: Near | None = None,
    ) -> None:
        self.family, self.kinds = family, checked_kinds(kinds, family)
        if NEIGHBOURS in self.kinds and near is None:
            raise InvalidArgumentError(
                "changes='neighbours' needs near=: what gives the words that an encoder has near "
                "a word, such as nlp_gym.encode.Neighbours(encoder).of."
            )
        self.near = near
        self._fitting: dict[tuple[str, int], list[Words]] = {}
        self.allowed, self.pools, self.known = ALLOWED[family], pools, known
        self.seed = check_int("seed", seed, 0, 2**32 - 1)
        self.most = check_int("most", most, 1, 100)

    def edits(self, sample: Sample) -> list[Edit]:
        """Every change of a sample, in the order of its words."""
        words = text_of(sample, self.family)
        free = self._free(sample, words)
        found: dict[Edit, None] = {}
        for kind in self.kinds:
            look = getattr(self, f"_{kind}")
            for edit in look(sample, words, free):
                same = edit.words == words[edit.start : edit.stop]
                if not same and not self._breaks_count(edit):
                    found[edit] = None
        order = {kind: number for number, kind in enumerate(CHANGES)}
        return sorted(found, key=lambda edit: (edit.start, edit.stop, order[edit.kind]))

    def _breaks_count(self, edit: Edit) -> bool:
        return self.allowed.keeps_count and len(edit.words) != edit.stop - edit.start

    def _free(self, sample: Sample, words: Sequence[str]) -> list[bool]:
        """Which words may be changed at all."""
        kept: set[int] = set()
        if self.family == "relation":
            for pair in sample.extra.get("pairs", ()):
                kept |= {*range(pair[0], pair[1]), *range(pair[2], pair[3])}
        if self.family == "spanqa":
            answers = {word.lower() for word in _answer_words(sample)}
            kept = {k for k, word in enumerate(words) if word.lower() in answers}
        turns = sample.extra.get("context", sample.extra.get("turns", ()))
        if self.family in ("dialogue", "policy"):
            whole = tuple(word for turn in turns for word in turn)
            if whole != tuple(words):  # edits count the words of all turns
                kept = set(range(len(words)))
        return [k not in kept for k in range(len(words))]

    def _some(self, words: Sequence[str], found: Sequence[Words]) -> list[Words]:
        """At most `most` of the replacements of some words, drawn by their hash."""
        if len(found) <= self.most:
            return list(found)
        return sorted(found, key=hash_ranker(self.seed, words))[: self.most]

    def _others(self, kind: str, name: Words) -> list[Words]:
        """Other names of a type and as many words; of very many some, drawn by the name's hash."""
        key = kind, len(name)
        if key not in self._fitting:
            self._fitting[key] = [own for own in self.pools.get(kind, ()) if len(own) == len(name)]
        fitting = self._fitting[key]
        if len(fitting) > _RANKED:  # to rank them all for every name would take minutes
            first = hash_rank(self.seed, name) % len(fitting)
            fitting = [*fitting[first : first + _RANKED], *fitting[:first]]
        return [own for own in fitting[:_RANKED] if own != name]

    def _typos(self, sample: Sample, words: Sequence[str], free: Sequence[bool]) -> Iterator[Edit]:
        for k, word in enumerate(words):
            if free[k]:
                made = [(t,) for t in typos_of(word) if t.lower() not in self.known]
                for typo in self._some((word,), made):
                    yield Edit("typos", k, k + 1, typo)

    def _synonyms(
        self, sample: Sample, words: Sequence[str], free: Sequence[bool]
    ) -> Iterator[Edit]:
        labels = sample.labels if self.family == "tagging" else None
        for k, word in enumerate(words):
            tag = None if labels is None else labels[k]
            parts = None if tag is None else split_tag(tag)
            if not free[k] or (parts is not None and parts[0] != "O"):
                continue
            before = words[k - 1] if k else ""
            made = synonyms_of(word, tag if parts is None else None, before)
            for other in self._some((word,), [(synonym,) for synonym in made]):
                yield Edit("synonyms", k, k + 1, other)

    def _neighbours(
        self, sample: Sample, words: Sequence[str], free: Sequence[bool]
    ) -> Iterator[Edit]:
        """The nearest words first: an encoder's order says how much alike they are."""
        labels = (sample.labels or ()) if self.family == "tagging" else ()
        if any(split_tag(label) is None for label in labels):
            return  # parts of speech, which a neighbour need not keep
        for k, word in enumerate(words):
            if not free[k] or (labels and labels[k] != "O") or word.lower() in _names():
                continue
            before = words[k - 1] if k else ""
            assert self.near is not None
            fitting = [o for o in self.near(word) if is_alike(word, o) and fits_article(before, o)]
            for other in fitting[: self.most]:
                yield Edit(NEIGHBOURS, k, k + 1, (in_case_of(word, other),))

    def _entities(
        self, sample: Sample, words: Sequence[str], free: Sequence[bool]
    ) -> Iterator[Edit]:
        if self.family == "tagging":
            for first, stop, kind in entity_spans(sample.labels or ()):
                name = tuple(words[first:stop])
                for other in self._some(name, self._others(kind, name)):
                    yield Edit("entities", first, stop, other)
            return
        for k, word in enumerate(words):
            known = _names().get(word.lower())
            if known is None or not free[k]:
                continue
            kind, others = known
            if word[:1].isupper() or kind not in _AMBIGUOUS:
                cased = [
                    (in_case_of(word, own if word[:1].isupper() else own.lower()),)
                    for own in others
                ]
                for other in self._some((word,), [own for own in cased if own[0] != word]):
                    yield Edit("entities", k, k + 1, other)

    def _paraphrase(
        self, sample: Sample, words: Sequence[str], free: Sequence[bool]
    ) -> Iterator[Edit]:
        wordings, openers, asking = _wordings()
        lower = tuple(word.lower() for word in words)
        if not words:
            return
        question = words[-1] == "?"
        for opener in self._some(words[:1], openers + (asking if question else [])):
            yield Edit("paraphrase", 0, 0, _capital_like(words[0], opener))
        for start in range(len(words)):
            for stop in range(start + 1, min(start + _LONGEST, len(words)) + 1):
                for other in wordings.get(lower[start:stop], ()):
                    if all(free[start:stop]):
                        yield Edit("paraphrase", start, stop, _capital_like(words[start], other))


def _capital_like(first: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words, the first of them with a capital where `first` has one."""
    return (in_case_of(first, words[0]) if not first.isupper() else words[0], *words[1:])


def _answer_words(sample: Sample) -> Iterator[str]:
    """The words of the answers of a question: their texts, and where they stand in the passage."""
    for text, first, last in sample.gold or ():
        yield from str(text).split()
        yield from sample.words[first : last + 1]


@lru_cache(maxsize=1)
def _names() -> dict[str, tuple[str, tuple[str, ...]]]:
    """From a name in small letters to its type and all names of the type."""
    found = {}
    for line in lines_of(_NAMES):
        kind, *names = line.split()
        found.update({name.lower(): (kind, tuple(names)) for name in names})
    return found


_Texts = list[Words]


@lru_cache(maxsize=1)
def _wordings() -> tuple[dict[tuple[str, ...], _Texts], _Texts, _Texts]:
    """From words to others of the same meaning; what may stand before a text, and a question."""
    wordings: dict[tuple[str, ...], _Texts] = {}
    openers: dict[str, _Texts] = {"*": [], "?": []}
    for line in lines_of(_PARAPHRASES):
        left, _, right = (side.strip() for side in line.partition(" = "))
        if left in openers:
            openers[left].append(tuple(right.split()))
            continue
        one, other = tuple(left.split()), tuple(right.split())
        wordings.setdefault(one, []).append(other)
        wordings.setdefault(other, []).append(one)
    return wordings, openers["*"], openers["?"]


def known_words(samples: Iterable[Sample]) -> frozenset[str]:
    """The words of samples that are seen twice or more, in small letters: no slips of the hand."""
    counts = Counter(word.lower() for sample in samples for word in sample.words)
    return frozenset(word for word, count in counts.items() if count > 1)
