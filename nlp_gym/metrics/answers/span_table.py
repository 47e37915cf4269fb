"""The F1 of answers for many spans of passages at once, from tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.answers.squad import FORMS, is_unspaced
from nlp_gym.types import Float64Array, Int64Array

Spans = Sequence[tuple[int, int]]


class SpanF1:
    """`answer_f1` of any span of words of any passage, for many spans at once.

    Punctuation and clitics are words of a passage but no words of the metric, which sees what
    white space separates (or, with `characters`, what stands by itself). So the words of a passage
    are grouped into *chunks* without such a border between them; a table has the words of the
    metric in every stretch of a chunk, and a span is its part of the first chunk, the chunks in
    between and its part of the last.

    Args:
        passages: (raw text, (start, end) of each word) of each distinct passage.
        passage: (N,) passage of each row.
        golds: Right answers of each row.
        longest: Most words in a span.
        f1: The metric's words, a name in `FORMS`.
    """

    def __init__(
        self,
        passages: Sequence[tuple[str, Spans]],
        passage: npt.NDArray[np.int64],
        golds: Sequence[Sequence[str]],
        longest: int,
        f1: str = "words",
    ) -> None:
        self._words_of, self._by_character = FORMS[f1], f1 == "characters"
        self._numbers: dict[str, int] = {}
        self._bags: dict[str, tuple[int, ...]] = {}
        self._passage, self._longest = passage, longest
        chunk: list[int] = []  # first word of each word's chunk
        base: list[int] = []  # where the stretches that begin with each word are in `stretches`
        stretches: list[tuple[int, ...]] = []
        offsets = [0]
        for text, spans in passages:
            self._add(text, spans, chunk, base, stretches)
            offsets.append(len(chunk))
        self._offsets, self._chunk = np.array(offsets, np.int64), np.array(chunk, np.int64)
        self._base = np.array(base, np.int64)
        self._ends = np.append(self._chunk[1:] != self._chunk[:-1], True)  # of its chunk
        width = max(map(len, stretches))
        self._words = np.array([bag + (-1,) * (width - len(bag)) for bag in stretches], np.int32)
        self._stretch = np.append(self._base, len(stretches))[self._offsets]
        self._count_golds(golds)

    def _add(
        self,
        text: str,
        spans: Spans,
        chunk: list[int],
        base: list[int],
        stretches: list[tuple[int, ...]],
    ) -> None:
        """Append the words of a passage to the tables."""
        glued = [self._is_glued(text, a[1], b[0]) for a, b in pairwise(spans)] + [False]
        stop = len(spans)
        stops = [0] * stop  # one past the last word of each word's chunk
        for i in reversed(range(len(spans))):
            stop = stop if glued[i] else i + 1
            stops[i] = stop
        for i, (start, _) in enumerate(spans):
            chunk.append(chunk[-1] if i and glued[i - 1] else len(chunk))
            base.append(len(stretches))
            for last in range(i, min(stops[i], i + self._longest)):
                stretches.append(self._bag(text[start : spans[last][1]]))

    def _is_glued(self, text: str, stop: int, start: int) -> bool:
        """Whether words that end and begin there may share a word of the metric."""
        if start > stop:
            return bool(text[stop:start].strip())
        return not (self._by_character and is_unspaced(text[stop - 1] + text[start]))

    def _bag(self, text: str) -> tuple[int, ...]:
        """Numbers of the metric's words in a stretch of text."""
        bag = self._bags.get(text)
        if bag is None:
            number = self._numbers.setdefault
            bag = tuple(number(word, len(self._numbers)) for word in self._words_of(text))
            self._bags[text] = bag
        return bag

    def _count_golds(self, golds: Sequence[Sequence[str]]) -> None:
        """Number the words of each row's golds from 1, and find them in its passage."""
        bags = [[self._bag(answer) for answer in answers] for answers in golds]
        known = [sorted({word for bag in row for word in bag}) for row in bags]
        shape = (len(golds), max(map(len, golds)), max(map(len, known)) + 1)
        self._wanted = np.zeros(shape, np.int32)  # how often a gold has each word
        self._sizes = np.full(shape[:2], -1, np.int64)  # words of a gold; -1: no such gold
        marks: list[npt.NDArray[np.int16]] = []
        for row, words in enumerate(known):
            number = {word: i for i, word in enumerate(words, 1)}
            for i, bag in enumerate(bags[row]):
                self._sizes[row, i] = len(bag)
                for word in bag:
                    self._wanted[row, i, number[word]] += 1
            passage = self._passage[row]
            part = self._words[self._stretch[passage] : self._stretch[passage + 1]]
            place = np.searchsorted(np.array([*words, np.inf]), part)
            same = np.array([*words, -2])[place] == part
            marks.append(np.where(same, place + 1, 0).astype(np.int16))
        # Where the marks of each row begin, less where its passage's stretches do.
        starts = np.append(0, np.cumsum([len(part) for part in marks]))[:-1]
        self._marks = np.concatenate(marks)
        self._shift = starts - self._stretch[self._passage]

    def __call__(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Float64Array:
        """(B,) F1 of the spans from word `first` to word `last` (inclusive) of rows `row`."""
        begin = self._offsets.take(self._passage.take(row))
        first, last = begin + first, begin + last
        sizes = last - first + 1
        ends = np.cumsum(sizes)
        owner = np.repeat(np.arange(len(row)), sizes)  # of each word of each span
        place = np.arange(len(owner)) + np.repeat(last + 1 - ends, sizes)
        # A chunk is counted at its last word, or at the span's.
        counted = self._ends.take(place)
        counted[ends - 1] = True
        owner, place = owner[counted], place[counted]
        start = np.maximum(self._chunk.take(place), first.take(owner))
        stretch = self._base.take(start) + place - start
        said = (self._words.take(stretch, axis=0) >= 0).sum(1)
        marks = self._marks.take(stretch + self._shift.take(row).take(owner), axis=0)
        wanted, golds = self._wanted.take(row, axis=0), self._sizes.take(row, axis=0)
        b, _, k = wanted.shape
        found = np.bincount((owner[:, None] * k + marks).ravel(), minlength=b * k).reshape(b, 1, k)
        same = np.minimum(found, wanted).sum(2)  # (B, G); number 0, other words, is wanted 0 times
        total = np.bincount(owner, said, b)[:, None] + golds
        f1 = (2 * same + (total == 0)) / np.maximum(total, 1)
        return np.asarray(np.where(golds < 0, 0.0, f1).max(1), np.float64)
