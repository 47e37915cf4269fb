"""Sha256 of big files, cached on disk while the file is unchanged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from nlp_gym.files import sha256_file, user_cache_dir, write_json

# A file written this recently could be written again without its time stamp changing.
_SETTLED_S = 2.0


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes.

    The digest is kept in the user's cache with the file's size, times and inode, and computed
    again when one of them differs.
    """
    path = path.resolve()
    before = _stamp(path)
    note = user_cache_dir() / "digests" / (hashlib.sha256(os.fsencode(path)).hexdigest() + ".json")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known.get("stamp") == before and isinstance(known.get("sha256"), str):
            return str(known["sha256"])
    digest = sha256_file(path)
    settled = time.time_ns() - max(before[1:3]) > _SETTLED_S * 1e9
    if settled and _stamp(path) == before:
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_json(note, {"stamp": before, "sha256": digest})
    return digest


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
