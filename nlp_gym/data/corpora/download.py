"""Downloads the catalogue's corpora: pinned addresses, checksums, retries, atomic writes.

No other module of the package opens a connection to get a corpus.
"""

from __future__ import annotations

import gzip
import os
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from nlp_gym.data.catalog import Dataset, RemoteFile, find_dataset
from nlp_gym.data.corpora.named import data_cache_dir
from nlp_gym.errors import ChecksumError, DownloadError
from nlp_gym.files import atomic_path, file_lock, remove_leftovers, sha256_file
from nlp_gym.progress import Advance, progress_bar
from nlp_gym.types import SPLITS

if TYPE_CHECKING:
    import requests

ATTEMPTS = 4
TIMEOUT = 30.0
"""Seconds without a byte after which a connection is closed."""

_CHUNK = 1 << 16


def download(
    name: str,
    *,
    data_dir: str | Path | None = None,
    progress: bool = True,
    force: bool = False,
) -> Path:
    """Download a corpus; files that exist and have the right checksum are kept.

    After a broken connection or the answer of a busy server it tries again; several processes may
    call it at once. Stopped at any moment, it leaves no half-written file under its final name. The
    official full files are downloaded if the catalogue has an address of them. Corpora that this
    one borrows from are downloaded too.

    Args:
        name: Name of a corpus in `DATASETS`.
        data_dir: Folder in which to put the corpus's folder; None: the user's cache, where
            `load_corpus` looks by itself.
        progress: Show a bar on stderr for a file that takes more than two seconds.
        force: Replace all files. Otherwise a file in `data_dir` with another checksum is an error
            (it may be the user's own work), and one in the cache is replaced.

    Returns:
        The corpus's folder; that of the bundled sample for a corpus that ships with the package.

    Raises:
        UnknownNameError: There is no such corpus.
        DownloadError: The server, the network or the disk failed, or a file has no pinned address
            and does not exist; the message says which and where.
        ChecksumError: A file has another sha256 than the catalogue's; what was downloaded is
            deleted.
    """
    dataset = find_dataset(name)
    base = data_cache_dir() if data_dir is None else Path(os.path.expanduser(data_dir))
    if dataset.sample_only:
        return dataset.sample
    folder = base / dataset.folder_name
    keep = data_dir is not None and not force
    for lender in dict.fromkeys(name for names in dataset.borrow.values() for name in names):
        download(lender, data_dir=data_dir, progress=progress, force=force)
    try:
        _check_obtainable(dataset, folder, keep)
        wanted = tuple(file for file in dataset.download_files if file.url)
        if force or not all(_is_present(dataset, folder, file, keep) for file in wanted):
            with file_lock(folder):
                for file in wanted:
                    remove_leftovers(folder / file.filename)
                    # another process may have downloaded it meanwhile
                    if force or not _is_present(dataset, folder, file, keep):
                        _fetch(dataset, file, folder / file.filename, progress)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{folder} cannot be written to: {error.strerror or error}. Free the disk or make the "
            "folder writable, or choose another one with data_dir= (--data-dir)."
        ) from error
    return folder


def _check_obtainable(dataset: Dataset, folder: Path, keep: bool) -> None:
    """Raise `DownloadError` if a file without an address is missing, before any download."""
    lacking = []
    for file in dataset.download_files:
        if file.url or _is_present(dataset, folder, file, keep):
            continue
        split = next((s for s in SPLITS if file in dataset.split_files(s)), None)
        official = dataset.official_files(split) if split else ()
        if not official or not all((folder / other.filename).is_file() for other in official):
            names = [other.filename for other in official] or [file.filename]
            lacking += [name for name in names if name not in lacking]
    if lacking:
        raise DownloadError(
            f"{dataset.name}: there is no pinned address for {', '.join(lacking)}. "
            f"{dataset.obtain or f'The corpus is at {dataset.homepage}.'} "
            f"Put what is lacking, under exactly these names, into {folder}."
        )


def _is_present(dataset: Dataset, folder: Path, file: RemoteFile, keep: bool) -> bool:
    target, allowed = folder / file.filename, dataset.allowed_digests(file)
    if not target.exists():
        return False
    if allowed is None or sha256_file(target) in allowed:
        return True
    if keep:
        raise ChecksumError(
            f"{target} is there with another sha256 than the catalogue's "
            f"{' or '.join(sorted(allowed))}. Move it away, or replace it with force=True "
            "(--force)."
        )
    return False


def _fetch(dataset: Dataset, file: RemoteFile, target: Path, progress: bool) -> None:
    """Download one file, with `ATTEMPTS` attempts."""
    import requests

    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch_once(file, target, progress)
            return
        except requests.RequestException as error:
            if attempt == ATTEMPTS or not _is_transient(error):
                raise DownloadError(
                    f"{dataset.name}: {file.url} could not be downloaded ({_reason(error)}; "
                    f"{attempt} attempt(s)). Check the connection and run again: nlp-gym data "
                    f"download {dataset.name}. Or put the file at {target} by other means."
                ) from error
            time.sleep(2 ** (attempt - 1))


def _fetch_once(file: RemoteFile, target: Path, progress: bool) -> None:
    import pooch  # type: ignore[import-untyped]
    import requests

    with (
        progress_bar(file.size, file.filename, unit="bytes", show=progress) as advance,
        atomic_path(target) as temporary,
    ):
        bar = _PoochBar(advance)
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK, timeout=TIMEOUT)
        fetch(str(file.url), str(temporary), None)
        if str(file.url).endswith(".gz") and not file.filename.endswith(".gz"):
            _unpack(temporary, file.size)
        size = temporary.stat().st_size
        if size < file.size:  # older versions of requests take a broken connection for the end
            raise requests.ConnectionError(f"{size} of {file.size} bytes came")
        found = sha256_file(temporary)
        if file.sha256 is not None and found != file.sha256:
            raise ChecksumError(
                f"{file.url}: the sha256 is {found}, not {file.sha256}: the download was "
                "thrown away. A proxy may have changed it, or the file behind the address has."
            )


class _PoochBar:
    """A `progress_bar` with the methods that pooch calls on a progress bar."""

    total = 0

    def __init__(self, advance: Advance) -> None:
        self._advance: Advance | None = advance

    def update(self, size: int) -> None:
        if self._advance is not None:
            self._advance(size)

    def reset(self) -> None:
        self._advance = None  # pooch then reports the whole file once more

    def close(self) -> None:
        pass


def _unpack(path: Path, size: int) -> None:
    """Replace a gzip file by its content, of which at most `size` + 1 bytes are read."""
    import requests

    try:
        with gzip.open(path) as packed:
            content = packed.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise requests.ConnectionError(f"what came is no whole gzip file: {error}") from error
    path.write_bytes(content)


def _is_transient(error: requests.RequestException) -> bool:
    """Whether trying again may help: no connection, or an answer that says so."""
    status = error.response.status_code if error.response is not None else None
    return status is None or status >= 500 or status in (408, 425, 429)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    return f"{type(error).__name__}: {str(error)[:200]}"
