from __future__ import annotations

import json
import pickle
import shutil
import string
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import POSITIONS, save_bert, word_piece

from nlp_gym.encode import BOUND, encode_corpus, encode_texts, load_encoder
from nlp_gym.encode.standardise import calibration_texts
from nlp_gym.errors import EncoderError, InvalidArgumentError
from nlp_gym.types import Corpus, Sample

torch = pytest.importorskip("torch")

TEXTS = [
    ["the", "abc", "the"],
    ["zz"],
    ["the", "quick", "brown", "fox", "the", "the", "the"],
    ["Ab", "the", "bca"],
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return save_bert(tmp_path_factory.mktemp("tiny"), word_piece())


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Such small models are slowed down by threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def whole_model(folder: Path) -> Any:
    from transformers import BertModel

    return BertModel.from_pretrained(folder).eval()


def raw(encoder: Any, texts: Any) -> Any:
    """(W, D) vectors before standardisation."""
    return encoder._runner.vectors(encoder._tokenizer.split(texts)).numpy()


def reference(folder: Path, words: list[str], pick: Any) -> Any:
    """(T, 16) word vectors by the plainest way: one text, all layers, a loop over the words."""
    tokenizer = word_piece()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoding = tokenizer.encode(words, is_pretokenized=True)
    with torch.no_grad():
        ids = torch.tensor([encoding.ids])
        states = whole_model(folder)(ids, output_hidden_states=True).hidden_states
    layers = torch.stack(states)[:, 0].numpy()
    rows = []
    for word in range(len(words)):
        rows.append(pick(layers[:, [w == word for w in encoding.word_ids]]))
    return np.stack(rows)


@pytest.mark.parametrize(
    ("options", "pick"),
    [
        ({"layers": 0}, lambda x: x[0].mean(0)),
        ({"layers": 2}, lambda x: x[2].mean(0)),
        ({"layers": "last"}, lambda x: x[3].mean(0)),
        ({"layers": "0+2"}, lambda x: np.concatenate([x[0].mean(0), x[2].mean(0)])),
        ({"layers": [2, 1]}, lambda x: np.concatenate([x[2].mean(0), x[1].mean(0)])),
        ({"layers": "mean"}, lambda x: x[1:].mean((0, 1))),
        ({"layers": "mean:0-1"}, lambda x: x[:2].mean((0, 1))),
        ({"layers": 1, "pooling": "first"}, lambda x: x[1][0]),
    ],
)
def test_encode_transformer_layers_and_pooling(tiny, options, pick):
    encoder = load_encoder(str(tiny), dtype="float32", device="cpu", **options)
    found = raw(encoder, TEXTS)
    expected = np.concatenate([reference(tiny, text, pick) for text in TEXTS])
    assert found.shape == (14, encoder.dim)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_encode_transformer_computes_only_the_layers_it_needs(tiny):
    encoder = load_encoder(str(tiny), layers="0+2", device="cpu")
    raw(encoder, [["a"]])
    assert len(encoder._runner._words.model.encoder.layer) == 2
    assert len(encoder.load_model().encoder.layer) == 3


def test_encode_transformer_standardises_on_the_calibration_text(tiny):
    encoder = load_encoder(str(tiny), layers="0+3", device="cpu", dtype="float32")
    vectors = encode_texts(calibration_texts(), encoder).features[:-1].astype(np.float64)
    constant = 16 + 5
    assert not vectors[:, constant].any()
    others = np.delete(vectors, constant, axis=1)
    assert np.abs(others.mean(0)).max() < 0.02
    assert np.abs(others.std(0) - 1).max() < 0.02
    assert np.abs(vectors).max() <= BOUND


def test_encode_transformer_batches_do_not_change_vectors(tiny):
    texts = [["the", "abc"] * n for n in range(1, 9)]
    whole = load_encoder(str(tiny), device="cpu", dtype="float32").encode(texts)
    small = load_encoder(str(tiny), device="cpu", dtype="float32", batch_tokens=1)
    np.testing.assert_allclose(small.encode(texts), whole, atol=4e-3)
    np.testing.assert_allclose(small.encode(texts[2:3]), whole[6:12], atol=4e-3)


def test_encode_transformer_long_text_goes_through_overlapping_windows(tiny):
    room = POSITIONS - 2
    words = [("the", *string.ascii_lowercase)[i * i % 27] for i in range(2000)]
    encoder = load_encoder(str(tiny), layers=2, device="cpu", dtype="float32")
    short = ["the", "abc"]
    vectors = encoder.encode([short, words])
    assert vectors.shape == (2002, 16)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[:2], encoder.encode([short]), atol=4e-3)
    # Word 1007 lies in the window around word 19 * 53, which is centred on it to the word.
    middle = 53 * (room // 2)
    around = encoder.encode([words[middle - room // 2 : middle + room // 2]])
    np.testing.assert_allclose(vectors[2 + middle], around[room // 2], atol=4e-3)
    # The text's ends have all the context there is.
    np.testing.assert_allclose(vectors[2:12], encoder.encode([words[:room]])[:10], atol=4e-3)
    np.testing.assert_allclose(vectors[-10:], encoder.encode([words[-room:]])[-10:], atol=4e-3)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_encode_transformer_word_longer_than_the_model(tiny, pooling):
    encoder = load_encoder(str(tiny), pooling=pooling, device="cpu")
    vectors = encoder.encode([["the", "abcdefg" * 14, "the"]])
    assert np.isfinite(vectors).all()
    assert vectors.any(axis=1).all()


def test_encode_transformer_every_word_has_a_token(tiny):
    words = ["", "\u200b", "\x07", " ", "the", "日本語", "😀", "\ud800", "x" * 500, "é"]
    encoder = load_encoder(str(tiny), device="cpu")
    tokens = encoder.tokenize([words, ["the"], []])
    sizes = np.diff(tokens.word_starts)
    assert sizes.min() == 1
    assert tokens.ids[tokens.word_starts[:4]].tolist() == [1, 1, 1, 1]
    assert tokens.ids[tokens.word_starts[[4, 10]]].tolist() == [4, 4]
    assert tokens.offsets.tolist() == [0, sizes[:10].sum(), len(tokens.ids), len(tokens.ids)]
    assert (tokens.bos_id, tokens.eos_id, tokens.pad_id) == (2, 3, 0)
    assert (tokens.vocab_size, tokens.max_length) == (57, POSITIONS)
    vectors = encoder.encode([words, [], ["the"]])
    assert vectors.shape == (11, encoder.dim)
    assert np.isfinite(vectors).all()
    assert encoder.encode([]).shape == encoder.encode([[]]).shape == (0, encoder.dim)


def test_encode_transformer_bfloat16_is_near_and_has_its_own_fingerprint(tiny):
    exact = load_encoder(str(tiny), dtype="float32", device="cpu")
    rough = load_encoder(str(tiny), dtype="bfloat16", device="cpu")
    assert exact.fingerprint != rough.fingerprint
    difference = np.abs(exact.encode(TEXTS).astype(np.float64) - rough.encode(TEXTS))
    assert 0 < difference.mean() < 0.05


def test_encode_transformer_fingerprint_follows_what_changes_vectors(tiny, tmp_path):
    def fingerprint(folder: Path = tiny, **options: Any) -> str:
        return load_encoder(str(folder), **{"dtype": "float32", **options}).fingerprint

    other = Path(shutil.copytree(tiny, tmp_path / "other"))
    assert fingerprint(other) == fingerprint()
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(data)
    options: list[dict[str, Any]] = [
        {},
        {"layers": 1},
        {"layers": "mean:1-2"},
        {"layers": "1+2"},
        {"pooling": "first"},
        {"dtype": "bfloat16"},
        {"max_length": 20},
        {"folder": other},
    ]
    assert len({fingerprint(**o) for o in options}) == len(options)
    assert fingerprint(device="cpu", batch_tokens=7) == fingerprint()


def test_encode_transformer_shares_loaded_weights_and_pickles_without_them(tiny):
    encoder = load_encoder(str(tiny), device="cpu")
    assert load_encoder(str(tiny), device="cpu") is encoder
    before = encoder.encode(TEXTS)
    copy = pickle.loads(pickle.dumps(encoder))
    assert len(pickle.dumps(encoder)) < 20_000
    np.testing.assert_array_equal(copy.encode(TEXTS), before)


def change_weights(folder: Path, change: Any) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_encode_transformer_weights_that_are_not_finite(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    change_weights(folder, lambda t: t["embeddings.LayerNorm.weight"].fill_(float("nan")))
    with pytest.raises(EncoderError, match="not finite"):
        load_encoder(str(folder), device="cpu").encode(TEXTS)


def test_encode_transformer_incomplete_weights(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    change_weights(folder, lambda t: t.pop("encoder.layer.0.output.dense.weight"))
    with pytest.raises(EncoderError, match=r"lack 1 tensors.*encoder.layer.0.output.dense"):
        load_encoder(str(folder), device="cpu").encode(TEXTS)


def test_encode_transformer_weights_without_pooler_are_complete(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    change_weights(folder, lambda t: [t.pop(k) for k in list(t) if k.startswith("pooler.")])
    found = load_encoder(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_array_equal(found, load_encoder(str(tiny), device="cpu").encode(TEXTS))


def test_encode_transformer_unreadable_weights(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EncoderError, match="transformers cannot load"):
        load_encoder(str(folder), device="cpu").encode(TEXTS)


def test_encode_transformer_files_that_change_after_loading(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    encoder = load_encoder(str(folder), device="cpu")
    change_weights(folder, lambda t: t["embeddings.LayerNorm.bias"].add_(1))
    with pytest.raises(EncoderError, match="changed while it was in use"):
        encoder.encode(TEXTS)


def test_encode_transformer_tokenizer_of_another_model(tmp_path):
    folder = save_bert(tmp_path, word_piece(), vocab_size=20)
    with pytest.raises(EncoderError, match=r"yields id \d+ but the model has 20"):
        load_encoder(str(folder), device="cpu").encode([["xyz"]])


@pytest.mark.parametrize(("key", "value"), [("max_length", POSITIONS + 1), ("layers", 4)])
def test_encode_transformer_options_beyond_the_model(tiny, key, value):
    with pytest.raises(InvalidArgumentError, match=f"{key}={value}"):
        load_encoder(str(tiny), **{key: value})


def test_encode_transformer_max_length_without_room(tiny):
    with pytest.raises(InvalidArgumentError, match="max_length=2 leaves no room"):
        load_encoder(str(tiny), max_length=2, device="cpu").encode(TEXTS)


def test_encode_transformer_missing_device(tiny):
    with pytest.raises(EncoderError, match="device='cuda:99'"):
        load_encoder(str(tiny), device="cuda:99").encode(TEXTS)


def test_encode_transformer_byte_level_words_begin_as_in_running_text(tiny, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<pad>", *alphabet, "\u0120a"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[("\u0120", "a")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder = load_encoder(str(save_bert(tmp_path, tokenizer)), device="cpu")
    tokens = encoder.tokenize([["a", "b", "é", ""]])
    assert tokens.ids[0] == vocabulary["\u0120a"]
    assert np.diff(tokens.word_starts).tolist() == [1, 2, 3, 1]
    # No special tokens in this one: the padding stands for them.
    assert tokens.bos_id == tokens.eos_id == tokens.pad_id == 0
    assert np.isfinite(encoder.encode([["a", "b", "é", ""]])).all()


def test_encode_transformer_second_start_needs_no_torch(tiny, tmp_path):
    corpus = Corpus("toy", "train", [Sample(tuple(text)) for text in TEXTS], ())
    first = encode_corpus(corpus, load_encoder(str(tiny)), cache_dir=tmp_path)
    code = f"""
import json, sys
from nlp_gym.encode import encode_corpus, load_encoder
from nlp_gym.types import Corpus, Sample
corpus = Corpus("toy", "train", [Sample(tuple(t)) for t in json.loads({json.dumps(TEXTS)!r})], ())
encoded = encode_corpus(corpus, load_encoder({str(tiny)!r}), cache_dir={str(tmp_path)!r})
print(encoded.features.tobytes().hex())
print([m for m in ("torch", "transformers", "huggingface_hub") if m in sys.modules])
"""
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [first.features.tobytes().hex(), "[]"]


def test_loading_and_encoding_draw_no_random_numbers(tiny_bert, tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path))  # the calibration is not there yet
    encoder = load_encoder(str(tiny_bert), layers="1+2")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    encoder.word_vectors()
    encoder.encode([["the", "cat"]])
    assert torch.equal(torch.get_rng_state(), before)
