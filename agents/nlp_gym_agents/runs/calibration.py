"""``calibration.json`` of a run: the temperature at which its confidences were right on dev."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypedDict, cast

from nlp_gym.files import write_json
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json

CALIBRATION = "calibration.json"

COLDEST, HOTTEST = 1 / 16, 16.0
"""Limits of the temperature: beyond them a small dev split alone speaks."""

_Share = Annotated[float, schema.Range(0.0, 1.0)]


class Fit(TypedDict):
    """How well confidences fit at one temperature.

    Attributes:
        log_loss: Mean log loss of the confidences, in nats per part.
        ece: Expected calibration error: the mean distance between confidence and share of right
            parts over 15 bins of equal width, weighted by their parts.
    """

    log_loss: Annotated[float, schema.Range(0.0, 1e6)]
    ece: _Share


class Calibration(TypedDict):
    """The temperature of a run, and what it was fitted on.

    Attributes:
        temperature: What logits are divided by before the softmax.
        timesteps: Those of the policy that it belongs to.
        parts: What is right or wrong by itself: words, labels, answers, ...
        n_samples: Samples of dev that were played.
        n: Parts of them that were decided on.
        accuracy: Share of right parts.
        before: The fit at temperature 1.
        after: The fit at `temperature`.
    """

    temperature: Annotated[float, schema.Range(COLDEST, HOTTEST)]
    timesteps: schema.Count
    parts: str
    n_samples: schema.Count
    n: schema.Count
    accuracy: _Share
    before: Fit
    after: Fit


def write_calibration(run: Path, calibration: Calibration) -> None:
    """Write the file of a run folder, whole or not at all."""
    write_json(run / CALIBRATION, calibration)


def read_calibration(run: Path, timesteps: int) -> Calibration | None:
    """The calibration of a run's policy.

    Args:
        run: The run folder.
        timesteps: Those of the policy; a file that belongs to another one is left aside.

    Returns:
        None where there is none: a run of an older release, or one that was not finished.

    Raises:
        RunError: The file is damaged.
    """
    path = run / CALIBRATION
    if not os.path.lexists(path):
        return None
    found = read_json(path)
    schema.check(found, Calibration, path)
    calibration = cast("Calibration", found)
    return calibration if calibration["timesteps"] == timesteps else None
