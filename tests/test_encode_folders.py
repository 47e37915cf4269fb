"""Model folders of strangers: none of their code runs, and only their own tensors are read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data.text.vocabulary import Vocabulary
from nlp_gym.encode import load_encoder
from nlp_gym.encode.weights import file_digests
from nlp_gym.encode.weights.folders import ModelFolder
from nlp_gym.errors import EncoderError, InvalidArgumentError

ROOT = Path(__file__).resolve().parent.parent
CODE = """
import pathlib
pathlib.Path(__file__).with_name("was_here").write_text("x")
from transformers import BertConfig as Config, BertModel as Model, BertTokenizer as Tokenizer
"""
OWN = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoTokenizer": "evil.Tokenizer"}


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of a small model, with a module that must not be imported."""
    copy = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    (copy / "evil.py").write_text(CODE)
    return copy


@pytest.fixture(autouse=True)
def _says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks on stdin is told yes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))
    monkeypatch.setenv("HF_MODULES_CACHE", "/nonexistent")


def change(folder: Path, name: str = "config.json", **values: Any) -> None:
    """Change a JSON file of a folder."""
    file = folder / name
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**before, **values}))


def encode(folder: Path) -> Any:
    return load_encoder(str(folder)).encode([["the", "a"]])


def test_encode_folder_with_code_of_its_own_is_refused(folder: Path) -> None:
    change(folder, model_type="evil", auto_map=OWN)
    with pytest.raises(EncoderError, match=r"run code of its own \(auto_map\).*never done"):
        encode(folder)
    assert not (folder / "was_here").exists()


def test_encode_folder_of_a_known_type_is_read_without_its_code(
    folder: Path, tiny_bert: Path
) -> None:
    change(folder, auto_map=OWN)
    assert (encode(folder) == encode(tiny_bert)).all()
    assert not (folder / "was_here").exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_encode_folder_whose_tokenizer_is_code_is_refused(folder: Path, name: str) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.own").write_text("the")
    kind = "evil" if name == "config.json" else "bert"
    change(folder, model_type=kind)
    change(folder, name, auto_map=OWN, tokenizer_class="Evil")
    with pytest.raises(EncoderError, match=rf"{name} asks to run code"):
        ModelFolder(folder, "x").tokenizer_json()
    assert not (folder / "was_here").exists()


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["y\n", None])
def test_encode_folder_asks_nothing_on_stdin(folder: Path, answer: str | None) -> None:
    change(folder, model_type="evil", auto_map=OWN)
    code = f"from nlp_gym.encode import load_encoder; load_encoder({str(folder)!r}).encode([['a']])"
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if answer is None else {"input": answer}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **given,
    )
    assert "EncoderError" in done.stderr
    assert "[y/N]" not in done.stdout + done.stderr
    assert not (folder / "was_here").exists()


def _sharded(folder: Path, name: str) -> None:
    change(folder, "model.safetensors.index.json", weight_map={"embeddings.x": name})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: change(f, quantization_config={"quant_method": "awq"}), "quantization_config"),
        (lambda f: change(f, attn_implementation="evil/kernel"), "attn_implementation"),
        (lambda f: change(f, text_config={"_attn_implementation": "a/b"}), "_attn_implem"),
        (lambda f: change(f, transformers_weights="../x.safetensors"), "transformers_weights"),
        (lambda f: change(f, "adapter_config.json", megatron_core="evil"), "adapter of peft"),
        (lambda f: _sharded(f, "../x.safetensors"), "no safetensors file of this folder"),
        (lambda f: _sharded(f, "pytorch_model.bin"), "no safetensors file of this folder"),
        (lambda f: (f / "config.json").write_text("[]"), "not an object"),
        (lambda f: (f / "config.json").write_text("[" * 10**6), "deeper"),
        (lambda f: (f / "config.json").write_text('{"a": NaN}'), "NaN"),
        (lambda f: change(f, hidden_size=10**9), "hidden_size"),
        (lambda f: change(f, num_hidden_layers=-3), "hidden_size"),
        (lambda f: change(f, max_position_embeddings="many"), "max_position_embeddings"),
        (lambda f: change(f, model_type="roberta", pad_token_id=[]), "pad_token_id"),
    ],
)
def test_encode_folder_that_asks_for_more_is_refused(
    folder: Path, make: Callable[[Path], object], words: str
) -> None:
    make(folder)
    with pytest.raises(EncoderError, match=words):
        load_encoder(str(folder))
    assert not (folder / "was_here").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes among files")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_encode_folder_with_a_pipe_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(EncoderError, match=r"config\.json|no weights"):
        load_encoder(str(folder))


@pytest.mark.parametrize("text", ["[]", "[" * 10**6, '{"model": 3}', '{"padding": 5}'])
def test_encode_folder_with_a_strange_tokenizer_is_refused(folder: Path, text: str) -> None:
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(EncoderError, match=r"tokenizer\.json"):
        encode(folder)


@pytest.fixture
def kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kept digest of the weights of `folder`."""
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_digests, "_SETTLED_S", -1.0)
    weights = folder / "model.safetensors"
    file_digests.file_digest(weights)
    (note,) = (tmp_path / "cache" / "digests").iterdir()
    return note


def test_encode_digest_that_was_altered_is_computed_again(folder: Path, kept: Path) -> None:
    weights = folder / "model.safetensors"
    right = hashlib.sha256(weights.read_bytes()).hexdigest()
    note = json.loads(kept.read_text())
    for changed in ({"sha256": "0" * 64}, {"sha256": 5}, {"path": "/x"}, {"checksum": None}):
        kept.write_text(json.dumps({**note, **changed}))
        assert file_digests.file_digest(weights) == right
        assert json.loads(kept.read_text()) == note  # and written anew
    without = {key: value for key, value in note.items() if key != "checksum"}  # of older releases
    kept.write_text(json.dumps({**without, "sha256": "0" * 64}))
    assert file_digests.file_digest(weights) == right


def test_encode_weights_under_a_forged_digest_are_not_used(folder: Path, kept: Path) -> None:
    """Whoever writes the cache can write the checksum too: the weights themselves are hashed."""
    genuine = load_encoder(str(folder))
    weights, before = folder / "model.safetensors", json.loads(kept.read_text())["sha256"]
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    path = weights.resolve()
    kept.write_text(
        json.dumps(file_digests._note(path, file_digests._stamp(path), before)), encoding="utf-8"
    )
    forged = load_encoder(str(folder))
    assert forged.fingerprint == genuine.fingerprint
    with pytest.raises(EncoderError, match="files changed"):
        forged.encode([["a"]])


PANICS = {"type": "BPE", "continuing_subword_prefix": "xxxx", "merges": [["a", "b"]]}


def test_encode_folder_whose_tokenizer_panics_is_refused(folder: Path) -> None:
    """A panic of the library in Rust is no `Exception`."""
    parts = json.loads((folder / "tokenizer.json").read_text())
    parts["model"] = {**PANICS, "vocab": {"a": 0, "b": 1, "ab": 2}}
    (folder / "tokenizer.json").write_text(json.dumps(parts))
    with pytest.raises(EncoderError, match="tokenizers library cannot use"):
        encode(folder)


def test_vocabulary_that_panics_is_refused() -> None:
    parts = json.loads(Vocabulary.learn(["ab"], size=300).settings)
    assert Vocabulary.read(json.dumps(parts)).decode([]) == ""
    parts["model"] |= {**PANICS, "vocab": {**parts["model"]["vocab"], "ab": 300}}
    with pytest.raises(InvalidArgumentError, match="vocabulary"):
        Vocabulary.read(json.dumps(parts))
