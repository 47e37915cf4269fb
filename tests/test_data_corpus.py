"""`load_corpus`: where a corpus is found, checksums, a user's data, label inventories."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import DATASETS, catalog, load_corpus
from nlp_gym.data.corpora.named import find_corpus
from nlp_gym.errors import (
    ChecksumError,
    DataError,
    DataFormatError,
    DataNotFoundError,
    InvalidArgumentError,
    UnknownNameError,
)
from nlp_gym.types import Sample

TEXT = "Ana B-PER\nleft O\n\nIn O\nRome B-LOC\n\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NLP_GYM_DATA", raising=False)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put tiny files into the catalogue's row conll2003; return what writes them to a folder."""
    row = DATASETS["conll2003"]
    sha256 = hashlib.sha256(TEXT.encode()).hexdigest()
    files = {
        split: dataclasses.replace(file, sha256=sha256, size=len(TEXT))
        for split, file in row.files.items()
    }
    changed = {**DATASETS, "conll2003": dataclasses.replace(row, files=files)}
    monkeypatch.setattr(catalog, "DATASETS", changed)

    def write(folder: Path, text: str = TEXT) -> Path:
        (folder / "conll2003").mkdir(parents=True, exist_ok=True)
        for file in files.values():
            (folder / "conll2003" / file.filename).write_text(text)
        return folder

    return write


def numbered(count: int, start: int = 0) -> str:
    return "".join(f"word{i} B-X\nend O\n\n" for i in range(start, start + count))


@pytest.mark.parametrize("name", [name for name, row in DATASETS.items() if not row.sample_only])
def test_corpus_bundled_sample_is_the_last_resort_and_says_so(name: str) -> None:
    with pytest.warns(UserWarning, match=f"nlp-gym data download {name}") as caught:
        corpus = load_corpus(name)
    assert "its texts are too few for results to report" in str(caught[0].message)
    assert corpus.bundled
    row = DATASETS[name]
    assert corpus.labels == row.labels or not row.labels
    for split in ("train", "dev", "test"):
        assert len(load_corpus(name, split, corpus="sample")) > 0  # and no warning
    with pytest.raises(DataNotFoundError, match=f"nlp-gym data download {name}"):
        load_corpus(name, corpus="full")


def test_corpus_resolution_order(
    tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tiny(tmp_path / "cache" / "data")
    assert load_corpus("conll2003").source == cache / "conll2003" / "eng.train"
    variable = tiny(tmp_path / "variable")
    monkeypatch.setenv("NLP_GYM_DATA", str(variable))
    assert load_corpus("conll2003").source == variable / "conll2003" / "eng.train"
    folder = tiny(tmp_path / "folder")
    corpus = load_corpus("conll2003", "dev", data_dir=folder)
    assert corpus.source == folder / "conll2003" / "eng.testa"
    assert (len(corpus), corpus.bundled) == (2, False)
    assert find_corpus("conll2003", data_dir=folder) == folder / "conll2003"
    monkeypatch.setenv("NLP_GYM_DATA", str(tmp_path))  # holds no folder conll2003: go on
    assert load_corpus("conll2003").source == cache / "conll2003" / "eng.train"
    assert load_corpus("conll2003", corpus="sample").bundled


def test_corpus_explicit_place_never_falls_back(
    tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataNotFoundError, match="no such folder"):
        load_corpus("conll2003", data_dir=tmp_path / "nothing")
    with pytest.raises(DataNotFoundError, match=r"conll2003.*eng\.train"):
        load_corpus("conll2003", data_dir=tmp_path)
    folder = tiny(tmp_path / "folder")
    with pytest.raises(DataNotFoundError, match="the one above"):
        load_corpus("conll2003", data_dir=folder / "conll2003")
    monkeypatch.setenv("NLP_GYM_DATA", str(tmp_path / "nothing"))
    with pytest.raises(DataNotFoundError, match="NLP_GYM_DATA"):
        load_corpus("conll2003")
    assert find_corpus("conll2003") is None


@pytest.mark.parametrize("where", ["data_dir", "cache"])
def test_corpus_with_a_wrong_checksum_is_never_used(tmp_path: Path, tiny: Any, where: str) -> None:
    folder = tiny(tmp_path / "cache" / "data")
    given = {"data_dir": folder} if where == "data_dir" else {}
    load_corpus("conll2003", **given)
    changed = tiny(folder, TEXT.replace("Rome", "Oslo"))
    with pytest.raises(ChecksumError, match=r"data=.*download conll2003 --data-dir .*data --force"):
        load_corpus("conll2003", **given)
    files = {"train": changed / "conll2003" / "eng.train"}
    assert load_corpus("conll2003", data=files).samples[1].words == ("In", "Oslo")


def test_corpus_column_of_another_layer_has_its_own_labels() -> None:
    assert load_corpus("conll2003", "dev", corpus="sample", column=1).labels == ("_",)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"name": "conll203"}, UnknownNameError, "'conll2003'.*data=FILE"),
        ({"name": None}, InvalidArgumentError, "data=FILE"),
        ({"split": "valid"}, UnknownNameError, "train, dev, test"),
        ({"corpus": "ful"}, UnknownNameError, "'full'"),
        ({"labels": "O"}, InvalidArgumentError, "distinct names"),
        ({"labels": 3}, InvalidArgumentError, "labels=3 .*distinct names"),
        ({"labels": {"O", "X"}}, InvalidArgumentError, "list of distinct names"),
        ({"column": [1]}, InvalidArgumentError, r"column=\[1\]"),
        ({"data_dir": 3}, InvalidArgumentError, "data_dir=3"),
        ({"labels": ["O", "O"]}, InvalidArgumentError, "distinct names"),
        ({"labels": ["O", "I-X"]}, InvalidArgumentError, "B-X"),
        ({"scheme": "bio3"}, UnknownNameError, "iob2"),
        ({"data": 3}, InvalidArgumentError, "data=3"),
        ({"data": []}, DataError, "empty"),
        ({"data": [("a",)]}, InvalidArgumentError, "tuple"),
        ({"data": [Sample(())]}, DataError, "words"),
        ({"data": [Sample(("a",), ("O", "O"))]}, DataError, "1 words but 2 labels"),
        ({"data": {"trian": "x"}}, UnknownNameError, "'train'"),
        ({"data": {"dev": "x"}}, DataNotFoundError, "'train'"),
        ({"data": {"train": 3}}, InvalidArgumentError, "file or a sequence"),
        ({"data": "nothing.conll"}, DataNotFoundError, r"nothing\.conll"),
        ({"data": "a\0b"}, DataNotFoundError, "no such file"),
        ({"data": "A whole text. " * 500}, DataNotFoundError, "no such file"),
        ({"data": "~nobody0/x.conll"}, DataNotFoundError, "no such file"),
        ({"data_dir": "x" * 5000}, DataNotFoundError, "no such folder"),
    ],
)
def test_corpus_bad_arguments(kwargs: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        load_corpus(**{"name": "conll2003", **kwargs})


def test_corpus_user_file_is_split_80_10_10_without_straddling(tmp_path: Path) -> None:
    path = tmp_path / "mine.conll"
    path.write_text(numbered(100) + numbered(30))  # thirty texts twice
    splits = {s: load_corpus(None, s, data=path) for s in ("train", "dev", "test")}
    texts = {s: {sample.words for sample in c.samples} for s, c in splits.items()}
    assert {s: len(found) for s, found in texts.items()} == {"train": 80, "dev": 10, "test": 10}
    assert len(texts["train"] | texts["dev"] | texts["test"]) == 100
    assert sum(map(len, splits.values())) == 130
    assert splits["dev"].name == "mine"
    path.write_text(numbered(50, 50) + numbered(50))  # another order, no repetitions
    for split, before in texts.items():
        again = load_corpus(None, split, data=path)
        assert {sample.words for sample in again.samples} == before


def test_corpus_user_file_too_small_to_split(tmp_path: Path) -> None:
    path = tmp_path / "mine.conll"
    path.write_text(numbered(2) * 5)
    with pytest.raises(DataError, match="2 distinct, and at least 3"):
        load_corpus(None, data=path)
    path.write_text(numbered(3))
    assert [len(load_corpus(None, s, data=path)) for s in ("train", "dev", "test")] == [1, 1, 1]


def test_corpus_labels_come_from_training_or_are_given(tmp_path: Path) -> None:
    train, dev = tmp_path / "train.conll", tmp_path / "valid.conll"
    train.write_text("a I-Z\nb O\nc I-A\n")
    dev.write_text("a B-Z\n\nb B-NEW\n")
    (tmp_path / "README.md").write_text("train and test data")
    tags = ("O", "B-A", "I-A", "B-Z", "I-Z")
    assert load_corpus("conll2003", data=tmp_path).labels == tags
    dev_corpus = load_corpus(None, "dev", data=tmp_path)  # a label unseen in training is data too
    assert (dev_corpus.labels, dev_corpus.samples[1].labels) == (tags, ("B-NEW",))
    given = ["B-NEW", "I-NEW", *tags]
    corpus = load_corpus(None, "dev", data={"dev": str(dev)}, labels=given)
    assert (corpus.labels, corpus.name) == (tuple(given), "valid")
    with pytest.raises(DataNotFoundError, match=r"labels=\[\.\.\.\]"):
        load_corpus(None, "dev", data={"dev": dev})
    with pytest.raises(DataNotFoundError, match=r"'test'.*train, dev"):
        load_corpus(None, "test", data=tmp_path)


def test_corpus_labels_of_one_file_come_from_its_training_part(tmp_path: Path) -> None:
    path = tmp_path / "mine.conll"
    path.write_text("".join(f"word{i} B-T{i:02}\n\n" for i in range(30)))
    splits = {s: load_corpus(None, s, data=path) for s in ("train", "dev", "test")}
    assert len({c.labels for c in splits.values()}) == 1  # the actions are the same everywhere
    for split, corpus in splits.items():
        found = {label for sample in corpus.samples for label in sample.labels or ()}
        assert found.issubset(corpus.labels) == (split == "train")


def test_corpus_scheme_none_takes_labels_that_look_like_tags_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("a I-Z\nb S-A\n")
    files = {"train": path}
    assert load_corpus(None, data=files, scheme="none").labels == ("I-Z", "S-A")
    assert load_corpus(None, data=files, scheme="none", labels=["I-Z"]).labels == ("I-Z",)


def test_corpus_user_folder_unclear_or_empty(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="train, dev or test"):
        load_corpus(None, data=tmp_path)
    for name in ("train.conll", "x-train.conll"):
        (tmp_path / name).write_text(numbered(3))
    with pytest.raises(DataError, match=r"train\.conll, x-train\.conll"):
        load_corpus(None, data=tmp_path)


def test_corpus_samples_in_memory() -> None:
    samples = [Sample(("a", "好"), ("B-X", "O")), Sample(("b",), ("O",))]
    corpus = load_corpus(None, "test", data=samples)
    assert (corpus.samples, corpus.labels) == (samples, ("O", "B-X", "I-X"))
    without_gold = load_corpus(None, "test", data=[Sample(("a",))], labels=["O"])
    assert without_gold.samples[0].labels is None
    assert load_corpus(None, "dev", data={"train": samples, "dev": samples[1:]}).labels[1] == "B-X"


def test_corpus_bad_row_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("a O\nb O\nc\n")
    with pytest.raises(DataFormatError, match=r"train\.conll:3: 1 column"):
        load_corpus(None, data=tmp_path)


def test_corpus_file_is_read_again_only_if_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text(numbered(3))
    first = load_corpus(None, data=tmp_path)
    assert load_corpus(None, data=tmp_path).samples is first.samples
    path.write_text(numbered(4))
    assert len(load_corpus(None, data=tmp_path)) == 4
