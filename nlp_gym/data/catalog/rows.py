"""What a row of the catalogue is: `Dataset`, and the files it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nlp_gym.types import SPLITS

SAMPLES = Path(__file__).parent.parent / "samples"
"""Folder of the samples that ship with the package."""

RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a corpus.

    Attributes:
        filename: Its path in the corpus's folder (``"train/schema.json"``).
        url: Where exactly these bytes are downloaded from; None where no pinned address has them.
        sha256: Of its bytes, in hexadecimal; None where it is not known: such a file is not checked
            (official full files only).
        size: Bytes.
    """

    filename: str
    url: str | None
    sha256: str | None
    size: int


Files = Mapping[str, "RemoteFile | tuple[RemoteFile, ...]"]


@dataclass(frozen=True)
class Dataset:
    """One named corpus.

    A split that has no file is cut from the training split by `data.corpora.user.split_samples`:
    the distinct texts are ranked by the sha256 of their words, the first tenth is dev (and the
    second tenth test, where test has no file either), the rest is train. So 90/10 without dev.

    A row without files of its own or borrowed ones is bundled as a whole: its sample is all there
    is of it.

    Attributes:
        name: Its name here, also that of its folder.
        description: One line.
        licence: One line; what a user must know before downloading.
        homepage: Where it comes from.
        format: Name of its reader among those of its family, as in `READERS`.
        labels: Label inventory, in order; empty: what the training split has, sorted (and nothing
            for families without labels).
        files: The file or files of each split, read one after the other. One file may stand for
            several splits: its reader is told which is wanted.
        sample: Folder of the bundled sample (``train``, ``dev`` and ``test`` files).
        family: Which readers, a name in `nlp_gym.data.readers.FAMILIES`.
        extra_files: Files beside these that the reader wants (label names, a schema): downloaded
            and checked like the others.
        official: The full file or files of a split whose `files` are a subset. Where they lie in
            the corpus's folder they are used in place of `files`, and `download` gets them where
            they have an address. The file name may be the subset's: the sha256 tells them apart.
        borrow: Corpora whose training files are those of a split that has none here.
        sample_name: File name of a sample that holds all splits (``"all.json"``).
        obtain: Where and how to get what has no address; `download` says it.
        folder: Name of the folder that it shares with the row of another family; see `place`.
        pairs: What ``pair=`` may be for a parallel corpus, such as ``"en-de"``; the first is the
            usual one.
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
    def place(self) -> str:
        """Name of its folder among those of the corpora."""
        return self.folder or self.name

    @property
    def whole(self) -> bool:
        """Whether all of it ships with the package."""
        return not self.files and not self.borrow

    @property
    def all_files(self) -> tuple[RemoteFile, ...]:
        """Every file once, in the order of the splits; not the official ones."""
        listed = [file for split in SPLITS for file in self.split_files(split)]
        return tuple(dict.fromkeys([*listed, *self.extra_files]))

    @property
    def download_files(self) -> tuple[RemoteFile, ...]:
        """What `download` gets: the official files of a split where these have addresses."""
        listed: list[RemoteFile] = []
        for split in SPLITS:
            official = self.official_files(split)
            reachable = official and all(file.url for file in official)
            listed += official if reachable else self.split_files(split)
        return tuple(dict.fromkeys([*listed, *self.extra_files]))

    @property
    def size(self) -> int:
        """Bytes of a download."""
        return sum(file.size for file in self.download_files)

    def allowed(self, file: RemoteFile) -> frozenset[str] | None:
        """What the sha256 of a file may be; None: anything.

        The full file and the subset of it that stands in for it may have one name.
        """
        listed = [
            *self.extra_files,
            *(f for split in SPLITS for f in self.split_files(split) + self.official_files(split)),
        ]
        found = {other.sha256 for other in listed if other.filename == file.filename}
        known = frozenset(sha256 for sha256 in found if sha256 is not None)
        return known if len(known) == len(found) else None

    def split_files(self, split: str) -> tuple[RemoteFile, ...]:
        """Return the files of a split; none where it is cut from train or borrowed."""
        return as_tuple(self.files.get(split, ()))

    def official_files(self, split: str) -> tuple[RemoteFile, ...]:
        """Return the official full files of a split, if `files` are a subset of them."""
        return as_tuple(self.official.get(split, ()))

    def sample_file(self, split: str) -> Path:
        """Return the bundled sample's file of a split."""
        from nlp_gym.data.readers import READERS

        if self.sample_mirrors:
            return self.sample / (self.split_files(split) or self.split_files("train"))[0].filename
        ending = READERS[self.family][self.format].extensions[:1] or (f".{self.format}",)
        return self.sample / (self.sample_name or f"{split}{ending[0]}")


def as_tuple(files: RemoteFile | Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """One file or several, as a tuple."""
    return (files,) if isinstance(files, RemoteFile) else tuple(files)
