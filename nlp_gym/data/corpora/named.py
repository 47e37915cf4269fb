"""Named corpora: finds their files, and reads the samples of a split."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from nlp_gym.data.catalog import Dataset, RemoteFile, find_dataset
from nlp_gym.data.corpora.file_cache import SourceFile, read_sources
from nlp_gym.data.corpora.user import split_samples
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import DataNotFoundError, shown
from nlp_gym.files import user_cache_dir
from nlp_gym.types import Sample


@dataclass(frozen=True)
class CorpusLocation:
    """A folder with the files of a corpus.

    Attributes:
        dataset: Row of the corpus.
        folder: The folder.
        bundled: Whether it holds the sample that ships with the package.
    """

    dataset: Dataset
    folder: Path
    bundled: bool

    def files(self, split: str) -> tuple[RemoteFile, ...]:
        """The files of a split, the official full ones if the folder has them.

        Raises:
            DataNotFoundError: A file that the catalogue has for the split is missing.
        """
        files = _preferred_files(self.dataset, split, self.folder)
        # os.path's isfile, unlike Path's, is false for any name the system cannot take
        missing = next((f for f in files if not os.path.isfile(self.folder / f.filename)), None)
        if missing is not None:
            raise DataNotFoundError(f"there is no {self.folder / missing.filename}")
        return files

    def has(self, split: str) -> bool:
        """Whether a split has files of its own; if not, it is cut from train or borrowed."""
        if self.bundled:
            return self.dataset.sample_file(split).is_file()
        return bool(_preferred_files(self.dataset, split, self.folder))

    def sources(self, split: str) -> tuple[SourceFile, ...]:
        """The files to read for a split.

        Raises:
            DataNotFoundError: A file is missing.
        """
        row = self.dataset
        if self.bundled:
            return (SourceFile(row.sample_file(split), row.family, row.format),)
        return tuple(
            SourceFile(
                self.folder / f.filename,
                row.family,
                row.format,
                row.allowed_digests(f),
                self.folder,
            )
            for f in self.files(split)
        )

    def extra_sources(self) -> tuple[SourceFile, ...]:
        """The files that readers look up beside the others."""
        row, files = self.dataset, () if self.bundled else self.dataset.extra_files
        return tuple(
            SourceFile(
                self.folder / f.filename, row.family, None, row.allowed_digests(f), self.folder
            )
            for f in files
        )


def _preferred_files(dataset: Dataset, split: str, folder: Path) -> tuple[RemoteFile, ...]:
    official = dataset.official_files(split)
    if official and all(os.path.isfile(folder / file.filename) for file in official):
        return official
    return dataset.split_files(split)


def locate(
    dataset: Dataset, split: str, data_dir: str | Path | None, corpus: str
) -> CorpusLocation:
    """Find a folder that has the files which a split is read from.

    Args:
        dataset: Row of the corpus.
        split: The split.
        data_dir: As in `load_corpus`.
        corpus: As in `load_corpus`.

    Raises:
        DataNotFoundError: There is none.
    """
    needed = split if dataset.split_files(split) else "train"
    location = _locate(dataset, needed, data_dir, corpus)
    if not location.bundled and not location.has(needed):  # all of it is borrowed
        lenders = map(find_dataset, dataset.borrow.get(needed, ()))
        try:
            if any(locate(lender, needed, data_dir, corpus).bundled for lender in lenders):
                return CorpusLocation(dataset, dataset.sample, True)
        except DataNotFoundError as error:
            raise DataNotFoundError(
                f"The corpus {dataset.name!r} borrows its {split} split: {error} "
                f"(nlp-gym data download {dataset.name} gets all of it)"
            ) from None
    return location


def _locate(
    dataset: Dataset, split: str, data_dir: str | Path | None, corpus: str
) -> CorpusLocation:
    if corpus == "sample" or dataset.sample_only:
        return CorpusLocation(dataset, dataset.sample, True)
    if data_dir is not None:
        return _locate_in_folder(Path(os.path.expanduser(data_dir)), dataset, split, "data_dir")
    variable = os.environ.get("NLP_GYM_DATA")
    if variable:
        folder = Path(os.path.expanduser(variable))
        if not os.path.isdir(folder) or (folder / dataset.folder_name).is_dir():
            return _locate_in_folder(folder, dataset, split, "NLP_GYM_DATA")
    location = CorpusLocation(dataset, data_cache_dir() / dataset.folder_name, False)
    try:
        _check_files(location, split)
    except DataNotFoundError as error:
        if corpus == "full":
            raise DataNotFoundError(
                f"The corpus {dataset.name!r} is not on this machine: {error}"
                f"{'' if variable else ', and neither data_dir= nor NLP_GYM_DATA is set'}. "
                f"Get it with: nlp-gym data download {dataset.name}"
            ) from None
        return CorpusLocation(dataset, dataset.sample, True)
    return location


def _check_files(location: CorpusLocation, split: str) -> None:
    location.files(split)
    for extra in location.extra_sources():
        if not os.path.isfile(extra.path):
            raise DataNotFoundError(f"there is no {extra.path}")


def _locate_in_folder(folder: Path, dataset: Dataset, split: str, what: str) -> CorpusLocation:
    location = CorpusLocation(dataset, folder / dataset.folder_name, False)
    try:
        _check_files(location, split)
    except DataNotFoundError as error:
        problem = str(error)
        files = dataset.split_files(split)
        if not os.path.isdir(folder):
            problem = "there is no such folder"
        elif files and all((folder / file.filename).is_file() for file in files):
            above = folder.absolute().parent
            problem = f"it is the corpus's own folder; give the one above, {above}"
        raise DataNotFoundError(
            f"{what}={shown(folder)}: {problem}. "
            f"Get the corpus with: nlp-gym data download {dataset.name} --data-dir {folder}"
        ) from None
    return location


def read_split(
    location: CorpusLocation, split: str, options: Options, data_dir: str | Path | None, corpus: str
) -> tuple[tuple[Sample, ...], Path]:
    """Return the samples of a split, and the first file that they come from.

    A split without files is cut from the training split, which keeps the rest (see `Dataset`).
    """
    if split != "train" and location.has(split):
        return _read(location, split, options)
    pool, path = _training_pool(location, options, data_dir, corpus)
    held_out = tuple(part for part in ("dev", "test") if not location.has(part))
    if not held_out:
        return pool, path
    what = f"{location.dataset.name} ({path})"
    return tuple(split_samples(pool, split, what, held_out)), path


def _training_pool(
    location: CorpusLocation, options: Options, data_dir: str | Path | None, corpus: str
) -> tuple[tuple[Sample, ...], Path]:
    row = location.dataset
    if location.has("train") or "train" not in row.borrow:
        return _read(location, "train", options)
    lenders = [find_dataset(name) for name in row.borrow["train"]]
    # a full corpus is never mixed with the sample of another one
    where = "sample" if location.bundled else corpus
    locations = [locate(lender, "train", data_dir, where) for lender in lenders]
    parts = [_read(found, "train", options) for found in locations]
    return tuple(sample for samples, _ in parts for sample in samples), parts[0][1]


def _read(
    location: CorpusLocation, split: str, options: Options
) -> tuple[tuple[Sample, ...], Path]:
    sources = location.sources(split)
    found = read_sources(sources, replace(options, split=split), location.extra_sources())
    return found.samples, sources[0].path


def find_corpus(name: str, *, data_dir: str | Path | None = None) -> Path | None:
    """Return the folder in which `load_corpus` finds all of a named corpus; None: there is none.

    For a corpus that ships with the package it is the folder of the bundled sample.

    Raises:
        UnknownNameError: There is no such corpus.
    """
    dataset = find_dataset(name)
    if dataset.sample_only:
        return dataset.sample
    lenders = {lender for names in dataset.borrow.values() for lender in names}
    try:
        locations = [locate(dataset, split, data_dir, "full") for split in dataset.files]
    except DataNotFoundError:
        return None
    if not all(find_corpus(lender, data_dir=data_dir) for lender in sorted(lenders)):
        return None
    return locations[0].folder


def data_cache_dir() -> Path:
    """Return the folder of downloaded corpora in the user's cache."""
    return user_cache_dir() / "data"
