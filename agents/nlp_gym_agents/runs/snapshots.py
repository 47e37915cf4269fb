"""Snapshots: folders that are complete or not there at all.

A snapshot is a folder of files with ``manifest.json``, which holds the sha256 of each of them and
is written last. `publish` fills a hidden sibling folder and renames it, so a process killed at any
moment leaves the previous snapshot alone; `verify` tells a complete one from anything else. What is
read of a snapshot are files of JSON and tensors that its manifest lists, and no others.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from nlp_gym.errors import RunError
from nlp_gym.files import JSON_LIMIT, sha256_file
from nlp_gym.inert import shown, visible
from nlp_gym.memory import readable_size
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import TENSORS, check_tensors_size

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_PARTIAL, _REPLACED = ".partial-", ".replaced-"
_LONGEST_NAME = 200
_STEP = re.compile("[0-9]{1,13}")
_READ = (".json", TENSORS)
"""Endings of the files of a snapshot that are read."""


class Manifest(TypedDict):
    """``manifest.json``.

    Attributes:
        format_version: See `check_version`.
        files: Sha256 by name.
    """

    format_version: int
    files: dict[str, str]


def _flush(path: Path) -> None:
    """Force a file to the disk, so that the rename cannot overtake its contents."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    manifest = {
        "format_version": FORMAT_VERSION,
        "files": {path.name: sha256_file(path) for path in files},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    for path in [*files, folder / MANIFEST]:
        _flush(path)


def tidy(parent: Path) -> None:
    """Remove what writers that were killed left in `parent`; put back a half-replaced snapshot."""
    for path in parent.glob(f"{_REPLACED}*"):
        target = parent / path.name.removeprefix(_REPLACED)
        if not target.exists():
            path.replace(target)
    for prefix in (_PARTIAL, _REPLACED):
        for path in parent.glob(f"{prefix}*"):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def publish(target: Path, *, fix: Callable[[], str] = lambda: "try again.") -> Iterator[Path]:
    """Yield an empty folder; on success it becomes `target`, replacing one that is there.

    Args:
        target: The snapshot.
        fix: Says what to do once there is space again, for the message.

    Raises:
        RunError: The folder cannot be written (disk full, no permission); an older `target` and its
            siblings are untouched.
    """
    partial = target.parent / f"{_PARTIAL}{target.name}"
    replaced = target.parent / f"{_REPLACED}{target.name}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        tidy(target.parent)
        partial.mkdir()
        yield partial
        _seal(partial)
        if target.exists():
            target.replace(replaced)
        partial.replace(target)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise RunError(
            f"Could not write {target}: {error.strerror or error}. What was saved before is "
            f"intact. Free some space (or fix the permissions), then {fix()}"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def locate(target: Path) -> Path:
    """Where the snapshot `target` is: there, or aside if its writer was killed mid-swap."""
    replaced = target.parent / f"{_REPLACED}{target.name}"
    return replaced if not target.exists() and replaced.exists() else target


def check_version(version: object, path: Path) -> None:
    """Raise `RunError` unless `version` is the format this release reads."""
    if version != FORMAT_VERSION:
        raise RunError(
            f"{path} has format_version={shown(version)}, this release reads {FORMAT_VERSION}. "
            "Use the release that wrote it (its versions.json names it), or train again."
        )


def verify(folder: Path) -> None:
    """Check that a snapshot is complete and is what was written.

    Raises:
        RunError: No manifest, another format version, a file that is missing, altered or too large,
            or one that would be read and is not listed.
    """
    if not (folder / MANIFEST).is_file():
        raise RunError(f"{folder} is not a complete snapshot: it has no {MANIFEST}.")
    manifest = read_json(folder / MANIFEST)
    if isinstance(manifest, dict):
        check_version(manifest.get("format_version"), folder)
    schema.check(manifest, Manifest, folder / MANIFEST)
    files: dict[str, str] = manifest["files"]
    for name, expected in files.items():
        path = folder / Path(name).name  # never outside the folder, whatever the manifest says
        if len(name) > _LONGEST_NAME or not path.is_file():
            raise RunError(f"{folder} is incomplete: {visible(name)[:_LONGEST_NAME]} is missing.")
        _check_size(path)
        if sha256_file(path) != expected:
            raise RunError(f"{path} is damaged: its sha256 is not the one in {MANIFEST}.")
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ and path.name not in (MANIFEST, *files):
            raise RunError(
                f"{path} is not listed in {MANIFEST}: it does not belong to this snapshot. Remove "
                "it, or restore the folder as training wrote it."
            )


def _check_size(path: Path) -> None:
    """Refuse a file that is larger than what is read of it, before all of it is hashed."""
    if path.suffix == TENSORS:
        check_tensors_size(path)
    elif path.stat().st_size > JSON_LIMIT:
        raise RunError(
            f"{path} has {readable_size(path.stat().st_size)}, at most {readable_size(JSON_LIMIT)} "
            "are read."
        )


def steps(parent: Path) -> list[Path]:
    """Checkpoint folders in `parent`, newest (most timesteps) first; verified by nobody yet."""
    if not parent.is_dir():
        return []
    found = [path for path in parent.iterdir() if _STEP.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def newest(parent: Path) -> tuple[Path, list[str]]:
    """The newest checkpoint that verifies, and a message for each newer one that does not.

    Raises:
        RunError: There is none.
    """
    skipped: list[str] = []
    for folder in steps(parent):
        try:
            verify(folder)
        except RunError as error:
            skipped.append(f"skipped checkpoint {folder.name}: {error}")
        else:
            return folder, skipped
    detail = " ".join(skipped) or "The folder is empty or missing."
    raise RunError(
        f"{parent} holds no complete checkpoint. {detail} Train again into a fresh --run-dir."
    )


def prune(parent: Path, *, keep: int) -> None:
    """Delete all but the `keep` newest checkpoints."""
    for folder in steps(parent)[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
