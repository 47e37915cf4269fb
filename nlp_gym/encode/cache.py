"""The feature cache: a corpus is encoded once per encoder and options, then memory-mapped.

The key is the sha256 of the corpus's words, the encoder's fingerprint and the format's version:
features are never used for another text, other options or other weights. Of several processes that
need the same features at once, one encodes and the others wait. A process that is killed leaves
nothing under the final name, and the next one goes on where it stopped (`store.RowWriter`).
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.base import BLOCK_WORDS, Encoder, Texts, text_blocks, text_offsets
from nlp_gym.encode.compact import CompactEncoder, stored_dtype, to_stored
from nlp_gym.encode.store import RowWriter, kept_path, load_array, remove_abandoned
from nlp_gym.errors import EncoderError, shown
from nlp_gym.files import file_lock, remove_leftovers, user_cache_dir
from nlp_gym.memory import readable_size
from nlp_gym.progress import part_of_bar, progress_bar
from nlp_gym.types import Corpus, Encoded, text_key

_FORMAT = "features-1"

_Features = npt.NDArray[Any]
MapBlocks = Callable[[Iterator[Texts]], Iterable[_Features]]
"""Encodes blocks of texts, wherever it does: the rows of each block, in the blocks' order.

It is to take blocks as it goes, not all at once. `encode_block` is what it does to each.
"""

# Arrays in use in this process, by path, size, times and inode of the file: many environments over
# one corpus verify the file once.
_in_use: WeakValueDictionary[tuple[object, ...], _Features] = WeakValueDictionary()


@dataclass(frozen=True)
class Source:
    """What is encoded into one file of the cache.

    Attributes:
        origin: Hash of the texts: equal for equal texts, different otherwise.
        rows: Number of vectors, without the zero row at the end.
        encoder: The encoder; its fingerprint is part of the key.
        blocks: Computes the features from a row on, in order and without the zero row. Rows where
            it is asked to begin are ends of blocks that it gave before.
        resumable: Whether `blocks` can begin at another row than the first.
    """

    origin: str
    rows: int
    encoder: Encoder
    blocks: Callable[[int], Iterable[_Features]]
    resumable: bool = True

    @property
    def key(self) -> str:
        """Sha256 of all that decides the features."""
        text = f"{_FORMAT}\0{self.origin}\0{self.encoder.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number format of the file."""
        return stored_dtype(self.encoder)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the features, the zero row at the end included."""
        return self.rows + 1, self.encoder.dim


def encode_corpus(
    corpus: Corpus,
    encoder: Encoder,
    *,
    progress: bool | None = None,
    cache_dir: str | Path | None = None,
) -> Encoded:
    """Return the word vectors of a corpus, from the cache where it has them.

    Args:
        corpus: The corpus; only its words matter.
        encoder: An encoder, as from `load_encoder`.
        progress: Show progress on stderr, see `nlp_gym.progress.progress_bar`.
        cache_dir: Folder of the cache. None: ``features`` in `nlp_gym.files.user_cache_dir`.

    Returns:
        The vectors; memory-mapped, unless the disk could not take them.

    Raises:
        EncoderError: The encoder cannot be loaded or gives vectors that are not finite.
    """
    texts = [sample.words for sample in corpus.samples]
    words = int(corpus.offsets[-1])

    def blocks(first: int) -> Iterator[_Features]:
        return encode_blocks(texts, encoder, words, progress, first=first)

    source = Source(hash_texts(texts), words, encoder, blocks)
    return Encoded(cached_features(source, cache_dir), corpus.offsets)


def cached_features(
    source: Source, cache_dir: str | Path | None = None, *, in_memory: bool = True
) -> _Features:
    """Return features from the cache, or compute and store them.

    Args:
        source: What is encoded.
        cache_dir: Folder of the cache. None: the user's.
        in_memory: Where the disk does not take them, keep them in memory and warn.

    Raises:
        EncoderError: The disk does not take them, and `in_memory` is False; this is found out
            before anything is computed, where the free space says so.
    """
    folder = features_folder(cache_dir)
    path = folder / f"{source.key}.npy"
    features = _load(path, source)
    if features is None:
        with _locked(path) as alone:
            # Another process may have made it while this one waited.
            features = load_array(
                path, key=source.key, shape=source.shape, dtype=source.dtype.str, quiet=True
            )
            if features is None:
                if not in_memory:
                    _check_disk(path, source)
                known = _converted(source, folder)
                features = _build(path, known or source, alone=alone, in_memory=in_memory)
    return features


def _converted(source: Source, folder: Path) -> Source | None:
    """Where smaller vectors are wanted of words whose own vectors are known: made from these."""
    if not (isinstance(source.encoder, CompactEncoder) and source.resumable):
        return None
    encoder, whole = source.encoder, replace(source, encoder=source.encoder.inner)
    features = _load(folder / f"{whole.key}.npy", whole)
    if features is None:
        return None
    rows = features[: source.rows]

    def blocks(first: int) -> Iterator[_Features]:
        for at in range(first, len(rows), BLOCK_WORDS):
            yield encoder.shrink(rows[at : at + BLOCK_WORDS])

    return replace(source, blocks=blocks)


def features_folder(cache_dir: str | Path | None = None) -> Path:
    """The folder of the cache; None: the user's."""
    return user_cache_dir() / "features" if cache_dir is None else Path(cache_dir)


def hash_texts(texts: Iterable[Sequence[str]]) -> str:
    """Sha256 of texts, different for different words."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text_bytes(text))
    return digest.hexdigest()


def text_bytes(text: Sequence[str]) -> bytes:
    """The bytes of a text in the hash of many."""
    return text_key(text) + b"\x1f\x1e"


def encode_texts(texts: Texts, encoder: Encoder, *, progress: bool | None = False) -> Encoded:
    """Return the word vectors of texts, without the cache.

    Args:
        texts: N texts, each a sequence of words.
        encoder: An encoder, as from `load_encoder`.
        progress: As in `encode_corpus`.
    """
    offsets = text_offsets(len(text) for text in texts)
    features = np.zeros((int(offsets[-1]) + 1, encoder.dim), stored_dtype(encoder))
    at = 0
    for block in encode_blocks(texts, encoder, int(offsets[-1]), progress):
        features[at : at + len(block)] = to_stored(block, features.dtype)
        at += len(block)
    return Encoded(features, offsets)


def encode_blocks(
    texts: Iterable[Sequence[str]],
    encoder: Encoder,
    n_words: int,
    progress: bool | None,
    *,
    first: int = 0,
    map_blocks: MapBlocks | None = None,
) -> Iterator[_Features]:
    """Yield the word vectors of texts in blocks of whole texts, and check them.

    Args:
        texts: N texts, each a sequence of words; they are read once, as blocks are asked for.
        encoder: The encoder.
        n_words: Number of words of all texts, for the progress bar.
        progress: As in `encode_corpus`.
        first: Begin with the block whose first word this is.
        map_blocks: Encodes the blocks somewhere else. None: here, one after the other.

    Raises:
        EncoderError: The encoder gives vectors of another shape, not finite or beyond its bound.
    """
    blocks = _from_word(text_blocks(texts), first)
    description = f"encoding (going on at {first / n_words:.0%})" if first else "encoding"
    with progress_bar(n_words, description, unit="words", show=progress, done=first) as advance:
        if map_blocks is not None:
            for rows in map_blocks(blocks):
                check_vectors(rows, len(rows), encoder)
                advance(len(rows))
                yield rows
            return
        for block in blocks:
            with part_of_bar(advance, sum(map(len, block))):
                rows = encode_block(block, encoder)
            yield rows


def encode_block(block: Texts, encoder: Encoder) -> _Features:
    """The word vectors of a block of whole texts, checked; a block's do not depend on others.

    Raises:
        EncoderError: The encoder gives vectors of another shape, not finite or beyond its bound.
    """
    rows = encoder.encode(block)
    check_vectors(rows, sum(map(len, block)), encoder)
    return rows


def check_vectors(rows: _Features, words: int, encoder: Encoder) -> None:
    """Raise `EncoderError` unless `rows` (words, D) are finite and within the encoder's bound."""
    # NaN is not within the bound either.
    if rows.shape != (words, encoder.dim) or not (np.abs(rows) <= encoder.bound).all():
        raise EncoderError(
            f"encoder={shown(encoder.name)} gave an array of shape {rows.shape} for "
            f"{words} words and dim={encoder.dim}, or one with NaN or beyond its bound."
        )


def _from_word(blocks: Iterator[Texts], first: int) -> Iterator[Texts]:
    at = 0
    for block in blocks:
        if at >= first:
            yield block
        at += sum(map(len, block))


def _load(path: Path, source: Source) -> _Features | None:
    try:
        status = path.stat()
    except OSError:
        return None
    stamp = (path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    features = _in_use.get(stamp)
    if features is None:
        features = load_array(path, key=source.key, shape=source.shape, dtype=source.dtype.str)
        if features is not None:
            _in_use[stamp] = features
    return features


def _check_disk(path: Path, source: Source) -> None:
    """Raise `EncoderError` where the features are larger than what the disk has left."""
    needed = source.shape[0] * source.shape[1] * source.dtype.itemsize
    kept, folder = kept_path(path), path.parent
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        there = kept.stat().st_size if kept.is_file() else 0
        if needed > free + there:
            raise EncoderError(
                f"The features of {source.rows:,} words need {readable_size(needed)} in "
                f"{shown(folder)}, and {readable_size(free)} are free. Free some space, set "
                "NLP_GYM_CACHE to a folder on another disk, or encode fewer or smaller vectors: "
                "encoder_kwargs 'project' and 'storage'."
            )


def _build(path: Path, source: Source, *, alone: bool, in_memory: bool) -> _Features:
    with suppress(OSError):
        remove_leftovers(path)
        remove_abandoned(path.parent)
    (block_words,) = text_blocks.__defaults__ or (0,)
    with RowWriter(
        path,
        key=source.key,
        shape=source.shape,
        dtype=source.dtype.str,
        partition=f"{block_words} words" if alone and source.resumable else None,
        in_memory=in_memory,
    ) as writer:
        if writer.rows <= source.rows:
            for block in source.blocks(writer.rows):
                writer.append(to_stored(block, source.dtype))
            writer.append(np.zeros((1, source.shape[1]), source.dtype))
    return writer.array


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the lock of `path`; tell the user when another process holds it.

    Yields:
        Whether it is held: not in a folder or on a file system without locks.
    """
    with ExitStack() as stack:
        waits, held = False, True
        try:
            stack.enter_context(file_lock(path, timeout=0))
        except TimeoutError:
            waits = True
        except (OSError, NotImplementedError):
            held = False  # renaming still keeps files whole
        if waits:
            print("Another process is computing the same features; waiting ...", file=sys.stderr)
            stack.enter_context(file_lock(path))
        yield held
