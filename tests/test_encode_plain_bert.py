"""`encode.weights.plain_bert`: the same vectors as BERT of transformers, bit for bit."""

from __future__ import annotations

import pytest
import torch

from nlp_gym.encode.weights.minilm import MiniLMPackage
from nlp_gym.encode.weights.plain_bert import PlainBert

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": 50,
    "pad_token_id": 0,
    "hidden_act": "gelu",
}


def assert_equal_states(
    one: torch.nn.Module, two: torch.nn.Module, vocabulary: int, dtype: torch.dtype
) -> None:
    one, two = one.eval().to(dtype), two.eval().to(dtype)
    draw = torch.Generator().manual_seed(0)
    for shape, padding in (((1, 5), 0), ((3, 17), 0), ((3, 17), 4)):
        ids = torch.randint(vocabulary, shape, generator=draw)
        mask = torch.ones(shape, dtype=torch.int64)
        if padding:
            mask[0, -padding:] = 0
        with torch.inference_mode():
            given = {"input_ids": ids, "attention_mask": mask, "output_hidden_states": True}
            found, expected = two(**given).hidden_states, one(**given).hidden_states
        assert len(found) == len(expected)
        for state, other in zip(found, expected, strict=True):
            assert torch.equal(state, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_plain_bert_is_that_of_transformers(dtype: torch.dtype) -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    bert = BertModel(BertConfig(**SMALL))
    for name, weights in bert.named_parameters():
        if "LayerNorm" in name or name.endswith("bias"):  # which begin as 1 and 0
            torch.nn.init.normal_(weights)
    plain = PlainBert(SMALL, bert.state_dict())
    assert plain.missing == []
    assert_equal_states(bert, plain, 50, dtype)
    weights = {name: w for name, w in bert.state_dict().items() if "layer.1" not in name}
    assert len(PlainBert(SMALL, weights).missing) == 16


@pytest.mark.slow
@pytest.mark.minilm
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_plain_bert_reads_minilm(dtype: torch.dtype) -> None:
    source = MiniLMPackage()
    assert_equal_states(source.load_model(), source.load_frozen(), 30_000, dtype)
