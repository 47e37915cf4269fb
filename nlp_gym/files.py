"""Files on disk: atomic writes, checksums, the cache folder and locks between processes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from nlp_gym.errors import DataError
from nlp_gym.inert import shown
from nlp_gym.memory import memory_limit, readable_size
from nlp_gym.progress import progress_bar

_BLOCK = 1 << 20


class Readable(Protocol):
    """An open binary file."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""


PART = ".part"
"""Ending of the temporary files of `atomic_path`, which a killed process leaves behind."""
JSON_LIMIT = 16 * 1024**2
"""Bytes of the largest JSON file that `read_json` reads unless it is told otherwise."""
_DEEPEST = 64
_LONGEST_INTEGER = 60
"""Digits; the states of random generators have 39."""


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
        OSError: The folder cannot be created or written to, the disk is full, or `path` is a device
            or a pipe, which a file would take the place of.
    """
    path = Path(path)
    if os.path.lexists(path) and _is_special(path.lstat()):
        raise OSError(errno.EINVAL, "it is a device or a pipe")
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


def write_output(argument: str, path: str | Path, content: str | bytes) -> None:
    """Write a file that an argument names, whole or not at all; a device or a pipe is written to.

    Args:
        argument: Its name.
        path: The file.
        content: Its bytes, or its text, which is written as UTF-8.

    Raises:
        DataError: It cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        if _is_stream(path):
            Path(path).write_bytes(data)
            return
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        problem = error.strerror or error
        raise DataError(f"{argument}={shown(path)} cannot be written: {problem}.") from error


def _is_special(status: os.stat_result) -> bool:
    """Whether a device, a pipe or a socket has this status."""
    kind = status.st_mode
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind))


def _is_stream(path: str | Path) -> bool:
    """Whether a path is a device or a pipe, or leads to where a shell sent a stream."""
    if not os.path.exists(path):
        return False
    links = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")  # also where they lead to a file
    return _is_special(os.stat(path)) or os.path.abspath(path).startswith(links)


def check_output_place(argument: str, path: str | Path) -> None:
    """Refuse a file that could not be written later, before the work that it is to hold.

    Args:
        argument: Name of the argument that names it.
        path: The file. Nothing is created.

    Raises:
        DataError: It is a folder, or the nearest folder above it that exists cannot be written to.
    """
    folder = Path(path).absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if os.path.isdir(path):
        problem = "it is a folder"
    elif not folder.is_dir():
        problem = f"{folder} is no folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = f"nothing can be written in {folder}"
    else:
        return
    raise DataError(
        f"{argument}={shown(str(path))} cannot be written: {problem}. Name another file."
    )


def is_leftover(path: Path) -> bool:
    """Whether a file is a temporary one of `atomic_path`, by its name."""
    return path.name.startswith(".") and path.suffix == PART


def remove_leftovers(path: str | Path) -> None:
    """Remove the temporary files that killed processes left beside `path`.

    Call it only while holding the lock under which `path` is written.

    Args:
        path: The file; a ``*`` in its name stands for anything.
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


def read_json(path: str | Path, *, limit: int = JSON_LIMIT) -> Any:
    """Read a JSON file that may be from anywhere; see `parse_json`.

    Args:
        path: The file.
        limit: Largest size in bytes.

    Raises:
        OSError: As `read_regular`.
        ValueError: It is not UTF-8, or see `parse_json`.
    """
    return parse_json(read_regular(path, limit=limit).decode("utf-8"))


def parse_json(text: str) -> Any:
    """Parse JSON strictly: numbers are finite, keys differ, and nothing is deeper than 64 levels.

    Raises:
        ValueError: It is not JSON, or not within these limits.
    """
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_different_keys,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_short_integer,
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    check_tree(tree)
    return tree


def check_tree(tree: Any) -> None:
    """Check what was parsed, whatever it was parsed from.

    Args:
        tree: Lists and mappings of texts, finite numbers, booleans and None, at any depth.

    Raises:
        ValueError: It is deeper than 64 levels, a key is no text, a number is not finite, a text
            holds NUL or half a surrogate pair, or a value is of another type.
    """
    level: list[Any] = [tree]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_characters(value)
            elif isinstance(value, dict):
                for key in value:
                    if not isinstance(key, str):
                        raise ValueError(f"the key {shown(key)} is {type(key).__name__}, not text")
                    _check_characters(key)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, float):
                _finite(value)
            elif value is not None and not isinstance(value, int):
                raise ValueError(
                    f"{shown(value)} is a {type(value).__name__}, which is not allowed"
                )
        if not below:
            return
        level = below
    raise ValueError(_TOO_DEEP)


_TOO_DEEP = f"it is nested deeper than {_DEEPEST} levels"


def _check_characters(text: str) -> None:
    if "\0" in text:
        raise ValueError(f"the text {shown(text)} holds NUL")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"the text {shown(text)} holds half a surrogate pair") from None


def _different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key)} is given twice")
            seen.add(key)
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(number: str | float) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {shown(number)} is not finite")
    return value


def _short_integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def append_whole(path: str | Path, data: bytes, *, sync: bool = True) -> None:
    """Add bytes to the end of a file: all of them, or none where that fails.

    Args:
        path: The file; it is made if it does not exist.
        data: What to add.
        sync: Flush it to the disk.

    Raises:
        OSError: The disk is full, or the file cannot be written to.
    """
    with open(path, "ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        rest = memoryview(data)
        try:
            while rest:  # a full disk takes a part first, and refuses the rest
                rest = rest[file.write(rest) :]
            if sync:
                os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise


def sha256_file(path: str | Path, *, progress: bool | None = False) -> str:
    """Return the sha256 of a file, in hexadecimal.

    Args:
        path: The file.
        progress: Show a bar on stderr once it has taken more than two seconds; None: see
            `nlp_gym.progress.progress_bar`.

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
