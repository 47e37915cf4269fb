"""The sub-words around each word of a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from nlp_gym.tasks.core.positions import Positions
from nlp_gym.types import Corpus, Observation, Tokens

if TYPE_CHECKING:
    from nlp_gym.tasks.core.task import State


class TokenWindows:
    """Fixed-length windows of sub-word ids, one for every position of a corpus.

    A text of at most L - 2 tokens is seen whole; of a longer one, the window centred on the current
    word.

    Args:
        tokens: Sub-words of the corpus.
        corpus: The corpus.
        length: Length L of an observation, the two special tokens included.
    """

    def __init__(self, tokens: Tokens, corpus: Corpus, length: int) -> None:
        self.tokens, self.length = tokens, min(length, tokens.max_length)
        room = self.length - 2
        positions = Positions(corpus)
        text, place = positions.places()
        at_end = positions.ends()
        word = corpus.offsets[text] + place
        first, last = (
            tokens.word_starts[word],
            tokens.word_starts[np.minimum(word + 1, corpus.offsets[-1])],
        )
        size = tokens.offsets[text + 1] - tokens.offsets[text]
        centre = (first + last) // 2 - room // 2 - tokens.offsets[text]
        shift = np.clip(centre, 0, np.maximum(size - room, 0))
        self._start = tokens.offsets[text] + shift
        self._size = np.minimum(size, room)
        focus = np.stack([first, last], -1) - self._start[:, None]
        self._focus = np.where(at_end[:, None], 0, 1 + np.clip(focus, 0, room)).astype(np.int32)

    def spaces(self) -> dict[str, spaces.Space[Any]]:
        """Boxes of the three keys."""
        n = self.length
        return {
            "input_ids": spaces.Box(0, self.tokens.vocab_size - 1, (n,), np.int32),
            "attention_mask": spaces.Box(0, 1, (n,), np.int8),
            "focus": spaces.Box(0, n, (2,), np.int32),
        }

    def observe(self, state: State) -> Observation:
        """Windows at B slots: `input_ids` (B, L), `attention_mask` (B, L), `focus` (B, 2)."""
        slots = state.slot
        size = self._size.take(slots)[:, None]
        column = np.arange(self.length - 1)
        source = self._start.take(slots)[:, None] + column
        ids = np.full((len(slots), self.length), self.tokens.pad_id, np.int32)
        ids[:, 0] = self.tokens.bos_id
        body = self.tokens.ids.take(source, mode="clip")
        ids[:, 1:] = np.where(
            column < size, body, np.where(column == size, self.tokens.eos_id, self.tokens.pad_id)
        )
        mask = (np.arange(self.length) < size + 2).astype(np.int8)
        return {"input_ids": ids, "attention_mask": mask, "focus": self._focus.take(slots, axis=0)}
