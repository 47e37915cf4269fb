"""Encodes a text file of any size, one text a line; neither texts nor vectors are all in memory.

The file is read once: its words are written into the cache, one text a line and a blank between
words, while they are counted and hashed. Then the size of the features is known, and so is their
key, which is that of the same texts in a corpus. Words are kept until the features are complete;
counts and offsets stay, so that the file need not be read again.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.data.readers.shared.decoding import decode
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.encode.base import Encoder
from nlp_gym.encode.cache import (
    MapBlocks,
    Source,
    cached_features,
    encode_blocks,
    features_folder,
    text_bytes,
)
from nlp_gym.encode.store import load_array, save_array
from nlp_gym.encode.weights.file_digests import file_digest
from nlp_gym.errors import (
    DataError,
    DataFormatError,
    DataNotFoundError,
    EncoderError,
    NLPGymError,
    shown,
)
from nlp_gym.files import (
    Readable,
    atomic_path,
    file_lock,
    read_json,
    remove_leftovers,
    write_json,
)
from nlp_gym.progress import Advance, progress_bar
from nlp_gym.types import Encoded, Int64Array

_FORMAT = "text-1"
_READ = 1 << 20
_LONGEST = 64 << 20
"""Bytes of the longest line that is read; a longer one belongs to no text file."""
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class TextFacts:
    """What is known of a text file once it has been read.

    Attributes:
        origin: Hash of its texts, as `nlp_gym.encode.cache.hash_texts` gives it.
        texts: Number of texts, which are the lines that have words.
        words: Number of words.
    """

    origin: str
    texts: int
    words: int


def encode_file(
    path: str | Path,
    encoder: Encoder,
    *,
    pretokenized: bool = False,
    progress: bool | None = None,
    cache_dir: str | Path | None = None,
    map_blocks: MapBlocks | None = None,
) -> Encoded:
    """Encode a text file into the feature cache, from where a run that was interrupted stopped.

    Args:
        path: UTF-8 text, one text a line, gzip or not. Lines without words are skipped.
        encoder: An encoder, as from `nlp_gym.encode.load_encoder`.
        pretokenized: Blanks separate the words. False: words are cut as in all raw text
            (`nlp_gym.data.text.tokenize`).
        progress: Show progress on stderr, see `nlp_gym.progress.progress_bar`.
        cache_dir: Folder of the cache. None: the user's.
        map_blocks: Encodes blocks of texts somewhere else, see `nlp_gym.encode.cache.MapBlocks`.

    Returns:
        The memory-mapped vectors of all words, and where each text begins.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It cannot be read, is no text, has none, or changed meanwhile.
        EncoderError: The encoder fails, or the disk has no room for the vectors; that is found out
            before the first text is encoded.
    """
    words = _Words(Path(path), pretokenized, features_folder(cache_dir), progress)
    facts = words.facts()
    if not facts.texts:
        words.discard()
        raise DataError(f"{str(path)!r} has no text: not one of its lines has a word.")

    def blocks(first: int) -> Iterator[npt.NDArray[Any]]:
        texts = words.texts()
        return encode_blocks(
            texts, encoder, facts.words, progress, first=first, map_blocks=map_blocks
        )

    source = Source(facts.origin, facts.words, encoder, blocks)
    features = cached_features(source, cache_dir, in_memory=False)
    words.discard()
    return Encoded(features, words.offsets(facts))


class _Words:
    """The words of a text file, in the cache."""

    def __init__(self, path: Path, pretokenized: bool, folder: Path, progress: bool | None) -> None:
        self._path, self._progress = path, progress
        self._split = str.split if pretokenized else _cut
        try:
            self._digest = file_digest(path, progress=progress)
        except FileNotFoundError as error:
            raise DataNotFoundError(f"There is no file {path}.") from error
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise DataError(f"{str(path)!r} cannot be read: {reason}") from error
        text = f"{_FORMAT}\0{'blanks' if pretokenized else 'rules'}\0{self._digest}"
        self._key = hashlib.sha256(text.encode()).hexdigest()
        self._folder = folder / "texts"
        self._words = self._folder / f"{self._key}.words"
        self._facts = self._folder / f"{self._key}.facts.json"
        self._offsets = self._folder / f"{self._key}.npy"

    def facts(self) -> TextFacts:
        """Counts and hash of the texts; the file is read where they are not known."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            facts = TextFacts(**read_json(self._facts))
            if self._load_offsets(facts) is not None:
                return facts
        with self._locked():
            return self._read()

    def texts(self) -> Iterator[Sequence[str]]:
        """The words of each text."""
        with self._open() as file:
            for line in file:
                yield line[:-1].decode().split(" ")

    def offsets(self, facts: TextFacts) -> Int64Array:
        """(N+1,) where each text begins."""
        offsets = self._load_offsets(facts)
        if offsets is None:
            with self._locked():
                self._read()
            offsets = self._load_offsets(facts)
        if offsets is None:
            raise DataError(f"{shown(self._offsets)} cannot be read: is the disk full?")
        return offsets

    def discard(self) -> None:
        """Remove the words; they are read again if they are needed again."""
        with suppress(OSError):
            self._words.unlink(missing_ok=True)

    def _load_offsets(self, facts: TextFacts) -> Int64Array | None:
        return load_array(self._offsets, key=self._key, shape=(facts.texts + 1,), dtype="<i8")

    def _open(self) -> IO[bytes]:
        try:
            return self._words.open("rb")
        except FileNotFoundError:
            with self._locked():
                self._read()
                return self._words.open("rb")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with suppress(NotImplementedError), file_lock(self._words):
                yield
        except NLPGymError:
            raise
        except OSError as error:
            raise EncoderError(
                f"The words of {shown(self._path)} could not be kept in {shown(self._folder)}: "
                f"{error.strerror or error}. Free some space, or set NLP_GYM_CACHE to another "
                "folder."
            ) from error

    def _read(self) -> TextFacts:
        remove_leftovers(self._words)
        digest, lengths = hashlib.sha256(), array("q", [0])
        total, name = self._path.stat().st_size, self._path.name
        with (
            atomic_path(self._words) as temporary,
            temporary.open("wb") as out,
            progress_bar(total, f"reading {name}", unit="bytes", show=self._progress) as advance,
        ):
            for line in read_lines(self._path, advance):
                words = self._split(line)
                if words:
                    digest.update(text_bytes(words))
                    lengths.append(len(words))
                    out.write(" ".join(words).encode() + b"\n")
            if file_digest(self._path) != self._digest:
                raise DataError(f"{str(self._path)!r} changed while it was read: try again.")
        offsets = np.cumsum(np.frombuffer(lengths, np.int64))
        facts = TextFacts(digest.hexdigest(), len(offsets) - 1, int(offsets[-1]))
        save_array(self._offsets, offsets, key=self._key)
        write_json(self._facts, asdict(facts))
        return facts


def _cut(line: str) -> list[str]:
    return [word for word, _, _ in split_words(line)]


def read_lines(path: Path, advance: Advance = lambda units: None) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, which is never in memory as a whole.

    Args:
        path: The file, gzip or not.
        advance: Called with the number of bytes that were read of it.

    Raises:
        DataError: It cannot be read, is damaged or no text.
    """
    number, rest = 1, b""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            file: Readable = gzip.GzipFile(fileobj=raw) if packed else raw
            at = 0
            while block := file.read(_READ):
                done, rest = _whole_lines(rest + block)
                advance(raw.tell() - at)
                at = raw.tell()
                if done:
                    yield from _decoded(done, path, number)
                    number += done.count(b"\n")
                elif len(rest) > _LONGEST:
                    raise DataFormatError(
                        path, number, f"the line is longer than {_LONGEST:,} bytes: no text file"
                    )
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r} is damaged gzip: {error}") from error
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    if rest:
        yield from _decoded(rest, path, number)


def _whole_lines(data: bytes) -> tuple[bytes, bytes]:
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def _decoded(data: bytes, path: Path, number: int) -> list[str]:
    found = decode(data.removesuffix(b"\n"))
    for problem in found.problems:
        line = None if problem.line is None else number + problem.line - 1
        raise DataFormatError(path, line, problem.message)
    return found.lines
