"""Files of changed samples, such as those of an attack, that are trained on beside the corpus.

They are JSON, the same for every family: the words, labels, `extra` and `gold` of each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlp_gym.data.corpora.given_samples import sample_fault
from nlp_gym.errors import DataError, InvalidArgumentError, shown
from nlp_gym.files import read_json, write_json
from nlp_gym.types import Sample

FORMAT = "nlp_gym changed samples 1"
"""What the files say they are."""
ENDING = ".json"
_LIMIT = 2**30


def check_copies_name(path: Path) -> None:
    """Raise `InvalidArgumentError` where a file of changed samples does not end as one."""
    if path.suffix.lower() != ENDING:
        raise InvalidArgumentError(f"copies={shown(path)} must end in {ENDING}.")


def write_copies(path: Path, samples: Sequence[Sample], *, family: str) -> None:
    """Write annotated samples, whole or not at all.

    Raises:
        DataError: The file cannot be written.
    """
    rows = [
        {
            "words": sample.words,
            "labels": sample.labels,
            "id": sample.id,
            "extra": dict(sample.extra),
            "gold": sample.gold,
        }
        for sample in samples
    ]
    try:
        write_json(path, {"format": FORMAT, "family": family, "samples": rows})
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"copies={shown(path)} cannot be written: {error}.") from error


def read_copies(path: str | Path, *, family: str) -> list[Sample]:
    """Read what `write_copies` wrote.

    Args:
        path: The file.
        family: Of the task that learns from it.

    Raises:
        DataError: The file cannot be read, is of another format or family, or is damaged.
    """
    try:
        found = read_json(path, limit=_LIMIT)
    except (OSError, ValueError) as error:
        raise DataError(
            f"copies={shown(path)} cannot be read ({error}); `nlp-gym attack RUN --split train "
            "--copies FILE` writes such a file."
        ) from error
    rows = found.get("samples") if isinstance(found, dict) else None
    if rows is None or found.get("format") != FORMAT or not isinstance(rows, list):
        raise DataError(
            f"copies={shown(path)} is no file of changed samples (format {FORMAT!r}): write it "
            "with `nlp-gym attack RUN --split train --copies FILE`."
        )
    if found.get("family") != family:
        raise DataError(
            f"copies={shown(path)} has samples of the family {shown(found.get('family'))}, and the "
            f"task reads those of {shown(family)}."
        )
    return [_sample(path, number, row, family) for number, row in enumerate(rows)]


def _sample(path: str | Path, number: int, row: object, family: str) -> Sample:
    place = f"copies={shown(path)}: sample {number}"
    if not isinstance(row, dict) or not isinstance(row.get("extra"), dict):
        raise DataError(f"{place} is no mapping with words, labels, id, extra and gold.")
    values = {name: _tupled(row.get(name)) for name in ("words", "labels", "id", "gold")}
    extra = {key: _tupled(value) for key, value in row["extra"].items()}
    sample = Sample(values["words"], values["labels"], values["id"], extra, values["gold"])
    fault = sample_fault(sample, family)
    if fault is None and not sample.annotated:
        fault = "it has no gold"
    if fault is not None:
        raise DataError(f"{place}: {fault}.")
    return sample


def _tupled(value: Any) -> Any:
    """Lists as the tuples that readers make."""
    if isinstance(value, list):
        return tuple(_tupled(item) for item in value)
    return value
