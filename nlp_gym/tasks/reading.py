"""Texts that are read chunk by chunk: where the chunks end, their units, and how they look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import on_grid
from nlp_gym.tasks.tables import Tables, TextIndex
from nlp_gym.types import Sample

if TYPE_CHECKING:
    from nlp_gym.envs.render import Piece

MOST_CHUNKS = 8
"""The last of so many chunks is all the rest: long texts take no more decisions than this."""


def check_cost(argument: str, value: object) -> float:
    """Return a reward that is lost, as a multiple of 2**-20 (sums of those are exact).

    Raises:
        InvalidArgumentError: It is no number from 0 to 1.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        raise InvalidArgumentError(f"{argument}={value!r} must be a number from 0 to 1.")
    return float(on_grid(np.array([value], np.float64))[0])


class Chunks:
    """The chunks of N texts; each has one slot.

    Attributes:
        stops: Words read after each chunk of each text.
        lengths: (N,) chunks of each text.
        last: (n_slots,) whether a slot is the last of its text.

    Args:
        samples: The texts.
        size: Words of a chunk; None: a text is one chunk.
    """

    def __init__(self, samples: Sequence[Sample], size: int | None) -> None:
        self.stops = [self._cut(len(sample.words), size) for sample in samples]
        self.lengths = np.array(list(map(len, self.stops)), np.int64)
        ends = np.cumsum(self.lengths)
        self.last = np.zeros(ends[-1], bool)
        self.last[ends - 1] = True

    @staticmethod
    def _cut(words: int, size: int | None) -> list[int]:
        inner = range(size, words, size) if size else range(0)
        return [*inner[: MOST_CHUNKS - 1], words]

    def tables(self, samples: Sequence[Sample], texts: TextIndex) -> Tables:
        """One unit a slot: the text up to there, numbered in `texts`."""
        pairs = zip(samples, self.stops, strict=True)
        context = [[texts.add(s.words[:stop])] for s, stops in pairs for stop in stops]
        offsets = np.cumsum(self.lengths) - self.lengths
        return Tables.build(len(texts.texts), offsets=offsets, context=context)

    def pieces(self, sample: Sample, row: int, place: int) -> list[Piece]:
        """A text for people: what was read, the latest chunk, and the rest."""
        from nlp_gym.envs.render import Piece

        stops = self.stops[row]
        marks = ["plain"] * place + ["here"] + ["dim"] * len(stops)
        parts = zip([0, *stops], stops, marks, strict=False)
        return [Piece(" ".join(sample.words[a:b]), mark) for a, b, mark in parts]
