"""The slots of a corpus that is labelled word by word, and the sub-words around each word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.types import BoolArray, Corpus, Observation, Tokens

if TYPE_CHECKING:
    from nlp_gym.tasks.core.task import State


Indices = npt.NDArray[np.int64]


class Positions:
    """The slots of a corpus. A text of T words has T + 1, the last for "read to the end".

    What a rule needs to know of a word (gold, end, neighbours) is a table over slots: a step is a
    handful of `take`s, whatever the text.

    Attributes:
        lengths: (N,) words of each text.
        offsets: (N,) slot of each text's first word.
        n_slots: Number of slots, W + N.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._words = corpus.offsets
        self.lengths: Indices = np.diff(corpus.offsets)
        self.offsets: Indices = corpus.offsets[:-1] + np.arange(len(corpus))
        self.n_slots = int(corpus.offsets[-1]) + len(corpus)

    def places(self) -> tuple[Indices, Indices]:
        """(n_slots,) text of each slot, and (n_slots,) place in it: the word's index, or T."""
        text = np.repeat(np.arange(len(self.lengths)), self.lengths + 1)
        return text, np.arange(self.n_slots) - self.offsets[text]

    def ends(self) -> BoolArray:
        """(n_slots,) whether a slot is the end of its text."""
        last = np.zeros(self.n_slots, bool)
        last[self.offsets + self.lengths] = True
        return last

    def neighbours(self, window: int) -> npt.NDArray[np.int32]:
        """(n_slots, 2*window+1) corpus-wide numbers of the words around each slot.

        Positions outside the text, and all of a text's end slot, have the number W.
        """
        numbers = np.full((self.n_slots, 2 * window + 1), self._words[-1], np.int32)
        text = np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths + 1)
        word = np.arange(self.n_slots, dtype=np.int32) - text  # of each slot that is no end
        there = ~self.ends()
        for column, shift in enumerate(range(-window, window + 1)):
            # Slots and what stands `shift` slots further on, both within the corpus.
            size = max(self.n_slots - abs(shift), 0)
            here = slice(max(-shift, 0), max(-shift, 0) + size)
            near = slice(max(shift, 0), max(shift, 0) + size)
            inside = (text[here] == text[near]) & there[here] & there[near]
            np.copyto(numbers[here, column], word[near], where=inside)
        return numbers


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
