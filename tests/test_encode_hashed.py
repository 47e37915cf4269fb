from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nlp_gym.encode import BOUND, Encoder, encode_texts, load_encoder
from nlp_gym.errors import InvalidArgumentError, UnknownNameError

ODD = ["\u200b", "\x07", "日本語", "😀", "a" * 5000, "\ud800", " "]


def test_encode_hashed_gives_one_bounded_vector_a_word():
    encoder = load_encoder("hashed", dim=100)
    vectors = encoder.encode([["one", "two"], ["three"], ODD])
    assert isinstance(encoder, Encoder)
    assert vectors.shape == (3 + len(ODD), 100)
    assert vectors.dtype == np.float16
    assert np.isfinite(vectors).all()
    assert np.abs(vectors).max() <= BOUND
    assert 0.7 < vectors.astype(np.float64).std() < 1.3


def test_encode_hashed_ignores_context_and_tells_words_apart():
    encoder = load_encoder("hashed")
    once = encoder.encode([["bank", "river", "Bank"]])
    again = load_encoder("hashed").encode([["x"], ["river", "bank"]])
    np.testing.assert_array_equal(once[[1, 0]], again[1:])
    assert not np.array_equal(once[0], once[2])


def test_encode_hashed_puts_words_with_shared_letters_near_each_other():
    walked, walking, zebra = (
        load_encoder("hashed", dim=512).encode([["walked", "walking", "Zebra7"]]).astype(np.float64)
    )

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert cosine(walked, walking) > cosine(walked, zebra) + 0.2


def test_encode_hashed_is_the_same_in_every_process_and_imports_no_torch():
    code = (
        "import sys; from nlp_gym.encode import load_encoder; e = load_encoder('hashed');"
        "v = e.encode([['EU', 'rejects', 'Zoë']]); t = e.tokenize([['EU', 'rejects']]);"
        "print(e.fingerprint, v.tobytes().hex(), t.ids.tolist(),"
        "[m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    seen = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=Path(__file__).resolve().parent.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert seen.pop().endswith("[]\n")


def test_encode_hashed_tokenizes_one_token_a_word():
    tokens = load_encoder("hashed").tokenize([["a", "b", "a"], ODD])
    assert tokens.word_starts.tolist() == list(range(4 + len(ODD)))
    assert tokens.offsets.tolist() == [0, 3, 3 + len(ODD)]
    assert tokens.ids[0] == tokens.ids[2] != tokens.ids[1]
    special = {tokens.pad_id, tokens.bos_id, tokens.eos_id}
    assert len(special) == 3
    assert special.isdisjoint(tokens.ids.tolist())
    assert tokens.ids.max() < tokens.vocab_size


def test_encode_hashed_dim_is_part_of_the_fingerprint():
    assert load_encoder("hashed", dim=8).fingerprint != load_encoder("hashed").fingerprint
    assert load_encoder("hashed", dim=64).fingerprint == load_encoder("hashed").fingerprint


@pytest.mark.parametrize("dim", [0, -1, 2.5, True, "64"])
def test_encode_hashed_rejects_a_bad_dim(dim):
    with pytest.raises(InvalidArgumentError, match="dim="):
        load_encoder("hashed", dim=dim)


def test_encode_hashed_rejects_options_of_other_encoders():
    with pytest.raises(UnknownNameError, match=r"layers.*Allowed: dim"):
        load_encoder("hashed", layers=2)


def test_encode_texts_appends_the_zero_row():
    encoded = encode_texts([["a"], ["b", "c"]], load_encoder("hashed"))
    assert encoded.features.shape == (4, 64)
    assert not encoded.features[3].any()
    assert encoded.features[:3].any(axis=1).all()
    assert encoded.offsets.tolist() == [0, 1, 3]
