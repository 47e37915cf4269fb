"""A user's own data: a file, which is split here, a folder, a mapping, or samples in memory."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from nlp_gym.checks import check_name, check_path
from nlp_gym.data.corpora.given_samples import sample_fault
from nlp_gym.data.readers.shared.base import FileSamples
from nlp_gym.errors import DataError, DataNotFoundError, InvalidArgumentError, shown
from nlp_gym.types import SPLITS, Sample, text_key

ReadFile = Callable[["Path", "str | None", "Path | None"], FileSamples]
"""Reads a split of a file (None: everything), as another one where its own format is unclear."""


@dataclass(frozen=True)
class SplitSamples:
    """Samples of a split.

    Attributes:
        samples: The samples.
        source: The file that they come from.
        n_skipped: Number of samples of the whole file that were left out because of bad rows.
    """

    samples: Sequence[Sample]
    source: Path | None = None
    n_skipped: int = 0


_SYNONYMS = {
    "train": ("train", "training"),
    "dev": ("dev", "devel", "development", "valid", "validation", "val", "testa"),
    "test": ("test", "testb"),
}
_NOT_DATA = (".md", ".rst", ".pdf", ".py", ".sha256")  # whose names may say "test" too


class UserData(Protocol):
    """A user's data, in any of the forms of `load_corpus`'s argument `data`."""

    name: str

    def split(self, split: str) -> SplitSamples:
        """Return the samples of a split, and the file that they come from."""

    def inventory_samples(self, split: str) -> Sequence[Sample]:
        """Return the samples whose labels make the inventory: those of the training split.

        So labels have the same indices in every split.
        """


def open_user_data(
    data: object, read: ReadFile, family: str = "tagging", ending: str | None = None
) -> UserData:
    """Open the argument `data` of `load_corpus`, whichever form it has.

    Args:
        data: The argument.
        read: Reads a file.
        family: Task family, which the labels of samples must fit.
        ending: File name ending that is preferred in a folder.

    Raises:
        InvalidArgumentError: `data` has none of the allowed forms.
        DataNotFoundError: There is no such file.
    """
    if isinstance(data, (str, Path)):
        path = Path(os.path.expanduser(check_path("data", data)))
        if not os.path.isdir(path):
            return _File(path, read)
        documents = _documents(path) if family == "tagging" else []
        if documents:
            return _Documents(path, documents, read)
        return _Folder(path, read, family, ending)
    if isinstance(data, Mapping):
        return _Mapping(data, read, family)
    if isinstance(data, Sequence):
        return _Samples(data, family)
    raise InvalidArgumentError(
        f"data={shown(data)} is not allowed: give a file, a folder, a mapping from split to file, "
        "or a sequence of Sample."
    )


class _Samples(UserData):
    name = "samples"

    def __init__(self, samples: Sequence[Sample], family: str) -> None:
        if not samples:
            raise DataError("data= is an empty sequence: give at least one Sample.")
        for index, sample in enumerate(samples):
            if not isinstance(sample, Sample):
                kind = type(sample).__name__
                raise InvalidArgumentError(f"data[{index}] is a {kind}, not a Sample.")
            if fault := sample_fault(sample, family):
                raise DataError(f"data[{index}]: {fault}.")
            if sample.labels is not None and (fault := _label_fault(sample, family)):
                raise DataError(f"data[{index}]: {fault}.")
        self.samples = [_with_tuples(sample) for sample in samples]

    @override
    def split(self, split: str) -> SplitSamples:
        return SplitSamples(self.samples)

    @override
    def inventory_samples(self, split: str) -> Sequence[Sample]:
        return self.samples


def _with_tuples(sample: Sample) -> Sample:
    """The sample with lists of words and labels as tuples, which can be keys of tables."""
    words, labels = tuple(sample.words), None if sample.labels is None else tuple(sample.labels)
    if words is sample.words and labels is sample.labels:
        return sample
    return replace(sample, words=words, labels=labels)


def _label_fault(sample: Sample, family: str) -> str | None:
    """What is wrong with the number of labels of an annotated sample; None if nothing is."""
    found = len(sample.labels or ())
    if family == "tagging" and found != len(sample.words):
        return f"{len(sample.words)} words but {found} labels"
    if family == "classification" and found != 1:
        return f"{found} labels where one is needed"
    if family == "relation" and isinstance(pairs := sample.extra.get("pairs", ()), Sized):
        return f"{len(pairs)} pairs but {found} labels" if found != len(pairs) else None
    return None


class _File(UserData):
    def __init__(self, path: Path, read: ReadFile) -> None:
        if not os.path.exists(path):
            raise DataNotFoundError(f"data={shown(path)}: there is no such file or folder.")
        self.name, self.path, self.read = path.stem, path, read

    @override
    def split(self, split: str) -> SplitSamples:
        found = self.read(self.path, None, None)
        part = split_samples(found.samples, split, str(self.path))
        return SplitSamples(part, self.path, found.n_skipped)

    @override
    def inventory_samples(self, split: str) -> Sequence[Sample]:
        return self.split("train").samples


class _Documents(UserData):
    """All documents of a folder as one corpus, which is split like a file."""

    def __init__(self, folder: Path, files: Sequence[Path], read: ReadFile) -> None:
        self.name, self.folder, self.files, self.read = folder.absolute().name, folder, files, read

    @override
    def split(self, split: str) -> SplitSamples:
        found = [self.read(path, None, None) for path in self.files]
        samples = [sample for file in found for sample in file.samples]
        part = split_samples(samples, split, str(self.folder))
        return SplitSamples(part, None, sum(file.n_skipped for file in found))

    @override
    def inventory_samples(self, split: str) -> Sequence[Sample]:
        return self.split("train").samples


def _documents(folder: Path) -> list[Path]:
    """The annotated documents of a folder, as brat has them; none if they are named by split."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".ann")
    except OSError:
        return []  # the folder cannot be read, which is said later
    named = any(_is_split(path.name, split) for path in files for split in SPLITS)
    return [] if named else files


class _Mapping(UserData):
    cuts_dev = False
    """Whether dev is a tenth of the texts of the training file, which has the rest."""

    def __init__(
        self,
        data: Mapping[object, object],
        read: ReadFile,
        family: str,
        name: str | None = None,
    ) -> None:
        for key in data:
            check_name("key of data", key, SPLITS)
        self.data, self.read, self.family = data, read, family
        first = data.get("train", next(iter(data.values()), None))
        is_file = isinstance(first, (str, Path))
        self.name = name or (Path(str(first)).stem if is_file else "samples")

    @override
    def split(self, split: str) -> SplitSamples:
        cut = self.cuts_dev and split in ("train", "dev")
        if split not in self.data and not cut:
            there = ", ".join(map(str, self.data)) or "none"
            raise DataNotFoundError(f"data= has no {split!r} split (it has: {there}).")
        value = self.data["train" if cut else split]
        if not isinstance(value, (str, Path)):
            return _Samples(_sequence(value, split), self.family).split(split)
        path = Path(os.path.expanduser(check_path(f"data[{split!r}]", value)))
        train = self.data.get("train")
        like = Path(os.path.expanduser(train)) if isinstance(train, (str, Path)) else None
        found = self.read(path, "train" if cut else split, like)
        samples: Sequence[Sample] = found.samples
        if cut:
            samples = split_samples(samples, split, str(path), ("dev",))
        return SplitSamples(samples, path, found.n_skipped)

    @override
    def inventory_samples(self, split: str) -> Sequence[Sample]:
        if "train" not in self.data:
            raise DataNotFoundError(
                f"data= has no 'train' split, so the labels of {split!r} have no inventory: "
                "add the training file, or give labels=[...]."
            )
        return self.split("train").samples


def _sequence(value: object, split: str) -> Sequence[Sample]:
    if isinstance(value, Sequence):
        return value
    raise InvalidArgumentError(
        f"data[{split!r}]={shown(value)}: give a file or a sequence of Sample."
    )


class _Folder(_Mapping):
    def __init__(self, folder: Path, read: ReadFile, family: str, ending: str | None) -> None:
        try:
            files = sorted(p for p in folder.iterdir() if p.is_file() and _may_be_data(p))
        except OSError as error:
            raise DataError(f"data={shown(folder)} cannot be read: {error}") from error
        files = [path for path in files if path.suffix == ending] or files
        texts = {path.with_suffix(".txt") for path in files if path.suffix == ".ann"}
        files = [path for path in files if path not in texts]  # its annotation stands for it
        found: dict[object, object] = {}
        for split in SPLITS:
            matches = [path for path in files if _is_split(path.name, split)]
            if len(matches) > 1:
                names = ", ".join(path.name for path in matches)
                raise DataError(
                    f"data={shown(folder)}: more than one file may be the {split} split ({names}). "
                    "Say which: data={'train': FILE, 'dev': FILE, 'test': FILE}."
                )
            if matches:
                found[split] = matches[0]
        if not found:
            raise DataNotFoundError(
                f"data={shown(folder)}: no file in this folder is called train, dev or test "
                "(such as train.conll)."
            )
        super().__init__(found, read, family, folder.absolute().name)
        # As of named corpora that have no dev: see `nlp_gym.data.catalog.Dataset`.
        self.cuts_dev = "train" in found and "test" in found and "dev" not in found


def _may_be_data(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() not in _NOT_DATA


def _is_split(filename: str, split: str) -> bool:
    return any(part in _SYNONYMS[split] for part in re.split(r"[^a-z]+", filename.lower()))


def split_samples(
    samples: Iterable[Sample],
    split: str,
    what: str,
    held_out: Sequence[str] = ("dev", "test"),
) -> list[Sample]:
    """Return one part of samples: each split of `held_out` gets a tenth of the *distinct* texts.

    By default that is 80 % train, 10 % dev, 10 % test. The distinct texts are ranked by the sha256
    of their words: the parts depend neither on order nor on repetitions, and equal texts are in the
    same part.

    Args:
        samples: The samples to split.
        split: The part to return: ``"train"`` (the rest), or one of `held_out`.
        what: Name of the samples, for messages.
        held_out: Splits that get the first tenth in rank, the second, and so on.

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
