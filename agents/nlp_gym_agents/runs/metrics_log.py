"""``metrics.jsonl``: one JSON object per evaluation on dev, safe against being killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from nlp_gym.errors import RunError
from nlp_gym.files import append_whole, atomic_path, parse_json
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_text

METRICS = "metrics.jsonl"
METRICS_LIMIT = 64 * 1024**2
"""Bytes of the largest file that is read, some 200,000 evaluations."""


class _Evaluation(TypedDict):
    timesteps: schema.Count


class Evaluation(_Evaluation, total=False):
    """A line of ``metrics.jsonl``; further keys are figures that the score has besides its value.

    Attributes:
        timesteps: When it was made.
        seconds: Wall time of the run until then.
        processor_seconds: Processor time of the run until then, of all its threads; runs of older
            releases have none.
        split: ``"dev"``.
        metric: Name of the metric.
        value: Its value.
        train_reward: Mean reward of the last episodes of training; None: none has ended.
        steps_per_second: Speed of training.
        alarms: See `nlp_gym_agents.training.callbacks.reward_hacking`.
    """

    seconds: float
    processor_seconds: float
    split: str
    metric: str
    value: float
    train_reward: float | None
    steps_per_second: float
    alarms: list[str]


def append_metrics(run: Path, row: Mapping[str, Any]) -> None:
    """Add one evaluation to ``metrics.jsonl`` and flush it to the disk.

    Raises:
        RunError: The disk is full or read-only; the file is as it was.
    """
    path = run / METRICS
    try:
        append_whole(path, f"{json.dumps(row)}\n".encode())
    except OSError as error:
        raise RunError(f"Could not write {path}: {error.strerror or error}.") from error


def read_metrics(run: str | Path) -> list[dict[str, Any]]:
    """The evaluations of a run; a last line that was cut short by a kill is left out.

    Raises:
        RunError: A line that is not the last is damaged, or a line holds something else.
    """
    path = Path(run) / METRICS
    if not path.exists():
        return []
    lines = read_text(path, limit=METRICS_LIMIT).split("\n")
    lines = lines if lines[-1] else lines[:-1]
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = parse_json(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise RunError(f"{path}:{number}: not a JSON object ({error}).") from error
        check_row(row, f"{path}:{number}")
        rows.append(row)
    return rows


def check_row(row: Any, source: str) -> None:
    """Check one evaluation; what is not in `Evaluation` are figures of it."""
    known = Evaluation.__required_keys__ | Evaluation.__optional_keys__
    own = {key: row[key] for key in known & set(row)} if isinstance(row, dict) else row
    schema.check(own, Evaluation, source)
    schema.check({key: row[key] for key in set(row) - known}, dict[str, float | None], source)


def rewind_metrics(run: Path, timesteps: int) -> None:
    """Drop evaluations made after `timesteps`: a resumed run makes them again."""
    rows = [row for row in read_metrics(run) if row["timesteps"] <= timesteps]
    with atomic_path(run / METRICS) as path:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def processor_seconds(run: str | Path) -> float | None:
    """Processor time of a run's training, its own warm start included; None: it was not kept.

    Raises:
        RunError: See `read_metrics`.
    """
    rows = read_metrics(run)
    return rows[-1].get("processor_seconds") if rows else None
