"""Several labels in one string: a list, or labels between a mark, which is one for a whole file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nlp_gym.data.readers.classification.labelled_text import label_text
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, checked_list, load_json
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.errors import shown

MARKS = (";", "|", ",")
"""What may separate labels; the first that a file has does."""
_OTHER_MARKS = ("#", "/", "+", "&", "~", "\\", ":", " ")
"""What separates labels in some files, and is part of a label in others."""
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_PLAIN = r"[^\s'\",;|\[\](){}]+(?:[ \t]+[^\s'\",;|\[\](){}]+)*"
_NUMBERS = re.compile(r"[+-]?[0-9]+(?:\s+[+-]?[0-9]+)+")
_DIGITS = 20
_FLOATS = re.compile(r"[-+0-9.eE\s]+")
_ITEM = re.compile(rf"\s*(?:np\.\w+\(\s*({_QUOTED})\s*\)|({_QUOTED})|({_PLAIN}))\s*(,?)")
_LIST = re.compile(r"\[\s*['\"\]]|\(\s*['\")]|\{\s*['\"]|set\(\)$")
"""Beginning of what only a list can be."""
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_MISSING = frozenset(("None", "nan", "NaN", "null", "True", "False"))


def is_list(cell: str) -> bool:
    """Whether a cell is surely a list of strings, as JSON or Python write one."""
    return _LIST.match(cell.strip()) is not None


def list_items(cell: str) -> list[Any]:
    """Items of a list, a tuple or a set, as JSON, Python and numpy write them.

    Raises:
        RowError: It is none, or holds more than text and whole numbers.
    """
    cell = cell.strip()
    if cell == "set()":
        return []
    if len(cell) < 2 or _BRACKETS.get(cell[0]) != cell[-1]:
        raise RowError(f"{shown(cell)} is no list, as other cells of this column are")
    try:
        return checked_list(load_json(cell), "the list of labels")
    except RowError:
        pass
    items, at, inner = list[Any](), 0, cell[1:-1].strip()
    if _NUMBERS.fullmatch(inner):  # numpy writes no commas
        numbers = inner.split()
        if max(map(len, numbers)) > _DIGITS:
            raise RowError(f"{shown(cell)} holds a number of more than {_DIGITS} digits")
        return [int(number) for number in numbers]
    if "." in inner and _FLOATS.fullmatch(inner):
        raise RowError(f"{shown(cell)} holds numbers with a point, which are no labels")
    ended = True  # numpy writes no comma between texts in quotes, nobody leaves it out elsewhere
    while at < len(inner):
        found = _ITEM.match(inner, at)
        if found is None or not found[0]:
            raise RowError(f"{shown(cell)} is no list of labels: give text in quotes")
        wrapped, quoted, plain, comma = found.groups()
        at = found.end()
        if plain is not None and (plain in _MISSING or not (ended and (comma or at == len(inner)))):
            raise RowError(f"{shown(cell)} is no list of labels: {shown(plain)} is none")
        ended = bool(comma)
        items.append(_unescaped((wrapped or quoted)[1:-1]) if plain is None else plain)
    return items


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def char(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)

    return _ESCAPE.sub(char, text)


@dataclass
class LabelColumn:
    """The label column of a file with several labels per text.

    What separates the labels of a string is chosen once for the whole file, so strings are split
    when all of them are known: until `finish` a string stands as the only label of its sample.

    Args:
        key: Name of the column or key, for messages.
        separator: What separates labels; None: one of `MARKS`, or the strings are lists.
    """

    key: str
    separator: str | None = None
    _cells: dict[str, tuple[int, str]] = field(default_factory=dict)
    _vectors: list[tuple[int, Sequence[Any]]] = field(default_factory=list)

    def labels(self, value: Any, number: int, where: str) -> tuple[str, ...]:
        """The labels of a sample, from a list or a string.

        Args:
            value: The list or string.
            number: Its line.
            where: Id of the sample.

        Raises:
            RowError: The value is neither, or an item of the list is no label.
        """
        if not isinstance(value, str):
            self._vectors.append((number, checked_list(value, self.key)))
            return label_set(value, self.key)
        self._cells[where] = number, value
        return ()

    def finish(self, parsed: Parsed) -> Parsed:
        """Split the strings in the labels of the samples of `parsed`, which is returned."""
        cells = [cell for _, cell in self._cells.values() if cell.strip()]
        lists = self.separator is None and _are_lists(cells)
        mark = self.separator
        if mark is None and not lists:
            mark = next((m for m in MARKS if any(m in cell for cell in cells)), None)
        split: dict[str, tuple[str, ...]] = {}  # most cells occur often
        samples = []
        for sample in parsed.samples:
            number, cell = self._cells.get(sample.id, (0, None))
            if cell is None:
                samples.append(sample)
                continue
            try:
                if lists:
                    split[cell] = self._listed(cell, number)
                elif cell not in split:
                    split[cell] = self._separated(cell, mark)
                samples.append(replace(sample, labels=split[cell]))
            except RowError as error:
                parsed.problems.append(Problem(number, str(error)))
        parsed.samples = samples
        if not lists and self.separator is None:
            self._warn(cells, mark, split, parsed)
        if (first := _first_indicator(self._vectors)) is not None:
            message = (
                "the lists of labels are as long as each other and hold 0 and 1 only: they say of "
                "each label whether the text has it. Give the names of the labels instead"
            )
            parsed.problems.append(Problem(first, message))
            parsed.samples = []
        return parsed

    def _listed(self, cell: str, number: int) -> tuple[str, ...]:
        if not cell.strip():
            return ()
        items = list_items(cell)
        self._vectors.append((number, items))
        return label_set(items, self.key)

    def _separated(self, cell: str, mark: str | None) -> tuple[str, ...]:
        parts = [cell] if mark is None else cell.split(mark)
        labels = label_set([part for part in parts if trim(part)], self.key)
        for label in labels:
            if any(label.count(opening) != label.count(end) for opening, end in ("[]", "{}")):
                raise RowError(
                    f"{shown(cell)} gives the label {shown(label)}, whose brackets do not match: "
                    "is it a list? Lists are read where all cells of the column are lists"
                )
        return labels

    def _warn(
        self,
        cells: Sequence[str],
        mark: str | None,
        split: Mapping[str, tuple[str, ...]],
        parsed: Parsed,
    ) -> None:
        lines = {cell: line for line, cell in reversed(self._cells.values())}
        for other in MARKS:
            if mark is not None and other != mark:
                mixed = next((c for c in cells if any(other in x for x in split.get(c, ()))), None)
                if mixed is not None:
                    label = next(x for x in split[mixed] if other in x)
                    message = (
                        f"{mark!r} separates the labels of this file, so {shown(label)} is one "
                        f"label with {other!r} in it: label_separator= says otherwise"
                    )
                    parsed.warnings.append(Problem(lines[mixed], message))
                    return
        if mark is None and (found := joined_labels(Counter(map(trim, cells)))) is not None:
            label, other = found
            message = (
                f"{shown(label)} is read as one label; if {other!r} separates several, give "
                f"label_separator={other!r}"
            )
            line = next(line for cell, line in lines.items() if trim(cell) == label)
            parsed.warnings.append(Problem(line, message))


def label_set(value: Any, key: str) -> tuple[str, ...]:
    """The sorted labels of a list, each once.

    Raises:
        RowError: The value is no list, or an item is no label.
    """
    return tuple(sorted({label_text(label, key) for label in checked_list(value, key)}))


def joined_labels(
    counts: Mapping[str, int], marks: Iterable[str] = _OTHER_MARKS, *, strict: bool = False
) -> tuple[str, str] | None:
    """(label, mark) of a label that may be several labels, joined by the mark; None: there is none.

    Args:
        counts: How often each label occurs.
        marks: Marks to look for.
        strict: Whether each part must be a label of its own elsewhere; False: one part, or most
            labels have the mark.
    """
    for mark in marks:
        parts_of = {
            label: parts
            for label in counts
            if mark in label
            and len(parts := [trim(p) for p in label.split(mark)]) > 1
            and all(parts)
        }
        if not parts_of:
            continue
        inside = Counter(part for parts in parts_of.values() for part in set(parts))
        for label, parts in parts_of.items():
            if all(part in counts for part in parts):
                return label, mark
            again = any(part in counts or inside[part] > 1 for part in parts)
            if not strict and mark != " " and again:
                return label, mark
        if not strict and mark == "#" and 3 * len(parts_of) > len(counts):
            return next(iter(parts_of)), mark
    return None


def _are_lists(cells: Sequence[str]) -> bool:
    """Whether the cells that are not blank are lists."""
    if any(map(is_list, cells)):
        return True
    stripped = [cell.strip() for cell in cells]
    return bool(cells) and all(
        len(cell) > 1 and _BRACKETS.get(cell[0]) == cell[-1] and cell[0] == "[" for cell in stripped
    )


def _first_indicator(lists: Sequence[tuple[int, Sequence[Any]]]) -> int | None:
    """Line of the first list, if all are vectors of 0 and 1, one number per label."""
    vectors = [(number, items) for number, items in lists if items]
    if not vectors or len(vectors) < len(lists):
        return None
    size = len(vectors[0][1])
    fitting = all(len(items) == size and set(map(str, items)) <= {"0", "1"} for _, items in vectors)
    repeated = any(len(set(map(str, items))) < len(items) for _, items in vectors)
    return vectors[0][0] if fitting and size > 1 and repeated else None
