"""Texts that grow token by token, cut where nothing that follows can change what was read."""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.text.scoring_tokens import ScoringWords
from nlp_gym.types import Int64Array

Int32Array = npt.NDArray[np.int32]


class Rows:
    """An array (n, width) of int32 that grows at its end.

    Attributes:
        all: The rows, and room for more.
        n: Number of rows.
    """

    def __init__(self, width: int) -> None:
        self.all = np.zeros((1024, width), np.int32)
        self.n = 0

    def add(self, rows: Sequence[Sequence[int]]) -> int:
        """Append rows; return the number of the first."""
        start, self.n = self.n, self.n + len(rows)
        if self.n > len(self.all):
            more = np.zeros((max(len(self.all), len(rows)), self.all.shape[1]), np.int32)
            self.all = np.concatenate([self.all, more])
        if rows:
            self.all[start : self.n] = rows
        return start


@dataclass(frozen=True, slots=True)
class Change:
    """What pieces do to the words of M texts: the last `drop` go, the words `add` come.

    Attributes:
        drop: (M,) how many words.
        start: (M,) first new word in `pool`.
        count: (M,) how many new words.
        pool: Word ids.
    """

    drop: Int32Array
    start: Int32Array
    count: Int32Array
    pool: Int32Array


FULL_STEPS = 1 << 18
FULL_MEMO = 1 << 20
FULL_BYTES = 1 << 24

_BLANK = 0
_DECODER = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class _Chunk:
    """An open chunk.

    Attributes:
        first: The text begins here. Kept True for tokenizers to which that matters alone.
        text: What can be decoded; no white space in front.
        rest: The beginning of a character, or nothing.
        words: Ids of the words if the text ends here.
        plain: The words stay the same if white space follows.
        run: A run of letters and no more.
    """

    first: bool
    text: str
    rest: bytes
    words: tuple[int, ...]
    plain: bool
    run: bool


def _text(piece: bytes) -> str:
    """The text of a piece, "" if it is not made of whole characters."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return ""


class GrowingText:
    """B texts that grow by pieces.

    State, B in front: ``open`` (B,) int64 number of the open chunk, 0 for a blank text; ``tokens``
    (B, longest) int32 and ``n_tokens`` (B,) int32, what was added. Numbers of chunks mean something
    to the object that gave them alone.

    Args:
        pieces: UTF-8 that each of V tokens adds.
        scoring: The words that count.
        index: Ids from 1 of the words that matter; all others are 0.
        longest: Most tokens of a text.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        scoring: ScoringWords,
        index: Mapping[str, int],
        longest: int,
    ) -> None:
        self._pieces, self._scoring, self._index = list(pieces), scoring, index
        self._longest = longest
        self._sorted = sorted(index)
        self._dead = "q"
        while self._begins_word(self._dead):
            self._dead += "q"
        self._run = [text if scoring.whole(text) else "" for text in map(_text, self._pieces)]
        self._base = 0
        self._plain = Rows(1)
        self._forget()
        self._opener = np.array([self._opens(piece) for piece in self._pieces], bool)

    def blank(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """State of `n` texts without a piece."""
        return {
            "open": np.zeros(n, np.int64),
            "tokens": np.zeros((n, self._longest), np.int32),
            "n_tokens": np.zeros(n, np.int32),
        }

    def grow(
        self, state: Mapping[str, npt.NDArray[Any]], at: Int64Array, tokens: Int64Array
    ) -> Change:
        """Add the pieces of `tokens` (M,) to the texts `at` (M,) and say what that changes."""
        full = self._steps.n > FULL_STEPS or self._bytes > FULL_BYTES
        if full or len(self._memo) > FULL_MEMO:
            self._forget()
        number = state["open"].take(at)
        local = np.where(number > 0, number - self._base, _BLANK)
        for i in (local < 0).nonzero()[0].tolist():
            local[i] = self._again(state["tokens"][at[i], : state["n_tokens"][at[i]]])
        plain = self._plain.all.take(local) & self._opener.take(tokens)
        keys = np.where(plain, self._fresh, local) * len(self._pieces) + tokens
        steps = np.array([self._memo.get(key, -1) for key in keys.tolist()], np.int64)
        for i in (steps < 0).nonzero()[0].tolist():
            steps[i] = self._step(int(keys[i]))
        after, drop, start, count = self._steps.all.take(steps, axis=0).T
        state["open"][at] = np.where(after == _BLANK, 0, after + self._base)
        place = state["n_tokens"].take(at)
        state["tokens"][at, place] = tokens
        state["n_tokens"][at] = place + 1
        return Change(drop, start, count, self._pool.all[:, 0])

    def _forget(self) -> None:
        """Drop the tables. Numbers given out before are below `_base` from now on."""
        self._base += self._plain.n
        self._memo: dict[int, int] = {}
        self._numbers: dict[tuple[bool, str, bytes], int] = {}
        self._chunks: list[_Chunk] = []
        self._steps, self._pool, self._plain = Rows(4), Rows(1), Rows(1)
        self._bytes = 0
        self._number(self._scoring.edges, "", b"")
        self._fresh = self._number(False, "", b"")
        dead = [self._number(first, self._dead, b"") for first in (False, self._scoring.edges)]
        word = self._pool.add([[0]])
        # From one run of letters to the one that stands for all that begin no word.
        self._die = [self._steps.add([[chunk, 1, word, 1]]) for chunk in dead]

    def _again(self, tokens: Int32Array) -> int:
        """Number of the chunk that is open after `tokens`, in the tables as they are now."""
        written = b"".join(self._pieces[token] for token in tokens.tolist())
        return self._join(self._chunks[_BLANK], written)[1]

    def _step(self, key: int) -> int:
        """The row in `_steps` of a (chunk, token): next chunk, words dropped, words that come."""
        known = self._memo.get(key)
        if known is not None:
            return known
        local, token = divmod(key, len(self._pieces))
        chunk, piece = self._chunks[local], self._pieces[token]
        if chunk.run and self._run[token] and not self._begins_word(chunk.text + self._run[token]):
            self._memo[key] = self._die[chunk.first]
            return self._memo[key]
        closed, after = self._join(chunk, piece) if piece else ([], local)
        words = (*self._ids(closed), *self._chunks[after].words)
        same = 0
        for old, new in zip(chunk.words, words, strict=False):
            if old != new:
                break
            same += 1
        start = self._pool.add([[word] for word in words[same:]])
        row = [after, len(chunk.words) - same, start, len(words) - same]
        self._memo[key] = self._steps.add([row])
        return self._memo[key]

    def _join(self, chunk: _Chunk, piece: bytes) -> tuple[list[str], int]:
        """Words that a piece closes for good, and the chunk that is open after it."""
        decoder = _DECODER("replace")
        text = chunk.text + decoder.decode(chunk.rest + piece)
        rest = decoder.getstate()[0]
        text = text if chunk.text else text.lstrip()
        least = max(len(chunk.text), 1)
        cut = len(text) - 1
        while cut >= least and not self._safe(text, cut):
            cut -= 1
        if cut < least:
            return [], self._number(chunk.first, text, rest)
        closed = self._scoring.words(text[:cut], first=chunk.first, last=False)
        return closed, self._number(False, text[cut:], rest)

    def _safe(self, text: str, cut: int) -> bool:
        """Whether the words before `cut` and after it have nothing to do with each other."""
        before, after = text[cut - 1], text[cut]
        if after.isspace():
            return False  # white space stays with what is before it: it may end the text
        if before.isspace():
            return not (before == "\n" and self._hyphen(text[: cut - 1]))
        return bool(self._scoring.solo(before) or self._scoring.solo(after))

    def _hyphen(self, text: str) -> bool:
        return self._scoring.joins and text.replace("<skipped>", "").endswith("-")

    def _opens(self, piece: bytes) -> bool:
        """Whether a piece closes every plain chunk before it and leaves that chunk's words."""
        text = _text(piece)
        return bool(text) and (text[0] == " " or self._scoring.solo(text[0])) and bool(text.strip())

    def _number(self, first: bool, text: str, rest: bytes) -> int:
        """Number of a chunk, in the form that stands for all that go on like it."""
        inner = text.rstrip()
        tail = text[len(inner) :]
        if tail:
            joins = tail[0] == "\n" and self._hyphen(inner)
            tail = ("\n" if tail == "\n" else "\n ") if joins else " "
        if inner and not rest and self._scoring.whole(inner) and not self._begins_word(inner):
            inner = self._dead
        first = first and self._scoring.edges
        text = inner + tail if inner else ""
        key = (first, text, rest)
        if key not in self._numbers:
            self._numbers[key] = len(self._chunks)
            self._chunks.append(self._chunk(first, text, rest))
            self._plain.add([[self._chunks[-1].plain]])
            self._bytes += len(text) + len(rest)
        return self._numbers[key]

    def _chunk(self, first: bool, text: str, rest: bytes) -> _Chunk:
        if not rest and self._scoring.whole(text):
            return _Chunk(first, text, rest, self._ids([text]), plain=True, run=True)
        whole = text + rest.decode("utf-8", "replace")
        words = self._scoring.words(whole, first=first)
        plain = not rest and not (first and not text)
        plain = plain and words == self._scoring.words(whole, first=first, last=False)
        return _Chunk(first, text, rest, self._ids(words), plain, run=False)

    def _begins_word(self, text: str) -> bool:
        place = bisect_left(self._sorted, text)
        return place < len(self._sorted) and self._sorted[place].startswith(text)

    def _ids(self, words: Sequence[str]) -> tuple[int, ...]:
        return tuple(self._index.get(word, 0) for word in words)
