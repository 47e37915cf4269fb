"""Reads files with their checksums, and caches the samples as long as a file is unchanged."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nlp_gym.data.readers import family_readers, find_reader
from nlp_gym.data.readers.shared.base import FileSamples
from nlp_gym.data.readers.shared.decoding import decode, packed_bytes, text_name, unpacked
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import ChecksumError

Stamp = tuple[int, int]
"""Size of a file and time of its last change, in nanoseconds."""


@dataclass(frozen=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: The file.
        family: Task family of its reader.
        format: Name of its reader; None: it is chosen by ending and content.
        sha256: Allowed sha256 digests; None: they are not checked.
        folder: Folder of the named corpus that the file belongs to.
    """

    path: Path
    family: str
    format: str | None
    sha256: frozenset[str] | None = None
    folder: Path | None = None


def read_sources(
    sources: tuple[SourceFile, ...],
    options: Options,
    extra: tuple[SourceFile, ...] = (),
) -> FileSamples:
    """Read files one after the other; unchanged files are read once per process.

    Args:
        sources: The files.
        options: How they are read.
        extra: Files that readers look up beside them; only their checksums are verified.

    Raises:
        DataError: A file is missing or bad, or its sha256 is not an allowed one.
    """
    for source in extra:
        _verify_once(source, _stamp(source.path))
    if len(sources) == 1:
        return read_cached(sources[0], options)
    return _read_all(sources, tuple(_stamps(source, options) for source in sources), options)


def read_cached(source: SourceFile, options: Options) -> FileSamples:
    """Read a file; an unchanged file is read once per process.

    Raises:
        DataError: It is missing or bad, or its sha256 is not an allowed one.
    """
    return _read(source, _stamps(source, options), options)


def format_of(path: Path, family: str, options: Options) -> str:
    """Name of the reader of a file.

    Raises:
        DataError: It is missing, cannot be read, or nothing tells its format.
    """
    text = decode(unpacked(packed_bytes(path), path), options.encoding)
    return find_reader(path, text.lines, family=family, options=options).name


@lru_cache(maxsize=8)
def _read_all(
    sources: tuple[SourceFile, ...], stamps: tuple[tuple[Stamp, ...], ...], options: Options
) -> FileSamples:
    found = [read_cached(source, options) for source in sources]
    samples = itertools.chain.from_iterable(file.samples for file in found)
    return FileSamples(tuple(samples), sum(file.n_skipped for file in found))


@lru_cache(maxsize=16)
def _read(source: SourceFile, stamps: tuple[Stamp, ...], options: Options) -> FileSamples:
    """Read a file once per `stamps`: many environments share its samples."""
    path = source.path
    content = packed_bytes(path)
    _verify(source, content)
    text = decode(unpacked(content, path), options.encoding)
    reader = find_reader(path, text.lines, source.format, family=source.family, options=options)
    return reader.samples(path, text, options, source.family)


@lru_cache(maxsize=64)
def _verify_once(source: SourceFile, stamp: Stamp) -> None:
    _verify(source, packed_bytes(source.path))


def _verify(source: SourceFile, content: bytes) -> None:
    if source.sha256 is None:
        return
    found, folder = hashlib.sha256(content).hexdigest(), source.folder or source.path.parent
    if found in source.sha256:
        return
    raise ChecksumError(
        f"{source.path}: the sha256 is {found}, not {' or '.join(sorted(source.sha256))}: the file "
        "was changed or is damaged, and is not used. If the change is meant, pass the files as "
        f"data={{'train': FILE, ...}}; otherwise: nlp-gym data download {folder.name} --data-dir "
        f"{folder.parent} --force"
    )


def _stamps(source: SourceFile, options: Options) -> tuple[Stamp, ...]:
    """Stamps of a file and of the files beside it that its reader may look up."""
    readers = family_readers(source.family).values()
    names = [
        name
        for reader in readers
        if reader.companions is not None and source.format in (None, reader.name)
        for name in reader.companions(text_name(source.path), options)
    ]
    others = [source.path.parent / name for name in dict.fromkeys(names)]
    return (_stamp(source.path), *(_stamp(other) for other in others if other.is_file()))


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        packed_bytes(path)  # raises, with a message
        raise
    return stat.st_size, stat.st_mtime_ns
