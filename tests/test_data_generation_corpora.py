"""Named corpora of texts to write: directions, shared folders, downloads, the real files."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import DATASETS, RemoteFile, catalog, load_corpus
from nlp_gym.data.corpora.download import ATTEMPTS, download
from nlp_gym.data.corpora.named import find_corpus
from nlp_gym.errors import ChecksumError, DataNotFoundError, DownloadError
from nlp_gym.types import SPLITS, Corpus

WORDS = {"en": "text", "de": "Satz", "fr": "phrase"}
CONTENT = {
    f"{split}.{code}": "".join(f"{word} {split} {i}\n" for i in range(n))
    for split, n in (("train", 5), ("val", 3), ("test_2016_flickr", 2))
    for code, word in WORDS.items()
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NLP_GYM_DATA", raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `CONTENT`, compressed; `spoil` changes what is sent."""

    asked: list[str]
    spoil: dict[str, Any]

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".gz")
        self.asked.append(name)
        body = self.spoil.get(name, bytes)(gzip.compress(CONTENT[name].encode()))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def multi30k(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    """The row of Multi30k with other content, at a server on this machine."""
    handler = type("Spoiled", (Handler,), {"asked": [], "spoil": {}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"

        def local(file: RemoteFile) -> RemoteFile:
            content = CONTENT[file.filename].encode()
            address = f"{url}/{file.filename}.gz"
            return RemoteFile(
                file.filename, address, hashlib.sha256(content).hexdigest(), len(content)
            )

        row = DATASETS["multi30k"]
        files = {split: tuple(map(local, row.split_files(split))) for split in SPLITS}
        changed = {**DATASETS, row.name: dataclasses.replace(row, files=files)}
        monkeypatch.setattr(catalog, "DATASETS", changed)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


def pairs(corpus: Corpus) -> list[tuple[str, Any]]:
    return [(sample.extra["text"], sample.gold) for sample in corpus.samples]


def test_download_unpacks(multi30k: type[Handler], tmp_path: Path) -> None:
    folder = download("multi30k", progress=False)
    assert {p.name: p.read_text() for p in folder.iterdir() if p.name[0] != "."} == CONTENT
    assert sorted(multi30k.asked) == sorted(CONTENT)
    download("multi30k")
    assert sorted(multi30k.asked) == sorted(CONTENT)
    assert find_corpus("multi30k") == folder
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source, target in (("en", "de"), ("de", "en"), ("fr", "de")):
            for split, stem, n in (("train", "train", 5), ("test", "test_2016_flickr", 2)):
                corpus = load_corpus("multi30k", split, pair=f"{source}-{target}")
                assert not corpus.bundled
                assert pairs(corpus) == [
                    (f"{WORDS[source]} {stem} {i}", (f"{WORDS[target]} {stem} {i}",))
                    for i in range(n)
                ]
    (folder / "val.de").write_text("Etwas anderes.\n")
    with pytest.raises(ChecksumError, match=r"val\.de.*download multi30k"):
        load_corpus("multi30k", "dev")
    assert len(load_corpus("multi30k", "dev", pair="en-fr")) == 3
    (folder / "val.fr").unlink()
    with pytest.raises(DataNotFoundError, match=r"val\.fr"):
        load_corpus("multi30k", "dev", corpus="full", pair="en-fr")
    with pytest.raises(DataNotFoundError, match=r"no pair 'en-fr'.*download multi30k"):
        load_corpus("multi30k", "dev", pair="en-fr")


@pytest.mark.parametrize(
    ("spoil", "error", "attempts"),
    [
        (lambda body: body[:-9], DownloadError, ATTEMPTS),
        (lambda body: b"<html>", DownloadError, ATTEMPTS),
        (lambda body: gzip.compress(b"x" * 10_000), ChecksumError, 1),
        (lambda body: gzip.compress(b"x"), DownloadError, ATTEMPTS),
    ],
)
def test_download_of_broken_archives(
    multi30k: type[Handler], tmp_path: Path, spoil: Any, error: Any, attempts: int
) -> None:
    multi30k.spoil["train.en"] = spoil
    with pytest.raises(error, match=r"train\.en"):
        download("multi30k", data_dir=tmp_path / "data", progress=False)
    assert multi30k.asked == ["train.en"] * attempts
    folder = tmp_path / "data" / "multi30k"
    assert [path.name for path in folder.iterdir() if path.suffix != ".lock"] == []


def test_continuations_ship_as_a_whole() -> None:
    row = DATASETS["continuations"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [len(load_corpus(row.name, split)) for split in SPLITS] == [40, 10, 10]
        assert len(load_corpus(row.name, corpus="full", data_dir="/nowhere")) == 40
    assert find_corpus(row.name) == download(row.name) == row.sample


@pytest.mark.parametrize(
    ("name", "other"),
    [("scitldr_written", "scitldr"), ("dailydialog_pp_replies", "dailydialog_pp")],
)
def test_rows_of_two_families_share_a_folder(name: str, other: str, tmp_path: Path) -> None:
    row, lender = DATASETS[name], DATASETS[other]
    assert (row.folder_name, row.files, row.sample) == (other, lender.files, lender.sample)
    with pytest.raises(DataNotFoundError, match=rf"{other}.*download {name}"):
        load_corpus(name, data_dir=tmp_path)
    (tmp_path / other).mkdir()
    for file in row.download_files:
        (tmp_path / other / file.filename).write_text("{}\n")
    assert find_corpus(name, data_dir=tmp_path) == tmp_path / other
    with pytest.raises(ChecksumError, match=f"download {other}"):
        load_corpus(name, data_dir=tmp_path)


@pytest.mark.parametrize("name", [n for n, row in DATASETS.items() if row.family == "generation"])
def test_generation_samples_fit_the_family(name: str) -> None:
    for split in SPLITS:
        for sample in load_corpus(name, split, corpus="sample").samples:
            assert sample.labels is None
            assert sample.extra["text"].split()
            assert sample.gold
            assert all(text == " ".join(text.split()) for text in sample.gold)


def test_aeslc_sample_has_more_references_where_it_is_scored() -> None:
    found = {s: load_corpus("aeslc", s, corpus="sample") for s in SPLITS}
    assert {s: {len(x.gold) for x in corpus.samples} for s, corpus in found.items()} == {
        "train": {1}, "dev": {4}, "test": {4}
    }  # fmt: skip


REAL = [
    ("multi30k", "en-fr", (29000, 1014, 1000), {1: 1000}),
    ("multi30k", "de-en", (29000, 1014, 1000), {1: 1000}),
    ("tatoeba_en_zh", "en-zh", (17628, 990, 986), {1: 966, 2: 19, 3: 1}),
    ("tatoeba_en_zh", "zh-en", (17564, 984, 970), {1: 938, 2: 27, 3: 5}),
    ("aeslc", None, (4000, 1960, 1906), {2: 6, 3: 81, 4: 1819}),
    ("dialogsum", None, (450, 50, 500), {2: 10, 3: 490}),
    ("scitldr_written", None, (1992, 619, 618), {2: 83, 3: 339, 4: 196}),
    ("dailydialog_pp_replies", None, (7641, 1028, 1142), {5: 1142}),
]


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "pair", "sizes", "references"), REAL)
def test_corpus_real_texts_to_write(
    real_data: Path, name: str, pair: str, sizes: tuple[int, ...], references: dict[int, int]
) -> None:
    found = {s: load_corpus(name, s, data_dir=real_data, pair=pair) for s in SPLITS}
    assert tuple(map(len, found.values())) == sizes
    assert Counter(len(sample.gold) for sample in found["test"].samples) == references


@pytest.mark.corpus
def test_corpus_real_pairs_of_tatoeba_share_no_side(real_data: Path) -> None:
    def split_pairs(pair: str, split: str) -> set[tuple[str, str]]:
        corpus = load_corpus("tatoeba_en_zh", split, data_dir=real_data, pair=pair)
        return {(text, reference) for text, gold in pairs(corpus) for reference in gold}

    parts = [split_pairs("en-zh", split) for split in SPLITS]
    turned = [{(b, a) for a, b in split_pairs("zh-en", split)} for split in SPLITS]
    assert parts == turned
    for column in (0, 1):
        texts = [{pair[column] for pair in part} for part in parts]
        assert sum(map(len, texts)) == len(set.union(*texts))
