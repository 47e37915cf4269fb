"""Corpora of pairs of languages, and files a language whose lines correspond."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nlp_gym.data import check, load_corpus, read
from nlp_gym.errors import (
    DataFormatError,
    DataNotFoundError,
    InvalidArgumentError,
    UnknownNameError,
)
from nlp_gym.types import SPLITS, Corpus
from nlp_gym_agents.cli.data.command import app

FAMILY = "generation"
WORDS = {"en": "text", "de": "Satz"}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file; give its path."""

    def put(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return put


def pairs(corpus: Corpus) -> list[tuple[str, Any]]:
    return [(sample.extra["text"], sample.gold) for sample in corpus.samples]


def test_parallel_lines_correspond(write: Write) -> None:
    path = write("x.en", "One.", "", " Two  cats. ", "")
    write("x.de", "Eins.", "", "Zwei \t Katzen.")
    found = read(path, family=FAMILY)
    assert [(s.extra["text"], s.gold, s.id) for s in found] == [
        ("One.", ("Eins.",), "x.en:1"), ("Two  cats.", ("Zwei \t Katzen.",), "x.en:3")
    ]  # fmt: skip
    write("x.fr", "Un.")
    report = check(path, family=FAMILY)
    assert "there is no pair= to say which of x.de, x.fr" in report.problems[0].message
    assert check(path, family=FAMILY, pair="en-de").ok
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 1
    result = CliRunner().invoke(app, ["check", str(path), "--pair", "en-de"])
    assert "parallel, family generation, 2 texts, 5 words, 0 bad rows" in result.output
    assert len(read(path, family=FAMILY, gold=False)) == 2


def test_parallel_carriage_returns_alone_end_no_line(tmp_path: Path) -> None:
    english = "One house.\nTwo \rdogs run.\nThree cats.\nFour birds.\nFive men.\n"
    german = "Ein Haus.\nZwei Hunde rennen.\nDrei Katzen.\nVier \rVoegel.\nFuenf Maenner.\n"
    (tmp_path / "x.en").write_bytes(english.encode())
    (tmp_path / "x.de").write_bytes(german.encode())
    with pytest.warns(UserWarning, match=r"x\.en:2: a carriage return alone ends no line"):
        found = read(tmp_path / "x.en", family=FAMILY)
    pairs = [(sample.words[0], sample.gold[0].split()[0]) for sample in found]
    assert pairs == [
        ("One", "Ein"), ("Two", "Zwei"), ("Three", "Drei"), ("Four", "Vier"), ("Five", "Fuenf")
    ]  # fmt: skip


def test_parallel_files_of_other_lengths_are_never_skipped_over(write: Write) -> None:
    path = write("x.en", "One.", "Two.", "Three.")
    write("x.de", "Eins.", "Drei.")
    with pytest.raises(DataFormatError, match=r"x\.en has 3 line\(s\) but x\.de has 2"):
        read(path, family=FAMILY, bad_rows="skip")


@pytest.mark.parametrize(
    ("other", "pair", "problems"),
    [
        (["Eins.", "Zwei."], "en-de", [(2, "x.en has 3 line(s) but x.de has 2: line N")]),
        (["Eins.", "Zwei.", "3", "4"], "en-de", [(3, "x.en has 3 line(s) but x.de has 4")]),
        (["Eins.", "", "Drei."], "en-de", [(2, "line 2 of x.de is blank, but not this one")]),
        (["Eins.", "\u200b", "Drei."], "en-de", [(2, "holds no word")]),
        (["1", "2", "3"], "en-fr", [(None, "there is no x.fr beside x.en")]),
        (["1", "2", "3"], "de-en", [(None, "there is no language 'de' in the file's name 'x.en'")]),
        ([], "en-de", [(1, "x.de has 0")]),
    ],
)
def test_parallel_bad_files(
    write: Write, other: list[str], pair: str, problems: list[tuple[int | None, str]]
) -> None:
    path = write("x.en", "One.", "Two.", "Three.")
    write("x.de", *other)
    found = check(path, family=FAMILY, pair=pair).problems
    assert len(found) == len(problems) or not other
    for problem, (line, message) in zip(found, problems, strict=False):
        assert problem.line == line
        assert message in problem.message


def test_parallel_the_translation_is_read_again_and_its_bad_bytes_are_its_own(
    write: Write,
) -> None:
    path, other = write("x.en", "One."), write("x.de", "Eins.")
    arguments: dict[str, Any] = {"family": FAMILY, "data": {"train": path}, "pair": "en-de"}
    assert pairs(load_corpus(None, **arguments)) == [("One.", ("Eins.",))]
    write("x.de", "Ein Ding.")
    assert pairs(load_corpus(None, **arguments)) == [("One.", ("Ein Ding.",))]
    write("x.fr", "").write_bytes(b"\xff\n")  # of no interest here
    assert pairs(load_corpus(None, **arguments)) == [("One.", ("Ein Ding.",))]
    other.write_bytes(b"\xff\n")
    with pytest.raises(DataFormatError, match=r"x\.de:1"):
        load_corpus(None, **arguments)


def test_parallel_folder_of_a_user(write: Write) -> None:
    for split, code in ((s, c) for s in ("train", "val", "test") for c in ("en", "de")):
        path = write(f"mine/{split}.{code}", f"{WORDS[code]} {split}")
    for pair, text in (("en-de", "text train"), ("de-en", "Satz train")):
        corpus = load_corpus("multi30k", data=path.parent, pair=pair)
        assert [text for text, _ in pairs(corpus)] == [text]
        assert len(load_corpus("multi30k", "dev", data=path.parent, pair=pair)) == 1


def test_pair_is_checked() -> None:
    with pytest.raises(UnknownNameError, match=r"pair='en-dr'.*'en-fr'\?.*fr-de"):
        load_corpus("multi30k", corpus="sample", pair="en-dr")
    number: Any = 3
    with pytest.raises(UnknownNameError, match=r"pair=3 .*en-zh, zh-en"):
        load_corpus("tatoeba_en_zh", corpus="sample", pair=number)
    with pytest.raises(InvalidArgumentError, match=r"'conll2003' is not parallel.*multi30k, tat"):
        load_corpus("conll2003", corpus="sample", pair="en-de")
    with pytest.raises(InvalidArgumentError, match=r"'aeslc' is not parallel"):
        load_corpus("aeslc", corpus="sample", pair="en-de")
    with pytest.raises(InvalidArgumentError, match=r"for the family 'generation', not 'tagging'"):
        load_corpus(None, data="x.conll", pair="en-de")


def test_pair_of_the_bundled_sample() -> None:
    there = {
        pair: load_corpus("multi30k", corpus="sample", pair=pair) for pair in ("en-de", "de-en")
    }
    assert pairs(there["en-de"]) == [(gold[0], (text,)) for text, gold in pairs(there["de-en"])]
    assert pairs(load_corpus("multi30k", corpus="sample")) == pairs(there["en-de"])
    assert [len(load_corpus("multi30k", s, corpus="sample")) for s in SPLITS] == [140, 30, 30]
    with pytest.raises(DataNotFoundError, match=r"no pair 'en-fr' \(it has: en-de, de-en\).*downl"):
        load_corpus("multi30k", corpus="sample", pair="en-fr")


@pytest.mark.parametrize("pair", ["en-zh", "zh-en"])
def test_tatoeba_sample_keeps_pairs_apart(pair: str) -> None:
    found = {s: load_corpus("tatoeba_en_zh", s, corpus="sample", pair=pair) for s in SPLITS}
    assert [len(corpus) for corpus in found.values()] == [72, 4, 4]
    assert {corpus.samples[0].extra["text"].isascii() for corpus in found.values()} == {
        pair == "en-zh"
    }


def test_tatoeba_groups_share_no_side(write: Write) -> None:
    lines = [f"text {i % 80}\t第 {i % 70} 句" for i in range(100)] + [
        f"x {i}\t甲 {i}" for i in range(99)
    ]
    sides: dict[str, list[set[tuple[str, str]]]] = {}
    for pair in ("en-zh", "zh-en"):
        for order in (lines, lines[::-1]):
            data = dict.fromkeys(SPLITS, write(f"{len(sides)}.txt", *order))
            given: dict[str, Any] = {"family": FAMILY, "format": "tatoeba", "pair": pair}
            parts = [load_corpus(None, s, data=data, **given) for s in SPLITS]
            found = [{(t, g) for t, gold in pairs(part) for g in gold} for part in parts]
            turned = [{(g, t) for t, g in some} for some in found]
            sides[f"{pair} {order is lines}"] = found if pair == "en-zh" else turned
    first, *others = sides.values()
    assert all(other == first for other in others)  # neither order nor direction matters
    assert set.union(*first) == {tuple(line.split("\t")) for line in lines}
    for column in (0, 1):
        texts = [{pair[column] for pair in part} for part in first]
        assert sum(map(len, texts)) == len(set.union(*texts))


def test_tatoeba_equal_sources_are_one_sample(write: Write) -> None:
    path = write("x.txt", "Hi.\t嗨。", "Go.\t走。", "Hi.\t你好。")
    given: dict[str, Any] = {"family": FAMILY, "format": "tatoeba"}
    assert [(s.extra["text"], s.gold) for s in read(path, **given)] == [
        ("Hi.", ("嗨。", "你好。")), ("Go.", ("走。",))
    ]  # fmt: skip
    with pytest.raises(DataFormatError, match=r"x\.txt:1: too few pairs to split: 2"):
        read(path, split="train", **given)
