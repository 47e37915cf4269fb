"""What a decoder reads of the source while it writes."""

from __future__ import annotations

from dataclasses import dataclass

import torch as th

Pair = tuple[th.Tensor, th.Tensor]
"""Keys and values, (n, heads, places, width / heads) each."""


@dataclass
class Memory:
    """What is read while a text is written.

    Attributes:
        pairs: Keys and values of the source, by layer.
        hidden: (n, 1, 1, S) float32, 0 where there is a word of the source and -inf elsewhere.
        pieces: (n, S, K) tokens of the source's words, see `Copying`; K is 0 where none are copied.
    """

    pairs: list[Pair]
    hidden: th.Tensor
    pieces: th.Tensor

    def take(self, index: th.Tensor) -> Memory:
        """Those of some texts."""
        pairs = [(k.index_select(0, index), v.index_select(0, index)) for k, v in self.pairs]
        return Memory(pairs, *(v.index_select(0, index) for v in (self.hidden, self.pieces)))

    def put(self, index: th.Tensor, other: Memory) -> None:
        """Replace those of some texts, in place."""
        self.hidden[index], self.pieces[index] = other.hidden, other.pieces
        for (keys, values), (key, value) in zip(self.pairs, other.pairs, strict=True):
            keys[index], values[index] = key, value
