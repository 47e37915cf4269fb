from __future__ import annotations

import pytest

from nlp_gym.encode import options
from nlp_gym.encode.options import EncoderOptions, LayerChoice, parse_layers, resolve_dtype
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
        EncoderOptions(**{option: value})


def test_encode_options_suggests_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'pooling'"):
        EncoderOptions.of({"poling": "mean"})


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


@pytest.mark.parametrize(
    ("given", "encoder", "message"),
    [
        ({"poling": "mean"}, "minilm", "encoder_kwargs option='poling'.*Did you mean 'pooling'"),
        ({"dim": 8}, "minilm", "encoder_kwargs option='dim' is not known"),
        ({"layers": 2}, "hashed", "encoder_kwargs option='layers' is not known"),
        (EncoderOptions(layers=2), "hashed", "encoder_kwargs option='layers' is not known"),
        ({"pooling": "max"}, "minilm", "encoder_kwargs: pooling='max' is not known"),
        ({"dtype": 16}, "minilm", "encoder_kwargs: dtype=16 is not known"),
        ({"dim": 0}, "hashed", "encoder_kwargs: dim=0 must be"),
        (3, "minilm", "encoder_kwargs=3 must be"),
        ({"dim": 8}, object(), "encoder_kwargs=.*encoder is an object"),
        (EncoderOptions(dim=8), object(), "encoder_kwargs=.*encoder is an object"),
    ],
)
def test_encode_options_messages_name_the_argument_and_the_option(given, encoder, message):
    with pytest.raises(InvalidArgumentError, match=message):
        EncoderOptions.of(given, encoder=encoder)


def test_encode_options_are_one_object():
    assert EncoderOptions.of(None) == EncoderOptions.of({}) == EncoderOptions()
    made = EncoderOptions.of({"pooling": "first"}, layers="last")
    assert made == EncoderOptions(pooling="first", layers="last")
    assert EncoderOptions.of({"layers": None}, layers="last").layers is None
    assert EncoderOptions.of(made) == made
    assert EncoderOptions.of(EncoderOptions(), layers="last").layers is None
    assert made.changed() == {"pooling": "first", "layers": "last"}
