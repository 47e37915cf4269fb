"""Every reader against files broken in many ways: samples, or an error with file and line."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nlp_gym.data import READERS, check, guess_file, read
from nlp_gym.data.readers import Options, Reader
from nlp_gym.data.readers.shared.decoding import decode
from nlp_gym.errors import DataError, DataFormatError, NLPGymError
from nlp_gym.types import Sample
from tests.fuzz.conftest import fuzz
from tests.fuzz.mutations import NO_GOLD, ROWS, break_file, put_valid


@pytest.mark.parametrize(("family", "name"), ROWS)
def test_broken_files_begin_with_valid_ones(family: str, name: str, tmp_path: Path) -> None:
    path = put_valid(family, name, tmp_path)[0]
    for gold in (False,) if name in NO_GOLD else (True, False):
        report = check(path, name, family=family, gold=gold)
        assert report.ok, report.problems
        samples = read(path, name, family=family, gold=gold)
        assert len(samples) == report.n_samples > 0
        check_samples(samples, family, gold)


def strings(value: Any) -> Iterator[str]:
    """All text in what a sample holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list, dict, set, frozenset)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def check_samples(samples: list[Sample], family: str, gold: bool) -> None:
    """What every task may rely on."""
    assert samples
    for sample in samples:
        extra = sample.extra
        assert sample.words
        assert all(isinstance(word, str) and word.strip() for word in sample.words)
        assert sample.annotated == gold
        shown = {key: value for key, value in extra.items() if key not in ("id", "qid", "names")}
        for text in strings((sample.words, sample.labels, shown, sample.gold)):
            assert "\0" not in text
            assert text.encode("utf-8")  # no half of a surrogate pair, and not empty
        if family == "classification" and gold:
            assert sample.labels is not None
            assert len(sample.labels) == 1
        if family == "multilabel" and gold:
            assert list(sample.labels or ()) == sorted(set(sample.labels or ()))
        if family == "relation":
            assert not gold or len(sample.labels or ()) == len(extra["pairs"]) > 0
            for a, b, c, d in extra["pairs"]:
                assert 0 <= a < b <= len(sample.words)
                assert 0 <= c < d <= len(sample.words)
        if family == "spanqa":
            assert extra["question"]
            for _, first, last in sample.gold or ():
                assert 0 <= first <= last < len(sample.words)
        if family == "choice":
            assert len(extra["choices"]) >= 2
            assert all(extra["choices"])
            assert not gold or 0 <= sample.gold < len(extra["choices"])
        if family == "dialogue":
            assert all(extra["context"])
            assert all(extra["candidates"])
            assert set(sample.gold or ()) <= set(range(len(extra["candidates"])))
        if family == "policy":
            assert extra["turns"]
            assert not gold or len(sample.gold) == len(extra["turns"])
        if family == "summary":
            assert all(extra["sentences"])
            assert not gold or all(sample.gold)
        if family == "generation":
            assert extra["text"]
            assert not gold or all(text == text.strip() != "" for text in sample.gold)
            assert not gold or len(set(sample.gold)) == len(sample.gold) > 0
        if family == "kg":
            assert extra["head"]
            assert extra["relation"]
            assert not gold or all(sample.gold)


def attack(family: str, name: str, folder: Path, examples: int) -> None:
    files = put_valid(family, name, folder)
    contents = [path.read_bytes() for path in files]

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def broken(data: st.DataObject) -> None:
        which = data.draw(st.sampled_from([0, 0, *range(len(files))]))
        found = list(contents)
        found[which] = break_file(data.draw, contents[which])
        for path, content in zip(files[1:], found[1:], strict=True):
            path.write_bytes(content)
        gold = name not in NO_GOLD and data.draw(st.sampled_from([True, True, True, False]))
        samples, error = read_or_error(READERS[family][name], files[0], found[0], gold)
        if error is None:
            check_samples(samples, family, gold)
            return
        assert error.path in files
        assert str(error).startswith(str(error.path))
        check_line(error, found[files.index(error.path)])

    broken()


def read_or_error(
    reader: Reader, path: Path, data: bytes, gold: bool
) -> tuple[list[Sample], DataFormatError | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # repaired tags
        try:
            return list(reader.samples(path, decode(data), Options(gold=gold)).samples), None
        except DataFormatError as error:
            return [], error


def check_line(error: DataFormatError, content: bytes) -> None:
    """A file with text in it has a line that is to blame."""
    if error.line is None:
        nothing = "nothing to read" in error.problem or "there is no" in error.problem
        assert nothing or not content.strip()
    else:
        lines = content.count(b"\n") + 1
        assert 1 <= error.line <= lines


@pytest.mark.parametrize(("family", "name"), ROWS)
def test_broken_files_give_samples_or_an_error_with_its_line(
    family: str, name: str, tmp_path: Path
) -> None:
    attack(family, name, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("family", "name"), ROWS)
def test_broken_files_dozens_a_reader(family: str, name: str, tmp_path: Path) -> None:
    attack(family, name, tmp_path, int(os.environ.get("NLP_GYM_TEST_FUZZ") or 40))


ENDINGS = ("", ".txt", ".dat", ".csv", ".tsv", ".json", ".jsonl", ".conll", ".conllu", ".gz")
OPTIONS: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {"bad_rows": "skip"}, {"bad_rows": "skip"}, {"comments": "#"}),
    *({"column": 1}, {"column": "label"}, {"label_column": -1}, {"text_column": "text"}),
    *({"text_column": 1, "label_column": 0}, {"word_column": 0}, {"label_separator": "#"}),
    *({"encoding": "cp1252"}, {"encoding": "utf-16"}, {"encoding": "gb18030"}),
)
LONGEST = 10.0
"""CPU seconds that one of these small files may take, guess and all."""


def read_as_guessed(path: Path, options: dict[str, Any]) -> None:
    """Guess, check and read a file; `check` and `read` must agree."""
    guess = guess_file(path)
    report = check(path, guess.format, family=guess.family, **options)
    if not report.ok:
        with pytest.raises(DataError):
            read(path, guess.format, family=guess.family, **options)
        return
    samples = read(path, guess.format, family=guess.family, **options)
    assert len(samples) == report.n_samples
    check_samples(samples, guess.family, gold=True)


@pytest.mark.slow
@fuzz(250)
@given(data=st.data())
def test_broken_files_are_guessed_and_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("broken")
    source = put_valid(*data.draw(st.sampled_from(ROWS)), folder)[0]
    path = folder / f"any{data.draw(st.sampled_from([source.suffix, source.suffix, *ENDINGS]))}"
    path.write_bytes(break_file(data.draw, source.read_bytes()))
    options = data.draw(st.sampled_from(OPTIONS))
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(NLPGymError):
            read_as_guessed(path, options)
    assert time.process_time() - started < LONGEST
