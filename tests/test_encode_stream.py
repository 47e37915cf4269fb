from __future__ import annotations

import gzip
import multiprocessing
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import nlp_gym
from nlp_gym import progress
from nlp_gym.encode import base, cache, encode_corpus, load_encoder, store
from nlp_gym.encode.cache import encode_block
from nlp_gym.encode.text_file import encode_file, read_lines
from nlp_gym.errors import DataError, DataFormatError, DataNotFoundError, EncoderError
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.prepare import environment_of
from nlp_gym.types import Corpus, Sample
from nlp_gym_agents.cli.main import app

LINES = [f"Line {i}: it isn't w{i * 7 % 60}, is it?" for i in range(120)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join([*LINES[:50], "", "   ", *LINES[50:]]) + "\n")
    return path


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of texts, and a note of how far it is after each."""
    monkeypatch.setattr(base.text_blocks, "__defaults__", (64,))
    monkeypatch.setattr(store, "CHECKPOINT_S", 0.0)


def as_corpus(path: Path) -> Corpus:
    """The lines of a file, which is in memory as a whole."""
    from nlp_gym.data.text.tokenize import split_words

    words = [tuple(w for w, _, _ in split_words(line)) for line in path.read_text().split("\n")]
    return Corpus("toy", "train", [Sample(text) for text in words if text], ())


class Failing:
    """The hashed encoder, which fails in its n-th call."""

    def __init__(self, after: int, error: BaseException | None = None) -> None:
        self._inner = load_encoder("hashed")
        self.name, self.dim, self.bound = "failing", self._inner.dim, self._inner.bound
        self.fingerprint, self.after, self.calls = self._inner.fingerprint, after, 0
        self.error = error or KeyboardInterrupt()

    def encode(self, texts: Any, *, progress: bool = False) -> Any:
        self.calls += 1
        if self.calls > self.after:
            raise self.error
        return self._inner.encode(texts)

    def tokenize(self, texts: Any) -> Any:
        return self._inner.tokenize(texts)


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.npy")
    return path


def test_encode_stream_gives_what_a_corpus_of_the_lines_gives(text: Path, tmp_path: Path) -> None:
    encoder = Failing(10**6)
    encoded = encode_file(text, encoder, cache_dir=tmp_path / "cache")
    corpus = as_corpus(text)
    assert encoded.features.shape == (corpus.offsets[-1] + 1, 64)
    np.testing.assert_array_equal(encoded.offsets, corpus.offsets)
    calls = encoder.calls
    assert calls > 5
    again = encode_corpus(corpus, encoder, cache_dir=tmp_path / "cache")  # the same cache entry
    assert encoder.calls == calls
    np.testing.assert_array_equal(again.features, encoded.features)


def test_encode_stream_second_start_reads_the_text_no_more(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode_file(text, load_encoder("hashed"), cache_dir=tmp_path / "cache")
    monkeypatch.setattr("nlp_gym.encode.text_file.read_lines", None)
    second = encode_file(text, Failing(0), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.offsets, second.offsets)
    assert not list((tmp_path / "cache" / "texts").glob("*.words"))


def test_encode_stream_another_encoder_reads_the_text_again(text: Path, tmp_path: Path) -> None:
    encode_file(text, load_encoder("hashed"), cache_dir=tmp_path)
    encoded = encode_file(text, load_encoder("hashed", dim=8), cache_dir=tmp_path)
    wanted = encode_corpus(as_corpus(text), load_encoder("hashed", dim=8), cache_dir=tmp_path / "x")
    np.testing.assert_array_equal(encoded.features, wanted.features)


def test_encode_stream_a_changed_file_is_another_text(text: Path, tmp_path: Path) -> None:
    encode_file(text, load_encoder("hashed"), cache_dir=tmp_path)
    text.write_text(text.read_text().replace("Line 3:", "Line 4:"))
    encoded = encode_file(text, load_encoder("hashed"), cache_dir=tmp_path)
    wanted = encode_corpus(as_corpus(text), load_encoder("hashed"), cache_dir=tmp_path / "x")
    np.testing.assert_array_equal(encoded.features, wanted.features)


def test_encode_stream_pretokenized_and_gzip(tmp_path: Path) -> None:
    path = tmp_path / "words.gz"
    path.write_bytes(gzip.compress("don't stop\r\n\u2028x  y\n".encode()))
    encoded = encode_file(path, load_encoder("hashed"), pretokenized=True, cache_dir=tmp_path)
    assert encoded.offsets.tolist() == [0, 2, 4]
    wanted = load_encoder("hashed").encode([("don't", "stop"), ("x", "y")])
    np.testing.assert_array_equal(encoded.features[:-1], wanted)


@pytest.mark.parametrize("kind", ["interrupt", "error"])
def test_encode_stream_goes_on_where_it_stopped(text: Path, tmp_path: Path, kind: str) -> None:
    error = KeyboardInterrupt() if kind == "interrupt" else RuntimeError("out of memory")
    with pytest.raises(type(error)):
        encode_file(text, Failing(4, error), cache_dir=tmp_path / "a")
    whole = Failing(10**6)
    encode_file(text, whole, cache_dir=tmp_path / "b")
    rest = Failing(10**6)
    encode_file(text, rest, cache_dir=tmp_path / "a")
    assert rest.calls == whole.calls - 4
    done, wanted = only_file(tmp_path / "a"), only_file(tmp_path / "b")
    assert done.read_bytes() == wanted.read_bytes()
    assert done.with_suffix(".json").read_bytes() == wanted.with_suffix(".json").read_bytes()
    assert not [p for p in (tmp_path / "a").glob(".*") if p.suffix != ".lock"]


def _child(text: Path, folder: Path, started: Any) -> None:
    base.text_blocks.__defaults__ = (64,)
    store.CHECKPOINT_S = 0.0
    encoder = Failing(10**6)
    encode = encoder.encode

    def slowly(texts: Any, *, progress: bool = False) -> Any:
        if encoder.calls == 4:
            started.set()
            time.sleep(60)
        return encode(texts)

    encoder.encode = slowly  # type: ignore[method-assign]
    encode_file(text, encoder, cache_dir=folder)


def test_encode_stream_killed_and_gone_on_with_is_the_same(text: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    child = context.Process(target=_child, args=(text, tmp_path / "a", started))
    child.start()
    assert started.wait(60)
    child.kill()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert not list((tmp_path / "a").glob("*.npy"))
    rest, whole = Failing(10**6), Failing(10**6)
    encode_file(text, rest, cache_dir=tmp_path / "a")
    encode_file(text, whole, cache_dir=tmp_path / "b")
    assert rest.calls == whole.calls - 4
    done, wanted = only_file(tmp_path / "a"), only_file(tmp_path / "b")
    assert done.read_bytes() == wanted.read_bytes()
    assert done.with_suffix(".json").read_bytes() == wanted.with_suffix(".json").read_bytes()


def test_encode_stream_a_first_reset_that_was_interrupted_goes_on(
    text: Path, tmp_path: Path
) -> None:
    corpus = as_corpus(text)
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(corpus, Failing(3), cache_dir=tmp_path)
    rest, whole = Failing(10**6), Failing(10**6)
    encoded = encode_corpus(corpus, rest, cache_dir=tmp_path)
    wanted = encode_corpus(corpus, whole, cache_dir=tmp_path / "b")
    np.testing.assert_array_equal(encoded.features, wanted.features)
    assert rest.calls == whole.calls - 3


@pytest.mark.parametrize("damage", ["rows", "short", "note", "blocks"])
def test_encode_stream_damage_to_what_is_unfinished_starts_over(
    text: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode_file(text, Failing(4), cache_dir=tmp_path / "a")
    (part,) = (p for p in (tmp_path / "a").glob(".*.part"))
    (note,) = (tmp_path / "a").glob(".*.resume.json")
    if damage == "rows":
        data = bytearray(part.read_bytes())
        data[1000] ^= 1
        part.write_bytes(data)
    elif damage == "short":
        part.write_bytes(part.read_bytes()[:-70])
    elif damage == "note":
        note.write_text(note.read_text()[:50])
    else:  # another release cuts other blocks
        monkeypatch.setattr(base.text_blocks, "__defaults__", (50,))
    rest, whole = Failing(10**6), Failing(10**6)
    encoded = encode_file(text, rest, cache_dir=tmp_path / "a")
    wanted = encode_file(text, whole, cache_dir=tmp_path / "b")
    np.testing.assert_array_equal(encoded.features, wanted.features)
    assert rest.calls == whole.calls


def test_encode_stream_unfinished_and_forgotten_is_removed(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode_file(text, Failing(4), cache_dir=tmp_path)
    other = load_encoder("hashed", dim=8)
    encode_file(text, other, cache_dir=tmp_path)
    assert list(tmp_path.glob(".*.part"))
    only_file(tmp_path).unlink()
    monkeypatch.setattr(store, "ABANDONED_S", -1.0)
    encode_file(text, other, cache_dir=tmp_path)
    assert not list(tmp_path.glob(".*.part")) + list(tmp_path.glob(".*.resume.json"))


def test_encode_stream_blocks_encoded_elsewhere(text: Path, tmp_path: Path) -> None:
    taken = []

    def elsewhere(blocks: Any) -> Any:
        for block in blocks:
            taken.append(len(block))
            yield encode_block(block, load_encoder("hashed"))
            if len(taken) == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_file(text, Failing(0), cache_dir=tmp_path / "a", map_blocks=elsewhere)
    rest = Failing(10**6)
    encode_file(text, rest, cache_dir=tmp_path / "a")
    whole = Failing(10**6)
    encode_file(text, whole, cache_dir=tmp_path / "b")
    assert rest.calls == whole.calls - 3
    assert only_file(tmp_path / "a").read_bytes() == only_file(tmp_path / "b").read_bytes()


def test_encode_stream_full_disk_is_found_out_before_and_said(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=10**9, used=0, free=20_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    encoder = Failing(0)
    needed = r"words need \d+\.\d KB in .*20\.0 KB are free.*NLP_GYM_CACHE.*'storage'"
    with pytest.raises(EncoderError, match=needed):
        encode_file(text, encoder, cache_dir=tmp_path)
    assert encoder.calls == 0


def test_encode_stream_disk_that_fills_up_keeps_what_is_there(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.RowWriter._write

    def limited(self: Any, data: Any) -> None:
        if self._file.tell() + len(data) > 40_000:
            self._file.write(memoryview(data)[:100])
            raise OSError(28, "No space left on device")
        write(self, data)

    with monkeypatch.context() as full:
        full.setattr(store.RowWriter, "_write", limited)
        encoder = Failing(10**6)
        with pytest.raises(EncoderError, match=r"No space left on device.*next start goes on"):
            encode_file(text, encoder, cache_dir=tmp_path / "a")
    rest, whole = Failing(10**6), Failing(10**6)
    encode_file(text, rest, cache_dir=tmp_path / "a")
    encode_file(text, whole, cache_dir=tmp_path / "b")
    assert rest.calls == whole.calls - (encoder.calls - 1) < whole.calls
    assert only_file(tmp_path / "a").read_bytes() == only_file(tmp_path / "b").read_bytes()


def test_encode_stream_large_arrays_are_sampled_and_damage_is_noticed(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "LARGE", 1)
    monkeypatch.setattr(store, "CHUNK", 4096)
    encoder = load_encoder("hashed")
    wanted = np.array(encode_file(text, encoder, cache_dir=tmp_path).features)
    path = only_file(tmp_path)

    def hidden(size: int) -> None:
        """Damage that neither size nor times tell of, as a disk does that loses bytes."""
        monkeypatch.setattr(store, "SAMPLED", size)
        data = bytearray(path.read_bytes())
        data[5000] ^= 1
        with path.open("r+b") as file:
            file.write(data)
        store.keep_digest(path, json_of(path)["sha256"])

    monkeypatch.setattr(store, "sha256_file", None)  # nothing reads it as a whole
    cache._in_use.clear()
    np.testing.assert_array_equal(encode_file(text, encoder, cache_dir=tmp_path).features, wanted)
    hidden(0)
    cache._in_use.clear()
    found = encode_file(text, encoder, cache_dir=tmp_path).features
    assert not np.array_equal(found, wanted)
    monkeypatch.setattr(store, "SAMPLED", 100)
    cache._in_use.clear()
    again = encode_file(text, encoder, cache_dir=tmp_path).features
    np.testing.assert_array_equal(again, wanted)
    assert "checksum of chunk 1 differs" in caplog.text
    # A change of the times makes it read everything.
    monkeypatch.setattr(store, "SAMPLED", 0)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    cache._in_use.clear()
    np.testing.assert_array_equal(encode_file(text, encoder, cache_dir=tmp_path).features, wanted)


def json_of(path: Path) -> Any:
    import json

    return json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ok\nfine\nbad \xff\n", r"text:3: byte 0xff"),
        (b"a\x00b\n", "text:1: .*NUL"),
        ("x\n".encode("utf-16"), "text:1: the file is UTF-16"),
        (b"\x1f\x8b\x08\x00junkjunkjunk", "damaged gzip"),
        (b"PK\x03\x04", "ZIP archive"),
    ],
)
def test_encode_stream_what_is_no_text_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        encode_file(path, load_encoder("hashed"), cache_dir=tmp_path / "cache")
    assert not list(tmp_path.rglob("*.words"))


def test_encode_stream_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="There is no file"):
        encode_file(tmp_path / "none", load_encoder("hashed"), cache_dir=tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        encode_file(tmp_path, load_encoder("hashed"), cache_dir=tmp_path)


def test_encode_stream_lines_are_cut_across_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_gym.encode.text_file._READ", 7)
    path = tmp_path / "text"
    lines = ["\ufeffßß ñ", "", "a" * 40, "ends\r", "last"]
    path.write_text("\n".join(lines), newline="")
    assert list(read_lines(path)) == ["ßß ñ", "", "a" * 40, "ends", "last"]
    monkeypatch.setattr("nlp_gym.encode.text_file._LONGEST", 20)
    with pytest.raises(DataFormatError, match="text:3: the line is longer than 20 bytes"):
        list(read_lines(path))


def test_encode_stream_a_file_that_changes_meanwhile_is_refused(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_lines

    def changing(path: Path, advance: Any) -> Any:
        yield from whole(path, advance)
        path.write_text("other words\n")

    with monkeypatch.context() as changes:
        changes.setattr("nlp_gym.encode.text_file.read_lines", changing)
        with pytest.raises(DataError, match="changed while it was read"):
            encode_file(text, load_encoder("hashed"), cache_dir=tmp_path)
    assert encode_file(text, load_encoder("hashed"), cache_dir=tmp_path).offsets.tolist() == [0, 2]


def test_encode_stream_folder_that_cannot_be_made(text: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EncoderError, match=r"words of .*could not be kept.*NLP_GYM_CACHE"):
        encode_file(text, load_encoder("hashed"), cache_dir=tmp_path / "file" / "x")


def test_encode_stream_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("\n \n")
    with pytest.raises(DataError, match="has no text: not one of its lines has a word"):
        encode_file(path, load_encoder("hashed"), cache_dir=tmp_path)


def test_encode_stream_plain_lines_where_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, display = [0.0], progress._Display()
    monkeypatch.delenv(progress.SWITCH)
    monkeypatch.setattr(progress, "_display", display)
    monkeypatch.setattr(display, "_run", lambda ended: None)  # nobody looks but this test
    monkeypatch.setattr("nlp_gym.progress.time.monotonic", lambda: clock[0])
    with progress_bar(1000, "encoding", unit="words", show=None) as advance:
        for _ in range(10):
            clock[0] += 4.0
            advance(100)
            display.look()
    assert capsys.readouterr().err.splitlines() == [
        "encoding: 300/1,000 words (30%, 12 s, 28 s left)",
        "encoding: 600/1,000 words (60%, 24 s, 16 s left)",
        "encoding: 900/1,000 words (90%, 36 s, 4 s left)",
        "encoding: 1,000/1,000 words (100%, 40 s)",
    ]


def test_encode_command_of_a_file_and_its_interruption(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
    arguments = ["encode", str(text), "--encoder", "hashed"]
    with monkeypatch.context() as stopped:
        stopped.setattr("nlp_gym.encode.load_encoder", lambda *_, **__: Failing(2))
        found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 130
    assert "the same command goes on from there" in found.output
    found = CliRunner().invoke(app, [*arguments, "--encoder-kwargs", "dim:8", "storage:int8"])
    assert found.exit_code == 0, found.output
    assert "text.txt: 120 texts, 1,320 vectors of 8 int8 (10.6 KB) are in" in found.output


@pytest.mark.parametrize("source", ["NER-CoNLL-v0", "conll2003"])
def test_encode_command_fills_what_the_environment_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path))
    given = ["--encoder", "hashed", "--env-kwargs", "corpus:sample", "--split", "dev"]
    found = CliRunner().invoke(app, ["encode", source, *given])
    assert found.exit_code == 0, found.output
    assert "conll2003 dev: 100 texts, 1,361 vectors of 64 float16" in found.output
    path = only_file(tmp_path / "features")
    task = nlp_gym.make_task("NER-CoNLL-v0", "dev", corpus="sample", encoder="hashed")
    assert task.encoded.features.shape == (1362, 64)
    assert only_file(tmp_path / "features") == path


def test_encode_command_names_what_it_cannot_do(text: Path) -> None:
    found = CliRunner().invoke(app, ["encode", "conll2033"])
    assert found.exit_code == 1
    assert "There is no file conll2033" in found.output
    bad = ["encode", "NER-CoNLL-v0", "--pretokenized", "--encoder", "hashed"]
    found = CliRunner().invoke(app, bad)
    assert found.exit_code == 1
    assert "--pretokenized" in found.output


def test_encode_environment_of_what_is_given(text: Path) -> None:
    assert environment_of(str(text)) is None
    assert environment_of("POS-EWT-v0") == "POS-EWT-v0"
    assert environment_of("squad") == "SpanQA-SQuAD-v0"
    assert environment_of("nothing-of-the-kind") is None


def test_encode_command_says_what_a_source_may_have_been_meant_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = CliRunner().invoke(app, ["encode", "NER-CoNLL-v9"])
    assert result.exit_code == 1
    assert "Did you mean 'NER-CoNLL-v0'" in result.stderr
    (tmp_path / "my.conll").write_text("Maria B-PER\n")
    result = CliRunner().invoke(app, ["encode", str(tmp_path / "my.conll"), "--encoder", "hashed"])
    assert result.exit_code == 0
    assert "my.conll is encoded as plain text" in result.stderr
    assert "1 text, 2 vectors of 64 float16" in result.stdout
