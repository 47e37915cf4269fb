"""Vectors of units: words, whole texts and spans, with and without the cache."""

from __future__ import annotations

import numpy as np
import pytest

from nlp_gym.encode import encode_units, load_encoder
from nlp_gym.encode.standardise import calibration_texts
from nlp_gym.tasks.core.tables import TextIndex
from nlp_gym.types import Encoded, Units

TEXTS = [
    ("the", "red", "hill"),
    ("sleep",),
    ("天气", "很", "好", "。"),
    ("a", "b"),
    ("red", "hill"),
]


@pytest.fixture
def encoder():
    return load_encoder("hashed")


def test_encode_units_of_words_are_the_words(encoder):
    units = Units(TEXTS)
    encoded = encode_units(units, encoder)
    assert len(units) == 12
    assert np.array_equal(encoded.features[:-1], encoder.encode(TEXTS))
    assert not encoded.features[-1].any()
    assert encoded.offsets.tolist() == [0, 3, 4, 8, 10, 12]


def test_encode_units_of_spans_are_means_in_the_order_asked_for(encoder):
    spans = np.array([[2, 1, 3], [0, 0, 3], [4, 1, 2], [1, 0, 1], [0, 1, 3]])
    features = encode_units(Units(TEXTS, spans), encoder).features.astype(np.float64)
    for row, (text, first, stop) in zip(features, spans, strict=False):
        words = encoder.encode([TEXTS[text]]).astype(np.float64)
        assert np.allclose(row, words[first:stop].mean(axis=0), atol=2e-3)


def test_encode_units_of_whole_texts_are_standardised_on_sentences(encoder):
    sentences = calibration_texts()
    features = encode_units(Units.whole(sentences), encoder).features[:-1].astype(np.float64)
    assert np.allclose(features.mean(axis=0), 0.0, atol=1e-2)
    assert np.allclose(features.std(axis=0), 1.0, atol=2e-2)
    assert (np.abs(features) <= encoder.bound).all()


@pytest.mark.parametrize("cache", [True, False])
def test_encode_units_of_many_texts_do_not_depend_on_the_block(cache, encoder, monkeypatch):
    rng = np.random.default_rng(0)
    texts = [tuple(f"w{rng.integers(50)}" for _ in range(rng.integers(1, 9))) for _ in range(200)]
    spans = np.array([[t, 0, len(texts[t])] for t in rng.permutation(200)])
    whole = encode_units(Units(texts, spans), encoder, cache=False)
    monkeypatch.setattr("nlp_gym.encode.base.BLOCK_WORDS", 16)
    monkeypatch.setattr("nlp_gym.encode.base.text_blocks.__defaults__", (16,))
    parts = encode_units(Units(texts, spans), encoder, cache=cache)
    assert np.allclose(whole.features, parts.features, atol=2e-3)


def test_encode_units_cache_tells_kinds_of_units_apart(encoder, tmp_path):
    spans = Units.whole(TEXTS).spans
    kinds = [Units(TEXTS), Units.whole(TEXTS), Units(TEXTS, spans), Units(TEXTS, spans[::-1])]
    first = [encode_units(u, encoder, cache_dir=tmp_path).features for u in kinds]
    assert len(list(tmp_path.glob("*.npy"))) == 4
    again = [encode_units(u, encoder, cache_dir=tmp_path) for u in kinds]
    for features, encoded in zip(first, again, strict=True):
        assert isinstance(encoded, Encoded)
        assert np.array_equal(features, encoded.features)
    assert np.array_equal(first[2][:-1], first[3][-2::-1])


def test_text_index_numbers_distinct_texts():
    index = TextIndex()
    assert [index.add(t) for t in (("a",), ("b", "c"), ["a"], ())] == [0, 1, 0, -1]
    assert index.texts == [("a",), ("b", "c")]
