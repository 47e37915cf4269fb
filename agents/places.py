"""Where files of a run's settings are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def absolute(path: Any) -> Any:
    """A path as an absolute one: it is found again when the run is used from another folder."""
    if isinstance(path, Mapping):  # one file a split
        return {split: absolute(file) for split, file in path.items()}
    return str(Path(path).expanduser().resolve()) if isinstance(path, str | os.PathLike) else path


def absolute_folder(name: Any) -> Any:
    """As `absolute`, for what is a folder or a name."""
    known = isinstance(name, str) and name.partition(":")[0] in ("bc", "minilm", "hashed")
    folder = isinstance(name, str | os.PathLike) and Path(name).expanduser().is_dir()
    return absolute(name) if folder and not known else name
