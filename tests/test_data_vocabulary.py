"""Vocabularies: any text can be written, and settings survive JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_gym.data.text.vocabulary import STOP, Vocabulary, normalise_spaces
from nlp_gym.errors import InvalidArgumentError

TEXTS = ["Der Hund läuft.", "Die Katze schläft im Haus.", "今天天气很好，我们去公园吧。", "Ça va?"]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.learn(TEXTS * 3, size=330)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_can_be_written(vocabulary, text):
    tokens = vocabulary.encode([text])[0]
    assert 0 not in tokens
    assert vocabulary.decode(tokens) == normalise_spaces(text)


def test_tokens_are_stop_bytes_characters_and_merges(vocabulary):
    assert vocabulary.tokens[0] == STOP
    assert vocabulary.tokens[1 + ord("A")] == "<0x41>"
    assert len(vocabulary.tokens) == 330
    assert any(len(token) > 3 for token in vocabulary.tokens[257:])
    characters = Vocabulary.learn(TEXTS, size=4000, kind="character")
    assert all(len(token) == 1 for token in characters.tokens[257:])
    assert set("今天气Ç") < set(characters.tokens)


def test_text_that_looks_like_stop_is_spelt(vocabulary):
    tokens = vocabulary.encode([f"a {STOP} b <0x41>"])[0]
    assert 0 not in tokens
    assert vocabulary.decode(tokens) == f"a {STOP} b <0x41>"


def test_a_vocabulary_is_the_same_each_time_and_survives_json(vocabulary):
    assert Vocabulary.learn(TEXTS * 3, size=330).settings == vocabulary.settings
    again = Vocabulary.read(json.loads(json.dumps(vocabulary.settings)))
    assert again.tokens == vocabulary.tokens
    assert again.encode(TEXTS) == vocabulary.encode(TEXTS)


@pytest.mark.parametrize("settings", ["", "{}", 3, None, '{"model": 1}', "x" * 300])
def test_what_is_no_vocabulary_is_refused(settings):
    with pytest.raises(InvalidArgumentError, match="vocabulary="):
        Vocabulary.read(settings)
