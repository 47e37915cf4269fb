"""The data model: a corpus's hash stands for its words, and for nothing else."""

from __future__ import annotations

import itertools

import pytest

from nlp_gym.data.corpora.user import split_samples
from nlp_gym.types import Corpus, Sample, text_key

# What encodings are stored under: a change here makes every user encode everything again.
ORDINARY = "2a809e2a3d9003b9065a91ce1b96214bfa7722d418bcd7357cba5c06671d352c"


def text_hash(*texts: tuple[str, ...], labels: tuple[str, ...] | None = None) -> str:
    return Corpus("c", "train", [Sample(words, labels) for words in texts], ("O",)).text_hash


def test_types_text_hash_of_ordinary_texts_is_what_it_always_was() -> None:
    texts = (("Ann", "Lee"), ("你好", "🙂", "\ud800"))
    assert text_hash(*texts) == ORDINARY
    assert text_hash(*texts, labels=("O", "B-X")) == ORDINARY
    assert text_hash(*texts[::-1]) != ORDINARY


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([("a\x1fb",)], [("a", "b")]),
        ([("a\x1f\x1eb",)], [("a",), ("b",)]),
        ([("a\x1b", "b")], [("a\x1fb",)]),
        ([("a\x1b\x1fb",)], [("a\x1fb",)]),
        ([("a\x1b\x1fb",)], [("a\x1b", "b")]),
        ([("a\x1b",), ("b",)], [("a\x1f\x1eb",)]),
    ],
)
def test_types_text_hash_tells_words_with_separators_apart(
    left: list[tuple[str, ...]], right: list[tuple[str, ...]]
) -> None:
    assert text_hash(*left) != text_hash(*right)


def test_types_text_key_is_different_for_different_words() -> None:
    """All texts of one to three words of up to two of these characters."""
    words = [w for n in (1, 2) for w in map("".join, itertools.product("a\x1b\x1e\x1f", repeat=n))]
    texts = [text for n in (1, 2, 3) for text in itertools.product(words, repeat=n)]
    assert len({text_key(text) for text in texts}) == len(texts)


def test_types_texts_with_separators_are_distinct_texts_to_split() -> None:
    samples = [Sample(words) for words in (("a\x1fb",), ("a", "b"), ("c",))]
    parts = [split_samples(samples, split, "file") for split in ("train", "dev", "test")]
    assert [len(part) for part in parts] == [1, 1, 1]
