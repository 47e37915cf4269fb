from __future__ import annotations

import pytest

from nlp_gym.encode.transformer.pooling import _POST_NORM, drop_layers

torch = pytest.importorskip("torch")

SETTINGS = {
    "vocab_size": 30,
    "hidden_size": 16,
    "embedding_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}


@pytest.mark.parametrize("family", sorted(_POST_NORM))
@pytest.mark.parametrize("highest", [0, 2, 3])
def test_encode_families_dropped_layers_change_nothing(family, highest):
    from transformers import AutoConfig, AutoModel

    model = AutoModel.from_config(AutoConfig.for_model(family, **SETTINGS)).eval()
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        whole = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
        drop_layers(model, highest)
        part = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert (len(whole), len(part)) == (5, max(highest, 1) + 1)
    for index in range(highest + 1):
        torch.testing.assert_close(part[index][mask > 0], whole[index][mask > 0])


@pytest.mark.parametrize("family", ["albert", "gpt2"])
def test_encode_families_others_are_left_whole(family):
    from transformers import AutoConfig, AutoModel

    model = AutoModel.from_config(AutoConfig.for_model(family, **SETTINGS, n_layer=4, n_head=2))
    before = sum(parameter.numel() for parameter in model.parameters())
    drop_layers(model, 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == before
