"""Words of texts that are written piece by piece, without tokenizing each text again.

The end of a text, whose words may still change, is its *open chunk*; the words before it are final.
Chunks are interned, and what a token does to a chunk is computed once and kept in a table.
"""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.text.scoring_tokens import ScoringTokenizer
from nlp_gym.types import Int32Array, Int64Array

MAX_STEPS = 1 << 18
MAX_MEMO = 1 << 20
MAX_BYTES = 1 << 24
"""The tables are cleared when they hold more steps, (chunk, token) pairs or bytes of text."""

_BLANK = 0  # the chunk of a text without a piece
_DECODER = codecs.getincrementaldecoder("utf-8")


class AppendableArray:
    """An appendable int32 array of rows.

    Args:
        width: Length of a row.

    Attributes:
        array: (capacity, width) int32, the rows and zeros after them.
        n: Number of rows.
    """

    def __init__(self, width: int) -> None:
        self.array = np.zeros((1024, width), np.int32)
        self.n = 0

    def append(self, rows: Sequence[Sequence[int]]) -> int:
        """Append rows; return the index of the first."""
        start, self.n = self.n, self.n + len(rows)
        if self.n > len(self.array):
            more = np.zeros((max(len(self.array), len(rows)), self.array.shape[1]), np.int32)
            self.array = np.concatenate([self.array, more])
        if rows:
            self.array[start : self.n] = rows
        return start


@dataclass(frozen=True, slots=True)
class WordEdit:
    """How a piece changes the words of M texts: some last words go, then new words come.

    Attributes:
        drop: (M,) number of last words that go.
        start: (M,) index in `pool` of the first new word.
        count: (M,) number of new words.
        pool: Word ids.
    """

    drop: Int32Array
    start: Int32Array
    count: Int32Array
    pool: Int32Array


@dataclass(frozen=True, slots=True)
class _Chunk:
    """An open chunk.

    Attributes:
        begins: Whether the text begins with it; False too where that does not matter.
        text: Its text, without white space in front.
        rest: First bytes of a character that is not complete.
        words: Ids of its words if the text ends here.
        settled: Whether the words stay the same if white space follows.
        letters: Whether it is a run of letters.
    """

    begins: bool
    text: str
    rest: bytes
    words: tuple[int, ...]
    settled: bool
    letters: bool


def _decoded(piece: bytes) -> str:
    """Text of a piece; "" if it is not made of whole characters."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return ""


class IncrementalTokenizer:
    """Words of B texts that are written piece by piece.

    The state of B texts: ``open`` (B,) int64, id of the open chunk, 0 for a blank text; ``tokens``
    (B, longest) int32 and ``n_tokens`` (B,) int32, the tokens appended so far. Ids of chunks belong
    to the object that gave them.

    Args:
        pieces: The UTF-8 bytes that each of V tokens appends.
        scoring: Tokenizer of the metric.
        index: Ids from 1 of the words of references; all other words have id 0.
        longest: Most tokens of a text.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        scoring: ScoringTokenizer,
        index: Mapping[str, int],
        longest: int,
    ) -> None:
        self._pieces, self._scoring, self._index = list(pieces), scoring, index
        self._longest = longest
        self._sorted = sorted(index)
        # Stands for every run of letters with which no word of the references begins.
        self._unmatched = "q"
        while self._is_prefix(self._unmatched):
            self._unmatched += "q"
        texts = map(_decoded, self._pieces)
        self._letters = [text if scoring.is_letter_run(text) else "" for text in texts]
        self._base = 0
        self._settled = AppendableArray(1)
        self._clear()
        self._opens = np.array([self._opens_chunk(piece) for piece in self._pieces], bool)

    def initial(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """State of `n` texts without a piece."""
        return {
            "open": np.zeros(n, np.int64),
            "tokens": np.zeros((n, self._longest), np.int32),
            "n_tokens": np.zeros(n, np.int32),
        }

    def append(
        self, state: Mapping[str, npt.NDArray[Any]], at: Int64Array, tokens: Int64Array
    ) -> WordEdit:
        """Append `tokens` (M,) to the texts `at` (M,), in place; return how their words change."""
        full = self._steps.n > MAX_STEPS or self._bytes > MAX_BYTES
        if full or len(self._memo) > MAX_MEMO:
            self._clear()
        chunk_id = state["open"].take(at)
        chunk = np.where(chunk_id > 0, chunk_id - self._base, _BLANK)
        for i in (chunk < 0).nonzero()[0].tolist():
            chunk[i] = self._replay(state["tokens"][at[i], : state["n_tokens"][at[i]]])
        # A piece that leaves the words before it alone does the same after all settled chunks.
        alone = self._settled.array.take(chunk) & self._opens.take(tokens)
        keys = np.where(alone, self._empty, chunk) * len(self._pieces) + tokens
        steps = np.array([self._memo.get(key, -1) for key in keys.tolist()], np.int64)
        for i in (steps < 0).nonzero()[0].tolist():
            steps[i] = self._step(int(keys[i]))
        after, drop, start, count = self._steps.array.take(steps, axis=0).T
        state["open"][at] = np.where(after == _BLANK, 0, after + self._base)
        position = state["n_tokens"].take(at)
        state["tokens"][at, position] = tokens
        state["n_tokens"][at] = position + 1
        return WordEdit(drop, start, count, self._pool.array[:, 0])

    def _clear(self) -> None:
        """Clear the tables. Chunk ids given out before are below `_base` from now on."""
        self._base += self._settled.n
        self._memo: dict[int, int] = {}
        self._interned: dict[tuple[bool, str, bytes], int] = {}
        self._chunks: list[_Chunk] = []
        self._steps, self._pool = AppendableArray(4), AppendableArray(1)
        self._settled = AppendableArray(1)
        self._bytes = 0
        self._intern(self._scoring.edges, "", b"")
        self._empty = self._intern(False, "", b"")
        unmatched = [self._intern(b, self._unmatched, b"") for b in (False, self._scoring.edges)]
        word = self._pool.append([[0]])
        # Steps from a run of letters, by `begins`, to the run that no word of references has.
        self._steps_to_unmatched = [self._steps.append([[c, 1, word, 1]]) for c in unmatched]

    def _replay(self, tokens: Int32Array) -> int:
        """Chunk that is open after `tokens`, in the present tables."""
        written = b"".join(self._pieces[token] for token in tokens.tolist())
        return self._extend(self._chunks[_BLANK], written)[1]

    def _step(self, key: int) -> int:
        """Row of a (chunk, token) in `_steps`: next chunk, then drop, start, count of the edit."""
        known = self._memo.get(key)
        if known is not None:
            return known
        number, token = divmod(key, len(self._pieces))
        chunk, piece, letters = self._chunks[number], self._pieces[token], self._letters[token]
        if chunk.letters and letters and not self._is_prefix(chunk.text + letters):
            self._memo[key] = self._steps_to_unmatched[chunk.begins]
            return self._memo[key]
        closed, after = self._extend(chunk, piece) if piece else ([], number)
        words = (*self._word_ids(closed), *self._chunks[after].words)
        same = 0
        for old, new in zip(chunk.words, words, strict=False):
            if old != new:
                break
            same += 1
        start = self._pool.append([[word] for word in words[same:]])
        row = [after, len(chunk.words) - same, start, len(words) - same]
        self._memo[key] = self._steps.append([row])
        return self._memo[key]

    def _extend(self, chunk: _Chunk, piece: bytes) -> tuple[list[str], int]:
        """Words that become final when a piece is appended, and the chunk that is open then."""
        decoder = _DECODER("replace")
        text = chunk.text + decoder.decode(chunk.rest + piece)
        rest = decoder.getstate()[0]
        text = text if chunk.text else text.lstrip()
        least = max(len(chunk.text), 1)
        cut = len(text) - 1
        while cut >= least and not self._can_cut(text, cut):
            cut -= 1
        if cut < least:
            return [], self._intern(chunk.begins, text, rest)
        closed = self._scoring.tokenize_part(text[:cut], first=chunk.begins, last=False)
        return closed, self._intern(False, text[cut:], rest)

    def _can_cut(self, text: str, cut: int) -> bool:
        """Whether the words before position `cut` and those after it are independent."""
        before, after = text[cut - 1], text[cut]
        if after.isspace():
            return False  # white space stays with what is before it: it may end the text
        if before.isspace():
            return not (before == "\n" and self._ends_with_hyphen(text[: cut - 1]))
        return bool(self._scoring.is_word(before) or self._scoring.is_word(after))

    def _ends_with_hyphen(self, text: str) -> bool:
        """Whether a text ends with a hyphen that a line break removes."""
        return self._scoring.joins_hyphens and text.replace("<skipped>", "").endswith("-")

    def _opens_chunk(self, piece: bytes) -> bool:
        """Whether a piece closes every settled chunk before it and keeps that chunk's words."""
        text = _decoded(piece)
        begins = bool(text) and (text[0] == " " or self._scoring.is_word(text[0]))
        return begins and bool(text.strip())

    def _intern(self, begins: bool, text: str, rest: bytes) -> int:
        """Index in `_chunks` of a chunk, in a form shared by all that continue like it."""
        inner = text.rstrip()
        tail = text[len(inner) :]
        if tail:
            joins = tail[0] == "\n" and self._ends_with_hyphen(inner)
            tail = ("\n" if tail == "\n" else "\n ") if joins else " "
        if inner and not rest and self._scoring.is_letter_run(inner) and not self._is_prefix(inner):
            inner = self._unmatched
        begins = begins and self._scoring.edges
        text = inner + tail if inner else ""
        key = (begins, text, rest)
        if key not in self._interned:
            self._interned[key] = len(self._chunks)
            self._chunks.append(self._make_chunk(begins, text, rest))
            self._settled.append([[self._chunks[-1].settled]])
            self._bytes += len(text) + len(rest)
        return self._interned[key]

    def _make_chunk(self, begins: bool, text: str, rest: bytes) -> _Chunk:
        if not rest and self._scoring.is_letter_run(text):
            words = self._word_ids([text])
            return _Chunk(begins, text, rest, words, settled=True, letters=True)
        whole = text + rest.decode("utf-8", "replace")
        cut = self._scoring.tokenize_part(whole, first=begins)
        settled = not rest and not (begins and not text)
        settled = settled and cut == self._scoring.tokenize_part(whole, first=begins, last=False)
        return _Chunk(begins, text, rest, self._word_ids(cut), settled, letters=False)

    def _is_prefix(self, text: str) -> bool:
        """Whether a word of the references begins with a text."""
        place = bisect_left(self._sorted, text)
        return place < len(self._sorted) and self._sorted[place].startswith(text)

    def _word_ids(self, words: Sequence[str]) -> tuple[int, ...]:
        return tuple(self._index.get(word, 0) for word in words)
