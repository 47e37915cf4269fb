"""Standardisation: every feature gets mean 0 and standard deviation 1 on a fixed English text.

That text ships with the package, so a word's vector does not depend on the corpus or split that the
word stands in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

# A dimension whose deviation is below this share of the median deviation is constant but for
# rounding errors; all-MiniLM-L6-v2 has one. Dividing by its deviation would amplify these.
_CONSTANT = 1e-2
_EPSILON = 1e-6


@dataclass(frozen=True)
class Standardiser:
    """Mean and reciprocal deviation per dimension, both (D,) float64.

    The reciprocal is 0 for dimensions that are constant.
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, vectors: npt.NDArray[np.floating]) -> Standardiser:
        """Estimate mean and deviation from (W, D) vectors."""
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
