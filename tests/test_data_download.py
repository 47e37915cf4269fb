"""`download` against a server on this machine that fails in every way."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import errno
import gzip
import hashlib
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlp_gym import progress
from nlp_gym.data import DATASETS, RemoteFile, catalog, load_corpus
from nlp_gym.data.corpora import download as module
from nlp_gym.data.corpora.download import ATTEMPTS, download
from nlp_gym.errors import ChecksumError, DownloadError

CONTENT = {
    "eng.train": b"Ana B-PER\nleft O\n\n" * 5000,
    "eng.testa": b"In O\nRome B-LOC\n",
    "eng.testb": b"In O\nOslo B-LOC\n",
}


BOMB = gzip.compress(bytes(50_000_000))


class Server(http.server.ThreadingHTTPServer):
    """Serves `CONTENT`; `plan` has what to do instead with the next requests for a file."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.sent = 0  # bytes of bodies without an end
        self.free = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".gz").removesuffix("?again")
        self.server.asked.append(name)
        body, plan = CONTENT[name], self.server.plan.get(name, [])
        act = plan.pop(0) if plan else "whole"
        if act.isdigit():
            self.send_error(int(act))
            return
        if act == "moved":
            self.send_response(302)
            self.send_header("Location", f"/{name}?again")
            self.end_headers()
            self._send_for_ever()
            return
        self.send_response(200)
        if act in ("endless", "trickle", "stall"):  # without a length
            self.end_headers()
            if act == "endless":
                self._send_for_ever()
            elif act == "trickle":
                self._send_for_ever(b"x", 0.02)
            else:
                self.wfile.write(body[:100])
                self.wfile.flush()
                self.server.free.wait(10)
            return
        if act == "gzip":
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        elif act == "bomb":
            body = BOMB
            self.send_header("Content-Encoding", "gzip")
        elif act == "longer":
            body += b"x"
        elif act == "other":
            body = body[::-1]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if act == "half" else body)

    def _send_for_ever(self, part: bytes = b"x" * 2**16, pause: float = 0.0) -> None:
        with contextlib.suppress(OSError):  # until the other side has had enough
            while not self.server.free.is_set():
                self.wfile.write(part)
                self.server.sent += len(part)
                self.server.free.wait(pause)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """The catalogue's row conll2003 points to this server; attempts do not wait."""
    with Server() as running:
        url = f"http://127.0.0.1:{running.server_port}"
        names = {"train": "eng.train", "dev": "eng.testa", "test": "eng.testb"}
        files = {
            split: RemoteFile(
                name, f"{url}/{name}", hashlib.sha256(CONTENT[name]).hexdigest(), len(CONTENT[name])
            )
            for split, name in names.items()
        }
        row = dataclasses.replace(DATASETS["conll2003"], files=files)
        monkeypatch.setattr(catalog, "DATASETS", {**DATASETS, "conll2003": row})
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.free.set()
        running.shutdown()
        thread.join()


def there(folder: Path) -> list[str]:
    """Names of all files below a folder, locks left out."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def test_download_puts_the_corpus_where_it_is_found(server: Server, tmp_path: Path) -> None:
    folder = download("conll2003", progress=False)
    assert folder == tmp_path / "cache" / "data" / "conll2003"
    assert {name: (folder / name).read_bytes() for name in there(folder)} == CONTENT
    assert len(load_corpus("conll2003", corpus="full")) == 5000
    server.asked.clear()
    download("conll2003")
    assert server.asked == []  # nothing to do
    download("conll2003", force=True)
    assert sorted(server.asked) == sorted(CONTENT)


def test_download_shows_a_bar_when_it_takes_long(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.delenv(progress.SWITCH)
    download("conll2003")
    shown = capsys.readouterr().err
    assert "eng.train" in shown
    assert "90.0/90.0 kB" in shown


@pytest.mark.parametrize("failures", [["500"], ["503", "half"], ["half"], ["429", "408"]])
def test_download_tries_again_after_passing_failures(
    server: Server, tmp_path: Path, failures: list[str]
) -> None:
    server.plan["eng.train"] = list(failures)
    folder = download("conll2003", data_dir=tmp_path)
    assert (folder / "eng.train").read_bytes() == CONTENT["eng.train"]
    assert server.asked.count("eng.train") == len(failures) + 1
    assert there(folder) == sorted(CONTENT)


@pytest.mark.parametrize(
    ("plan", "attempts", "match"),
    [
        (["404"], 1, "HTTP 404"),
        (["403"], 1, "HTTP 403"),
        (["500"] * 9, ATTEMPTS, "HTTP 500"),
        (["half"] * 9, ATTEMPTS, r"eng\.train could not be downloaded"),
    ],
)
def test_download_gives_up_with_a_reason(
    server: Server, tmp_path: Path, plan: list[str], attempts: int, match: str
) -> None:
    server.plan["eng.train"] = plan
    with pytest.raises(DownloadError, match=match):
        download("conll2003", data_dir=tmp_path)
    assert server.asked == ["eng.train"] * attempts
    assert there(tmp_path) == []


def test_download_without_a_server(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=f"{ATTEMPTS} attempt"):
        download("conll2003", data_dir=tmp_path)
    assert there(tmp_path) == []


def test_download_with_a_wrong_checksum_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.plan["eng.testa"] = ["other"]
    with pytest.raises(ChecksumError, match=r"eng\.testa.*sha256"):
        download("conll2003", data_dir=tmp_path)
    assert there(tmp_path) == ["eng.train"]  # whole and right: kept
    download("conll2003", data_dir=tmp_path)  # goes on where it stopped
    assert server.asked.count("eng.train") == 1


def test_download_stopped_by_the_user_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nlp_gym.data.corpora.download.sha256_file", stop)
        with pytest.raises(KeyboardInterrupt):
            download("conll2003", data_dir=tmp_path)
    assert there(tmp_path) == []
    leftover = tmp_path / "conll2003" / ".eng.train.1-a.part"  # as a killed process leaves it
    leftover.write_bytes(b"half")
    download("conll2003", data_dir=tmp_path)
    assert there(tmp_path) == sorted(CONTENT)


class Full:
    """A file on a full disk."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: bytes) -> None:
        self.file.write(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_download_to_a_full_disk(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.open

    def full(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        file = whole(path, mode, *args, **kwargs)
        return Full(file) if str(path).endswith(".part") and "w" in mode else file

    monkeypatch.setattr(builtins, "open", full)
    with pytest.raises(DownloadError, match=r"No space left on device.*--data-dir"):
        download("conll2003", data_dir=tmp_path, progress=False)
    assert there(tmp_path) == []
    assert server.asked == ["eng.train"]  # another attempt would not help


def test_download_when_the_kernel_refuses_to_write(server: Server, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DownloadError, match="File too large"):
            download("conll2003", data_dir=tmp_path, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert there(tmp_path) == []


def test_download_to_a_place_that_cannot_be_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match=r"file.*--data-dir"):
        download("conll2003", data_dir=tmp_path / "file")

    def read_only(path: Path, *args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(DownloadError, match="Read-only file system"):
        download("conll2003", data_dir=tmp_path / "folder")
    assert server.asked == []


def test_download_keeps_a_changed_file_of_the_user(server: Server, tmp_path: Path) -> None:
    download("conll2003", data_dir=tmp_path)
    changed = tmp_path / "conll2003" / "eng.testa"
    changed.write_text("mine")
    with pytest.raises(ChecksumError, match="--force"):
        download("conll2003", data_dir=tmp_path)
    assert changed.read_text() == "mine"
    download("conll2003", data_dir=tmp_path, force=True)
    assert changed.read_bytes() == CONTENT["eng.testa"]


def test_download_replaces_a_damaged_file_in_the_cache(server: Server) -> None:
    folder = download("conll2003")
    (folder / "eng.testa").write_text("damaged")
    with pytest.raises(ChecksumError, match="nlp-gym data download"):
        load_corpus("conll2003", "dev")
    download("conll2003")
    assert len(load_corpus("conll2003", "dev")) == 1


@pytest.mark.parametrize("act", ["endless", "longer"])
def test_download_takes_no_more_than_the_catalogue_says(
    server: Server, tmp_path: Path, act: str
) -> None:
    server.plan["eng.train"] = [act]
    with pytest.raises(DownloadError, match=r"more bytes come than the 90,000"):
        download("conll2003", data_dir=tmp_path, progress=False)
    assert there(tmp_path) == []
    assert server.asked == ["eng.train"]  # another attempt would not help
    assert server.sent < 20_000_000  # what the system buffers is not written


def test_download_follows_redirections_without_reading_them(server: Server, tmp_path: Path) -> None:
    server.plan["eng.train"] = ["moved"]
    folder = download("conll2003", data_dir=tmp_path, progress=False)
    assert (folder / "eng.train").read_bytes() == CONTENT["eng.train"]
    assert server.sent < 20_000_000
    server.plan["eng.train"] = ["moved"] * 99
    with pytest.raises(DownloadError, match="redirections"):
        download("conll2003", data_dir=tmp_path, progress=False, force=True)


@pytest.mark.parametrize("act", ["trickle", "stall"])
def test_download_does_not_wait_for_a_body_that_stalls(
    server: Server, tmp_path: Path, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    server.plan["eng.train"] = [act]
    folder = download("conll2003", data_dir=tmp_path, progress=False)
    assert server.asked.count("eng.train") == 2
    assert (folder / "eng.train").read_bytes() == CONTENT["eng.train"]


def peak(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_download_unpacks_only_what_is_right(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plan["eng.train"] = ["gzip"]
    folder = download("conll2003", data_dir=tmp_path, progress=False)
    assert (folder / "eng.train").read_bytes() == CONTENT["eng.train"]
    seen = []
    unpacked = module._unpacked

    def look(path: Path, file: RemoteFile) -> tuple[str, int]:
        try:
            return unpacked(path, file)
        finally:
            seen.append(peak(tmp_path / "two"))

    monkeypatch.setattr(module, "_unpacked", look)
    server.plan["eng.train"] = ["bomb"]
    with pytest.raises(ChecksumError, match=r"holds more than the 90,000 bytes"):
        download("conll2003", data_dir=tmp_path / "two", progress=False)
    assert seen == [len(BOMB)]
    assert there(tmp_path / "two") == []


def test_download_twice_at_once_asks_once(server: Server, tmp_path: Path) -> None:
    def run() -> None:
        download("conll2003", data_dir=tmp_path, progress=False)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.asked) == sorted(CONTENT)
    assert there(tmp_path) == sorted(CONTENT)
