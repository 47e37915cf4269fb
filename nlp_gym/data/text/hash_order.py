"""Pseudo-random numbers from hashes of texts, which do not depend on the order of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nlp_gym.types import text_key


def hash_rank(seed: int, *texts: Sequence[str]) -> int:
    """Number from 0 to 2**64 - 1, from the sha256 of a seed and texts (sequences of words)."""
    digest = hashlib.sha256(str(seed).encode())
    for text in texts:
        digest.update(b"\x1e" + text_key(text))
    return int.from_bytes(digest.digest()[:8], "big")
