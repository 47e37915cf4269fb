"""The catalogue, and the real corpora against the counts of their documentation."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

from nlp_gym.data import DATASETS, READERS, catalog, load_corpus
from nlp_gym.data.corpora.download import download
from nlp_gym.data.corpora.load import LABEL_FAMILIES
from nlp_gym.data.corpora.named import find_corpus
from nlp_gym.errors import UnknownNameError
from nlp_gym.types import SPLITS, Corpus


def corpus_files(row: catalog.Dataset) -> list[catalog.RemoteFile]:
    """Every file of a corpus once; not the official ones."""
    listed = [file for split in SPLITS for file in row.split_files(split)]
    return list(dict.fromkeys([*listed, *row.extra_files]))


@pytest.mark.parametrize("row", DATASETS.values(), ids=DATASETS)
def test_catalogue_addresses_are_pinned(row: catalog.Dataset) -> None:
    assert row.sample_only or row.split_files("train") or row.borrow["train"]
    assert row.sample_only or row.split_files("test")
    assert row.format in READERS[row.family]
    assert row.licence
    for file in corpus_files(row):
        assert re.fullmatch("[0-9a-f]{64}", file.sha256 or "")
        assert file.size > 0
        if file.url is not None:
            assert re.match("https://raw.githubusercontent.com/[^/]+/[^/]+/[0-9a-f]{40}/", file.url)
        else:
            official = [row.official_files(split) for split in SPLITS]
            assert row.obtain or any(file.url for files in official for file in files)
    for split in SPLITS:
        for file in row.official_files(split):
            assert file.url is None or file.sha256
    for lender in (name for names in row.borrow.values() for name in names):
        assert DATASETS[lender].family == row.family


@pytest.mark.parametrize("row", DATASETS.values(), ids=DATASETS)
def test_catalogue_samples_are_whole(row: catalog.Dataset) -> None:
    splits = {split: load_corpus(row.name, split, corpus="sample") for split in SPLITS}
    kg = row.family == "kg"  # a query may have answers in several splits
    texts = {
        split: {(s.words, s.gold if kg else None) for s in c.samples} for split, c in splits.items()
    }
    assert not texts["train"] & (texts["dev"] | texts["test"])
    assert not texts["dev"] & texts["test"]
    assert len({corpus.labels for corpus in splits.values()}) == 1
    assert len({corpus.text_hash for corpus in splits.values()}) == 3
    for corpus in splits.values():
        assert all(sample.annotated for sample in corpus.samples)
        if row.family in LABEL_FAMILIES:
            gold = {label for sample in corpus.samples for label in sample.labels or ()}
            assert gold <= set(corpus.labels)


@pytest.mark.corpus
@pytest.mark.parametrize("row", DATASETS.values(), ids=DATASETS)
def test_corpus_real_files_are_the_catalogues(row: catalog.Dataset, real_data: Path) -> None:
    place = row.sample if row.sample_only else real_data / row.folder_name
    assert find_corpus(row.name, data_dir=real_data) == place
    splits = {split: load_corpus(row.name, split, data_dir=real_data) for split in SPLITS}
    for file in corpus_files(row):
        assert os.path.getsize(place / file.filename) == file.size
    assert len({corpus.labels for corpus in splits.values()}) == 1
    if not row.sample_only and not row.split_files("dev"):  # then it was cut from train
        texts = {split: {s.words for s in c.samples} for split, c in splits.items()}
        assert not texts["train"] & texts["dev"]
        share = len(texts["dev"]) / (len(texts["train"]) + len(texts["dev"]))
        assert abs(share - 0.1) < 0.001


def entities(corpus: Corpus) -> dict[str, int]:
    tags = Counter(tag for sample in corpus.samples for tag in sample.labels or ())
    return {tag[2:]: count for tag, count in sorted(tags.items()) if tag.startswith("B-")}


def counts(*numbers: int) -> dict[str, int]:
    types = ("corporation", "creative-work", "group", "location", "person", "product")
    return dict(
        zip(types if len(numbers) == 6 else ("LOC", "MISC", "ORG", "PER"), numbers, strict=True)
    )


REAL = [
    ("conll2003", "train", 14041, 203621, counts(7140, 3438, 6321, 6600)),
    ("conll2003", "dev", 3250, 51362, counts(1837, 922, 1341, 1842)),
    ("conll2003", "test", 3453, 46435, counts(1668, 702, 1661, 1617)),
    ("wnut17", "train", 3394, 62730, counts(221, 140, 264, 548, 660, 142)),
    ("wnut17", "dev", 1009, 15733, counts(34, 105, 39, 74, 470, 114)),
    ("wnut17", "test", 1287, 23394, counts(66, 142, 165, 150, 429, 127)),
    ("ud_ewt", "train", 12544, 204577, {}),
    ("ud_ewt", "dev", 2001, 25147, {}),
    ("ud_ewt", "test", 2077, 25094, {}),
]


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "split", "texts", "words", "found"), REAL)
def test_corpus_real_counts(
    real_data: Path, name: str, split: str, texts: int, words: int, found: dict[str, int]
) -> None:
    started = time.process_time()
    corpus = load_corpus(name, split, data_dir=real_data)
    assert time.process_time() - started < 5  # measured: 0.4 s for the largest
    assert (len(corpus), int(corpus.offsets[-1])) == (texts, words)
    assert entities(corpus) == found
    gold = {label for sample in corpus.samples for label in sample.labels or ()}
    assert gold <= set(corpus.labels)
    if split == "train":
        assert gold == set(corpus.labels)


@pytest.mark.corpus
def test_corpus_real_test_split_in_iob1_reads_the_same(real_data: Path, tmp_path: Path) -> None:
    corpus = load_corpus("conll2003", "test", data_dir=real_data)
    lines = []
    for sample in corpus.samples:
        before = "O"
        for word, tag in zip(sample.words, sample.labels or (), strict=True):
            starts_after_same = tag[0] == "B" and before[2:] == tag[2:]
            lines.append(f"{word} {tag if tag == 'O' or starts_after_same else 'I' + tag[1:]}")
            before = tag
        lines.append("")
    path = tmp_path / "iob1.conll"
    path.write_text("\n".join(lines), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_corpus(None, data={"train": path})
    assert [s.labels for s in again.samples] == [s.labels for s in corpus.samples]


def test_download_unknown_name_has_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'conll2003'"):
        download("conll2004")
