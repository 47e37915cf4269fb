"""Slots: the places of all texts of a corpus in one line, and the index tables over them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlp_gym.types import BoolArray, Corpus

Indices = npt.NDArray[np.int64]


class Positions:
    """The slots of a corpus. A text of T words has T + 1, the last for "read to the end".

    What a rule needs to know of a place (gold, end, neighbours) is a table over slots: a step is a
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

    def neighbours(self, window: int) -> Indices:
        """(n_slots, 2*window+1) corpus-wide numbers of the words around each slot.

        Positions outside the text, and all of a text's end slot, have the number W.
        """
        text, place = self.places()
        around = place[:, None] + np.arange(-window, window + 1)
        inside = (
            (around >= 0)
            & (around < self.lengths[text, None])
            & (place < self.lengths[text])[:, None]
        )
        return np.where(inside, self._words[text, None] + around, self._words[-1])
