"""Smaller vectors: a fixed linear projection of an encoder's, and numbers of 8 bits in the cache.

Both wrap any encoder, and are options of those that go by a name:
``encoder_kwargs={"project": 128, "storage": "int8"}``.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.encode import store
from nlp_gym.encode.base import BOUND, Encoder, Texts
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.files import user_cache_dir
from nlp_gym.types import INT8_STEP, Tokens

# To be changed when the same options give other vectors than before: old caches are then unused.
_VERSION = "compact-1"
_HALF = np.dtype("<f2")
_BYTE = np.dtype("i1")
_LARGEST = 127


class CompactEncoder(Encoder):
    """Vectors of another encoder, projected, rounded to what 8 bits hold, or both.

    The projection is the principal components of the encoder's vectors on a text that ships with
    the package, each with standard deviation 1 there. So it is one per encoder, whatever the corpus
    and split, and is kept in the cache. Rounding is to multiples of `nlp_gym.types.INT8_STEP`,
    which float16 holds exactly: every way of reading the vectors gives the same numbers.

    Attributes:
        inner: The other encoder.
        storage: ``"float16"`` or ``"int8"``: the number format of the cache.
    """

    bound = BOUND

    def __init__(self, inner: Encoder, *, project: int | None, storage: str) -> None:
        """Wrap an encoder; nothing is learned before it encodes.

        Args:
            inner: The encoder.
            project: Number of principal components; None: its vectors as they are.
            storage: As the attribute.

        Raises:
            InvalidArgumentError: There are fewer dimensions than `project`.
        """
        if project is not None and project > inner.dim:
            raise InvalidArgumentError(
                f"encoder_kwargs: project={project} is above the width of the encoder's vectors, "
                f"{inner.dim}. Give at most that, or leave project out."
            )
        self.inner, self.storage, self._project = inner, storage, project
        self.name, self.dim = inner.name, inner.dim if project is None else project
        self.fingerprint = _sha256(
            version=_VERSION,
            inner=inner.fingerprint,
            project=project,
            storage=storage,
            sample=None if project is None else sample_hash(),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the projection out of pickles, as `inner` does its weights."""
        return {k: v for k, v in self.__dict__.items() if k != "projection"}

    @property
    def dtype(self) -> str | None:
        """Number format in which `inner` computes; None where it has no choice."""
        dtype: str | None = getattr(self.inner, "dtype", None)
        return dtype

    @property
    def options(self) -> Any:
        """Options of `inner`."""
        return getattr(self.inner, "options", None)

    @override
    def encode(self, texts: Texts, *, progress: bool = False) -> npt.NDArray[np.float16]:
        """Return one vector per word, (W, D).

        Raises:
            EncoderError: As of `inner`.
        """
        return self.shrink(self.inner.encode(texts, progress=progress))

    def shrink(self, rows: npt.NDArray[np.float16]) -> npt.NDArray[np.float16]:
        """Vectors (W, dim) from those of `inner` (W, D)."""
        if self._project is not None:
            mean, components = self.projection
            projected = (rows.astype(np.float32) - mean) @ components
            rows = np.clip(projected, -BOUND, BOUND).astype(np.float16)
        if self.storage == "int8":
            rows = from_stored(to_stored(rows, _BYTE))
        return rows

    @override
    def tokenize(self, texts: Texts) -> Tokens:
        """Return the sub-word ids of `inner`."""
        return self.inner.tokenize(texts)

    @cached_property
    def projection(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The (D,) mean that is subtracted, and the (D, project) components."""
        key = _sha256(version=_VERSION, inner=self.inner.fingerprint, sample=sample_hash())
        path, dim = user_cache_dir() / "projections" / f"{key}.npy", self.inner.dim
        known = store.load_array(path, key=key, shape=(dim + 1, dim), dtype="<f4")
        if known is None:
            known = principal_components(self.inner.encode(sample_texts())).astype(np.float32)
            store.save_array(path, known, key=key)
        return known[0], np.ascontiguousarray(known[1 : 1 + self.dim].T)


def principal_components(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The mean, and below it the principal components divided by their standard deviations.

    The largest entry of a component is positive, so that its sign is no accident.

    Args:
        vectors: (W, D).

    Returns:
        (D+1, D), the components by falling variance; those without variance are zeros.
    """
    wide = vectors.astype(np.float64)
    mean = wide.mean(axis=0)
    wide -= mean
    variances, columns = np.linalg.eigh(wide.T @ wide / len(wide))
    variances, rows = variances[::-1], columns.T[::-1]
    largest = np.abs(rows).argmax(axis=1)
    rows = rows * np.sign(rows[np.arange(len(rows)), largest])[:, None]
    real = variances > 1e-6 * variances[0]
    scale = np.divide(1.0, np.sqrt(np.maximum(variances, 0)), out=np.zeros_like(mean), where=real)
    return np.concatenate([mean[None], rows * scale[:, None]])


def compacted(encoder: Encoder, *, project: int | None, storage: str) -> Encoder:
    """An encoder with smaller vectors; the same one where none of the options asks for them."""
    if project is None and storage == "float16":
        return encoder
    return CompactEncoder(encoder, project=project, storage=storage)


def stored_dtype(encoder: Encoder) -> np.dtype[Any]:
    """Number format in which the vectors of an encoder are kept."""
    return _BYTE if isinstance(encoder, CompactEncoder) and encoder.storage == "int8" else _HALF


def to_stored(rows: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Vectors (W, D) in the number format of the cache, see `stored_dtype`."""
    if dtype != _BYTE:
        return np.asarray(rows, dtype)
    steps = np.rint(rows.astype(np.float32) / INT8_STEP)
    return np.asarray(np.clip(steps, -_LARGEST, _LARGEST), _BYTE)


def from_stored(rows: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
    """Vectors (W, D) float16 from the number format of the cache; exact."""
    if rows.dtype != _BYTE:
        return np.asarray(rows, _HALF)
    wide: npt.NDArray[np.float16] = np.multiply(rows, INT8_STEP, dtype=np.float16)
    return wide


@lru_cache(maxsize=1)
def sample_texts() -> tuple[tuple[str, ...], ...]:
    """The texts that projections are learned on, split at blanks."""
    return tuple(tuple(line.split()) for line in _sample().splitlines() if line.strip())


@lru_cache(maxsize=1)
def sample_hash() -> str:
    """Sha256 of these texts."""
    return hashlib.sha256(_sample().encode("utf-8")).hexdigest()


def _sample() -> str:
    content = files("nlp_gym.encode").joinpath("projection.txt").read_text(encoding="utf-8")
    return "\n".join(line for line in content.splitlines() if not line.startswith("#"))


def _sha256(**settings: object) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
