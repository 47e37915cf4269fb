"""Atomic writes, checksums, locks."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nlp_gym.errors import DataError
from nlp_gym.files import (
    PART,
    atomic_path,
    check_output_place,
    file_lock,
    read_regular,
    remove_leftovers,
    sha256_file,
    user_cache_dir,
    write_json,
    write_output,
)


def test_files_output_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_output_place("out", tmp_path / "new" / "report.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name, why in (("file/report.json", "is no folder"), ("folder", "it is a folder")):
        with pytest.raises(DataError, match=rf"out=.*cannot be written: .*{why}"):
            check_output_place("out", tmp_path / name)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(DataError, match=r"nothing can be written in .*Name another file"):
        check_output_place("out", tmp_path / "report.json")


def test_files_atomic_path_makes_folders_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    for text in ("one", "two"):
        with atomic_path(target) as temporary:
            temporary.write_text(text)
            assert temporary.parent == target.parent
        assert target.read_text() == text
    assert os.listdir(target.parent) == ["b.txt"]


def test_files_atomic_path_flushes_what_it_may_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush(descriptor: int) -> None:  # as Windows does: EBADF where it is open for reading only
        os.write(descriptor, b"")

    monkeypatch.setattr(os, "fsync", flush)
    write_json(tmp_path / "x.json", {"a": 1})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")]
)
def test_files_atomic_path_failure_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "b.txt"
    target.write_text("old")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_files_atomic_path_when_the_kernel_refuses_to_write(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_json(tmp_path / "x.json", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_files_pipe_is_written_to_and_no_file_takes_its_place(tmp_path: Path) -> None:
    """`--output /dev/null` of root would replace the device for everybody."""
    pipe, link, read = tmp_path / "pipe", tmp_path / "link", list[bytes]()
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for place in (pipe, link):
        reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
        reader.start()
        write_output("output", place, "text")
        reader.join(timeout=10)
    assert read == [b"text", b"text"]
    with pytest.raises(OSError, match="device or a pipe"), atomic_path(pipe):
        pass
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_files_full_device_is_a_typed_error() -> None:
    with pytest.raises(DataError, match=r"output='/dev/full' cannot be written: No space left"):
        write_output("output", "/dev/full", "text")
    assert stat.S_ISCHR(os.lstat("/dev/full").st_mode)


def test_files_atomic_path_under_a_file_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_json(tmp_path / "file" / "x.json", {})


def test_files_write_json_is_utf8_and_refuses_nan(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    write_json(target, {"text": "北京 🙂"})
    assert "北京 🙂" in target.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, float("nan"))
    assert "北京" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("progress", [False, True])
def test_files_sha256_file_equals_hashlib(tmp_path: Path, progress: bool) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(content)
    assert sha256_file(tmp_path / "x", progress=progress) == hashlib.sha256(content).hexdigest()


def test_files_user_cache_dir_is_set_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path))
    assert user_cache_dir() == tmp_path
    monkeypatch.delenv("NLP_GYM_CACHE")
    assert user_cache_dir().name == "nlp_gym"


def test_files_remove_leftovers_takes_only_its_own(tmp_path: Path) -> None:
    for name in (f".x.1-a{PART}", f".y.1-a{PART}", "x"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path / "x")
    assert sorted(os.listdir(tmp_path)) == [f".y.1-a{PART}", "x"]


def test_files_lock_excludes_another_process_and_can_be_taken_again(tmp_path: Path) -> None:
    target = tmp_path / "x"
    code = (
        "import sys\nfrom nlp_gym.files import file_lock\n"
        "with file_lock(sys.argv[1]):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(TimeoutError), file_lock(target, timeout=0.1):
            pass
        other.kill()  # the lock of a dead process is free
    with file_lock(target), file_lock(target, timeout=1):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_read_regular_refuses_what_has_no_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="may have no end"):
            read_regular(path)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)


def test_read_regular_knows_the_size_before_it_reads(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(OSError, match=r"it has 4\.4 TB, at most"):
        read_regular(tmp_path / "sparse")
    (tmp_path / "small").write_bytes(b"12345")
    assert read_regular(tmp_path / "small", limit=5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, at most 4 bytes are read"):
        read_regular(tmp_path / "small", limit=4)
