from __future__ import annotations

import pytest

from nlp_gym.encode import options
from nlp_gym.encode.options import LayerChoice, TransformerOptions, parse_layers, resolve_dtype
from nlp_gym.errors import InvalidArgumentError, UnknownNameError


@pytest.mark.parametrize(
    ("given", "indices", "mean"),
    [
        (None, (0, 2, 4), False),
        (3, (3,), False),
        ("3", (3,), False),
        ("last", (6,), False),
        ("0+2+4", (0, 2, 4), False),
        ([4, 0], (4, 0), False),
        ("mean", (1, 2, 3, 4, 5, 6), True),
        ("mean:0-2", (0, 1, 2), True),
    ],
)
def test_encode_options_layers(given, indices, mean):
    assert parse_layers(given, 6) == LayerChoice(indices, mean)


def test_encode_options_default_layers_of_a_shallow_model_are_distinct():
    assert parse_layers(None, 1) == LayerChoice((0,))
    assert parse_layers(None, 12) == LayerChoice((0, 4, 8))


@pytest.mark.parametrize(
    "given", [7, -1, True, "all", "0+", "2-3", "mean:3-2", "mean:0-7", [], [0, 0], ["0"], 1.5, {}]
)
def test_encode_options_bad_layers_are_named(given):
    with pytest.raises(InvalidArgumentError, match=r"layers=.*Allowed: a number"):
        parse_layers(given, 6)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pooling", "men"),
        ("dtype", "float16"),
        ("device", "gpu"),
        ("device", 0),
        ("batch_tokens", 0),
        ("max_length", "512"),
    ],
)
def test_encode_options_bad_values_are_named(option, value):
    with pytest.raises(InvalidArgumentError, match=f"{option}="):
        TransformerOptions(**{option: value})


def test_encode_options_suggests_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'pooling'"):
        options.make_options(TransformerOptions, {"poling": "mean"})


@pytest.mark.parametrize(
    ("tiles", "gpu", "device", "expected"),
    [
        (True, False, "cpu", "bfloat16"),
        (False, True, "auto", "bfloat16"),
        (False, True, "cuda:1", "bfloat16"),
        (False, True, "cpu", "float32"),
        (False, True, "mps", "float32"),
        (False, False, "auto", "float32"),
    ],
)
def test_encode_options_automatic_dtype(monkeypatch, tiles, gpu, device, expected):
    monkeypatch.setattr(options, "_cpu_has_tiles", lambda: tiles)
    monkeypatch.setattr(options, "_nvidia_gpu", lambda: gpu)
    assert resolve_dtype("auto", device) == expected
    assert resolve_dtype("float32", device) == "float32"


def test_encode_options_hidden_gpus_do_not_count(monkeypatch):
    monkeypatch.setattr(options.Path, "exists", lambda _: True)
    monkeypatch.setattr(options, "version", lambda _: "2.9.0+cu128")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert options._nvidia_gpu()
    monkeypatch.setattr(options, "version", lambda _: "2.9.0+cpu")
    assert not options._nvidia_gpu()
    monkeypatch.setattr(options, "version", lambda _: "2.9.0+cu128")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not options._nvidia_gpu()
