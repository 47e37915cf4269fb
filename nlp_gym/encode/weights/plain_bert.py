"""BERT's forward pass in plain torch, for a frozen encoder whose weights have BERT's names.

Importing the `transformers` class takes about 2 s of processor time, more than everything else that
a prediction in a fresh process does. The names of modules and parameters are those of that class,
so that its weights load, and the operations are the same ones in the same order: a test compares
the vectors of both, which are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention


class PlainBert(nn.Module):
    """The layers of BERT (Devlin et al. 2019) without pooler, dropout and training.

    Args:
        config: The model's ``config.json``; activation ``gelu`` and absolute positions.
        weights: Its parameters by name; others than those of the layers are left out.

    Attributes:
        config: The same as attributes.
        missing: Names of parameters that `weights` lacks.
    """

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.config = SimpleNamespace(**config)
        with torch.device("meta"):  # no weights are drawn, as those of the file replace them
            self.embeddings = _Embeddings(self.config)
            self.encoder = nn.Module()
            layers = (_Layer(self.config) for _ in range(self.config.num_hidden_layers))
            self.encoder.layer = nn.ModuleList(layers)
        found = self.load_state_dict(dict(weights), strict=False, assign=True)
        self.missing = found.missing_keys

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *, output_hidden_states: bool
    ) -> SimpleNamespace:
        """The hidden states (B, L, hidden) of the embeddings and of each layer.

        Args:
            input_ids: (B, L) ids.
            attention_mask: (B, L) 1 on ids, 0 on padding.
            output_hidden_states: They are all there is, and asked for as of `transformers`.
        """
        states = [self.embeddings(input_ids)]
        seen = attention_mask[:, None, None, :].bool()
        mask = None if bool(seen.all()) else seen.expand(-1, -1, input_ids.shape[1], -1)
        for layer in self.encoder.layer:  # type: ignore[union-attr]
            states.append(layer(states[-1], mask))
        return SimpleNamespace(hidden_states=states)


def _embedding(n: int, width: int) -> nn.Embedding:
    # Its constructor would draw weights, for which torch imports its compiler on "meta".
    table: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(n, width))
    return table


class _Embeddings(nn.Module):
    def __init__(self, config: SimpleNamespace) -> None:
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = _embedding(config.vocab_size, width)
        self.position_embeddings = _embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = _embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        kinds = self.token_type_embeddings(torch.zeros_like(ids))
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        summed = self.word_embeddings(ids) + kinds + self.position_embeddings(places)
        found: torch.Tensor = self.LayerNorm(summed)
        return found


class _Joined(nn.Module):
    """A projection that is added to what went in, and normalised."""

    def __init__(self, n: int, config: SimpleNamespace) -> None:
        super().__init__()
        self.dense = nn.Linear(n, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.LayerNorm(self.dense(states) + before)
        return found


class _Layer(nn.Module):
    def __init__(self, config: SimpleNamespace) -> None:
        super().__init__()
        width, self._heads = config.hidden_size, config.num_attention_heads
        self.attention, self.intermediate = nn.Module(), nn.Module()
        projections = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        self.attention.self = nn.ModuleDict(projections)
        self.attention.output = _Joined(width, config)
        self.intermediate.dense = nn.Linear(width, config.intermediate_size)
        self.output = _Joined(config.intermediate_size, config)

    def forward(self, states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        attention: Any = self.attention
        shape = (*states.shape[:2], self._heads, -1)
        query, key, value = (
            attention.self[name](states).view(shape).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        found = found.transpose(1, 2).reshape(states.shape)
        states = attention.output(found, states)
        inner: Any = self.intermediate.dense
        joined: torch.Tensor = self.output(gelu(inner(states)), states)
        return joined
