"""``metrics.jsonl``: one JSON object per evaluation on dev, safe against being killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlp_gym.errors import RunError
from nlp_gym.files import append_whole, atomic_path


def append_metrics(run: Path, row: Mapping[str, Any]) -> None:
    """Add one evaluation to ``metrics.jsonl`` and flush it to the disk.

    Raises:
        RunError: The disk is full or read-only; the file is as it was.
    """
    path = run / "metrics.jsonl"
    try:
        append_whole(path, f"{json.dumps(row)}\n".encode())
    except OSError as error:
        raise RunError(f"Could not write {path}: {error.strerror or error}.") from error


def read_metrics(run: str | Path) -> list[dict[str, Any]]:
    """The evaluations of a run; a last line that was cut short by a kill is left out.

    Raises:
        RunError: A line that is not the last is damaged.
    """
    path = Path(run) / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise RunError(f"{path}:{number}: not a JSON object.") from error
    return rows


def rewind_metrics(run: Path, timesteps: int) -> None:
    """Drop evaluations made after `timesteps`: a resumed run makes them again."""
    rows = [row for row in read_metrics(run) if row["timesteps"] <= timesteps]
    with atomic_path(run / "metrics.jsonl") as path:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
