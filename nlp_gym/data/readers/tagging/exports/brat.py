"""Reader of brat's standoff format: a text file, and beside it a file of annotations."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from nlp_gym.data.readers.shared.base import Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.head import Head
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.offsets import (
    Mark,
    MarkedText,
    Span,
    covered,
    settle_offsets,
    shown_span,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import shown

_ENTITY = re.compile(r"(T\S+)\t(\S+) ([0-9 ;]+)\t(.*)", re.DOTALL)
_OTHER = re.compile(r"[TREAMN#*]\S*\t")
"""Relations, events, attributes, normalisations, notes and equivalences."""
_BLANK = re.compile(r"\s*")
_DIGITS = 15
"""Most digits of an offset."""


def is_brat(lines: list[str]) -> bool:
    """Whether lines look like brat's annotations, or are a text beside such."""
    if isinstance(lines, Head) and lines.ending == ".txt":
        return (lines.path.parent / companions(lines.name, lines.options)[0]).is_file()
    rows = lines[:50]
    entities = sum(_ENTITY.fullmatch(line) is not None for line in rows)
    others = sum(_OTHER.match(line) is not None for line in rows)
    return entities > 0 and others > 0.9 * len(rows)


def companions(name: str, options: Options) -> tuple[str, ...]:
    """Name of the other one of the two files."""
    stem, _, ending = name.rpartition(".")
    if ending.lower() == "ann":
        return (f"{stem}.txt",)
    return (f"{stem or name}.ann",)


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``DOC.ann`` with ``DOC.txt`` beside it; either of them may be the file given.

    Each line of the text is a sample, but lines that an entity joins are one. Of the annotations
    only the entities (``T1<TAB>PER 0 3<TAB>Ana``) are read. An entity of several parts between
    which there is more than white space is a bad row.
    """
    parsed = Parsed()
    (other,) = companions(name, options)
    beside = options.companions.get(other)
    is_annotation = name.lower().endswith(".ann")
    if beside is None and (is_annotation or options.gold):
        what = "the text of these annotations" if is_annotation else "the annotation of this text"
        parsed.problems.append(Problem(None, f"{what}, {other}, is not beside it"))
        return parsed
    text, annotation = (beside or [], lines) if is_annotation else (lines, beside or [])
    document = _Document("\n".join(text), parsed, "" if is_annotation else other)
    if options.gold:
        document.read(annotation)
    stem = name.rpartition(".")[0] or name
    return add_samples(document.texts(options), f"{stem}.txt", options, parsed)


@dataclass
class _Document:
    """A text with its entities.

    Attributes:
        text: The text.
        parsed: Gets the problems.
        beside: Name of the file of annotations, where it is not the one that messages name.
    """

    text: str
    parsed: Parsed
    beside: str
    marks: list[Mark] = field(default_factory=list)
    bad: list[Span] = field(default_factory=list)

    def read(self, lines: list[str]) -> None:
        """Read the entities."""
        others = 0
        for number, line in enumerate(lines, 1):
            if not line or line.isspace():
                continue
            found = _ENTITY.fullmatch(line)
            if found is None:
                if line[0] == "T" or _OTHER.match(line) is None:
                    self._add_problem(number, f"{shown(line)} is no annotation of brat")
                else:
                    others += 1
                continue
            try:
                start, end = self._span(found[1], found[3])
            except RowError as error:
                self._add_problem(number, str(error))
                continue
            self.marks.append(Mark(start, end, found[2], found[4], number))
        if others:
            message = f"{others} annotation(s) that are no entities (relations, ...) are not read"
            self.parsed.notes.append(Problem(None, message))

    def _add_problem(self, number: int, message: str) -> None:
        if self.beside:
            self.parsed.problems.append(Problem(None, f"{self.beside}:{number}: {message}"))
        else:
            self.parsed.problems.append(Problem(number, message))

    def _span(self, name: str, offsets: str) -> Span:
        """Start and end of an entity, whose parts have nothing but white space between them."""
        parts = [part.split() for part in offsets.split(";")]
        numbers = [number for part in parts for number in part]
        if any(len(part) != 2 for part in parts) or any(len(x) > _DIGITS for x in numbers):
            raise RowError(f"the offsets of {name} are {shown(offsets)}: give START END")
        spans = [(int(start), int(end)) for start, end in parts]
        for (_, end), (start, _) in pairwise(spans):
            if start < end or not _BLANK.fullmatch(self.text, end, start):
                raise RowError(
                    f"{name} has several parts ({shown(offsets)[1:-1]}) with words between them, "
                    "which tags of words cannot say"
                )
        return spans[0][0], spans[-1][1]

    def texts(self, options: Options) -> list[TaggedText]:
        """The lines of the text, those that an entity joins as one."""
        words = tuple((start, end) for _, start, end in split_words(self.text))
        starts = [0, *accumulate(len(line) + 1 for line in self.text.split("\n"))][:-1]
        tags = self._tags(words)
        joined = set[int]()  # lines that belong to the one before
        for mark in self.marks:
            if mark.fault is None:
                first, last = (bisect_right(starts, x) for x in (mark.start, mark.end - 1))
                joined.update(range(first + 1, last + 1))
        lines = [bisect_right(starts, start) for start, _ in words]
        bad = {bisect_right(starts, mark.start) for mark in self.marks if mark.fault is not None}
        found = list[TaggedText]()
        for i, (span, line) in enumerate(zip(words, lines, strict=True)):
            if i == 0 or not joined.issuperset(range(lines[i - 1] + 1, line + 1)):
                found.append(TaggedText([], [], []))
            found[-1].words.append(self.text[slice(*span)])
            found[-1].lines.append(line)
            found[-1].bad |= line in bad
            if options.gold:
                found[-1].labels.append(tags[i])
        return self._with_texts(found, words)

    def _with_texts(self, texts: list[TaggedText], words: tuple[Span, ...]) -> list[TaggedText]:
        """Give each text its characters and its words' places in them."""
        at = 0
        for text in texts:
            spans = words[at : at + len(text.words)]
            at += len(text.words)
            first = spans[0][0]
            text.extra["text"] = self.text[first : spans[-1][1]]
            text.extra["spans"] = tuple((start - first, end - first) for start, end in spans)
        return texts

    def _tags(self, words: tuple[Span, ...]) -> list[str]:
        settle_offsets([MarkedText(self.text, self.marks, 1, words)], self.parsed)
        tags, taken = ["O"] * len(words), bytearray(len(words))
        for mark in self.marks:
            if mark.fault is None:
                first, stop = covered(words, (mark.start, mark.end))
                if taken.find(1, first, stop) < 0:
                    taken[first:stop] = b"\1" * (stop - first)
                    rest = [f"I-{mark.label}"] * (stop - first - 1)
                    tags[first:stop] = [f"B-{mark.label}", *rest]
                    continue
                found = shown_span(self.text, (mark.start, mark.end))
                mark.fault = f"{found} overlaps another entity, which tags of words cannot say"
            assert mark.line is not None
            self._add_problem(mark.line, mark.fault)
        return tags
