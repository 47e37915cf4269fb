"""SQuAD's F1 of many spans of passages at once, from tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.answers.squad import ANSWER_TOKENIZERS, has_unspaced_script
from nlp_gym.types import Float64Array, Int64Array

Spans = Sequence[tuple[int, int]]


class SpanF1:
    """`answer_f1` of any span of words of any passage, for many spans at once.

    The words of a passage are not the tokens that F1 counts: punctuation and clitics are words,
    while tokens are separated by white space (or, with `characters`, are single characters). So the
    words are grouped into *chunks* such that no token crosses the border of a chunk. A table holds
    the tokens of every run of words within a chunk. A span then consists of the run of its words in
    its first chunk, of whole chunks, and of the run of its words in its last chunk.

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
        width = max(map(len, runs))
        self._run_tokens = np.array([bag + (-1,) * (width - len(bag)) for bag in runs], np.int32)
        self._first_run = np.append(self._base, len(runs))[self._offsets]  # of each passage
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
        """Number the tokens of each row's golds from 1, and find them in the row's passage."""
        bags = [[self._bag(answer) for answer in answers] for answers in golds]
        known = [sorted({token for bag in row for token in bag}) for row in bags]
        shape = (len(golds), max(map(len, golds)), max(map(len, known)) + 1)
        self._gold_counts = np.zeros(shape, np.int32)  # how often a gold has each token
        self._gold_sizes = np.full(shape[:2], -1, np.int64)  # tokens of a gold; -1: no such gold
        numbers: list[npt.NDArray[np.int16]] = []
        for row, tokens in enumerate(known):
            number = {token: i for i, token in enumerate(tokens, 1)}
            for i, bag in enumerate(bags[row]):
                self._gold_sizes[row, i] = len(bag)
                for token in bag:
                    self._gold_counts[row, i, number[token]] += 1
            passage = self._passage[row]
            part = self._run_tokens[self._first_run[passage] : self._first_run[passage + 1]]
            place = np.searchsorted(np.array([*tokens, np.inf]), part)
            same = np.array([*tokens, -2])[place] == part
            numbers.append(np.where(same, place + 1, 0).astype(np.int16))
        # (runs of each row's passage, width) numbers of the tokens among the row's; 0: not in gold.
        self._numbers = np.concatenate(numbers)
        starts = np.append(0, np.cumsum([len(part) for part in numbers]))[:-1]
        self._shift = starts - self._first_run[self._passage]

    def __call__(self, row: Int64Array, first: Int64Array, last: Int64Array) -> Float64Array:
        """(B,) F1 of the spans from word `first` to word `last` (inclusive) of rows `row`."""
        begin = self._offsets.take(self._passage.take(row))
        first, last = begin + first, begin + last
        sizes = last - first + 1
        ends = np.cumsum(sizes)
        span = np.repeat(np.arange(len(row)), sizes)  # of each word of each span
        word = np.arange(len(span)) + np.repeat(last + 1 - ends, sizes)
        # A chunk is counted at its last word, or at the span's.
        counted = self._ends_chunk.take(word)
        counted[ends - 1] = True
        span, word = span[counted], word[counted]
        start = np.maximum(self._chunk.take(word), first.take(span))
        run = self._base.take(start) + word - start
        n_tokens = (self._run_tokens.take(run, axis=0) >= 0).sum(1)
        numbers = self._numbers.take(run + self._shift.take(row).take(span), axis=0)
        gold_counts = self._gold_counts.take(row, axis=0)
        gold_sizes = self._gold_sizes.take(row, axis=0)
        b, _, k = gold_counts.shape
        found = np.bincount((span[:, None] * k + numbers).ravel(), minlength=b * k)
        # (B, G); tokens of number 0 are in no gold
        same = np.minimum(found.reshape(b, 1, k), gold_counts).sum(2)
        total = np.bincount(span, n_tokens, b)[:, None] + gold_sizes
        f1 = (2 * same + (total == 0)) / np.maximum(total, 1)
        return np.asarray(np.where(gold_sizes < 0, 0.0, f1).max(1), np.float64)
