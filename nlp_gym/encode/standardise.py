"""Standardisation: every feature gets mean 0 and deviation 1 on a fixed English text.

The text ships with the package and not with the corpus, so that a word's vector does not depend on
which corpus or split it stands in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

# A dimension whose deviation is below this share of the median one is constant but for rounding;
# all-MiniLM-L6-v2 has one. Dividing by its deviation would blow the rounding up.
_CONSTANT = 1e-2
_EPSILON = 1e-6


@dataclass(frozen=True)
class Standardiser:
    """Mean and reciprocal deviation per dimension, both (D,) float64; 0 for constant ones."""

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, vectors: npt.NDArray[np.floating]) -> Standardiser:
        """Estimate from (W, D) vectors."""
        wide = vectors.astype(np.float64)
        mean, deviation = wide.mean(axis=0), wide.std(axis=0)
        varies = deviation > max(_EPSILON, _CONSTANT * float(np.median(deviation)))
        scale = np.divide(1.0, deviation + _EPSILON, out=np.zeros_like(mean), where=varies)
        return cls(mean, scale)


@lru_cache(maxsize=1)
def calibration_texts() -> tuple[tuple[str, ...], ...]:
    """The sentences of ``calibration.txt``, split at blanks."""
    lines = _calibration_bytes().decode("utf-8").splitlines()
    return tuple(tuple(line.split()) for line in lines if line.strip() and line[0] != "#")


@lru_cache(maxsize=1)
def calibration_hash() -> str:
    """Sha256 of the calibration words."""
    joined = "\n".join(" ".join(words) for words in calibration_texts())
    return hashlib.sha256(joined.encode("utf-8")).hexdigest()


def _calibration_bytes() -> bytes:
    return files("nlp_gym.encode").joinpath("calibration.txt").read_bytes()
