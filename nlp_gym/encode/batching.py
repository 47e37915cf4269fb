"""Windows of sub-words as padded batches, and which of their slots make up which word; numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.subwords import SubWords, WordTokenizer
from nlp_gym.encode.windows import Windows

_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """B windows side by side, and the bags of slots that are pooled to words.

    Attributes:
        ids: (B, L) sub-words, special tokens and padding included.
        mask: (B, L) 1 for what is not padding.
        slots: (S,) places in the flattened batch that are used.
        weights: (S,) float32 of each in its word's vector.
        starts: (K,) where in `slots` each bag begins.
        words: (K,) word that each bag belongs to; a very long word has several.
    """

    ids: _I64
    mask: _I64
    slots: _I64
    weights: npt.NDArray[np.float32]
    starts: _I64
    words: _I64


@dataclass(frozen=True)
class Batcher:
    """Makes batches.

    Attributes:
        tokenizer: Knows special tokens and padding.
        first: A word is its first sub-word, not the mean of all.
    """

    tokenizer: WordTokenizer
    first: bool = False

    @property
    def extra(self) -> int:
        """Special tokens a window gets."""
        return len(self.tokenizer.prefix) + len(self.tokenizer.suffix)

    def batch(self, tokens: SubWords, windows: Windows, chosen: _I64) -> Batch:
        """The windows `chosen`, in that order."""
        ids, mask = self._padded(tokens, windows, chosen)
        lengths = (windows.stops - windows.starts)[chosen]
        row = np.repeat(np.arange(len(chosen)), lengths)
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        token = windows.starts[chosen][row] + place
        word = np.searchsorted(tokens.word_starts, token, side="right") - 1
        used = windows.token_window[token] == chosen[row]
        if self.first:
            used &= token == tokens.word_starts[word]
        row, place, word = row[used], place[used], word[used]
        size = tokens.word_starts[word + 1] - tokens.word_starts[word]
        begins = np.ones(len(word), bool)
        begins[1:] = (word[1:] != word[:-1]) | (row[1:] != row[:-1])
        return Batch(
            ids,
            mask,
            slots=row * ids.shape[1] + len(self.tokenizer.prefix) + place,
            weights=(np.ones(len(word)) if self.first else 1 / size).astype(np.float32),
            starts=np.flatnonzero(begins),
            words=word[begins],
        )

    def _padded(self, tokens: SubWords, windows: Windows, chosen: _I64) -> tuple[_I64, _I64]:
        prefix, suffix = self.tokenizer.prefix, self.tokenizer.suffix
        lengths = (windows.stops - windows.starts)[chosen]
        total = len(prefix) + int(lengths.max()) + len(suffix)
        column = np.arange(total)[None, :] - len(prefix)
        source = np.clip(windows.starts[chosen][:, None] + column, 0, len(tokens.ids) - 1)
        inside = column < lengths[:, None]
        ids = np.where(inside, tokens.ids[source], self.tokenizer.pad_id).astype(np.int64)
        ids[:, : len(prefix)] = prefix
        for place, special in enumerate(suffix):
            ids[np.arange(len(chosen)), len(prefix) + lengths + place] = special
        return ids, (column < lengths[:, None] + len(suffix)).astype(np.int64)
