"""Paths in settings, made absolute: they are found again from another folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlp_gym.data.text.perturb import COPIES, copies_file
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.inert import shown


def absolute(path: Any) -> Any:
    """A path as an absolute one: it is found again when the run is used from another folder.

    Raises:
        InvalidArgumentError: No file can have that name.
    """
    if isinstance(path, Mapping):  # one file a split
        return {split: absolute(file) for split, file in path.items()}
    if not isinstance(path, str | os.PathLike):
        return path
    try:
        return str(Path(os.path.expanduser(path)).resolve())
    except (OSError, ValueError, RuntimeError) as error:  # NUL, too long, links in a circle
        raise InvalidArgumentError(f"path={shown(path)} can name no file: {error}.") from error


def absolute_folder(name: Any) -> Any:
    """As `absolute`, for what is a folder or a name."""
    known = isinstance(name, str) and name.partition(":")[0] in ("bc", "minilm", "hashed")
    folder = isinstance(name, str | os.PathLike) and os.path.isdir(os.path.expanduser(name))
    return absolute(name) if folder and not known else name


def absolute_attacked(method: str | None) -> str | None:
    """As `absolute`, for the run that ``"attack:RUN"`` names."""
    name, colon, run = (method or "").partition(":")
    return f"{name}:{absolute(run)}" if colon else method


def absolute_copies(augment: Any) -> Any:
    """As `absolute`, for the files that ``"copies:FILE"`` names among perturbations."""
    if not isinstance(augment, list | tuple):
        augment = [augment]
    return [
        f"{COPIES}{absolute(file)}" if (file := copies_file(spec)) else spec for spec in augment
    ]


PLACES = {
    "data": absolute,
    "data_dir": absolute,
    "encoder": absolute_folder,
    "augment": absolute_copies,
    "victim": absolute_folder,
}
"""Arguments of an environment that are files or folders, and what makes them absolute."""
