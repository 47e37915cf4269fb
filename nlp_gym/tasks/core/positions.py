"""The slots of a corpus whose words are decided on one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlp_gym.types import BoolArray, Corpus

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
