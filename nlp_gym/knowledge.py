"""Knowledge about the names in a text, from a file of triples, as a part of observations.

A triple is ``head<TAB>relation<TAB>tail``. A name is described by its *roles*: the relations of
which it is the head or the tail in the file. So a person, a city and a company differ without any
inventory of types. Two names are described by the relations that *link* them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_int, check_path
from nlp_gym.data.readers.shared.decoding import decode, file_bytes
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import DataFormatError, InvalidArgumentError, shown

Words = tuple[str, ...]
Match = tuple[int, int, int]
"""First word, one past the last word, and number of a name in a text."""

MAX_NAME = 10
"""Names of more words are not looked for in texts."""

_UNDERSCORE = str.maketrans("_", " ")


class KnowledgeBase:
    """Names, their roles and their links, from triples.

    Args:
        triples: (head, relation, tail) of each triple; heads and tails are names, or keys of
            `names`.
        names: Name of each key, if the triples hold keys.
        roles: Number of roles that are distinguished, the most frequent ones; from 1.

    Attributes:
        roles: The roles that are distinguished: ``relation`` for being its head, ``^relation`` for
            being its tail; most frequent first, ties by name.
        relations: The relations of these roles, which are distinguished as links.
    """

    def __init__(
        self,
        triples: Iterable[tuple[str, str, str]],
        *,
        names: Mapping[str, str] | None = None,
        roles: int = 32,
    ) -> None:
        check_int("roles", roles, 1, 10_000)
        name_of = {} if names is None else _checked_names(names)
        self._names: dict[Words, int] = {}
        numbered = [
            (self._add(name_of.get(h, h)), r, self._add(name_of.get(t, t)))
            for h, r, t in _checked_triples(triples)
        ]
        counted = Counter(role for _, r, _ in numbered for role in (r, f"^{r}"))
        ranked = sorted(counted, key=lambda role: (-counted[role], role))
        self.roles = tuple(ranked[:roles])
        self.relations = tuple(dict.fromkeys(role.removeprefix("^") for role in self.roles))
        self._roles, self._links = self._tables(numbered)
        self._longest_by_first: dict[str, int] = {}
        for words in self._names:
            longest = self._longest_by_first.get(words[0], 0)
            self._longest_by_first[words[0]] = max(longest, len(words))

    def _add(self, name: str) -> int:
        """Number of a name, which is added if it is new."""
        words = name_words(name) or (name,)
        return self._names.setdefault(words, len(self._names))

    def _tables(
        self, triples: Sequence[tuple[int, str, int]]
    ) -> tuple[npt.NDArray[np.int8], dict[tuple[int, int], set[int]]]:
        """(names + 1, roles) 0/1, the last row for no name; and relations by pair of names."""
        role_of = {role: i for i, role in enumerate(self.roles)}
        relation_of = {relation: i for i, relation in enumerate(self.relations)}
        table = np.zeros((len(self._names) + 1, len(self.roles)), np.int8)
        links: dict[tuple[int, int], set[int]] = defaultdict(set)
        for head, relation, tail in triples:
            for name, role in ((head, relation), (tail, f"^{relation}")):
                if role in role_of:
                    table[name, role_of[role]] = 1
            if relation in relation_of:
                links[head, tail].add(relation_of[relation])
        return table, dict(links)

    def __len__(self) -> int:
        return len(self._names)

    def find(self, words: Sequence[str]) -> list[Match]:
        """Find the names in a text, from the left, the longest match at each position.

        Case matters, but a word in capitals throughout (a headline's) also matches a name of which
        only the first letter is a capital.

        Returns:
            (first word, one past the last word, number of the name) of each match, in order.
        """
        matches: list[Match] = []
        at = 0
        while at < len(words):
            match = self._longest(words, at)
            if match is None:
                at += 1
            else:
                matches.append(match)
                at = match[1]
        return matches

    def _longest(self, words: Sequence[str], at: int) -> Match | None:
        for form in (_as_is, _from_capitals):
            longest = self._longest_by_first.get(form(words[at]), 0)
            for size in range(min(longest, MAX_NAME, len(words) - at), 0, -1):
                number = self._names.get(tuple(form(word) for word in words[at : at + size]))
                if number is not None:
                    return at, at + size, number
        return None

    def number(self, words: Sequence[str]) -> int:
        """Number of a name, given as words; -1 if it is not in the triples."""
        for form in (_as_is, _from_capitals):
            found = self._names.get(tuple(form(word) for word in words))
            if found is not None:
                return found
        return -1

    def describe(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """(..., roles) 0/1 roles of the names of `numbers` (...); the number -1 has none."""
        return self._roles.take(np.where(numbers < 0, len(self._names), numbers), axis=0)

    def links(self, head: int, tail: int) -> npt.NDArray[np.int8]:
        """(2 * relations,) 0/1: relations from head to tail, then from tail to head."""
        found = np.zeros((2, len(self.relations)), np.int8)
        for row, pair in enumerate(((head, tail), (tail, head))):
            found[row, list(self._links.get(pair, ()))] = 1
        return found.ravel()


def _checked_triples(triples: Any) -> Iterator[tuple[str, str, str]]:
    """Triples as they are, or `InvalidArgumentError` at the first that is none."""
    try:
        each = iter(triples if not isinstance(triples, str | bytes) else 0)  # type: ignore[arg-type]
    except Exception as error:  # objects raise what they like in their own methods
        raise InvalidArgumentError(
            f"triples={shown(triples)} must be a list of (head, relation, tail)."
        ) from error
    for number, triple in enumerate(each):
        listed = isinstance(triple, list | tuple) and len(triple) == 3
        if not listed or not all(isinstance(part, str) and part for part in triple):
            raise InvalidArgumentError(
                f"triples[{number}]={shown(triple)} must be (head, relation, tail), three strings "
                "that are not empty."
            )
        yield triple[0], triple[1], triple[2]


def _checked_names(names: object) -> Mapping[str, str]:
    """A mapping from keys to names, or `InvalidArgumentError`."""
    if not isinstance(names, Mapping) or not all(
        isinstance(text, str) for pair in names.items() for text in pair
    ):
        raise InvalidArgumentError(f"names={shown(names)} must map the keys of triples to names.")
    return names


def name_words(name: str) -> Words:
    """Words of a name; underscores count as spaces."""
    return tuple(word for word, _, _ in split_words(name.translate(_UNDERSCORE)))


def _as_is(word: str) -> str:
    return word


def _from_capitals(word: str) -> str:
    return word.capitalize() if word.isupper() and len(word) > 1 else word


def read_knowledge(
    triples: str | Path, names: str | Path | None = None, *, roles: int = 32
) -> KnowledgeBase:
    """Read a knowledge base.

    Args:
        triples: File with one ``head<TAB>relation<TAB>tail`` per line, UTF-8.
        names: File with one ``key<TAB>name`` per line (further columns are ignored), if the triples
            hold keys.
        roles: As in `KnowledgeBase`.

    Raises:
        InvalidArgumentError: An argument is not a path, or `roles` is not a number from 1.
        DataNotFoundError: There is no such file.
        DataFormatError: A line has too few columns or is not UTF-8, or the file is empty.
    """
    rows = [(row[0], row[1], row[2]) for row in _columns(check_path("triples", triples), 3)]
    name_of = None
    if names is not None:
        name_of = {row[0]: row[1] for row in _columns(check_path("names", names), 2)}
    return KnowledgeBase(rows, names=name_of, roles=roles)


def _columns(path: Path, least: int) -> list[list[str]]:
    """Cells of each row of a file of tab-separated columns, at least `least` of them."""
    text = decode(file_bytes(path))
    if text.problems:
        raise DataFormatError(path, text.problems[0].line, text.problems[0].message)
    rows = []
    for number, line in enumerate(text.lines, 1):
        if not line.strip():
            continue
        row = [cell.strip() for cell in line.split("\t")]
        if len(row) < least or not all(row[:least]):
            raise DataFormatError(
                path,
                number,
                f"{least} columns with a TAB between them are needed: {shown(line[:80])}",
            )
        rows.append(row)
    if not rows:
        raise DataFormatError(path, None, f"the file holds no row of {least} columns")
    return rows
