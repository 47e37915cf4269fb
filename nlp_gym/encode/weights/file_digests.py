"""Sha256 of big files, cached on disk while the file is unchanged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from nlp_gym.files import read_json, sha256_file, user_cache_dir, write_json

# A file written this recently could be written again without its time stamp changing.
_SETTLED_S = 2.0


def file_digest(path: Path, *, fresh: bool = False, progress: bool | None = False) -> str:
    """Return the sha256 of a file's bytes.

    The digest is kept in the user's cache with the file's size, times and inode, and computed
    again when one of them differs. What is kept has a checksum of its own, and counts as absent
    where that does not fit.

    Args:
        path: The file.
        fresh: Compute it from the bytes, whatever is kept.
        progress: Show a bar on stderr while the bytes are read, see `nlp_gym.progress`.

    Raises:
        OSError: The file cannot be read.
    """
    path = path.resolve()
    before = _stamp(path)
    note = _place(path)
    if not fresh:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            known = read_json(note)
            digest = str(known.get("sha256"))
            if known == _note(path, before, digest):
                return digest
    digest = sha256_file(path, progress=progress)
    settled = time.time_ns() - max(before[1:3]) > _SETTLED_S * 1e9
    if settled and _stamp(path) == before:
        with contextlib.suppress(OSError):
            write_json(note, _note(path, before, digest))
    return digest


def keep_digest(path: Path, digest: str) -> None:
    """Keep the sha256 of a file for `file_digest`, where the caller has just written the file.

    Args:
        path: The file, which nobody else writes.
        digest: Its sha256.
    """
    path = path.resolve()
    with contextlib.suppress(OSError):
        write_json(_place(path), _note(path, _stamp(path), digest))


def _place(path: Path) -> Path:
    """Where the digest of a file is kept."""
    return user_cache_dir() / "digests" / (hashlib.sha256(os.fsencode(path)).hexdigest() + ".json")


def _note(path: Path, stamp: list[int], digest: str) -> dict[str, Any]:
    """What is kept of a file."""
    facts = {"path": os.fspath(path), "stamp": stamp, "sha256": digest}
    text = json.dumps(facts, sort_keys=True)
    return {**facts, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
