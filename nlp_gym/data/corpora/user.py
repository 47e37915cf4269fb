"""A user's own data: one file that is split here, a folder, a mapping, or samples in memory."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from nlp_gym.errors import DataError, DataNotFoundError, InvalidArgumentError, UnknownNameError
from nlp_gym.types import SPLITS, Sample, text_key

ReadFile = Callable[["Path", "str | None"], Sequence[Sample]]
"""Reads a file; the split is that of a format that holds all splits, None for all of it."""
Found = tuple[Sequence[Sample], "Path | None"]

_SYNONYMS = {
    "train": ("train", "training"),
    "dev": ("dev", "valid", "validation", "val", "testa"),
    "test": ("test", "testb"),
}
_NO_DATA = (".md", ".rst", ".pdf", ".py", ".sha256")  # what lies beside data and may say "test"


class User(Protocol):
    """A user's data, whatever form it was given in."""

    name: str

    def split(self, split: str) -> Found:
        """Return a split's samples and the file they come from."""

    def inventory_samples(self, split: str) -> Sequence[Sample]:
        """Return the samples whose labels are the inventory when `split` was asked for.

        They are the same for every split, so that the numbers of labels are: the training split's.
        """


def open_user_data(
    data: object, read: ReadFile, family: str = "tagging", ending: str | None = None
) -> User:
    """Tell the forms of `load_corpus`'s argument `data` apart.

    Args:
        data: What the user gave.
        read: Reads a file.
        family: Task family: what the labels of samples must fit.
        ending: File name ending that is preferred in a folder.

    Raises:
        InvalidArgumentError: `data` has none of the forms.
        DataNotFoundError: There is no such file.
    """
    if isinstance(data, (str, Path)):
        path = Path(os.path.expanduser(data))
        return _Folder(path, read, family, ending) if os.path.isdir(path) else _File(path, read)
    if isinstance(data, Mapping):
        return _Mapping(data, read, family)
    if isinstance(data, Sequence):
        return _Samples(data, family)
    raise InvalidArgumentError(
        f"data={data!r} is not allowed: give a file, a folder, a mapping from split to file, or a "
        "sequence of Sample."
    )


class _Samples:
    name = "samples"

    def __init__(self, samples: Sequence[Sample], family: str) -> None:
        if not samples:
            raise DataError("data= is an empty sequence: give at least one Sample.")
        for index, sample in enumerate(samples):
            if not isinstance(sample, Sample):
                kind = type(sample).__name__
                raise InvalidArgumentError(f"data[{index}] is a {kind}, not a Sample.")
            if not sample.words or not all(isinstance(w, str) and w for w in sample.words):
                raise DataError(f"data[{index}]: words={sample.words!r}: give non-empty strings.")
            if sample.labels is not None and (fault := _label_fault(sample, family)):
                raise DataError(f"data[{index}]: {fault}.")
        self.samples = samples

    def split(self, split: str) -> Found:
        return self.samples, None

    def inventory_samples(self, split: str) -> Sequence[Sample]:
        return self.samples


def _label_fault(sample: Sample, family: str) -> str | None:
    """What is wrong with the number of labels of an annotated sample."""
    found = len(sample.labels or ())
    if family == "tagging" and found != len(sample.words):
        return f"{len(sample.words)} words but {found} labels"
    if family == "classification" and found != 1:
        return f"{found} labels where one is needed"
    if family == "relation" and found != len(pairs := sample.extra.get("pairs", ())):
        return f"{len(pairs)} pairs but {found} labels"
    return None


class _File:
    def __init__(self, path: Path, read: ReadFile) -> None:
        if not os.path.exists(path):
            raise DataNotFoundError(f"data={str(path)!r}: there is no such file or folder.")
        self.name, self.path, self.read = path.stem, path, read

    def split(self, split: str) -> Found:
        return split_samples(self.read(self.path, None), split, str(self.path)), self.path

    def inventory_samples(self, split: str) -> Sequence[Sample]:
        return self.split("train")[0]


class _Mapping:
    def __init__(
        self,
        data: Mapping[object, object],
        read: ReadFile,
        family: str,
        name: str | None = None,
    ) -> None:
        for key in data:
            if key not in SPLITS:
                raise UnknownNameError("key of data", key, SPLITS)
        self.data, self.read, self.family = data, read, family
        first = data.get("train", next(iter(data.values()), None))
        is_file = isinstance(first, (str, Path))
        self.name = name or (Path(str(first)).stem if is_file else "samples")

    def split(self, split: str) -> Found:
        if split not in self.data:
            there = ", ".join(map(str, self.data)) or "none"
            raise DataNotFoundError(f"data= has no {split!r} split (it has: {there}).")
        value = self.data[split]
        if isinstance(value, (str, Path)):
            path = Path(os.path.expanduser(value))
            return self.read(path, split), path
        return _Samples(_sequence(value, split), self.family).split(split)

    def inventory_samples(self, split: str) -> Sequence[Sample]:
        if "train" not in self.data:
            raise DataNotFoundError(
                f"data= has no 'train' split, so the labels of {split!r} have no inventory: "
                "add the training file, or give labels=[...]."
            )
        return self.split("train")[0]


def _sequence(value: object, split: str) -> Sequence[Sample]:
    if isinstance(value, Sequence):
        return value
    raise InvalidArgumentError(f"data[{split!r}]={value!r}: give a file or a sequence of Sample.")


class _Folder(_Mapping):
    def __init__(self, folder: Path, read: ReadFile, family: str, ending: str | None) -> None:
        try:
            files = sorted(p for p in folder.iterdir() if p.is_file() and _may_be_data(p))
        except OSError as error:
            raise DataError(f"data={str(folder)!r} cannot be read: {error}") from error
        files = [path for path in files if path.suffix == ending] or files
        found: dict[object, object] = {}
        for split in SPLITS:
            matches = [path for path in files if _is_split(path.name, split)]
            if len(matches) > 1:
                names = ", ".join(path.name for path in matches)
                raise DataError(
                    f"data={str(folder)!r}: more than one file may be the {split} split ({names}). "
                    "Say which: data={'train': FILE, 'dev': FILE, 'test': FILE}."
                )
            if matches:
                found[split] = matches[0]
        if not found:
            raise DataNotFoundError(
                f"data={str(folder)!r}: no file in this folder is called train, dev or test "
                "(such as train.conll)."
            )
        super().__init__(found, read, family, folder.absolute().name)


def _may_be_data(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() not in _NO_DATA


def _is_split(filename: str, split: str) -> bool:
    return any(part in _SYNONYMS[split] for part in re.split(r"[^a-z]+", filename.lower()))


def split_samples(
    samples: Iterable[Sample],
    split: str,
    what: str,
    held_out: Sequence[str] = ("dev", "test"),
) -> list[Sample]:
    """Return a part of samples: a tenth of their *distinct* texts for each split held out.

    So 80 % train, 10 % dev, 10 % test. The distinct texts are ranked by the sha256 of their words:
    the parts depend neither on the order nor on repetitions, and equal texts are in the same part.

    Args:
        samples: What is split.
        split: The part wanted: ``"train"`` (the rest), or one of `held_out`.
        what: What it is, for messages.
        held_out: The first tenth in rank is for the first of them, and so on.

    Raises:
        DataError: There are fewer distinct texts than parts.
    """
    samples = list(samples)
    keys = [_key(sample) for sample in samples]
    ranked = sorted(set(keys))
    tenth = max(1, round(len(ranked) / 10))
    parts = len(held_out) + 1
    if len(ranked) < parts:
        raise DataError(
            f"{what}: too few texts to split into train, {' and '.join(held_out)}: {len(ranked)} "
            f"distinct, and at least {parts} are needed. Or name them: data={{'train': FILE, "
            "'dev': FILE, 'test': FILE}."
        )
    bounds = {part: (at * tenth, (at + 1) * tenth) for at, part in enumerate(held_out)}
    first, last = bounds.get(split, (len(held_out) * tenth, len(ranked)))
    part = set(ranked[first:last])
    return [sample for sample, key in zip(samples, keys, strict=True) if key in part]


def _key(sample: Sample) -> bytes:
    return hashlib.sha256(text_key(sample.words)).digest()
