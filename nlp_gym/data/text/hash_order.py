"""Pseudo-random numbers from hashes of texts, which do not depend on the order of a file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from nlp_gym.types import text_key


def hash_rank(seed: int, *texts: Sequence[str]) -> int:
    """Number from 0 to 2**64 - 1, from the sha256 of a seed and texts (sequences of words)."""
    return _number(_digest(seed, texts))


def hash_ranker(seed: int, *texts: Sequence[str]) -> Callable[[Sequence[str]], int]:
    """A function that gives ``hash_rank(seed, *texts, text)``; the `texts` are hashed once."""
    first = _digest(seed, texts)

    def rank(text: Sequence[str]) -> int:
        digest = first.copy()
        digest.update(_key(text))
        return _number(digest)

    return rank


def hash_draws(*texts: Sequence[str]) -> Iterator[int]:
    """``hash_rank(0, *texts)``, ``hash_rank(1, *texts)``, ... without end."""
    joined = b"".join(map(_key, texts))
    for seed in itertools.count():
        yield _number(hashlib.sha256(str(seed).encode() + joined))


def _digest(seed: int, texts: Iterable[Sequence[str]]) -> hashlib._Hash:
    digest = hashlib.sha256(str(seed).encode())
    for text in texts:
        digest.update(_key(text))
    return digest


def _key(text: Sequence[str]) -> bytes:
    return b"\x1e" + text_key(text)


def _number(digest: hashlib._Hash) -> int:
    return int.from_bytes(digest.digest()[:8], "big")
