"""The pages that are made from the code whenever the site is built; imports the whole project.

`docs/conf.py` calls `write_all`. What is written lies beside the pages written by hand and is
ignored by git: `environments/`, `api/` and `parts/` (tables and pictures that pages include).
"""

from __future__ import annotations

from pathlib import Path

FOLDERS = ("environments", "api", "parts")
"""What is made, below the folder of the pages."""


def write_all(folder: Path) -> None:
    """Write every generated page below `folder`, and remove those of an earlier build.

    A file whose content stays the same is not touched, so that Sphinx reads only what changed.
    """
    from docs.generate import api, environments, formats, packages, scores

    made: dict[Path, str | bytes] = {}
    for part in (environments, api, formats, packages, scores):
        made.update({folder / name: content for name, content in part.files(folder).items()})
    for old in (path for name in FOLDERS for path in (folder / name).rglob("*")):
        if old.is_file() and old not in made:
            old.unlink()
    for path, content in made.items():
        data = content.encode("utf-8") if isinstance(content, str) else content
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
