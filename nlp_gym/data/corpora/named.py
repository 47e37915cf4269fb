"""Named corpora: where their files lie, and which samples make a split."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from nlp_gym.data.catalog import Dataset, RemoteFile, find_dataset
from nlp_gym.data.corpora.file_cache import Source, read_sources
from nlp_gym.data.corpora.user import split_samples
from nlp_gym.data.readers.shared.base import Options
from nlp_gym.errors import DataNotFoundError
from nlp_gym.files import user_cache_dir
from nlp_gym.types import Sample


@dataclass(frozen=True)
class Home:
    """Where a corpus is: `folder` holds its files; `bundled`: it is the package's sample."""

    dataset: Dataset
    folder: Path
    bundled: bool

    def files(self, split: str) -> tuple[RemoteFile, ...]:
        """The files of a split as they lie here, the official full ones first; none if it has none.

        Raises:
            DataNotFoundError: A file that the catalogue has for the split is missing.
        """
        found = _chosen(self.dataset, split, self.folder)
        # os.path's isfile, unlike Path's, is false for any name the system cannot take
        missing = next((f for f in found if not os.path.isfile(self.folder / f.filename)), None)
        if missing is not None:
            raise DataNotFoundError(f"there is no {self.folder / missing.filename}")
        return found

    def has(self, split: str) -> bool:
        """Whether the split has files of its own; if not, it is cut from train or borrowed."""
        if self.bundled:
            return self.dataset.sample_file(split).is_file()
        return bool(_chosen(self.dataset, split, self.folder))

    def sources(self, split: str) -> tuple[Source, ...]:
        """What to read for a split.

        Raises:
            DataNotFoundError: A file is missing.
        """
        row = self.dataset
        if self.bundled:
            return (Source(row.sample_file(split), row.family, row.format),)
        return tuple(
            Source(self.folder / f.filename, row.family, row.format, row.allowed(f), self.folder)
            for f in self.files(split)
        )

    def extra_sources(self) -> tuple[Source, ...]:
        """The files that readers look up beside the others."""
        row, files = self.dataset, () if self.bundled else self.dataset.extra_files
        return tuple(
            Source(self.folder / f.filename, row.family, None, row.allowed(f), self.folder)
            for f in files
        )


def _chosen(dataset: Dataset, split: str, folder: Path) -> tuple[RemoteFile, ...]:
    official = dataset.official_files(split)
    if official and all(os.path.isfile(folder / file.filename) for file in official):
        return official
    return dataset.split_files(split)


def locate(dataset: Dataset, split: str, data_dir: str | Path | None, corpus: str) -> Home:
    """Find a corpus that has what a split is read from.

    Raises:
        DataNotFoundError: It is not where it was asked for.
    """
    needed = split if dataset.split_files(split) else "train"
    home = _locate(dataset, needed, data_dir, corpus)
    if not home.bundled and not home.has(needed):  # all of it is borrowed
        lenders = map(find_dataset, dataset.borrow.get(needed, ()))
        try:
            if any(locate(lender, needed, data_dir, corpus).bundled for lender in lenders):
                return Home(dataset, dataset.sample, True)
        except DataNotFoundError as error:
            raise DataNotFoundError(
                f"The corpus {dataset.name!r} borrows its {split} split: {error} "
                f"(nlp-gym data download {dataset.name} gets all of it)"
            ) from None
    return home


def _locate(dataset: Dataset, split: str, data_dir: str | Path | None, corpus: str) -> Home:
    if corpus == "sample" or dataset.whole:
        return Home(dataset, dataset.sample, True)
    if data_dir is not None:
        return _in_folder(Path(os.path.expanduser(data_dir)), dataset, split, "data_dir")
    variable = os.environ.get("NLP_GYM_DATA")
    if variable:
        folder = Path(os.path.expanduser(variable))
        if not os.path.isdir(folder) or (folder / dataset.place).is_dir():
            return _in_folder(folder, dataset, split, "NLP_GYM_DATA")
    home = Home(dataset, data_cache_dir() / dataset.place, False)
    try:
        _check_there(home, split)
    except DataNotFoundError as error:
        if corpus == "full":
            raise DataNotFoundError(
                f"The corpus {dataset.name!r} is not on this machine: {error}"
                f"{'' if variable else ', and neither data_dir= nor NLP_GYM_DATA is set'}. "
                f"Get it with: nlp-gym data download {dataset.name}"
            ) from None
        return Home(dataset, dataset.sample, True)
    return home


def _check_there(home: Home, split: str) -> None:
    home.files(split)
    for extra in home.extra_sources():
        if not os.path.isfile(extra.path):
            raise DataNotFoundError(f"there is no {extra.path}")


def _in_folder(folder: Path, dataset: Dataset, split: str, what: str) -> Home:
    home = Home(dataset, folder / dataset.place, False)
    try:
        _check_there(home, split)
    except DataNotFoundError as error:
        problem = str(error)
        files = dataset.split_files(split)
        if not os.path.isdir(folder):
            problem = "there is no such folder"
        elif files and all((folder / file.filename).is_file() for file in files):
            above = folder.absolute().parent
            problem = f"it is the corpus's own folder; give the one above, {above}"
        raise DataNotFoundError(
            f"{what}={str(folder)!r}: {problem}. "
            f"Get the corpus with: nlp-gym data download {dataset.name} --data-dir {folder}"
        ) from None
    return home


def read_split(
    home: Home, split: str, options: Options, data_dir: str | Path | None, corpus: str
) -> tuple[tuple[Sample, ...], Path]:
    """Return the samples of a split and the (first) file they come from.

    A split without files is cut from the training split (see `Dataset`), which then is what is
    left of it.
    """
    if split != "train" and home.has(split):
        return _read(home, split, options)
    pool, path = _training_pool(home, options, data_dir, corpus)
    held_out = tuple(part for part in ("dev", "test") if not home.has(part))
    if not held_out:
        return pool, path
    what = f"{home.dataset.name} ({path})"
    return tuple(split_samples(pool, split, what, held_out)), path


def _training_pool(
    home: Home, options: Options, data_dir: str | Path | None, corpus: str
) -> tuple[tuple[Sample, ...], Path]:
    row = home.dataset
    if home.has("train") or "train" not in row.borrow:
        return _read(home, "train", options)
    lenders = [find_dataset(name) for name in row.borrow["train"]]
    # never a full corpus and another one's sample
    where = "sample" if home.bundled else corpus
    homes = [locate(lender, "train", data_dir, where) for lender in lenders]
    parts = [_read(found, "train", options) for found in homes]
    return tuple(sample for samples, _ in parts for sample in samples), parts[0][1]


def _read(home: Home, split: str, options: Options) -> tuple[tuple[Sample, ...], Path]:
    sources = home.sources(split)
    samples = read_sources(sources, replace(options, split=split), home.extra_sources())
    return samples, sources[0].path


def find_corpus(name: str, *, data_dir: str | Path | None = None) -> Path | None:
    """Return the folder in which `load_corpus` finds the whole of a named corpus, or None.

    That of a corpus that ships with the package is the package's.

    Raises:
        UnknownNameError: There is no such corpus.
    """
    dataset = find_dataset(name)
    if dataset.whole:
        return dataset.sample
    lenders = {lender for names in dataset.borrow.values() for lender in names}
    try:
        homes = [locate(dataset, split, data_dir, "full") for split in dataset.files]
    except DataNotFoundError:
        return None
    if not all(find_corpus(lender, data_dir=data_dir) for lender in sorted(lenders)):
        return None
    return homes[0].folder


def data_cache_dir() -> Path:
    """Return the folder of downloaded corpora."""
    return user_cache_dir() / "data"
