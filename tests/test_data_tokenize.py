"""Raw text to words and sentences."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlp_gym.data.text.tokenize import split_sentences, split_words
from nlp_gym.errors import DataError

# The words, separated by one space, and the raw text.
WORDS = [
    ("EU rejects German call .", "EU rejects German call."),
    ("I do n't think it 's John ’s , they 're", "I don't think it's John’s, they're"),
    ("U.S. troops , e.g. in the U.S.-based A.B.C", "U.S. troops, e.g. in the U.S.-based A.B.C"),
    ("$ 1,000.50 ( 3.5 % ) on 1996-08-22 at 10:30", "$1,000.50 (3.5%) on 1996-08-22 at 10:30"),
    ("See https://a.b/c?d=e , mail me@x.org !", "See https://a.b/c?d=e, mail me@x.org!"),
    ("@user : #tag ( www.x.y )", "@user: #tag (www.x.y)"),
    ("well-known -- yes - no ... F-16 7-Eleven", "well-known -- yes - no... F-16 7-Eleven"),
    ("AT&T 's 1990s 20th 5km o'clock 1990 's", "AT&T's 1990s 20th 5km o'clock 1990's"),
    ("Mr. Brown of Acme Inc. left .", "Mr. Brown of Acme Inc. left."),
    ("“ Hi ” , he said : ' no '", "“Hi”, he said: 'no'"),
    ("我 爱 北 京 。 ABC 株 式 タ ワ ー", "我爱北京。ABC株式タワー"),
    (
        "한국어 문장 . हिन्दी नमस्ते naïve e\u0301te\u0301",
        "한국어 문장. हिन्दी नमस्ते naïve e\u0301te\u0301",
    ),
    ("👩‍👩‍👧 🇫🇷 🇩🇪 1️⃣ 👍🏽 ok ❤️ !", "👩‍👩‍👧🇫🇷🇩🇪1️⃣👍🏽ok❤️!"),
    ("", " \t\n\u3000\u200b\ufeff\u200d"),
]


@pytest.mark.parametrize(("words", "text"), WORDS)
def test_tokenize_split_words(words: str, text: str) -> None:
    assert [word for word, _, _ in split_words(text)] == words.split(" ") * bool(words)


def test_tokenize_refuses_half_of_a_surrogate_pair() -> None:
    with pytest.raises(DataError, match="character 2"):
        split_words("a \ud83d")


ALPHABET = st.sampled_from(
    [*"aB1 .,-'’@#&/:。我\n", "🙂", "\u200d", "\ufe0f", "🇫", "🏽", "n't", "http://"]
)
TEXTS = st.lists(ALPHABET).map("".join) | st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example("...@a.b.c...")
def test_tokenize_words_are_the_text_in_order(text: str) -> None:
    position = 0
    for word, start, end in split_words(text):
        assert position <= start < end
        assert word == text[start:end]
        assert not word.isspace()
        assert not any(char.isalnum() or char in ".,'" for char in text[position:start])
        position = end
    assert not any(char.isalnum() for char in text[position:])


SENTENCES = [
    ("Dr. Smith left. He came at 5 p.m. on Friday.", [15]),
    ('"Really?" she said. Yes! J. K. Rowling.', [19, 24]),
    ("我爱你。你好吗？好", [4, 8]),
    ("No stop here\n\nA new paragraph", [12]),
    ("One line\nis not a sentence", []),
    ("It costs 3.50. (He paid.) 好. Ça va?", [14, 25, 28]),
    ("", None),
    (" \n\n ", None),
]


@pytest.mark.parametrize(("text", "ends"), SENTENCES)
def test_tokenize_split_sentences(text: str, ends: list[int] | None) -> None:
    found = [end for _, _, end in split_sentences(text)]
    assert found == ([] if ends is None else [*ends, len(text)])


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_tokenize_sentences_lose_only_white_space(text: str) -> None:
    position = 0
    for sentence, start, end in split_sentences(text):
        assert sentence == text[start:end] == sentence.strip()
        assert not text[position:start].strip()
        position = end
    assert not text[position:].strip()
