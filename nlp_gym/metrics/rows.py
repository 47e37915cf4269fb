"""Tables of integers that grow, and what is read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
