"""Files of ``nlp-gym select`` that a person has added answers to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_gym.errors import DataError
from nlp_gym.files import parse_json, read_regular


def answered_rows(file: str | Path) -> list[dict[str, Any]] | None:
    """The rows of a file that `nlp-gym select` wrote; None: another program wrote it.

    Args:
        file: JSON Lines; each has the text, or sample, as its `row`.

    Raises:
        DataError: A later line is none of `nlp-gym select`.
    """
    try:
        lines = read_regular(file).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None  # what reads samples says what is wrong
    rows = list[dict[str, Any]]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = parse_json(line)
        except ValueError as error:
            if not rows:
                return None
            raise DataError(f"{file}:{number}: {error}") from error
        is_row = isinstance(found, dict) and {"rank", "strategy", "row"} <= set(found)
        if not (is_row and isinstance(found["row"], dict)):
            if not rows:
                return None
            raise DataError(f"{file}:{number}: it has no 'row', as a line of `nlp-gym select` has.")
        rows.append(found["row"])
    return rows or None
