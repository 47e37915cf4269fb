"""Vectors that are kept while the weights of an encoder stand still."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch as th

from agents.tuning.book import TextBook

_I64 = npt.NDArray[np.int64]


class Kept:
    """Vectors of a book's units for the weights as they were.

    Args:
        book: Whose.
        width: Of a vector.
        device: Where they are kept.

    Attributes:
        vectors: (U+1, D) float16; the last row is zeros.
        fresh: (N,) texts whose units are there.
    """

    def __init__(self, book: TextBook, width: int, device: th.device) -> None:
        self.vectors = th.empty(book.n_units + 1, width, dtype=th.float16, device=device)
        self.vectors[-1] = 0
        self.fresh = np.zeros(len(book), bool)
        self._weights: tuple[float, ...] = ()

    def refresh(self, weights: tuple[float, ...]) -> None:
        """Nothing is fresh once `weights` are others than before."""
        if weights != self._weights:
            self.fresh[:] = False
            self._weights = weights

    def missing(self, texts: _I64) -> _I64:
        """Those of `texts` that are not there, once each, ascending."""
        absent: _I64 = np.unique(texts[~self.fresh[texts]])
        return absent
