"""Answers as text: SQuAD's exact match and F1, and the same F1 for many spans at once."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval
from nlp_gym.types import Float64Array, Int64Array

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

Spans = Sequence[tuple[int, int]]


def normalise(text: str) -> str:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English article, single spaces.

    As in the official script (Rajpurkar et al. 2016, evaluate-v1.1 and v2.0).
    """
    plain = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(predicted: str, golds: Sequence[str]) -> bool:
    """Whether the normal form of an answer is that of one of the golds."""
    form = normalise(predicted)
    return any(form == normalise(gold) for gold in golds)


def answer_f1(predicted: str, golds: Sequence[str]) -> float:
    """Best F1 of the words in normal form, as multisets, over the golds.

    Where one side has no word left it is 1 if neither has one, else 0 (evaluate-v2.0; v1.1 gives
    0 even for an answer such as "The" that is right).
    """
    return max(_f1(normalise(predicted).split(), normalise(gold).split()) for gold in golds)


def _f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    if not predicted or not gold:
        return float(not predicted and not gold)
    same = sum((Counter(predicted) & Counter(gold)).values())
    return 2 * same / (len(predicted) + len(gold))


def squad_score(
    golds: Sequence[Sequence[str]],
    predicted: Sequence[str],
    *,
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Mean F1 (the value) and exact match over questions, each the best over its golds.

    Args:
        golds: Right answers of each question, at least one.
        predicted: One answer a question.
        bootstrap: Resamples of the interval over questions; 0: no interval.
        report: Make the text for people.
    """
    counts: npt.NDArray[Any] = np.array(
        [(answer_f1(p, g), exact_match(p, g), 1) for p, g in zip(predicted, golds, strict=True)],
        np.float64,
    ).reshape(-1, 3)
    f1, exact, _ = (counts.sum(0) / max(len(counts), 1)).tolist()
    signature, interval = "metric:squad_f1|normalisation:squad|golds:max|average:question", None
    if bootstrap and len(counts):
        interval = bootstrap_interval(counts, _mean_f1, draws=bootstrap)
        signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
    values = {"squad_f1": f1, "exact_match": exact}
    lines = [f"{name:>12} {value:.4f}" for name, value in values.items()]
    text = "\n".join([*lines, f"{'questions':>12} {len(counts)}", ""]) if report else ""
    return Score("squad_f1", f1, interval, len(counts), signature, values, text)


def _mean_f1(sums: Float64Array) -> Float64Array:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 2], 1), np.float64)


@dataclass(frozen=True)
class _Golds:
    """Words of the golds: (N, G) their number (-1: no such gold), and ragged entries.

    Entry e says that gold `gold[e]` of its row has word `word[e]` `count[e]` times; the entries of
    row r are from `starts[r]` to `starts[r + 1]`.
    """

    sizes: Int64Array
    starts: Int64Array
    gold: Int64Array
    word: Int64Array
    count: Int64Array


class SpanF1:
    """`answer_f1` of any span of words of any passage, for many spans at once.

    Punctuation and clitics are words of a passage but no words of the metric, which sees what
    white space separates. So the words of a passage are grouped into *chunks* without white space
    between them; a table has the words of the metric in every stretch of a chunk, and a span is its
    part of the first chunk, the chunks in between and its part of the last.

    Args:
        passages: (raw text, (start, end) of each word) of each distinct passage.
        passage: (N,) passage of each row.
        golds: Right answers of each row.
        longest: Most words in a span.
    """

    def __init__(
        self,
        passages: Sequence[tuple[str, Spans]],
        passage: npt.NDArray[np.int64],
        golds: Sequence[Sequence[str]],
        longest: int,
    ) -> None:
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
        self._golds = self._gold_table(golds)

    def _add(
        self,
        text: str,
        spans: Spans,
        chunk: list[int],
        base: list[int],
        stretches: list[tuple[int, ...]],
    ) -> None:
        """Append the words of a passage to the tables."""
        gaps = [text[a[1] : b[0]] for a, b in pairwise(spans)]
        glued = [not gap or bool(gap.strip()) for gap in gaps] + [False]
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

    def _bag(self, text: str) -> tuple[int, ...]:
        """Numbers of the metric's words in a stretch of text."""
        bag = self._bags.get(text)
        if bag is None:
            number = self._numbers.setdefault
            bag = tuple(number(word, len(self._numbers)) for word in normalise(text).split())
            self._bags[text] = bag
        return bag

    def _gold_table(self, golds: Sequence[Sequence[str]]) -> _Golds:
        entries: list[tuple[int, int, int]] = []
        starts = [0]
        sizes = np.full((len(golds), max(map(len, golds))), -1, np.int64)
        for row, answers in enumerate(golds):
            for i, answer in enumerate(answers):
                bag = self._bag(answer)
                sizes[row, i] = len(bag)
                entries += [(i, word, count) for word, count in Counter(bag).items()]
            starts.append(len(entries))
        gold, word, count = np.array(entries, np.int64).reshape(-1, 3).T
        return _Golds(sizes, np.array(starts, np.int64), gold, word, count)

    def __call__(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Float64Array:
        """(B,) F1 of the spans from word `first` to word `last` (inclusive) of rows `row`."""
        words = self._span_words(row, first, last)  # (B, L), -1 where there is none
        golds, b = self._golds, len(row)
        begin = golds.starts.take(row)
        number = golds.starts.take(row + 1) - begin
        owner = np.repeat(np.arange(b), number)
        entry = np.arange(len(owner)) + np.repeat(begin - np.cumsum(number) + number, number)
        found = (words.take(owner, axis=0) == golds.word.take(entry)[:, None]).sum(1)
        sizes = golds.sizes.take(row, axis=0)  # (B, G)
        cell = owner * sizes.shape[1] + golds.gold.take(entry)
        same = np.bincount(cell, np.minimum(found, golds.count.take(entry)), sizes.size)
        total = (words >= 0).sum(1)[:, None] + sizes
        f1 = (2 * same.reshape(sizes.shape) + (total == 0)) / np.maximum(total, 1)
        return np.asarray(np.where(sizes < 0, 0.0, f1).max(1), np.float64)

    def _span_words(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Int64Array:
        begin = self._offsets.take(self._passage.take(row))
        first, last = (begin + first)[:, None], (begin + last)[:, None]
        place = first + np.arange(int((last - first).max(initial=0)) + 1)
        inside = place <= last
        place = np.minimum(place, last)
        # A chunk is counted at its last word, or at the span's.
        counted = inside & (self._ends.take(place) | (place == last))
        start = np.maximum(self._chunk.take(place), first)
        words = self._words.take(self._base.take(start) + place - start, axis=0, mode="clip")
        return np.where(counted[..., None], words, -1).reshape(len(row), -1)
