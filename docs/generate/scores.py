"""The table of the scoreboard."""

from __future__ import annotations

from pathlib import Path

from benchmarks.scoreboard import read_entries, table


def files(pages: Path) -> dict[str, str]:
    """The part that the page of conformance includes."""
    return {"parts/scoreboard.md": table(read_entries()) + "\n"}
