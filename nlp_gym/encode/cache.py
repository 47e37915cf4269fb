"""The feature cache: a corpus is encoded once per encoder and options, then memory-mapped.

The key is the sha256 of the corpus's words, the encoder's fingerprint and the format's version:
features are never used for another text, other options or other weights. Of several processes that
need the same features at once, one encodes and the others wait. A process that is killed leaves
nothing under the final name.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.base import Encoder, Texts, text_blocks, text_offsets
from nlp_gym.encode.store import RowWriter, load_array
from nlp_gym.errors import EncoderError, shown
from nlp_gym.files import file_lock, remove_leftovers, user_cache_dir
from nlp_gym.progress import part_of_bar, progress_bar
from nlp_gym.types import Corpus, Encoded, text_key

_FORMAT = "features-1"
_DTYPE = "<f2"

_Features = npt.NDArray[np.float16]
# Arrays in use in this process, by path, size, times and inode of the file: many environments over
# one corpus verify the file once.
_in_use: WeakValueDictionary[tuple[object, ...], _Features] = WeakValueDictionary()


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
        progress: Show a bar on stderr when encoding takes longer than two seconds. None: where
            stderr is a terminal.
        cache_dir: Folder of the cache. None: ``features`` in `nlp_gym.files.user_cache_dir`.

    Returns:
        The vectors; memory-mapped, unless the disk could not take them.

    Raises:
        EncoderError: The encoder cannot be loaded or gives vectors that are not finite.
    """
    texts = [sample.words for sample in corpus.samples]
    words = int(corpus.offsets[-1])
    features = cached_features(
        hash_texts(texts),
        (words + 1, encoder.dim),
        encoder,
        lambda: encode_blocks(texts, encoder, words, progress),
        cache_dir,
    )
    return Encoded(features, corpus.offsets)


def cached_features(
    origin: str,
    shape: tuple[int, int],
    encoder: Encoder,
    blocks: Callable[[], Iterable[_Features]],
    cache_dir: str | Path | None = None,
) -> _Features:
    """Return features from the cache, or compute and store them.

    Args:
        origin: Hash of the texts: equal for equal texts, different otherwise.
        shape: Shape of the features, the zero row at the end included.
        encoder: The encoder of the features; its fingerprint is part of the key.
        blocks: Computes the features, in order and without the zero row.
        cache_dir: Folder of the cache. None: the user's.
    """
    folder = user_cache_dir() / "features" if cache_dir is None else Path(cache_dir)
    key = hashlib.sha256(f"{_FORMAT}\0{origin}\0{encoder.fingerprint}".encode()).hexdigest()
    path = folder / f"{key}.npy"
    features = _load(path, key, shape)
    if features is None:
        with _locked(path):
            # Another process may have made it while this one waited.
            features = load_array(path, key=key, shape=shape, dtype=_DTYPE, quiet=True)
            if features is None:
                features = _build(path, key, shape, blocks())
    return features


def hash_texts(texts: Texts) -> str:
    """Sha256 of texts, different for different words."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text_key(text))
        digest.update(b"\x1f\x1e")
    return digest.hexdigest()


def encode_texts(texts: Texts, encoder: Encoder, *, progress: bool | None = False) -> Encoded:
    """Return the word vectors of texts, without the cache.

    Args:
        texts: N texts, each a sequence of words.
        encoder: An encoder, as from `load_encoder`.
        progress: As in `encode_corpus`.
    """
    offsets = text_offsets(len(text) for text in texts)
    features = np.zeros((int(offsets[-1]) + 1, encoder.dim), np.float16)
    at = 0
    for block in encode_blocks(texts, encoder, int(offsets[-1]), progress):
        features[at : at + len(block)] = block
        at += len(block)
    return Encoded(features, offsets)


def _load(path: Path, key: str, shape: tuple[int, int]) -> _Features | None:
    try:
        status = path.stat()
    except OSError:
        return None
    stamp = (path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    features = _in_use.get(stamp)
    if features is None:
        features = load_array(path, key=key, shape=shape, dtype=_DTYPE)
        if features is not None:
            _in_use[stamp] = features
    return features


def _build(path: Path, key: str, shape: tuple[int, int], blocks: Iterable[_Features]) -> _Features:
    with suppress(OSError):
        remove_leftovers(path)
    with RowWriter(path, key=key, shape=shape, dtype=_DTYPE) as writer:
        for block in blocks:
            writer.append(block)
        writer.append(np.zeros((1, shape[1]), np.float16))
    return writer.array


def encode_blocks(
    texts: Texts, encoder: Encoder, n_words: int, progress: bool | None
) -> Iterator[_Features]:
    """Yield the word vectors of texts in blocks of whole texts, and check them.

    Args:
        texts: N texts, each a sequence of words.
        encoder: The encoder.
        n_words: Number of words of all texts, for the progress bar.
        progress: As in `encode_corpus`.

    Raises:
        EncoderError: The encoder gives vectors of another shape, not finite or beyond its bound.
    """
    with progress_bar(n_words, "encoding", unit="words", show=progress) as advance:
        for block in text_blocks(texts):
            words = sum(len(text) for text in block)
            with part_of_bar(advance, words):
                rows = encoder.encode(block)
            # NaN is not within the bound either.
            if rows.shape != (words, encoder.dim) or not (np.abs(rows) <= encoder.bound).all():
                raise EncoderError(
                    f"encoder={shown(encoder.name)} gave an array of shape {rows.shape} for "
                    f"{words} words and dim={encoder.dim}, or one with NaN or beyond its bound."
                )
            yield rows


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path`; tell the user when another process holds it."""
    with ExitStack() as stack:
        waits = False
        try:
            stack.enter_context(file_lock(path, timeout=0))
        except TimeoutError:
            waits = True
        except (OSError, NotImplementedError):
            pass  # a folder or file system without locks: renaming still keeps files whole
        if waits:
            print("Another process is computing the same features; waiting ...", file=sys.stderr)
            stack.enter_context(file_lock(path))
        yield
