"""`Dataset`, a row of the catalogue of named corpora, and `RemoteFile`, one of its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nlp_gym.data.readers import READERS
from nlp_gym.types import SPLITS

SAMPLES = Path(__file__).parent.parent / "samples"
"""Folder of the samples that ship with the package."""

RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a corpus.

    Attributes:
        filename: Path in the corpus's folder (``"train/schema.json"``).
        url: Address from which exactly these bytes are downloaded; None: there is no pinned one.
        sha256: Digest of its bytes, in hexadecimal; None (official full files only): it is not
            known, and the file is not checked.
        size: Number of bytes.
    """

    filename: str
    url: str | None
    sha256: str | None
    size: int


Files = Mapping[str, "RemoteFile | tuple[RemoteFile, ...]"]


@dataclass(frozen=True)
class Dataset:
    """One named corpus.

    A split without files is cut from the training split by `data.corpora.user.split_samples`: the
    distinct texts are ranked by the sha256 of their words, the first tenth is dev (and the second
    tenth is test, if test has no files either), the rest is train.

    A corpus with neither `files` nor `borrow` ships with the package: its sample is all of it.

    Attributes:
        name: Name in the catalogue, and of its folder unless `folder` says otherwise.
        description: One line.
        licence: One line; what a user must know before downloading.
        homepage: Address of the corpus's own page.
        format: Name of its reader among those of its family, as in `READERS`.
        labels: Label inventory, in order; empty: the labels of the training split, sorted (none for
            families without labels).
        files: The file or files of each split, read one after the other. One file may stand for
            several splits: its reader is told which is wanted.
        sample: Folder of the bundled sample (``train``, ``dev`` and ``test`` files).
        family: Task family of its reader, a name in `nlp_gym.data.readers.FAMILIES`.
        extra_files: Other files that the reader needs (label names, a schema); they are downloaded
            and checked too.
        official: The full file or files of a split whose `files` are a subset. If they lie in the
            corpus's folder they are used in place of `files`; `download` gets them if they have an
            address. They may have the subset's file name: the sha256 tells them apart.
        borrow: For a split without files, the corpora whose training files stand in for it.
        sample_name: File name of a sample that holds all splits (``"all.json"``).
        obtain: How a user obtains the files without an address; shown by `download`.
        folder: Name of a folder that it shares with a corpus of another family.
        pairs: Allowed values of ``pair=`` for a parallel corpus, such as ``"en-de"``; the first is
            the default.
        sample_mirrors: Whether the sample's files have the names of `files`.
    """

    name: str
    description: str
    licence: str
    homepage: str
    format: str
    labels: tuple[str, ...]
    files: Files
    sample: Path
    family: str = "tagging"
    extra_files: tuple[RemoteFile, ...] = ()
    official: Files = field(default_factory=dict)
    borrow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sample_name: str | None = None
    obtain: str = ""
    folder: str = ""
    pairs: tuple[str, ...] = ()
    sample_mirrors: bool = False

    @property
    def folder_name(self) -> str:
        """Name of its folder in a data folder."""
        return self.folder or self.name

    @property
    def sample_only(self) -> bool:
        """Whether the bundled sample is all of the corpus."""
        return not self.files and not self.borrow

    @property
    def download_files(self) -> tuple[RemoteFile, ...]:
        """Files that `download` gets: a split's official ones if they have addresses."""
        listed: list[RemoteFile] = []
        for split in SPLITS:
            official = self.official_files(split)
            reachable = official and all(file.url for file in official)
            listed += official if reachable else self.split_files(split)
        return tuple(dict.fromkeys([*listed, *self.extra_files]))

    @property
    def size(self) -> int:
        """Number of bytes of a download."""
        return sum(file.size for file in self.download_files)

    def allowed_digests(self, file: RemoteFile) -> frozenset[str] | None:
        """Allowed sha256 digests of a file; None: any.

        There are several where the official full file has the name of the subset.
        """
        listed = [
            *self.extra_files,
            *(f for split in SPLITS for f in self.split_files(split) + self.official_files(split)),
        ]
        found = {other.sha256 for other in listed if other.filename == file.filename}
        known = frozenset(sha256 for sha256 in found if sha256 is not None)
        return known if len(known) == len(found) else None

    def split_files(self, split: str) -> tuple[RemoteFile, ...]:
        """Return the files of a split; none if it is cut from train or borrowed."""
        return _as_tuple(self.files.get(split, ()))

    def official_files(self, split: str) -> tuple[RemoteFile, ...]:
        """Return the official full files of a split, if `files` are a subset of them."""
        return _as_tuple(self.official.get(split, ()))

    def sample_file(self, split: str) -> Path:
        """Return the bundled sample's file of a split."""
        if self.sample_mirrors:
            return self.sample / (self.split_files(split) or self.split_files("train"))[0].filename
        ending = READERS[self.family][self.format].extensions[:1] or (f".{self.format}",)
        return self.sample / (self.sample_name or f"{split}{ending[0]}")


def _as_tuple(files: RemoteFile | Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """A file or several files as a tuple."""
    return (files,) if isinstance(files, RemoteFile) else tuple(files)
