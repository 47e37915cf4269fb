"""The words that an encoder has near a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.encode import Neighbours, load_encoder
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.types import Sample


class Toy:
    """An encoder with four words in the plane."""

    name, dim, fingerprint, bound = "toy", 2, "0", 1.0

    def word_embeddings(self) -> tuple[list[str], Any]:
        vectors = [[2.0, 0.0], [3.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]
        return ["film", "movie", "play", "rock", "void"], np.array(vectors, np.float32)

    def encode(self, texts: Any, *, progress: bool = False) -> Any:
        raise NotImplementedError

    tokenize = encode


@pytest.mark.parametrize(
    ("word", "options", "near"),
    [
        ("film", {}, ("movie", "play")),  # cosines .95 and .71
        ("FILM", {}, ("movie", "play")),
        ("film", {"least": 0.8}, ("movie",)),
        ("film", {"most": 1}, ("movie",)),
        ("rock", {}, ()),
        ("void", {}, ()),
        ("unheard", {}, ()),
        ("", {}, ()),
    ],
)
def test_neighbours_are_nearest_by_cosine(
    word: str, options: dict[str, Any], near: tuple[str, ...]
) -> None:
    neighbours = Neighbours(Toy(), **options)
    assert neighbours.of(word) == near
    assert neighbours.of(word) == near  # remembered


@pytest.mark.parametrize("options", [{"least": 2.0}, {"most": 0}, {"least": "high"}])
def test_neighbours_check_their_options(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        Neighbours(Toy(), **options)


def test_neighbours_need_an_encoder_with_words() -> None:
    with pytest.raises(InvalidArgumentError, match="hashed"):
        Neighbours(load_encoder("hashed"))
    with pytest.raises(InvalidArgumentError, match="hashed"):
        make_task("Attack-v0", corpus="sample", encoder="hashed", changes="neighbours")


def test_words_of_a_transformer_are_those_it_does_not_cut(tiny_bert: Path) -> None:
    encoder: Any = load_encoder(str(tiny_bert))
    words, vectors = encoder.word_embeddings()
    assert len(words) == len(set(words)) == len(vectors) > 0
    tokens = encoder.tokenize([[word] for word in words])
    assert len(tokens.ids) == len(words)
    embeddings = encoder.load_model().get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(vectors, embeddings[tokens.ids])
    task = make_task(
        "Attack-v0",
        data=[Sample(("the", "film", "was", "great"), ("a",)), Sample(("no",), ("b",))],
        encoder=str(tiny_bert),
        changes=["neighbours", "typos"],
    )
    assert len(task.corpus) == 2
