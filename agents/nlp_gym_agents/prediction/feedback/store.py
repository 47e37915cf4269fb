"""``feedback.jsonl`` of a run: what people said of its predictions, a line each, never rewritten.

A line is JSON and holds one text with its answer (a correction), or with the decisions that were
made on it and what they were held worth (a rating). Samples are rows of the task family's JSON
Lines; where words are labelled, a text has one for each of its sentences. Several processes may
append: each holds a lock, writes the whole line and flushes it to the disk. A line that a crash cut
short is closed by the next writer and left out by every reader, with a warning.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from nlp_gym.errors import RunError, shown
from nlp_gym.files import append_whole, file_lock, parse_json, read_regular
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.places import is_inside

FEEDBACK = "feedback.jsonl"
FORMAT_VERSION = 1
LONGEST_LINE = 1 << 20
"""Most bytes of a line."""
_WAIT_S = 60.0
_LISTED = 5
_DIGITS = 6
"""Significant digits of a probability in the file."""

Row = dict[str, Any]
_Chance = Annotated[float, schema.Range(0.0, 1.0)]


class _Correction(TypedDict):
    format_version: int
    kind: Literal["correction"]
    time: str
    family: str
    rows: list[Row]


class _Rating(TypedDict):
    format_version: int
    kind: Literal["rating"]
    time: str
    family: str
    rows: list[Row]
    reward: _Chance
    actions: list[list[schema.Count]]
    chances: list[list[_Chance]]
    policy: str
    inventory: str


@dataclass(frozen=True)
class Correction:
    """A text with its answer.

    Attributes:
        rows: Rows of the family with their answers, one for each episode of the text.
    """

    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Rating:
    """A text, what was decided on it, and what that was held worth: bandit feedback.

    Attributes:
        rows: Rows of the family without answers, one for each episode of the text.
        reward: From 0 (wrong) to 1 (right), of all episodes together.
        actions: What was played in each of them.
        chances: The probability that the policy gave each action when it was played.
        policy: Which policy that was: the beginning of the sha256 of its weights.
        inventory: What the numbers of actions mean, see `inventory_of`.
    """

    rows: tuple[Row, ...]
    reward: float
    actions: tuple[tuple[int, ...], ...]
    chances: tuple[tuple[float, ...], ...]
    policy: str
    inventory: str


Record = Correction | Rating


def to_line(record: Record, family: str) -> str:
    """A record as a line of the file, without its line feed.

    Raises:
        RunError: It is longer than `LONGEST_LINE`.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    found: dict[str, Any] = {"format_version": FORMAT_VERSION, "kind": "correction"}
    found |= {"time": now, "family": family, "rows": list(record.rows)}
    if isinstance(record, Rating):
        chances = [[float(f"{p:.{_DIGITS}g}") for p in each] for each in record.chances]
        found |= {"kind": "rating", "reward": record.reward, "actions": record.actions}
        found |= {"chances": chances, "policy": record.policy, "inventory": record.inventory}
    line = json.dumps(found, ensure_ascii=False, allow_nan=False)
    if len(line.encode("utf-8")) > LONGEST_LINE:
        raise RunError(
            f"feedback on a text of {len(line):,} characters is not kept: a line of {FEEDBACK} has "
            f"at most {LONGEST_LINE:,} bytes. Give it on the parts of the text."
        )
    return line


def from_line(line: str, family: str) -> Record:
    """The record of a line.

    Args:
        line: Without its line feed.
        family: The task family that its rows have to be of.

    Raises:
        ValueError: It is none, or not of that family.
    """
    found = parse_json(line)
    kind = found.get("kind") if isinstance(found, dict) else None
    wrong = schema.misfit(found, _Rating if kind == "rating" else _Correction)
    if wrong is not None:
        raise ValueError(wrong)
    if found["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format_version is {shown(found['format_version'])}, not 1")
    if found["family"] != family:
        raise ValueError(f"it is of the family {shown(found['family'])}, not {family!r}")
    rows = tuple(found["rows"])
    if not rows:
        raise ValueError("it has no rows")
    if kind == "correction":
        return Correction(rows)
    actions, chances = (tuple(map(tuple, found[key])) for key in ("actions", "chances"))
    if not [*map(len, actions)] == [*map(len, chances)] or len(actions) != len(rows):
        raise ValueError("rows, actions and chances do not belong together")
    if not all(p > 0 for each in chances for p in each):
        raise ValueError("a decision that was made has the probability 0")
    given = (found["reward"], actions, chances, found["policy"], found["inventory"])
    return Rating(rows, *given)


def append(path: Path, records: Sequence[Record], family: str) -> None:
    """Add records to the end of the file: all of them, or none.

    Args:
        path: The file; it is made if it does not exist.
        records: What to add.
        family: Task family of their rows.

    Raises:
        RunError: The file cannot be written to, leads out of the run folder, or is held by another
            process for a minute.
    """
    lines = "".join(to_line(record, family) + "\n" for record in records).encode("utf-8")
    _check_place(path)
    with _locked(path), _told(path, "written to"):
        append_whole(path, (b"" if _ends_a_line(path) else b"\n") + lines)


def take_over(path: Path, data: bytes, family: str) -> int:
    """Add the records of another file that this one lacks.

    Args:
        path: The file.
        data: The bytes of the other one, of which the beginning may be a copy of this one.
        family: Task family.

    Returns:
        How many.

    Raises:
        RunError: See `append`.
    """
    there = set(content(path).split(b"\n"))
    lines = [line + b"\n" for line in data.split(b"\n") if line.strip() and line not in there]
    records = parse(b"".join(lines), path, family)
    if records:
        append(path, records, family)
    return len(records)


def read(path: Path, family: str) -> list[Record]:
    """The records of a file, in order; none where there is no file.

    Lines that cannot be read are left out with a warning that names them.

    Args:
        path: The file.
        family: Task family that they have to be of.

    Raises:
        RunError: The file cannot be read.
    """
    return parse(content(path), path, family)


def content(path: Path) -> bytes:
    """The bytes of a file as no writer is in the middle of a line; none where there is no file.

    Raises:
        RunError: The file cannot be read.
    """
    if not os.path.lexists(path):
        return b""
    writable = os.access(path.parent, os.W_OK)
    with _locked(path) if writable else nullcontext(), _told(path, "read"):
        return read_regular(path)


def parse(data: bytes, path: Path, family: str) -> list[Record]:
    """The records in the bytes of a file; see `read`."""
    records, left_out = list[Record](), list[str]()
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if number == len(lines):  # a whole line ends in a line feed
                raise ValueError("it is cut short: a process was stopped while it wrote it")
            if len(line) > LONGEST_LINE:
                raise ValueError(f"it is longer than {LONGEST_LINE:,} bytes")
            records.append(from_line(line.decode("utf-8"), family))
        except ValueError as error:
            left_out.append(f"line {number}: {error}")
    if left_out:
        more = f"; and {len(left_out) - _LISTED} more" if len(left_out) > _LISTED else ""
        warnings.warn(
            f"{path}: {len(left_out)} line(s) cannot be read and are left out: "
            f"{'; '.join(left_out[:_LISTED])}{more}.",
            UserWarning,
            stacklevel=2,
        )
    return records


def _ends_a_line(path: Path) -> bool:
    """Whether what is added begins a line; False after a line that was cut short."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _check_place(path: Path) -> None:
    if path.is_symlink() and not is_inside(path, path.parent):
        raise RunError(
            f"{path} is a symbolic link to {shown(os.readlink(path))}, outside of the run folder, "
            "and would be written to. Replace it by a copy, or remove it."
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        with file_lock(path, timeout=_WAIT_S):
            yield
    except TimeoutError as error:
        raise RunError(
            f"{path} is held by another process for {_WAIT_S:g} seconds: try again later."
        ) from error
    except PermissionError as error:
        raise RunError(
            f"{path} cannot be written to: {error.strerror or error}. Fix the permissions, or copy "
            "the run folder to a place of your own."
        ) from error


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path} cannot be {what}: {error.strerror or error}. What was kept before is intact."
        ) from error
