"""Downloads the catalogue's corpora: pinned addresses, checksums, retries, atomic writes.

No other module of the package opens a connection to get a corpus. It is made with requests rather
than pooch, whose downloader a server can keep busy for ever: it reads the bodies of redirections to
their end, waits for whole chunks however slowly they come, and unpacks what it cannot yet trust.
"""

from __future__ import annotations

import gzip
import hashlib
import http
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from nlp_gym.data.catalog import Dataset, RemoteFile, find_dataset
from nlp_gym.data.corpora.named import data_cache_dir
from nlp_gym.errors import ChecksumError, DownloadError
from nlp_gym.files import PART, atomic_path, file_lock, remove_leftovers, sha256_file
from nlp_gym.progress import Advance, progress_bar
from nlp_gym.types import SPLITS

if TYPE_CHECKING:
    import requests

ATTEMPTS = 4
TIMEOUT = 30.0
"""Seconds without a byte after which a connection is closed."""

SLOWEST = 1024
"""Bytes a second that have to come on average of `TIMEOUT` seconds."""

_CHUNK = 1 << 16
_REDIRECTS = 10


def download(
    name: str,
    *,
    data_dir: str | Path | None = None,
    progress: bool = True,
    force: bool = False,
) -> Path:
    """Download a corpus; files that exist and have the right checksum are kept.

    After a broken connection or the answer of a busy server it tries again; several processes may
    call it at once. No more bytes are taken than the catalogue says there are, and what is
    compressed is only unpacked onto the disk once its checksum is right. Stopped at any moment, it
    leaves no half-written file under its final name. The official full files are downloaded if the
    catalogue has an address of them. Corpora that this one borrows from are downloaded too.

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
    import requests

    with (
        progress_bar(file.size, file.filename, unit="bytes", show=progress) as advance,
        atomic_path(target) as temporary,
        _opened(str(file.url)) as answer,
    ):
        packed = answer.headers.get("Content-Encoding", "identity") == "gzip"
        if str(file.url).endswith(".gz") and not file.filename.endswith(".gz"):
            packed = True
        # A packed file can be a little larger than what is in it, if that cannot be compressed.
        most = file.size + file.size // 100 + _CHUNK if packed else file.size
        arrived = temporary.with_suffix(f".gz{PART}") if packed else temporary
        try:
            _receive(answer, arrived, most, advance, file)
            found, size = _unpacked(arrived, file) if packed else (None, arrived.stat().st_size)
            if size < file.size:  # older versions of requests take a broken connection for the end
                raise requests.ConnectionError(f"{size} of {file.size} bytes came")
            found = found or sha256_file(arrived)
            if file.sha256 is not None and found != file.sha256:
                raise ChecksumError(
                    f"{file.url}: the sha256 is {found}, not {file.sha256}: the download was "
                    "thrown away. A proxy may have changed it, or the file behind the address has."
                )
            if packed:
                with gzip.open(arrived) as content, open(temporary, "wb") as unpacked:
                    while chunk := content.read(_CHUNK):
                        unpacked.write(chunk)
        finally:
            if packed:
                arrived.unlink(missing_ok=True)


@contextmanager
def _opened(url: str) -> Iterator[requests.Response]:
    """The answer to a request, of which nothing but the head is read."""
    import requests

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """Leave redirections to the caller: following them reads their bodies to the end."""

    with Session() as session:
        for _ in range(_REDIRECTS):
            answer = session.get(
                url, headers={"Accept-Encoding": "identity"}, stream=True, timeout=TIMEOUT
            )
            with answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["location"])
                    continue
                answer.raise_for_status()
                yield answer
                return
        raise requests.TooManyRedirects(f"more than {_REDIRECTS} redirections")


def _receive(
    answer: requests.Response, path: Path, most: int, advance: Advance, file: RemoteFile
) -> None:
    """Write the body of an answer to a file.

    Raises:
        DownloadError: It has more than `most` bytes.
        requests.RequestException: It broke off, or hardly anything came for `TIMEOUT` seconds.
    """
    import requests
    from urllib3.exceptions import HTTPError

    # One of older versions waits until a chunk is full, and does not notice a body that trickles.
    read = getattr(answer.raw, "read1", answer.raw.read)
    size, since, before = 0, time.monotonic(), 0
    announced = answer.headers.get("Content-Length", "")
    size_told = int(announced) if announced.isdecimal() and len(announced) < 20 else 0
    with closing(open(path, "wb")) as written:
        while True:
            if max(size, size_told) > most:
                raise DownloadError(
                    f"{file.url}: more bytes come than the {file.size:,} that the catalogue says "
                    "the file has, so that it is not the file: the download was stopped and thrown "
                    "away. A proxy may have changed it, or the file behind the address has."
                )
            try:
                chunk = read(min(_CHUNK, most + 1 - size), decode_content=False)
            except (HTTPError, OSError) as error:
                raise requests.ConnectionError(str(error)) from error
            if not chunk:
                return
            written.write(chunk)
            size += len(chunk)
            advance(len(chunk))
            now = time.monotonic()
            if now - since > TIMEOUT:
                if size - before < SLOWEST * TIMEOUT:
                    raise requests.Timeout(
                        f"only {size - before} bytes came in {now - since:.0f} seconds"
                    )
                since, before = now, size


def _unpacked(path: Path, file: RemoteFile) -> tuple[str, int]:
    """The sha256 and the size of what a gzip file holds; nothing of it is written or kept.

    Raises:
        ChecksumError: It holds more than the catalogue says.
        requests.RequestException: It is not whole.
    """
    import requests

    digest, size = hashlib.sha256(), 0
    try:
        with gzip.open(path) as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > file.size:
                    raise ChecksumError(
                        f"{file.url}: what came holds more than the {file.size:,} bytes that the "
                        "catalogue says the file has: the download was thrown away. A proxy may "
                        "have changed it, or the file behind the address has."
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise requests.ConnectionError(f"what came is no whole gzip file: {error}") from error
    return digest.hexdigest(), size


def _is_transient(error: requests.RequestException) -> bool:
    """Whether trying again may help: no connection, or an answer that says so."""
    status = error.response.status_code if error.response is not None else None
    return status is None or status >= 500 or status in (408, 425, 429)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        code = error.response.status_code  # what the server calls it may be anything
        known = code in {status.value for status in http.HTTPStatus}
        return f"HTTP {code} {http.HTTPStatus(code).phrase}" if known else f"HTTP {code}"
    return f"{type(error).__name__}: {str(error)[:200]}"
