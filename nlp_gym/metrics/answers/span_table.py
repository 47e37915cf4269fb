"""SQuAD's F1 of many spans of passages at once, from tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.answers.squad import ANSWER_TOKENIZERS, has_unspaced_script
from nlp_gym.metrics.base import spread
from nlp_gym.types import Float64Array, Int64Array

Spans = Sequence[tuple[int, int]]

_ROWS = 32
"""Rows per passage up to which the slots of the passage's tokens are kept for each row."""


class SpanF1:
    """`answer_f1` of any span of words of any passage, for many spans at once.

    The words of a passage are not the tokens that F1 counts: punctuation and clitics are words,
    while tokens are separated by white space (or, with `characters`, are single characters). So the
    words are grouped into *chunks* such that no token crosses the border of a chunk. The tokens of
    every run of words within a chunk are kept. A span then consists of the run of its words in its
    first chunk, of whole chunks, and of the run of its words in its last chunk.

    The distinct tokens of a row's golds have *slots* of their own, in which those of a span are
    counted. Nothing is as wide as the longest run or the row with most golds.

    Args:
        passages: (raw text, (start, end) of each word) of each distinct passage.
        passage: (N,) passage of each row.
        golds: Right answers of each row.
        longest: Most words in a span.
        tokens: How tokens are cut, a name in `ANSWER_TOKENIZERS`.
    """

    def __init__(
        self,
        passages: Sequence[tuple[str, Spans]],
        passage: npt.NDArray[np.int64],
        golds: Sequence[Sequence[str]],
        longest: int,
        tokens: str = "words",
    ) -> None:
        self._tokenize, self._by_character = ANSWER_TOKENIZERS[tokens], tokens == "characters"
        self._token_ids: dict[str, int] = {}
        self._bags: dict[str, tuple[int, ...]] = {}
        self._passage, self._longest = passage, longest
        chunk: list[int] = []  # first word of each word's chunk
        base: list[int] = []  # index in `runs` of the first run that begins with each word
        runs: list[tuple[int, ...]] = []
        offsets = [0]
        for text, spans in passages:
            self._add_passage(text, spans, chunk, base, runs)
            offsets.append(len(chunk))
        self._offsets, self._chunk = np.array(offsets, np.int64), np.array(chunk, np.int64)
        self._base = np.array(base, np.int64)
        self._ends_chunk = np.append(self._chunk[1:] != self._chunk[:-1], True)
        self._run_tokens = np.array([token for bag in runs for token in bag], np.int64)
        self._runs = _offsets(list(map(len, runs)))
        self._count_golds(golds)

    def _add_passage(
        self,
        text: str,
        spans: Spans,
        chunk: list[int],
        base: list[int],
        runs: list[tuple[int, ...]],
    ) -> None:
        """Append the words of a passage to the tables."""
        joined = [self._may_share_token(text, a[1], b[0]) for a, b in pairwise(spans)] + [False]
        stop = len(spans)
        stops = [0] * stop  # one past the last word of each word's chunk
        for i in reversed(range(len(spans))):
            stop = stop if joined[i] else i + 1
            stops[i] = stop
        for i, (start, _) in enumerate(spans):
            chunk.append(chunk[-1] if i and joined[i - 1] else len(chunk))
            base.append(len(runs))
            for last in range(i, min(stops[i], i + self._longest)):
                runs.append(self._bag(text[start : spans[last][1]]))

    def _may_share_token(self, text: str, end: int, start: int) -> bool:
        """Whether a word that ends at `end` and the next, from `start`, may share a token."""
        if start > end:
            return bool(text[end:start].strip())
        return not (self._by_character and has_unspaced_script(text[end - 1] + text[start]))

    def _bag(self, text: str) -> tuple[int, ...]:
        """Ids of the tokens of a run of words."""
        bag = self._bags.get(text)
        if bag is None:
            number = self._token_ids.setdefault
            bag = tuple(number(token, len(self._token_ids)) for token in self._tokenize(text))
            self._bags[text] = bag
        return bag

    def _count_golds(self, golds: Sequence[Sequence[str]]) -> None:
        """Give the tokens of each row's golds slots, and count in them those of each gold."""
        bags = [Counter(self._bag(answer)) for answers in golds for answer in answers]
        self._golds = _offsets(list(map(len, golds)))
        owner = np.repeat(np.arange(len(golds)), np.diff(self._golds))
        sizes = np.array(list(map(len, bags)), np.int64)
        tokens = np.array([token for bag in bags for token in bag], np.int64)
        keys = self._keys(np.repeat(owner, sizes), tokens)
        self._slot_keys, self._entry_slots = np.unique(keys, return_inverse=True)
        self._entry_counts = np.array([n for bag in bags for n in bag.values()], np.int64)
        self._entries = _offsets(sizes.tolist())
        self._gold_sizes = np.array([sum(bag.values()) for bag in bags], np.int64)
        self._slots: Int64Array = np.searchsorted(
            self._slot_keys, self._keys(np.arange(len(golds) + 1), np.zeros(1, np.int64))
        )
        # A last key, above all others, for what bisection finds behind them.
        self._slot_keys = np.append(self._slot_keys, np.iinfo(np.int64).max)
        self._keep_slots(len(golds))

    def _keep_slots(self, n: int) -> None:
        """Keep the slot of each token of each row's passage, where these are not too many."""
        self._kept = None
        ends = self._runs.take(np.append(self._base, len(self._runs) - 1).take(self._offsets))
        first, stop = ends.take(self._passage), ends.take(self._passage + 1)
        stops = np.cumsum(stop - first)
        if n and stops[-1] <= _ROWS * len(self._run_tokens):
            row, at = spread(first, stop)
            self._kept = self._find_slots(row, at).astype(np.int32)
            self._shift = stops - stop  # from a token to its place in `_kept`

    def _slots_of(self, rows: Int64Array, at: Int64Array) -> Int64Array:
        """(E,) slot of each token, numbers of which are `at` (E,), in a row; -1: in no gold."""
        if self._kept is None:
            return self._find_slots(rows, at)
        return np.asarray(self._kept.take(at + self._shift.take(rows)), np.int64)

    def _find_slots(self, rows: Int64Array, at: Int64Array) -> Int64Array:
        keys = self._keys(rows, self._run_tokens.take(at))
        slots = np.searchsorted(self._slot_keys, keys)
        return np.where(self._slot_keys.take(slots) == keys, slots, -1)

    def _keys(self, rows: Int64Array, tokens: Int64Array) -> Int64Array:
        """Numbers of tokens of rows, ascending with the row."""
        return rows * len(self._token_ids) + tokens

    def __call__(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Float64Array:
        """(B,) F1 of the spans from word `first` to word `last` (inclusive) of rows `row`."""
        span, run = self._runs_of(row, first, last)
        which, at = spread(self._runs.take(run), self._runs.take(run + 1))
        span = span.take(which)
        n_tokens = np.bincount(span, minlength=len(row))
        # Slots of the B rows, one row after the other; before them place 0 for other tokens.
        upto = self._slots.take(row + 1)
        stops = np.cumsum(upto - self._slots.take(row))
        shift = stops - upto + 1
        slot = self._slots_of(row.take(span), at)
        place = np.where(slot < 0, 0, slot + shift.take(span))
        found = np.bincount(place, minlength=int(stops[-1]) + 1)
        begin, end = self._golds.take(row), self._golds.take(row + 1)
        owner, gold = spread(begin, end)
        which, at = spread(self._entries.take(gold), self._entries.take(gold + 1))
        place = self._entry_slots.take(at) + shift.take(owner).take(which)
        shared = np.minimum(found.take(place), self._entry_counts.take(at))
        same = np.bincount(which, shared, len(gold))
        total = n_tokens.take(owner) + self._gold_sizes.take(gold)
        f1 = (2 * same + (total == 0)) / np.maximum(total, 1)
        return np.asarray(np.maximum.reduceat(f1, np.cumsum(end - begin) - (end - begin)))

    def _runs_of(
        self, row: Int64Array, first: Int64Array, last: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """The runs that B spans consist of, and which of these each is of."""
        begin = self._offsets.take(self._passage.take(row))
        first, last = begin + first, begin + last
        span, word = spread(first, last + 1)
        # A chunk is counted at its last word, or at the span's.
        counted = self._ends_chunk.take(word)
        counted[np.cumsum(last - first + 1) - 1] = True
        span, word = span[counted], word[counted]
        start = np.maximum(self._chunk.take(word), first.take(span))
        return span, self._base.take(start) + word - start


def _offsets(sizes: Sequence[int]) -> Int64Array:
    """(n+1,) where each of n parts begins that follow one another; the last is their end."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(sizes, np.int64))])
