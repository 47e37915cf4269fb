"""Vectors of a task's units (`nlp_gym.types.Units`), from the feature cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.base import Encoder, Texts, text_offsets
from nlp_gym.encode.cache import (
    MapBlocks,
    Source,
    cached_features,
    encode_blocks,
    hash_texts,
)
from nlp_gym.encode.compact import stored_dtype, to_stored
from nlp_gym.encode.standardise import Standardiser, calibration_hash, calibration_texts
from nlp_gym.types import Encoded

if TYPE_CHECKING:
    from nlp_gym.types import Units

_FORMAT = "units-1"
_Features = npt.NDArray[np.float16]
_scales: WeakKeyDictionary[Encoder, Standardiser] = WeakKeyDictionary()


def encode_units(
    units: Units,
    encoder: Encoder,
    *,
    progress: bool | None = None,
    cache: bool = True,
    cache_dir: str | Path | None = None,
    in_memory: bool = True,
    map_blocks: MapBlocks | None = None,
) -> Encoded:
    """Return the vectors of units, from the cache where it has them.

    Args:
        units: The units: words, or means over spans of words.
        encoder: An encoder, as from `nlp_gym.encode.load_encoder`.
        progress: As in `nlp_gym.encode.encode_corpus`.
        cache: False neither reads nor writes the feature cache.
        cache_dir: Folder of the cache. None: the user's.
        in_memory: As in `nlp_gym.encode.cache.cached_features`.
        map_blocks: As in `nlp_gym.encode.cache.encode_blocks`.

    Returns:
        `Encoded` with (U+1, D) features, the last row all zeros.

    Raises:
        EncoderError: The encoder cannot be loaded or gives vectors that are not finite.
    """
    n = len(units)
    words = sum(map(len, units.texts))
    offsets = text_offsets(len(t) for t in units.texts) if units.spans is None else np.arange(n + 1)

    def blocks(first: int) -> Iterator[_Features]:
        stream = encode_blocks(
            units.texts, encoder, words, progress, first=first, map_blocks=map_blocks
        )
        return stream if units.spans is None else _span_means(units, encoder, stream)

    if not cache:
        rows = np.concatenate([*blocks(0), np.zeros((1, encoder.dim), np.float16)])
        return Encoded(to_stored(rows, stored_dtype(encoder)), offsets)
    origin = hash_texts(units.texts)
    if units.spans is not None:
        spans = np.ascontiguousarray(units.spans, "<i8").tobytes()
        kind = f"{units.rescaled}:{calibration_hash() if units.rescaled else ''}"
        origin = f"{_FORMAT}:{kind}:{hashlib.sha256(spans).hexdigest()}:{origin}"
    # Means come out in the order of the units, all at the end: there is no half of them to keep.
    source = Source(origin, n, encoder, blocks, resumable=units.spans is None)
    return Encoded(cached_features(source, cache_dir, in_memory=in_memory), offsets)


def _span_means(units: Units, encoder: Encoder, stream: Iterator[_Features]) -> Iterator[_Features]:
    """Yield the means over spans, from blocks of whole texts: words are never all in memory.

    Spans are sorted by text to follow the blocks; the means come out in the order of the units.
    """
    assert units.spans is not None
    text, first, stop = units.spans.T
    order = np.argsort(text, kind="stable")
    text = text[order]
    starts = text_offsets(len(t) for t in units.texts)
    first, stop = starts[text] + first[order], starts[text] + stop[order]
    means = np.zeros((len(order), encoder.dim), np.float32)
    done, at = 0, 0  # spans finished, words read
    for block in stream:
        end = at + len(block)
        upto = int(np.searchsorted(text, np.searchsorted(starts, end, "right") - 1))
        sums = np.concatenate([np.zeros((1, encoder.dim)), np.cumsum(block, 0, dtype=np.float64)])
        a, b = first[done:upto] - at, stop[done:upto] - at
        means[done:upto] = (sums[b] - sums[a]) / np.maximum(b - a, 1)[:, None]
        done, at = upto, end
    if units.rescaled:
        scale = sentence_scale(encoder)
        means = np.clip((means - scale.mean) * scale.scale, -encoder.bound, encoder.bound)
    result = np.empty(means.shape, np.float16)
    result[order] = means
    yield result


def sentence_scale(encoder: Encoder) -> Standardiser:
    """Mean and deviation of the mean vectors of whole sentences, on the calibration text."""
    if encoder not in _scales:
        _scales[encoder] = Standardiser.fit(_sentence_means(calibration_texts(), encoder))
    return _scales[encoder]


def _sentence_means(texts: Texts, encoder: Encoder) -> npt.NDArray[np.float64]:
    vectors = encoder.encode(texts).astype(np.float64)
    starts = text_offsets(len(t) for t in texts)
    return np.add.reduceat(vectors, starts[:-1], axis=0) / np.diff(starts)[:, None]
