"""Tasks that decide word by word: slots are the words of a text, units the words around."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.checks import check_int
from nlp_gym.tasks.kinds import LabelTask
from nlp_gym.tasks.positions import Positions
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.tasks.token_windows import TokenWindows
from nlp_gym.types import Tokens

if TYPE_CHECKING:
    from nlp_gym.knowledge import KnowledgeBase


class WordTask(LabelTask):
    """A task that labels one word after the other.

    Args:
        window: Words seen on each side of the current one in `features` observations.
        **kwargs: Those of `Task`.
    """

    def __init__(self, *, window: int = 1, **kwargs: Any) -> None:
        self.window = check_int("window", window, 0, 16)
        super().__init__(**kwargs)
        self._positions = Positions(self.corpus)
        self.offsets = self._positions.offsets

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(N,) words of each text."""
        return self._positions.lengths

    @cached_property
    def units(self) -> Units:
        """Every word of the corpus."""
        return Units([sample.words for sample in self.corpus.samples])

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`; words outside the text, and all of an end slot, are the zero unit."""
        return Tables(self.offsets, self._positions.neighbours(self.window))

    def describe(self, knowledge: KnowledgeBase) -> npt.NDArray[np.int8]:
        """(n_slots, roles + 2): roles of the name a word is part of, and whether it begins one."""
        numbers = np.full(self._positions.n_slots, -1)
        place = np.zeros((len(numbers), 2), np.int8)
        for sample, offset in zip(self.corpus.samples, self.offsets.tolist(), strict=True):
            for first, stop, number in knowledge.find(sample.words):
                numbers[offset + first : offset + stop] = number
                place[offset + first, 0] = 1
                place[offset + first + 1 : offset + stop, 1] = 1
        return np.concatenate([knowledge.describe(numbers), place], axis=1)

    @cached_property
    def tokens(self) -> Tokens:
        """Sub-word tokens of the corpus."""
        return self.encoder.tokenize([sample.words for sample in self.corpus.samples])

    @cached_property
    def token_view(self) -> TokenWindows:
        """The text around the current word; see `TokenWindows`."""
        return TokenWindows(self.tokens, self.corpus, self.max_tokens)

    def __getstate__(self) -> dict[str, Any]:
        """As `Task.__getstate__`; what is made again quickly is left out too."""
        dropped = {"tokens", "tables", "_views", "knowledge_table"}
        return {k: v for k, v in super().__getstate__().items() if k not in dropped}
