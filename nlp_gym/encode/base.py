"""The `Encoder` protocol, and what its implementations share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Tokens

Texts = Sequence[Sequence[str]]

BOUND = 8.0
"""Every feature lies in [-BOUND, BOUND], so that observation spaces are bounded."""

BLOCK_WORDS = 32_768
"""Words encoded between two writes to disk: enough to sort by length, few enough for memory."""


@runtime_checkable
class Encoder(Protocol):
    """Turns words into vectors and into sub-word ids.

    Attributes:
        name: Name it was loaded by (``"minilm"``, ``"hashed"``, a Hub name or a path).
        dim: Width D of a word's vector.
        fingerprint: Sha256 over everything that changes the vectors: weights, layers, pooling,
            number format, calibration text, code version. Known without importing torch.
        bound: All features lie in [-bound, bound]: `BOUND` for the encoders of this package.
    """

    name: str
    dim: int
    fingerprint: str
    bound: float

    def encode(self, texts: Texts, *, progress: bool = False) -> npt.NDArray[np.float16]:
        """Return one standardised vector per word.

        Args:
            texts: N texts, each a sequence of words.
            progress: Show a bar on stderr when it takes longer than two seconds.

        Returns:
            (W, D) float16 in [-bound, bound], the words of all texts in order.
        """
        ...

    def tokenize(self, texts: Texts) -> Tokens:
        """Return the sub-word ids of N texts, at least one per word."""
        ...


def text_blocks(
    texts: Iterable[Sequence[str]], max_words: int = BLOCK_WORDS
) -> Iterator[Sequence[Sequence[str]]]:
    """Cut texts into runs of whole texts with about `max_words` words each, in order."""
    block: list[Sequence[str]] = []
    words = 0
    for text in texts:
        if block and words + len(text) > max_words:
            yield block
            block, words = [], 0
        block.append(text)
        words += len(text)
    if block:
        yield block


def number_words(texts: Texts) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Distinct words in order of first occurrence, and (W,) the index of each word among them."""
    numbers: dict[str, int] = {}
    number = numbers.setdefault
    index = np.array([number(word, len(numbers)) for text in texts for word in text], np.int64)
    return list(numbers), index


def text_offsets(lengths: Iterable[int]) -> npt.NDArray[np.int64]:
    """Turn N lengths into (N+1,) offsets that begin with 0."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(list(lengths), np.int64))])
