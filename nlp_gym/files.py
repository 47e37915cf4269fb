"""Files on disk: atomic writes, checksums, the cache folder and locks between processes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from nlp_gym.memory import memory_limit, readable_size
from nlp_gym.progress import progress_bar

_BLOCK = 1 << 20


class Readable(Protocol):
    """An open binary file."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""


PART = ".part"
"""Ending of the temporary files of `atomic_path`, which a killed process leaves behind."""


def read_regular(path: str | Path, *, limit: int | None = None) -> bytes:
    """Read a whole file that is a regular one; its size is known before the first byte is read.

    Devices, pipes and sockets are refused without being read: they may have no end.

    Args:
        path: The file. Symbolic links are followed.
        limit: Largest size in bytes; None: half of the machine's memory.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It is no regular file, is larger than `limit`, or cannot be read.
        ValueError: The name holds a NUL.
    """
    largest = memory_limit() // 2 if limit is None else limit
    # Opening a pipe waits for its writer, unless it is opened without blocking.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            code, what = (
                (errno.EISDIR, "it is a folder, not a file")
                if stat.S_ISDIR(status.st_mode)
                else (errno.EINVAL, "it is a device, a pipe or a socket, which may have no end")
            )
            raise OSError(code, what, str(path))
        content = b""
        if status.st_size <= largest:
            with open(handle, "rb", closefd=False) as file:
                content = read_at_most(file, largest + 1, status.st_size)
    finally:
        os.close(handle)
    if len(content) > largest or status.st_size > largest:
        size = readable_size(max(status.st_size, len(content)))
        raise OSError(
            errno.EFBIG, f"it has {size}, at most {readable_size(largest)} are read", str(path)
        )
    return content


def read_at_most(file: Readable, size: int, expected: int = 0) -> bytes:
    """Read `size` bytes, or fewer where the file ends before; memory grows with what is read.

    Args:
        file: An open file.
        size: Largest number of bytes.
        expected: How many there will be, where that is known; it may be wrong.
    """
    block = file.read(min(expected + 1, size))
    if len(block) <= expected:
        return block
    parts = [block]
    size -= len(block)
    while size > 0 and (block := file.read(min(_BLOCK, size))):
        parts.append(block)
        size -= len(block)
    return b"".join(parts)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Write a file atomically: it is complete or does not exist.

    The caller writes a temporary file in the same folder. On success it is flushed to disk and
    renamed to `path`; on any failure, interruption included, it is removed and `path` is unchanged.

    Args:
        path: The final name. Missing parent folders are created.

    Yields:
        The path of the temporary file, which does not exist yet.

    Raises:
        OSError: The folder cannot be created or written to, or the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PART}"
    try:
        yield temporary
        with temporary.open("r+b") as written:  # Windows flushes only what may be written to
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(path: str | Path) -> None:
    """Remove the temporary files that killed processes left beside `path`.

    Call it only while holding the lock under which `path` is written.
    """
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.*{PART}"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def write_json(path: str | Path, obj: Any) -> None:
    """Write `obj` as readable UTF-8 JSON, atomically.

    Args:
        path: The file.
        obj: Anything that `json` can write. NaN and infinity are refused: they are not JSON.

    Raises:
        ValueError: `obj` holds NaN or infinity.
        OSError: The file cannot be written.
    """
    text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256_file(path: str | Path, *, progress: bool = False) -> str:
    """Return the sha256 of a file, in hexadecimal.

    Args:
        path: The file.
        progress: Show a bar on stderr once it has taken more than two seconds.

    Raises:
        OSError: The file cannot be read.
    """
    digest, path = hashlib.sha256(), Path(path)
    size, text = path.stat().st_size, f"checking {path.name}"
    with (
        path.open("rb") as file,
        progress_bar(size, text, unit="bytes", show=progress) as advance,
    ):
        while block := file.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def user_cache_dir() -> Path:
    """Return the folder for downloads and features; it may not exist yet.

    It is the value of the environment variable ``NLP_GYM_CACHE``, else the platform's cache folder
    of the user (on Linux ``~/.cache/nlp_gym``, or below ``XDG_CACHE_HOME``).
    """
    given = os.environ.get("NLP_GYM_CACHE")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("nlp_gym", appauthor=False))


@contextlib.contextmanager
def file_lock(path: str | Path, *, timeout: float = -1.0) -> Iterator[None]:
    """Let one process at a time work on `path`.

    The lock is the file ``.<name>.lock`` beside it. It is released when the process dies, and its
    holder may take it again.

    Args:
        path: The file or folder to protect; it need not exist.
        timeout: Seconds to wait; a negative number waits for ever.

    Raises:
        TimeoutError: Another process held the lock for longer than `timeout`.
        OSError: The folder cannot be written to.
    """
    import filelock

    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.parent / f".{path.name}.lock", is_singleton=True)
    with lock.acquire(timeout=timeout):
        yield
