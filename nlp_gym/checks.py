"""Checks of arguments that several modules share, and names of observations and rewards."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError, listed, shown
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
        or not isinstance(value, int | float | np.integer | np.floating)
        or not low <= value <= high
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


def check_path(argument: str, value: object, what: str = "file") -> Path:
    """Return `value` as a path; raise `InvalidArgumentError` unless it can name a `what`."""
    text = os.fspath(value) if isinstance(value, str | PurePath) else ""
    if not text.strip():
        raise InvalidArgumentError(f"{argument}={shown(value)} must be the path of a {what}.")
    return Path(text)


def check_ending(argument: str, path: str | Path, endings: Sequence[str], why: str) -> str:
    """Return the ending of a file that is to be written, in small letters.

    Args:
        argument: Its name.
        path: The file.
        endings: Allowed ones.
        why: What they mean, for the message.

    Raises:
        InvalidArgumentError: It has another one.
    """
    ending = Path(path).suffix.lower()
    if ending not in endings:
        raise InvalidArgumentError(
            f"{argument}={shown(path)} must end in {', '.join(endings)}: {why}."
        )
    return ending


def check_rows(rows: object, size: int) -> list[int]:
    """Return the numbers of samples as a list; None: all of `size`.

    Raises:
        InvalidArgumentError: It is no list of integers from 0 to `size` - 1.
    """
    if rows is None:
        return list(range(size))
    listed = isinstance(rows, list | tuple | np.ndarray) or (
        isinstance(rows, range) and len(rows) <= size
    )
    numbers = as_array(rows) if listed else np.zeros(0)
    whole = numbers.ndim == 1 and (numbers.dtype.kind in "iu" or (listed and not numbers.size))
    if not whole or (numbers.size and not 0 <= numbers.min() <= numbers.max() < size):
        raise InvalidArgumentError(
            f"rows={shown(rows)} must be None or a list of samples, integers from 0 to {size - 1}."
        )
    return [int(number) for number in numbers.tolist()]


def check_mapping(argument: str, value: object) -> dict[str, Any]:
    """Return named values as a dict, empty for None; raise `InvalidArgumentError` otherwise."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidArgumentError(
            f"{argument}={shown(value)} must be None or a mapping from names to values."
        )
    return dict(value)


def check_seed(value: object, argument: str = "seed") -> int | None:
    """Return `value`; raise `InvalidArgumentError` unless it is None or an integer from 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InvalidArgumentError(f"{argument}={shown(value)} must be None or an integer from 0.")
    return int(value)


def check_labels(argument: str, value: object) -> tuple[str, ...]:
    """Return a label inventory as a tuple.

    Raises:
        InvalidArgumentError: It is not a list, tuple or array of distinct names.
    """
    listed = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)
    given = tuple(value) if listed and isinstance(value, Iterable) else ()
    fault = "" if given else "it is no list"
    seen = set()
    for label in given:
        if not isinstance(label, str) or not label:
            fault = f"{shown(label)} is no name of a label, which is a string"
        elif label in seen:
            fault = f"{shown(label)} is in it twice"
        elif not encodable(label):
            fault = f"{shown(label)} holds half of a surrogate pair, which is no text"
        if fault:
            break
        seen.add(label)
    if fault:
        raise InvalidArgumentError(
            f"{argument}={shown(value)} is not allowed ({fault}): give a list of distinct names, "
            "as in ['O', 'B-PER', 'I-PER']."
        )
    return tuple(map(str, given))


def as_array(value: object) -> npt.NDArray[Any]:
    """A value as an array; an empty one of floats where it is none."""
    try:
        return np.asarray(value)
    except Exception:  # ragged lists, and what objects raise in their own methods
        return np.zeros(0)


def encodable(text: str) -> bool:
    """Whether a string is text: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    found = listed(f"{name} ({count}x)" for name, count in sorted(counts.items()))
    warnings.warn(
        f"gold labels that the label inventory lacks, counted as missed: {found}. "
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
