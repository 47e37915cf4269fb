"""`load_corpus`: from a name or a user's data to a `Corpus`."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path

from nlp_gym.data.catalog import Dataset, RemoteFile, find_dataset
from nlp_gym.data.readers import find_reader
from nlp_gym.data.readers.base import Options, file_bytes
from nlp_gym.data.schemes import canonical_scheme, inventory, split_tag
from nlp_gym.data.user import User, open_user_data
from nlp_gym.errors import (
    ChecksumError,
    DataNotFoundError,
    InvalidArgumentError,
    UnknownNameError,
)
from nlp_gym.files import user_cache_dir
from nlp_gym.types import SPLITS, Corpus, Sample

Data = str | Path | Mapping[str, "str | Path | Sequence[Sample]"] | Sequence[Sample]
CORPORA = ("auto", "full", "sample")


def load_corpus(
    name: str | None,
    split: str = "train",
    *,
    data: Data | None = None,
    data_dir: str | Path | None = None,
    corpus: str = "auto",
    labels: Sequence[str] | None = None,
    format: str | None = None,
    column: str | int | None = None,
    scheme: str = "auto",
) -> Corpus:
    """Load one split of a named corpus or of a user's data. Never touches the network.

    A named corpus is looked for in `data_dir`, in the folder named by the environment variable
    ``NLP_GYM_DATA`` (each as ``FOLDER/NAME/FILE``), in the user's cache, and last among the samples
    that ship with the package. A file whose sha256 is not the catalogue's is never used.

    A user's `data` comes first, whatever `name` says. Its label inventory is that of the training
    split, whichever split is asked for, unless `labels` gives it; a label that only dev or test
    have is data all the same.

    Args:
        name: A row of `DATASETS`; may be None if `data` is given.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        data: A file (split 80/10/10 by a hash of each text: order and repetitions do not matter,
            equal texts stay together), a folder with train, dev and test files, a mapping from
            split to file, or a sequence of `Sample`, which is the split itself.
        data_dir: Folder that holds the folders of named corpora.
        corpus: ``"auto"``, ``"full"`` (never the bundled sample) or ``"sample"`` (always, and
            without a warning).
        labels: Label inventory in order. Gold may hold others: a task says what becomes of them.
        format: Format of `data`, a name in `READERS`; None goes by the file's ending and content.
        column: Label column, see `readers.read`.
        scheme: Tag scheme, see `readers.read`; with ``"none"`` labels are no tags for the inventory
            either.

    Returns:
        The split, with at least one sample.

    Raises:
        DataNotFoundError: Not found where it was asked for.
        ChecksumError: A file of a named corpus was changed or is damaged.
        DataFormatError: A bad row, with file and line.
        DataError: Too few texts to split.
        InvalidArgumentError: An argument is outside what is allowed.
    """
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    if corpus not in CORPORA:
        raise UnknownNameError("corpus", corpus, CORPORA)
    options = Options(_checked_column(column), canonical_scheme(scheme))
    given = None if labels is None else _declared(labels, options.scheme)
    if not isinstance(data_dir, (str, Path, type(None))):
        raise InvalidArgumentError(f"data_dir={data_dir!r} must be a folder's path, or None.")
    if data is not None:
        user = open_user_data(data, lambda path: read_cached(path, format, options))
        return _user_corpus(user, split, given, options.scheme)
    if name is None:
        raise InvalidArgumentError("Nothing to load: give the name of a corpus, or data=FILE.")
    dataset = find_dataset(name)
    path, bundled = _locate(dataset, split, data_dir, corpus)
    samples = _read_split(dataset, split, path, bundled, options)
    if given is None:
        given = dataset.labels
        if column is not None:  # another annotation layer than the one the row declares
            train, in_sample = _locate(dataset, "train", data_dir, "sample" if bundled else corpus)
            found = _read_split(dataset, "train", train, in_sample, options)
            given = _found(found, options.scheme)
    if bundled and corpus == "auto":
        _warn_bundled(dataset, split, len(samples))
    return Corpus(name, split, samples, given, path, bundled)


def _user_corpus(user: User, split: str, given: tuple[str, ...] | None, scheme: str) -> Corpus:
    samples, source = user.split(split)
    if given is None:
        given = _found(user.inventory_samples(split), scheme)
    return Corpus(user.name, split, samples, given, source)


def _found(samples: Iterable[Sample], scheme: str) -> tuple[str, ...]:
    return inventory({label for sample in samples for label in sample.labels or ()}, scheme)


def _checked_column(column: object) -> str | int | None:
    if column is not None and (isinstance(column, bool) or not isinstance(column, (str, int))):
        raise InvalidArgumentError(
            f"column={column!r} is not allowed: give 'upos' or 'xpos' (CoNLL-U), a number (CoNLL), "
            "or the name of a column or key (CSV, JSONL)."
        )
    return column


def _declared(labels: object, scheme: str) -> tuple[str, ...]:
    ordered = isinstance(labels, Iterable) and not isinstance(labels, (str, Set, Mapping))
    given = tuple(labels) if ordered and isinstance(labels, Iterable) else ()
    named = all(isinstance(x, str) and x for x in given)
    if not given or not named or len(set(given)) != len(given):
        raise InvalidArgumentError(
            f"labels={labels!r} is not allowed: give a list of distinct names, as in "
            "['O', 'B-PER', 'I-PER']."
        )
    if scheme == "none":
        return given
    for label in given:
        parts = split_tag(label)
        if parts and parts[0] == "I" and f"B-{parts[1]}" not in given:
            raise InvalidArgumentError(f"labels= holds {label!r} but not 'B-{parts[1]}': add it.")
    return given


@lru_cache(maxsize=8)
def _read(
    path: Path, size: int, mtime_ns: int, sha256: str | None, format: str | None, options: Options
) -> tuple[Sample, ...]:
    """Read a file once while `size` and `mtime_ns` stay: many environments share it."""
    content = file_bytes(path)
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        name, base = path.parent.name, path.parent.parent
        raise ChecksumError(
            f"{path}: the sha256 is {found}, not {sha256}: the file was changed or is damaged, and "
            "is not used. If the change is meant, pass the files as data={'train': FILE, ...}; "
            f"otherwise: nlp-gym data download {name} --data-dir {base} --force"
        )
    return tuple(find_reader(path, content, format).samples(path, content, options))


def read_cached(
    path: Path, format: str | None, options: Options, sha256: str | None = None
) -> tuple[Sample, ...]:
    """Read a file, or return what was read from it before if it has not changed since.

    Raises:
        DataError: It is missing or bad, or its sha256 is not the one given.
    """
    try:
        stat = path.stat()
    except (OSError, ValueError):
        file_bytes(path)  # raises, with a message
        raise
    return _read(path, stat.st_size, stat.st_mtime_ns, sha256, format, options)


def _read_split(
    dataset: Dataset, split: str, path: Path, bundled: bool, options: Options
) -> tuple[Sample, ...]:
    sha256 = None if bundled else dataset.files[split].sha256
    return read_cached(path, dataset.format, options, sha256)


def find_corpus(name: str, *, data_dir: str | Path | None = None) -> Path | None:
    """Return the folder in which `load_corpus` finds the whole of a named corpus, or None.

    Raises:
        UnknownNameError: There is no such corpus.
    """
    dataset = find_dataset(name)
    try:
        paths = [_locate(dataset, split, data_dir, "full")[0] for split in dataset.files]
    except DataNotFoundError:
        return None
    return paths[0].parent


def _locate(
    dataset: Dataset, split: str, data_dir: str | Path | None, corpus: str
) -> tuple[Path, bool]:
    """Find the file of a split: (path, whether it is the bundled sample's)."""
    sample = dataset.sample_file(split)
    if corpus == "sample":
        return sample, True
    file = dataset.files[split]
    if data_dir is not None:
        return _in_folder(Path(os.path.expanduser(data_dir)), dataset, file, "data_dir"), False
    variable = os.environ.get("NLP_GYM_DATA")
    if variable:
        folder = Path(os.path.expanduser(variable))
        if not os.path.isdir(folder) or (folder / dataset.name).is_dir():
            return _in_folder(folder, dataset, file, "NLP_GYM_DATA"), False
    cached = data_cache_dir() / dataset.name / file.filename
    if cached.is_file():
        return cached, False
    if corpus == "full":
        raise DataNotFoundError(
            f"The corpus {dataset.name!r} is not on this machine: there is no {cached}"
            f"{'' if variable else ', and neither data_dir= nor NLP_GYM_DATA is set'}. "
            f"Get it with: nlp-gym data download {dataset.name}"
        )
    return sample, True


def _in_folder(folder: Path, dataset: Dataset, file: RemoteFile, what: str) -> Path:
    path = folder / dataset.name / file.filename
    if os.path.isfile(path):  # unlike Path's, false for any name the system cannot take
        return path
    if not os.path.isdir(folder):
        problem = "there is no such folder"
    elif (folder / file.filename).is_file():
        problem = f"it is the corpus's own folder; give the one above, {folder.absolute().parent}"
    else:
        problem = f"there is no {path}"
    raise DataNotFoundError(
        f"{what}={str(folder)!r}: {problem}. "
        f"Get the corpus with: nlp-gym data download {dataset.name} --data-dir {folder}"
    )


def data_cache_dir() -> Path:
    """Return the folder of downloaded corpora."""
    return user_cache_dir() / "data"


def _warn_bundled(dataset: Dataset, split: str, size: int) -> None:
    warnings.warn(
        f"{dataset.name}: the full corpus is not on this machine, so the bundled sample is used: "
        f"{size} sentences written for this project ({split}), too few for results to report. "
        f"Get the corpus with: nlp-gym data download {dataset.name} "
        "(corpus='sample' asks for the sample without this warning).",
        UserWarning,
        stacklevel=3,
    )
