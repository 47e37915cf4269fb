"""Checks of arguments that several modules share, and names of observations and rewards."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError, shown
from nlp_gym.types import Sample

OBS_TYPES = ("features", "tokens", "index")
REWARDS = ("correctness", "metric", "sparse")


def check_name(argument: str, value: object, allowed: Sequence[str]) -> None:
    """Raise `UnknownNameError` unless `value` is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise UnknownNameError(argument, value, allowed)


def check_obs_type(obs_type: str) -> None:
    """Raise `UnknownNameError` unless `obs_type` is one of `OBS_TYPES`."""
    check_name("obs_type", obs_type, OBS_TYPES)


def check_int(argument: str, value: object, low: int, high: int) -> int:
    """Return `value` as an int; raise `InvalidArgumentError` unless it is from `low` to `high`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, np.integer))
        or not low <= value <= high
    ):
        raise InvalidArgumentError(
            f"{argument}={shown(value)} must be an integer from {low} to {high}."
        )
    return int(value)


def check_bool(argument: str, value: object) -> bool:
    """Return `value`; raise `InvalidArgumentError` unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidArgumentError(f"{argument}={shown(value)} must be True or False.")
    return bool(value)


def check_number(argument: str, value: object, low: float, high: float) -> float:
    """Return `value` as a float; raise `InvalidArgumentError` unless it is `low` to `high`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not low <= float(value) <= high
    ):
        raise InvalidArgumentError(
            f"{argument}={shown(value)} must be a number from {low} to {high}."
        )
    return float(value)


def check_text(argument: str, value: object) -> str:
    """Return `value`; raise `InvalidArgumentError` unless it is a string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgumentError(f"{argument}={shown(value)} must be a string that is not blank.")
    return value


def check_options(argument: str, names: object, known: Sequence[str]) -> None:
    """Check the names of options.

    Args:
        argument: Name of the argument that holds the options.
        names: Names of the options that are given, usually a mapping from them to their values.
        known: Names of the options that exist.

    Raises:
        UnknownNameError: There is no such option.
        InvalidArgumentError: `names` is neither a mapping nor a list of names.
    """
    given = list(names) if isinstance(names, Mapping | list | tuple) else [None]
    if not all(isinstance(name, str) for name in given):
        raise InvalidArgumentError(
            f"{argument}={shown(names)} must be None or a mapping from the names of options to "
            f"their values. The options are {', '.join(known)}."
        )
    for name in given:
        check_name(f"{argument} option", name, known)


def warn_unseen_labels(counts: Mapping[str, int]) -> None:
    """Warn that gold labels outside the inventory can never be predicted.

    Args:
        counts: How often each such label occurs.
    """
    listed = ", ".join(f"{name} ({count}x)" for name, count in sorted(counts.items()))
    warnings.warn(
        f"gold labels that the label inventory lacks, counted as missed: {listed}. "
        "Give labels=[...] or train on data that has them.",
        UserWarning,
        stacklevel=3,
    )


def check_samples(samples: Sequence[Sample]) -> bool:
    """Return whether the samples are annotated.

    Raises:
        DataError: Only some of them are; the message names the first that is not.
    """
    lacking = [i for i, sample in enumerate(samples) if not sample.annotated]
    if lacking and len(lacking) < len(samples):
        first = samples[lacking[0]].id
        raise DataError(
            f"sample {lacking[0]}{f' ({first})' if first else ''} has no labels, but others have: "
            f"{len(lacking)} of {len(samples)} samples lack them. Give labels for all, or for none."
        )
    return not lacking
