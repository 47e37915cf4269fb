from __future__ import annotations

import errno
import gc
import json
import logging
import multiprocessing
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nlp_gym.encode import base, cache, encode_corpus, encode_texts, load_encoder, store
from nlp_gym.errors import EncoderError
from nlp_gym.types import Corpus, Sample

WORDS = [tuple(f"w{i}x{j}" for j in range(i % 7 + 1)) for i in range(60)]


def make_corpus(words: Any = WORDS, labels: tuple[str, ...] = ()) -> Corpus:
    return Corpus("toy", "train", [Sample(tuple(text)) for text in words], labels)


class CountingEncoder:
    """The hashed encoder, with a log of its calls in a file and a pause in each."""

    def __init__(self, log: Path | None = None, pause: float = 0.0) -> None:
        self._inner = load_encoder("hashed")
        self.name, self.dim = "counting", self._inner.dim
        self.fingerprint, self.bound = self._inner.fingerprint, self._inner.bound
        self.calls, self.log, self.pause = 0, log, pause

    def encode(self, texts: Any, *, progress: bool = False) -> Any:
        self.calls += 1
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(self.pause)
        return self._inner.encode(texts)

    def tokenize(self, texts: Any) -> Any:
        return self._inner.tokenize(texts)


def expected(corpus: Corpus) -> Any:
    return encode_texts([s.words for s in corpus.samples], load_encoder("hashed")).features


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.npy")
    return path


@pytest.fixture
def small_blocks(monkeypatch):
    """Four blocks of texts instead of one, so that there is something in between."""
    monkeypatch.setattr(base.text_blocks, "__defaults__", (64,))


@pytest.mark.usefixtures("small_blocks")
def test_encode_cache_second_time_is_memory_mapped_and_equal(tmp_path):
    corpus, encoder = make_corpus(), CountingEncoder()
    first = encode_corpus(corpus, encoder, cache_dir=tmp_path)
    assert encoder.calls > 2
    again = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    for found in (first, again):
        np.testing.assert_array_equal(found.features, expected(corpus))
        np.testing.assert_array_equal(found.offsets, corpus.offsets)
        assert isinstance(found.features.base, np.memmap)
    assert not again.features[-1].any()


def test_encode_cache_second_time_does_not_encode(tmp_path):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    gc.collect()
    encoder = CountingEncoder()
    encode_corpus(make_corpus(), encoder, cache_dir=tmp_path)
    assert encoder.calls == 0


def test_encode_cache_writing_to_the_result_leaves_the_file_alone(tmp_path):
    encoded = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    before = only_file(tmp_path).read_bytes()
    encoded.features[:] = 0
    assert only_file(tmp_path).read_bytes() == before


@pytest.mark.parametrize("change", ["text", "boundary", "fingerprint", "dim"])
def test_encode_cache_what_changes_the_vectors_changes_the_key(tmp_path, change):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    words, encoder = list(WORDS), CountingEncoder()
    if change == "text":
        words[0] = ("other",)
    elif change == "boundary":
        words[1:3] = [words[1] + words[2]]
    elif change == "fingerprint":
        encoder.fingerprint = "0" * 64
    else:
        encoder._inner = load_encoder("hashed", dim=8)
        encoder.dim, encoder.fingerprint = 8, encoder._inner.fingerprint
    encoded = encode_corpus(make_corpus(words), encoder, cache_dir=tmp_path)
    assert encoder.calls == 1
    assert encoded.features.shape == (sum(map(len, words)) + 1, encoder.dim)


def test_encode_cache_gold_labels_do_not_change_the_key(tmp_path):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    encoder = CountingEncoder()
    encode_corpus(make_corpus(labels=("O", "B-X")), encoder, cache_dir=tmp_path)
    assert encoder.calls == 0


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        *("header", "first", "truncated", "empty", "note"),
        *(
            pytest.param(d, marks=pytest.mark.slow)
            for d in ("middle", "last", "longer", "note_half")
        ),
    ],
)
def test_encode_cache_damage_is_noticed_logged_once_and_repaired(tmp_path, caplog, damage):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    gc.collect()
    path = only_file(tmp_path)
    size = path.stat().st_size
    places = {"header": 30, "first": 128, "middle": size // 2, "last": size - 1}
    if damage in places:
        flip(path, places[damage])
    elif damage == "truncated":
        os.truncate(path, size - 2)
    elif damage == "longer":
        path.write_bytes(path.read_bytes() + b"\0\0")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "note":
        note = path.with_suffix(".json")
        note.write_text(note.read_text().replace('"sha256": "', '"sha256": "0'))
    else:
        note = path.with_suffix(".json")
        note.write_text(note.read_text()[:40])
    with caplog.at_level(logging.WARNING, "nlp_gym"):
        encoder = CountingEncoder()
        encoded = encode_corpus(make_corpus(), encoder, cache_dir=tmp_path)
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))
    assert encoder.calls == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "damaged" in caplog.text
    del encoded
    gc.collect()
    encode_corpus(make_corpus(), encoder, cache_dir=tmp_path)
    assert encoder.calls == 1


def test_encode_cache_array_without_its_note_is_made_again(tmp_path):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    gc.collect()
    path = only_file(tmp_path)
    path.with_suffix(".json").unlink()
    flip(path, 500)
    encoded = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))


def test_encode_cache_another_corpus_renamed_into_place_is_not_used(tmp_path):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    right = only_file(tmp_path)
    other = make_corpus([tuple(reversed(text)) for text in WORDS])
    encode_corpus(other, CountingEncoder(), cache_dir=tmp_path)
    gc.collect()
    (wrong,) = set(tmp_path.glob("*.npy")) - {right}
    for ending in (".npy", ".json"):
        os.replace(wrong.with_suffix(ending), right.with_suffix(ending))
    encoded = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))


def _child(folder: Path, pause: float, result: Any) -> None:
    encoder = CountingEncoder(folder / "calls.log", pause)
    base.text_blocks.__defaults__ = (64,)
    encoded = encode_corpus(make_corpus(), encoder, cache_dir=folder)
    result.put(encoded.features.tobytes())


def test_encode_cache_two_processes_encode_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    children = [context.Process(target=_child, args=(tmp_path, 0.3, result)) for _ in range(2)]
    for child in children:
        child.start()
    got = [result.get() for _ in children]
    for child in children:
        child.join()
    assert got == [expected(make_corpus()).tobytes()] * 2
    assert len(set((tmp_path / "calls.log").read_text().split())) == 1


def test_encode_cache_killed_while_writing_leaves_nothing_wrong(tmp_path):
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    child = context.Process(target=_child, args=(tmp_path, 1.0, result))
    child.start()
    log = tmp_path / "calls.log"
    while not (log.exists() and log.read_text().count("\n") >= 2):
        assert child.is_alive()
        time.sleep(0.02)
    child.kill()
    child.join()
    assert list(tmp_path.glob(".*.part"))
    assert not list(tmp_path.glob("*.npy"))
    encoded = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))
    assert not list(tmp_path.glob(".*.part"))


def test_encode_cache_waiting_process_says_so(tmp_path, capsys):
    encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    target = tmp_path / "one.npy"
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    child = context.Process(target=_hold, args=(target, held, release))
    child.start()
    assert held.wait(60)
    release.set()
    with cache._locked(target):
        pass
    child.join()
    assert "waiting" in capsys.readouterr().err


def _hold(target: Path, held: Any, release: Any) -> None:
    with cache._locked(target):
        held.set()
        release.wait(60)
        time.sleep(0.5)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("room", [0, 200, 6000, 15000])
def test_encode_cache_full_disk_keeps_features_in_memory(tmp_path, monkeypatch, room):
    write = store.RowWriter._write

    def limited(self, data):
        # As a file system does: take what fits, then fail.
        fits = room - self._file.tell()
        if len(data) > fits:
            self._file.write(memoryview(data)[: max(fits, 0)])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, data)

    monkeypatch.setattr(store.RowWriter, "_write", limited)
    encoder = CountingEncoder()
    with pytest.warns(UserWarning, match=r"could not be kept .*No space left.*NLP_GYM_CACHE"):
        encoded = encode_corpus(make_corpus(), encoder, cache_dir=tmp_path)
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))
    assert encoder.calls == len(list(base.text_blocks(WORDS)))
    assert [p.suffix for p in tmp_path.iterdir()] in ([], [".lock"])


def test_encode_cache_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be kept"):
        encoded = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path / "file" / "x")
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))


def test_encode_cache_checksum_that_cannot_be_written(tmp_path, monkeypatch):
    def full(path, obj):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "write_json", full)
    with pytest.warns(UserWarning, match="No space left"):
        encoded = encode_corpus(make_corpus(), CountingEncoder(), cache_dir=tmp_path)
    np.testing.assert_array_equal(encoded.features, expected(make_corpus()))


@pytest.mark.parametrize("fault", ["nan", "bound", "rows", "error"])
def test_encode_cache_keeps_nothing_of_a_faulty_encoder(tmp_path, fault):
    def encode(texts, *, progress=False):
        vectors = np.zeros((sum(map(len, texts)), 4), np.float16)
        if fault == "nan":
            vectors[3, 2] = np.nan
        if fault == "bound":
            vectors[3, 2] = 8.5
        if fault == "error":
            raise OSError("the weights are gone")
        return vectors[:-1] if fault == "rows" else vectors

    encoder = SimpleNamespace(
        name="faulty", dim=4, fingerprint="f", bound=8.0, encode=encode, tokenize=None
    )
    with pytest.raises(OSError if fault == "error" else EncoderError, match=r"faulty|gone"):
        encode_corpus(make_corpus(), encoder, cache_dir=tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.suffix in (".npy", ".json", ".part")]


def test_encode_cache_is_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path))
    encode_corpus(make_corpus(), CountingEncoder())
    note = json.loads(only_file(tmp_path / "features").with_suffix(".json").read_text())
    assert note["shape"] == [sum(map(len, WORDS)) + 1, 64]


def test_encode_cache_empty_corpus(tmp_path):
    encoded = encode_corpus(make_corpus([]), CountingEncoder(), cache_dir=tmp_path)
    assert encoded.features.shape == (1, 64)
