"""Arrays on disk with checksums: a damaged array counts as absent.

An array is a ``.npy`` file with a ``.json`` file beside it that holds its size and sha256. Both are
written under temporary names and renamed. Loading checks everything; an array that does not match
is treated as absent, with one line in the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import shown, visible
from nlp_gym.files import atomic_path, read_json, sha256_file, write_json

_LOG = logging.getLogger("nlp_gym")

Array = npt.NDArray[Any]


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

    If the folder cannot be written to or the disk is full, a `UserWarning` says so and the array is
    kept in memory. Use it as a context manager; afterwards `array` is the result.
    """

    array: Array

    def __init__(self, path: Path, *, key: str, shape: tuple[int, int], dtype: str) -> None:
        """Prepare to write an array.

        Args:
            path: The ``.npy`` file.
            key: Identifies what the array is made from.
            shape: Shape of the whole array.
            dtype: Number format, as NumPy writes it (``"<f2"``).
        """
        self._path, self._shape, self._dtype, self._key = path, shape, np.dtype(dtype), key
        self._rows = 0
        self._memory: Array | None = None
        self._digest = hashlib.sha256()
        self._stack = contextlib.ExitStack()
        self._header = _header(shape, self._dtype)

    def __enter__(self) -> RowWriter:
        """Open a temporary file beside the final one."""
        try:
            discard(self._path)
            self._temporary = self._stack.enter_context(atomic_path(self._path))
            # Unbuffered, so that a full disk raises in `append` and nowhere else.
            self._file = self._stack.enter_context(self._temporary.open("w+b", buffering=0))
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
            self._memory[self._rows : self._rows + len(rows)] = rows
        self._rows += len(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its final name, or remove it after a failure."""
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        if self._rows != self._shape[0]:
            problem = ValueError(f"{self._rows} rows instead of {self._shape[0]}")
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
        note = _description(self._key, self._shape, self._dtype.str)
        try:
            write_json(_sidecar(self._path), _with_checksum(note, size, self._digest.hexdigest()))
        except OSError as error:
            self._warn(error)
        return map_array(self._path)

    def _write(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        view = memoryview(data)
        while len(view):
            view = view[self._file.write(view) :]

    def _fall_back(self, error: OSError) -> None:
        """Move the rows written so far into memory and remove the file."""
        self._warn(error)
        self._memory = np.zeros(self._shape, self._dtype)
        if self._rows:
            self._file.seek(len(self._header))
            done = self._memory[: self._rows].data.cast("B")
            while len(done) and (count := self._file.readinto(done)):
                done = done[count:]
        self._stack.__exit__(type(error), error, None)

    def _warn(self, error: OSError) -> None:
        needed = np.prod(self._shape) * self._dtype.itemsize / 1e6
        reason = error.strerror or str(error)
        warnings.warn(
            f"The features ({needed:.0f} MB) could not be kept in {shown(self._path.parent)}: "
            f"{reason}. They stay in memory and are computed again at the next start. Free some "
            "space, or set NLP_GYM_CACHE to another folder.",
            UserWarning,
            stacklevel=2,
        )


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
    if sha256_file(path) != note.get("sha256"):
        return "its checksum differs"
    return None


def _header(shape: tuple[int, int], dtype: np.dtype[Any]) -> bytes:
    buffer = io.BytesIO()
    fields = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()
