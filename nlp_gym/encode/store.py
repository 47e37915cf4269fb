"""Arrays on disk with checksums: a damaged array counts as absent.

An array is a ``.npy`` file with a ``.json`` file beside it that holds its size, its sha256 and that
of each `CHUNK`. Both are written under temporary names and renamed. Loading checks everything; an
array that does not match is treated as absent, with one line in the log.

Of an array of `LARGE` bytes or more, everything is read where the file's size, times or inode are
not those it had when it was last checked. Otherwise `SAMPLED` chunks drawn at random are read, so
that a start takes no longer the larger the array is, and a disk that loses bytes is still noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import math
import os
import random
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.weights.file_digests import file_digest, keep_digest
from nlp_gym.errors import EncoderError, shown, visible
from nlp_gym.files import PART, atomic_path, read_json, sha256_file, write_json
from nlp_gym.memory import check_memory

_LOG = logging.getLogger("nlp_gym")

Array = npt.NDArray[Any]

CHUNK = 8 << 20
"""Bytes of an array that have a checksum of their own."""
LARGE = 256 << 20
"""Bytes of an array that is not read as a whole at each start."""
SAMPLED = 16
"""Chunks of a large array that are read at each start."""
CHECKPOINT_S = 5.0
"""Seconds of work at most that a process which is killed loses."""
ABANDONED_S = 30 * 86_400
"""Seconds after which an unfinished array that nobody went on with is removed."""
_FREE_SPACE = "Free some space, or set NLP_GYM_CACHE to another folder."


def load_array(
    path: Path, *, key: str, shape: Sequence[int], dtype: str, quiet: bool = False
) -> Array | None:
    """Return an array, memory-mapped copy-on-write; None if it is absent or damaged.

    Args:
        path: The ``.npy`` file.
        key: Identifies what the array was made from, as given when it was saved.
        shape: Expected shape.
        dtype: Expected number format, as NumPy writes it (``"<f2"``).
        quiet: Do not log that the file is damaged.
    """
    if not path.is_file() or not _sidecar(path).is_file():
        return None
    try:
        problem = _problem(path, _description(key, shape, dtype))
        if problem is None:
            return map_array(path)
    except (OSError, ValueError, AttributeError) as error:
        problem = str(error)
    if not quiet:
        _LOG.warning("%s is damaged (%s) and is made again.", visible(str(path)), problem)
    return None


def save_array(path: Path, array: Array, *, key: str) -> None:
    """Write a small array. Failure to write is ignored: the array is only a cache."""
    content = io.BytesIO()
    np.lib.format.write_array(content, array, allow_pickle=False)
    data = content.getvalue()
    with contextlib.suppress(OSError):
        discard(path)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        note = _description(key, array.shape, array.dtype.str)
        write_json(
            _sidecar(path), _with_checksum(note, len(data), hashlib.sha256(data).hexdigest())
        )


def map_array(path: Path) -> Array:
    """Memory-map an array copy-on-write: torch takes it without a warning, the file is safe."""
    # As a plain array: indexing a memmap would give a memmap.
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def discard(path: Path) -> None:
    """Remove an array and its checksum if they exist; the checksum first."""
    _sidecar(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


class RowWriter:
    """Writes a large array to disk block by block, so that it is never in memory as a whole.

    With `partition`, an interrupted array goes on at the last block that was noted: at least every
    `CHECKPOINT_S`, and at any interruption that Python sees. The finished file is the same, byte
    for byte, as without the interruption.

    If the folder cannot be written to or the disk is full, a `UserWarning` says so and the array is
    kept in memory, or, with `in_memory` False, an `EncoderError` is raised. Use it as a context
    manager; afterwards `array` is the result.

    Attributes:
        array: The finished array.
        rows: Number of rows it has; after entering, of those that were there already.
    """

    array: Array

    def __init__(
        self,
        path: Path,
        *,
        key: str,
        shape: tuple[int, int],
        dtype: str,
        partition: str | None = None,
        in_memory: bool = True,
    ) -> None:
        """Prepare to write an array.

        Args:
            path: The ``.npy`` file.
            key: Identifies what the array is made from.
            shape: Shape of the whole array.
            dtype: Number format, as NumPy writes it (``"<f2"``).
            partition: Keep an unfinished array, and go on with one whose rows were cut into blocks
                in the same way, which this names. No other process may be writing the same array.
                None: keep none.
            in_memory: Keep the array in memory where the disk does not take it.
        """
        self._path, self._shape, self._dtype, self._key = path, shape, np.dtype(dtype), key
        self._partition, self._in_memory = partition, in_memory
        self.rows = 0
        self._memory: Array | None = None
        self._sums = _Checksums()
        self._stack = contextlib.ExitStack()
        self._header = _header(shape, self._dtype)
        self._noted_at = time.monotonic()

    def __enter__(self) -> RowWriter:
        """Open a temporary file beside the final one."""
        try:
            discard(self._path)
            place = atomic_path if self._partition is None else _kept_path
            self._temporary = self._stack.enter_context(place(self._path))
            # Unbuffered, so that a full disk raises in `append` and nowhere else.
            self._temporary.touch()
            self._file = self._stack.enter_context(self._temporary.open("r+b", buffering=0))
            if not self._go_on():
                _journal(self._path).unlink(missing_ok=True)
                self._file.seek(0)
                self._file.truncate()
                self._write(self._header)
        except OSError as error:
            self._fall_back(error)
        return self

    def append(self, rows: Array) -> None:
        """Add the next rows."""
        if self._memory is None:
            try:
                self._write(np.ascontiguousarray(rows, self._dtype).data.cast("B"))
            except OSError as error:
                self._fall_back(error)
        if self._memory is not None:
            self._memory[self.rows : self.rows + len(rows)] = rows
        self.rows += len(rows)
        if self._memory is None and time.monotonic() - self._noted_at >= CHECKPOINT_S:
            self._note()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its final name; after a failure keep it for the next time, or remove it."""
        if kind is not None:
            if self._memory is None:
                self._note()
            self._stack.__exit__(kind, error, trace)
            return
        if self.rows != self._shape[0]:
            problem = ValueError(f"{self.rows} rows instead of {self._shape[0]}")
            self._stack.__exit__(ValueError, problem, None)
            raise problem
        if self._memory is None:
            try:
                os.fsync(self._file.fileno())
            except OSError as failure:
                self._fall_back(failure)
        self.array = self._finish() if self._memory is None else self._memory

    def _finish(self) -> Array:
        size = self._file.tell()
        self._stack.close()
        _journal(self._path).unlink(missing_ok=True)
        note = _description(self._key, self._shape, self._dtype.str)
        digest = self._sums.whole.hexdigest()
        try:
            write_json(
                _sidecar(self._path),
                {**_with_checksum(note, size, digest), "chunks": self._sums.chunks()},
            )
        except OSError as error:
            self._warn(error)
        if size >= LARGE:
            keep_digest(self._path, digest)  # what was just written need not be read again
        return map_array(self._path)

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            view = view[self._file.write(view) :]
        self._sums.update(data)

    def _note(self) -> None:
        """Note how far the array is: these rows will not be computed again."""
        self._noted_at = time.monotonic()
        if self._partition is None or not self.rows:
            return
        size = len(self._header) + self.rows * self._shape[1] * self._dtype.itemsize
        facts = _with_checksum(self._plan(), size, self._sums.whole.hexdigest())
        with contextlib.suppress(OSError):  # without a note it begins again, that is all
            os.fsync(self._file.fileno())
            write_json(_journal(self._path), {**facts, "rows": self.rows})

    def _plan(self) -> dict[str, Any]:
        """What has to be the same for an unfinished array to be gone on with."""
        description = _description(self._key, self._shape, self._dtype.str)
        return {**description, "partition": self._partition}

    def _go_on(self) -> bool:
        """Read the rows that an interrupted process wrote; False: begin again."""
        journal = _journal(self._path)
        if not (self._temporary.stat().st_size and journal.is_file()):
            return False
        try:
            note = read_json(journal)
            size, rows = int(note["size"]), int(note["rows"])
            if any(note.get(name) != value for name, value in self._plan().items()):
                return False
            left = size
            while left and (block := self._file.read(min(left, CHUNK))):
                self._sums.update(block)
                left -= len(block)
            if left or self._sums.whole.hexdigest() != note["sha256"]:
                raise ValueError("its checksum differs")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _LOG.warning("%s cannot be gone on with (%s).", visible(str(journal)), error)
            self._sums = _Checksums()
            return False
        self._file.truncate(size)
        self.rows = rows
        return True

    def _fall_back(self, error: OSError) -> None:
        """Move the rows written so far into memory and remove the file."""
        if not self._in_memory:
            if not self.rows:
                self._stack.__exit__(type(error), error, None)
            raise EncoderError(
                f"{self._failure(error)} What is encoded is kept, and the next start goes on from "
                f"there. {_FREE_SPACE}"
            ) from error
        needed = math.prod(self._shape) * self._dtype.itemsize
        check_memory(
            "NLP_GYM_CACHE", str(self._path.parent), needed, self._failure(error) + " They"
        )
        self._warn(error)
        self._memory = np.zeros(self._shape, self._dtype)
        if self.rows:
            self._file.seek(len(self._header))
            done = self._memory[: self.rows].data.cast("B")
            while len(done) and (count := self._file.readinto(done)):
                done = done[count:]
        self._stack.__exit__(type(error), error, None)
        self._discard_kept()

    def _discard_kept(self) -> None:
        with contextlib.suppress(OSError):
            _journal(self._path).unlink(missing_ok=True)
            kept_path(self._path).unlink(missing_ok=True)

    def _failure(self, error: OSError) -> str:
        needed = math.prod(self._shape) * self._dtype.itemsize / 1e6
        return (
            f"The features ({needed:.0f} MB) could not be kept in {shown(self._path.parent)}: "
            f"{error.strerror or error}."
        )

    def _warn(self, error: OSError) -> None:
        warnings.warn(
            f"{self._failure(error)} They stay in memory and are computed again at the next start. "
            f"{_FREE_SPACE}",
            UserWarning,
            stacklevel=2,
        )


class _Checksums:
    """Sha256 of all bytes, and of each `CHUNK` of them."""

    def __init__(self) -> None:
        self.whole, self._chunk = hashlib.sha256(), hashlib.sha256()
        self._room, self._done = CHUNK, list[str]()

    def update(self, data: bytes | memoryview) -> None:
        self.whole.update(data)
        rest = memoryview(data)
        while rest:
            part, rest = rest[: self._room], rest[self._room :]
            self._chunk.update(part)
            self._room -= len(part)
            if not self._room:
                self._done.append(self._chunk.hexdigest())
                self._chunk, self._room = hashlib.sha256(), CHUNK

    def chunks(self) -> list[str]:
        """Of each chunk, the last of which may be shorter."""
        return self._done if self._room == CHUNK else [*self._done, self._chunk.hexdigest()]


@contextlib.contextmanager
def _kept_path(path: Path) -> Iterator[Path]:
    """As `atomic_path`, but a file that has a note of how far it is stays after a failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = kept_path(path)
    try:
        yield kept
        os.replace(kept, path)
    except BaseException:
        if not _journal(path).is_file():
            with contextlib.suppress(OSError):
                kept.unlink(missing_ok=True)
        raise


def kept_path(path: Path) -> Path:
    """Where the rows of an unfinished array are until it is gone on with."""
    return path.parent / f".{path.stem}{PART}"


def _journal(path: Path) -> Path:
    return path.parent / f".{path.stem}.resume.json"


def remove_abandoned(folder: Path) -> None:
    """Remove unfinished arrays that were last written to `ABANDONED_S` ago."""
    for kept in folder.glob(f".*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - kept.stat().st_mtime > ABANDONED_S:
                kept.unlink()
                _journal(kept.parent / kept.stem[1:]).unlink(missing_ok=True)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _description(key: str, shape: Sequence[int], dtype: str) -> dict[str, Any]:
    return {"format": 1, "key": key, "shape": list(shape), "dtype": dtype}


def _with_checksum(note: dict[str, Any], size: int, digest: str) -> dict[str, Any]:
    return {**note, "size": size, "sha256": digest}


def _problem(path: Path, expected: dict[str, Any]) -> str | None:
    """What is wrong with an array on disk; None if nothing is."""
    note = read_json(_sidecar(path))
    for name, value in expected.items():
        if note.get(name) != value:
            return f"{name} is {shown(note.get(name))} instead of {shown(value)}"
    if path.stat().st_size != note.get("size"):
        return f"{path.stat().st_size} bytes instead of {note.get('size')}"
    large = path.stat().st_size >= LARGE
    digest = file_digest(path, progress=None) if large else sha256_file(path)
    if digest != note.get("sha256"):
        return "its checksum differs"
    chunks = note.get("chunks")
    return _sample_problem(path, chunks) if large and isinstance(chunks, list) else None


def _sample_problem(path: Path, chunks: list[Any]) -> str | None:
    """What is wrong with some chunks of an array, drawn at random."""
    # Not from the state that users seed.
    drawn = random.SystemRandom().sample(range(len(chunks)), min(SAMPLED, len(chunks)))
    with path.open("rb") as file:
        for number in sorted(drawn):
            file.seek(number * CHUNK)
            if hashlib.sha256(file.read(CHUNK)).hexdigest() != chunks[number]:
                return f"the checksum of chunk {number} differs"
    return None


def _header(shape: tuple[int, int], dtype: np.dtype[Any]) -> bytes:
    buffer = io.BytesIO()
    fields = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()
