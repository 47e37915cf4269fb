"""Orders and draws that depend on the texts alone, never on the order of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nlp_gym.types import text_key


def rank(seed: int, *texts: Sequence[str]) -> int:
    """A number from 0 to 2**64 - 1 out of the sha256 of a seed and texts (each as its words)."""
    digest = hashlib.sha256(str(seed).encode())
    for text in texts:
        digest.update(b"\x1e" + text_key(text))
    return int.from_bytes(digest.digest()[:8], "big")
