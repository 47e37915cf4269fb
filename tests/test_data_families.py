"""Corpora of all families: splits that are cut or borrowed, several files, official full files."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import DATASETS, FAMILIES, RemoteFile, catalog, check, load_corpus, read
from nlp_gym.data.catalog import Dataset
from nlp_gym.data.corpora.download import download
from nlp_gym.data.corpora.named import find_corpus
from nlp_gym.data.corpora.user import split_samples
from nlp_gym.data.readers.guess.family import guess_family
from nlp_gym.errors import (
    ChecksumError,
    DataError,
    DataFormatError,
    DataNotFoundError,
    DownloadError,
    InvalidArgumentError,
    UnknownNameError,
)
from nlp_gym.types import SPLITS, Corpus, Sample


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NLP_GYM_DATA", raising=False)


def rows(count: int, start: int = 0, label: str = "a") -> str:
    lines = [json.dumps({"text": f"text {i}", "label": label}) for i in range(start, start + count)]
    return "".join(line + "\n" for line in lines)


def remote(name: str, content: str, **changes: Any) -> RemoteFile:
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return RemoteFile(**{"filename": name, "url": None, "sha256": sha256, "size": 1, **changes})


Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Add a row of classification to the catalogue; write its files, and give their folder."""

    def add(name: str, contents: dict[str, str] | None = None, **changes: Any) -> Path:
        row = Dataset(
            name=name,
            description="toy",
            licence="-",
            homepage="https://example.org/",
            format="jsonl",
            labels=(),
            files={},
            sample=tmp_path / "samples" / name,
            family="classification",
        )
        row = Dataset(**{**vars(row), **changes})
        monkeypatch.setattr(catalog, "DATASETS", {**catalog.DATASETS, name: row})
        for file, content in (contents or {}).items():
            path = tmp_path / "data" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return tmp_path / "data"

    return add


def texts(corpus: Corpus) -> list[str]:
    return [" ".join(sample.words) for sample in corpus.samples]


def load(name: str, folder: Path) -> dict[str, Corpus]:
    return {split: load_corpus(name, split, data_dir=folder) for split in SPLITS}


def test_families_dev_without_a_file_is_a_tenth_of_train(put: Put) -> None:
    train, test = rows(100) + rows(20), rows(7, 500, "b")
    files = {"train": remote("t.jsonl", train), "test": remote("e.jsonl", test)}
    folder = put("toy", {"t.jsonl": train, "e.jsonl": test}, files=files)
    found = load("toy", folder)
    distinct = {split: set(texts(corpus)) for split, corpus in found.items()}
    assert {split: len(some) for split, some in distinct.items()} == {
        "train": 90, "dev": 10, "test": 7
    }  # fmt: skip
    assert not distinct["train"] & distinct["dev"]
    assert len(found["train"]) + len(found["dev"]) == 120  # repeated texts stay together

    def rank(text: str) -> str:
        return hashlib.sha256("\x1f".join(text.split()).encode()).hexdigest()

    assert distinct["dev"] == set(sorted(distinct["train"] | distinct["dev"], key=rank)[:10])
    assert {corpus.labels for corpus in found.values()} == {("a",)}


def test_families_dev_and_test_without_files_are_cut(put: Put) -> None:
    folder = put("toy", {"t.jsonl": rows(50)}, files={"train": remote("t.jsonl", rows(50))})
    found = load("toy", folder)
    assert [len(found[split]) for split in SPLITS] == [40, 5, 5]
    assert len({text for corpus in found.values() for text in texts(corpus)}) == 50


def test_families_too_few_texts_to_cut(put: Put) -> None:
    folder = put("toy", {"t.jsonl": rows(2)}, files={"train": remote("t.jsonl", rows(2))})
    with pytest.raises(DataError, match=r"toy .*2 distinct, and at least 3"):
        load_corpus("toy", "dev", data_dir=folder)


def test_families_several_files_are_read_in_order(put: Put) -> None:
    contents = {"train/a.jsonl": rows(3), "train/b.jsonl": rows(2, 10, "b"), "dev.jsonl": rows(1)}
    files = {
        "train": tuple(remote(name, contents[name]) for name in list(contents)[:2]),
        "dev": remote("dev.jsonl", contents["dev.jsonl"]),
        "test": remote("dev.jsonl", contents["dev.jsonl"]),
    }
    folder = put("toy", contents, files=files)
    corpus = load_corpus("toy", data_dir=folder)
    assert texts(corpus) == ["text 0", "text 1", "text 2", "text 10", "text 11"]
    assert corpus.labels == ("a", "b")
    assert load_corpus("toy", data_dir=folder).samples is corpus.samples  # read once
    assert find_corpus("toy", data_dir=folder) == folder / "toy"
    (folder / "toy/train/b.jsonl").write_text(rows(2, 20))
    with pytest.raises(ChecksumError, match=r"b\.jsonl.*download toy --data-dir .*/data --force"):
        load_corpus("toy", data_dir=folder)
    (folder / "toy/train/b.jsonl").unlink()
    with pytest.raises(DataNotFoundError, match=r"train/b\.jsonl"):
        load_corpus("toy", data_dir=folder)
    assert find_corpus("toy", data_dir=folder) is None


def test_families_official_files_come_first(put: Put) -> None:
    small, full, test, dev = rows(10), rows(30), rows(3, 100), rows(2, 200)
    files = {"train": remote("train.jsonl", small), "test": remote("test.jsonl", test)}
    official = {
        "train": remote("train.jsonl", full),
        "dev": remote("full.dev.jsonl", dev, sha256=None),
    }
    contents = {"train.jsonl": small, "test.jsonl": test}
    folder = put("toy", contents, files=files, official=official)
    assert [len(corpus) for corpus in load("toy", folder).values()] == [9, 1, 3]
    (folder / "toy/train.jsonl").write_text(full)  # one name, told apart by the checksum
    assert [len(corpus) for corpus in load("toy", folder).values()] == [27, 3, 3]
    (folder / "toy/full.dev.jsonl").write_text(dev)  # not checked, its checksum is not known
    assert [len(corpus) for corpus in load("toy", folder).values()] == [30, 2, 3]
    (folder / "toy/train.jsonl").write_text(rows(11))
    with pytest.raises(ChecksumError, match=" or "):
        load_corpus("toy", data_dir=folder)


def test_families_extra_files_are_needed_and_checked(put: Put) -> None:
    contents = {"train.tsv": "good\t0\tx\nbad\t1\ty\n", "labels.txt": "joy\nfear\n"}
    files = dict.fromkeys(SPLITS, remote("train.tsv", contents["train.tsv"]))
    extra = (remote("labels.txt", contents["labels.txt"]),)
    kinds = {"family": "multilabel", "format": "goemotions"}
    folder = put("toy", contents, files=files, extra_files=extra, **kinds)
    assert load_corpus("toy", data_dir=folder).labels == ("fear", "joy")
    (folder / "toy/labels.txt").write_text("fear\njoy\n")
    with pytest.raises(ChecksumError, match=r"labels\.txt"):
        load_corpus("toy", data_dir=folder)
    (folder / "toy/labels.txt").unlink()
    with pytest.raises(DataNotFoundError, match=r"labels\.txt"):
        load_corpus("toy", data_dir=folder)


def test_families_a_file_beside_that_changed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("good\t0\tx\n")
    (tmp_path / "labels.txt").write_text("joy\nfear\n")
    arguments: dict[str, Any] = {"family": "multilabel", "format": "goemotions"}
    data = {"train": tmp_path / "train.tsv"}
    assert load_corpus(None, data=data, **arguments).labels == ("joy",)
    (tmp_path / "labels.txt").write_text("anger\nfear\n")
    assert load_corpus(None, data=data, **arguments).labels == ("anger",)
    (tmp_path / "labels.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(DataFormatError, match=r"labels\.txt:2"):
        load_corpus(None, data=data, **arguments)


def test_families_borrowed_training_files(put: Put, tmp_path: Path) -> None:
    for name, start in (("one", 0), ("two", 20)):
        content = rows(20, start, name)
        files = dict.fromkeys(("train", "test"), remote("t.jsonl", content))
        folder = put(name, {"t.jsonl": content}, files=files)
        sample = tmp_path / "samples" / name
        sample.mkdir(parents=True)
        for split in SPLITS:
            (sample / f"{split}.jsonl").write_text(rows(4, start, name))
    test = rows(5, 90)
    put(
        "poor",
        {"e.jsonl": test},
        files={"test": remote("e.jsonl", test)},
        borrow={"train": ("one", "two")},
    )
    found = load("poor", folder)
    assert [len(found[split]) for split in SPLITS] == [36, 4, 5]
    assert found["dev"].labels == ("one", "two")
    assert find_corpus("poor", data_dir=folder) == folder / "poor"

    cache = tmp_path / "cache" / "data"
    shutil.copytree(folder, cache)
    assert len(load_corpus("poor")) == 36
    shutil.rmtree(cache / "two")  # then all of it is from the samples, never half of it
    assert find_corpus("poor") is None
    (tmp_path / "samples/poor").mkdir()
    (tmp_path / "samples/poor/test.jsonl").write_text(test)
    with pytest.warns(UserWarning, match="nlp-gym data download poor"):
        corpus = load_corpus("poor")
    assert (len(corpus), corpus.bundled) == (7, True)
    with pytest.raises(DataNotFoundError, match=r"'poor' borrows.*'two'.*download poor"):
        load_corpus("poor", corpus="full")


def test_families_download_says_where_the_rest_is(put: Put, tmp_path: Path) -> None:
    files = {"train": remote("sub.jsonl", rows(3)), "test": remote("test.jsonl", rows(3))}
    official = {"train": remote("full.jsonl", rows(9), sha256=None)}
    obtain = "Ask the authors."
    folder = put("toy", {"test.jsonl": rows(3)}, files=files, official=official, obtain=obtain)
    with pytest.raises(DownloadError, match=r"full\.jsonl\. Ask the .* Put .*/toy\.") as told:
        download("toy", data_dir=folder)
    assert "test.jsonl" not in str(told.value)
    (folder / "toy/full.jsonl").write_text(rows(9))
    assert download("toy", data_dir=folder) == folder / "toy"
    put("lender", files={"train": remote("sub.jsonl", rows(3))})
    put("poor", files={}, borrow={"train": ("lender",)})
    with pytest.raises(DownloadError, match=r"lender: .*sub\.jsonl.*https://example\.org/"):
        download("poor", data_dir=tmp_path)


def test_families_a_corpus_has_one_family() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'conll2003' is of .*'tagging'.*trec"):
        load_corpus("conll2003", family="classification", corpus="sample")
    with pytest.raises(UnknownNameError, match="'tagging'"):
        load_corpus("conll2003", family="taging")
    with pytest.raises(UnknownNameError, match="'tagging'"):
        load_corpus(None, family="taging", data=[Sample(("a",))])
    assert {row.family for row in DATASETS.values()} == set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "sample", "match"),
    [
        ("classification", Sample(("a",), ("x", "y")), "2 labels where one"),
        ("relation", Sample(("a",), ("x",), extra={"pairs": ()}), "0 pairs but 1 labels"),
        ("tagging", Sample(("a", "b"), ("x",)), "2 words but 1 labels"),
    ],
)
def test_families_labels_of_samples_in_memory(family: str, sample: Sample, match: str) -> None:
    with pytest.raises(DataError, match=match):
        load_corpus(None, family=family, data=[sample])
    assert load_corpus(None, family="multilabel", data=[sample]).samples == [sample]


def test_families_users_file_of_another_family(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    row = {"question": "What is {}?", "choices": ["a", "b"], "answer": 1}
    lines = [json.dumps({**row, "question": f"What is {i}?"}) for i in range(30)]
    path.write_text("\n".join(lines))
    sizes = [len(load_corpus(None, s, family="choice", data=path)) for s in SPLITS]
    assert sizes == [24, 3, 3]
    corpus = load_corpus(None, "dev", family="choice", data={"dev": path})  # no labels to look up
    assert (corpus.labels, corpus.samples[3].gold) == ((), 1)
    assert len(load_corpus("openbookqa", data=path)) == 24  # the corpus says which family
    with pytest.raises(DataFormatError, match=r"mine\.jsonl:1"):
        load_corpus(None, data=path)


def test_families_one_file_with_all_splits(tmp_path: Path) -> None:
    content = {"train": [["hi", "greet"]] * 2, "val": [["bye", "leave"]], "test": [["yo", "greet"]]}
    path = tmp_path / "all.json"
    path.write_text(json.dumps(content))
    arguments: dict[str, Any] = {"family": "classification", "format": "clinc"}
    found = {s: load_corpus(None, s, data=dict.fromkeys(SPLITS, path), **arguments) for s in SPLITS}
    assert [texts(found[s]) for s in SPLITS] == [["hi", "hi"], ["bye"], ["yo"]]
    everything = {t for s in SPLITS for t in texts(load_corpus(None, s, data=path, **arguments))}
    assert everything == {"hi", "bye", "yo"}  # one file given alone is split by us


def text_hash(*samples: Sample) -> str:
    return Corpus("c", "train", samples, ()).text_hash


def test_families_text_hash_covers_the_rest_of_the_input() -> None:
    plain = Sample(("a", "b"))
    same = Sample(("a", "b"), None, "x", {"id": 1, "qid": "q", "text": "a b", "spans": ()}, 3)
    assert text_hash(same) == text_hash(plain)
    choices = [Sample(("a",), extra={"choices": (("x",), (y,))}) for y in ("y", "z")]
    names = {"e": "x"}
    shared = [Sample(("a",), extra={"names": n}) for n in (names, {"e": "y"})]
    moved = Sample(("a",), extra={"question": "x"}), Sample(("a",), extra={"sentences": "x"})
    hashes = [text_hash(sample) for sample in (plain, *choices, *shared, *moved)]
    assert len(set(hashes)) == len(hashes)
    assert text_hash(shared[0], shared[0]) == text_hash(
        shared[0], Sample(("a",), extra={"names": dict(names)})
    )
    known = {"pairs": ((0, 1, 1, 2),), "set": frozenset("cba"), "odd": "\ud800"}
    expected = "c8d2278464c16d3054254e80d85c6a449f4b0ab67c4cef4b210105f0505222ea"
    assert text_hash(Sample(("a", "b"), extra=known)) == expected  # in every process


def test_families_split_samples_keeps_equal_texts_together() -> None:
    samples = [Sample((str(i % 25),), extra={"question": i}) for i in range(100)]
    parts = {s: split_samples(samples, s, "x", ("dev",)) for s in ("train", "dev")}
    assert {s: len(part) for s, part in parts.items()} == {"train": 92, "dev": 8}
    assert not {s.words for s in parts["dev"]} & {s.words for s in parts["train"]}


@pytest.mark.parametrize("row", DATASETS.values(), ids=DATASETS)
def test_families_are_guessed_from_the_bundled_samples(row: Dataset) -> None:
    path = row.sample_file("test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # One sample may be of two families, and trees are read as parts of speech too.
        likely = DATASETS[row.sample.name.removesuffix("_trees")]
        assert guess_family(path) == likely.family
    report = check(path, row.format, family=row.family)
    assert report.ok
    assert report.family == row.family
    assert bool(report.labels) == any(s.labels for s in read(path, row.format, family=row.family))
    if row.family not in ("tagging", "classification", "multilabel"):
        assert report.counts
        assert all(report.counts.values())


@pytest.mark.parametrize(
    ("name", "content", "family"),
    [
        ("x.txt", "Ana B-PER\nleft O\n\nIn O\n", "tagging"),
        ("x.txt", "good it was fun\nbad it was so very dull\nbad no\ngood one of the best\n",
         "classification"),
        ("x.csv", "text,label\nHi there,a\nBye,b\n", "classification"),
        ("x.csv", "sentence,word,label\n1,Hi,O\n1,,O\n1,you,O\n", "tagging"),
        ("x.csv", "head,relation,tail\na,b,c\n", "kg"),
        ("x.tsv", "sentence\ttoken\ttag\n1\tHi\tO\n", "tagging"),
        ("x.tsv", "Ana\tB-PER\nleft\tO\n\nIn\tO\n", "tagging"),
        ("x.tsv", "text\tlabel\nHi\tO\n", "classification"),
        ("x.tsv", "".join(f"e{i}\tnear\te{i + 1}\n" for i in range(9)), "kg"),
        ("x.jsonl", '{"text": "a", "labels": ["x", "y"]}', "multilabel"),
        ("x.jsonl", '{"context": "a b", "question": "c", "answers": ["b"]}', "spanqa"),
        # Broken rows are of the family that keys, header or tabs tell.
        ("x.jsonl", '{"question": "", "choices": "x"}\n{"question": "a", "choices": []}', "choice"),
        ("x.jsonl", '{"question": {"stem": 1, "choices": 2}}\n{"b": 1', "choice"),
        ("x.jsonl", '{"context": ["a"], "candidates": ["b"]}', "dialogue"),
        ("x.jsonl", '{"turns": 1}\n{"turns": 2}\n{"a": 1}', "policy"),
        ("x.jsonl", '{"words": ["a"], "relations": 1}', "relation"),
        ("x.jsonl", '{"head": 1, "relation": 2, "tail": 3}', "kg"),
        ("x.jsonl", '{"source": ["a"], "target": ["b"]}', "summary"),
        ("x.jsonl", '{"source": "a", "target": ["b"]}', "generation"),
        ("x.jsonl", '{"context": ["a"], "response": "b"}', "generation"),
        ("x.jsonl", '{"body": 1, "subject": 2}', "generation"),
        ("x.jsonl", '{"dialogue": "a", "summary": "b", "topic": "c"}', "generation"),
        ("x.csv", "source,target\nGood day.,Guten Tag.\n", "generation"),
        ("x.tsv", "Good day.\tGuten Tag.\nYes.\tJa.\nNo, no.\tNein.\n", "generation"),
        ("x.jsonl", '{"text": "a", "label": ["x", "y"]}', "multilabel"),
        ("x.csv", "text,label\nHi,a\nBye,\n,b\nSee,c\n", "classification"),
        ("x.csv", "text,label\nHi,\nBye,\n", "classification"),
        ("x.csv", "question,choice1,choice2,answer\n,,,\n?,a,b,9\n", "choice"),
        ("x.tsv", "ana\tknows\tbob\nbob\tknows\teva\ncat\tknows\nana\tlikes\teva\n", "kg"),
        ("x.tsv", "Ana\tNNP\tB-PER\nleft\tVBD\tO\n", "tagging"),
        ("x.tsv", "ana\tA\tx\nbob\tB\ty\n\ncat\tC\tx\n", "tagging"),
    ],
)  # fmt: skip
def test_families_are_guessed_from_the_content(
    tmp_path: Path, name: str, content: str, family: str
) -> None:
    (tmp_path / name).write_text(content)
    assert guess_family(tmp_path / name) == family


def test_families_raw_texts_beside_their_words_do_not_change_the_hash() -> None:
    keys = ("question_text", "context_texts", "candidate_texts", "order_words", "id")
    plain = Sample(("a",), extra={"question": ("b",)})
    raw = Sample(("a",), extra={"question": ("b",), **dict.fromkeys(keys, "x")})
    assert text_hash(plain) == text_hash(raw)


def ids(path: Path, family: str) -> list[Any]:
    return [sample.extra.get("id") for sample in read(path, family=family, gold=False)]


@pytest.mark.parametrize(
    ("family", "row"),
    [
        ("tagging", {"words": ["a"]}),
        ("classification", {"text": "a"}),
        ("multilabel", {"text": "a"}),
        ("relation", {"words": ["a", "b"], "entities": [[0, 1], [1, 2]]}),
        ("spanqa", {"context": "a", "question": "b"}),
        ("choice", {"question": "a", "choices": ["b", "c"]}),
        ("dialogue", {"context": ["a"], "candidates": ["b", "c"]}),
        ("policy", {"turns": [{"user": "a"}]}),
        ("summary", {"document": "a"}),
        ("generation", {"source": "a"}),
        ("kg", {"head": "a", "relation": "b"}),
    ],
)
def test_families_keep_the_id_of_a_row(tmp_path: Path, family: str, row: dict[str, Any]) -> None:
    path = tmp_path / "x.jsonl"
    found = [{**row, "id": 7}, {**row, "id": "s-1"}, row]
    path.write_text("\n".join(map(json.dumps, found)))
    assert ids(path, family) == [7, "s-1", None]


def test_families_keep_the_id_of_other_formats(tmp_path: Path) -> None:
    for name, content, family, expected in (
        ("a.csv", "id,text,label\nx1,Hi,a\n,Bye,b\n", "classification", ["x1", None]),
        ("b.csv", "id,question,choice1,choice2,answer\nx1,Q,a,b,1\n", "choice", ["x1"]),
        ("c.csv", "id,document,summary\nx1,A b,A\n", "summary", ["x1"]),
        ("d.jsonl", '{"source": ["a"], "target": ["b"], "paper_id": "x1"}', "summary", ["x1"]),
        ("e.csv", "id,source,target\nx1,A b,A\n", "generation", ["x1"]),
        ("f.jsonl", '{"fname": "x1", "dialogue": "a", "summary": "b"}', "generation", ["x1"]),
    ):
        (tmp_path / name).write_text(content)
        assert ids(tmp_path / name, family) == expected


def test_families_unknown_ending_lists_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_text("neither\n")
    with pytest.raises(DataFormatError, match=r"x\.dat:1: .*'spanqa'.*format=.*squad: \.json"):
        read(tmp_path / "x.dat", family="spanqa")
    with pytest.raises(UnknownNameError, match="'squad'"):
        read(tmp_path / "x.dat", "sqad", family="spanqa")
    with pytest.raises(UnknownNameError, match="'squad'"):
        guess_family(tmp_path / "x.dat", "sqad")
