"""A transformer decoder that attends to the encoder's words, and the sources it reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch as th
from torch import nn
from torch.nn import functional as F

from nlp_gym_agents.networks.decoder.copying import Copying

Pair = tuple[th.Tensor, th.Tensor]
"""Keys and values, (n, heads, places, width / heads) each."""


@dataclass
class Memory:
    """The sources that are attended to while texts are written.

    Attributes:
        pairs: Keys and values of the source, by layer.
        hidden: (n, 1, 1, S) float32, 0 where there is a word of the source and -inf elsewhere.
        pieces: (n, S, K) tokens of the source's words, see `Copying`; K is 0 where none are copied.
    """

    pairs: list[Pair]
    hidden: th.Tensor
    pieces: th.Tensor

    def take(self, index: th.Tensor) -> Memory:
        """The sources of the texts at `index`."""
        pairs = [(k.index_select(0, index), v.index_select(0, index)) for k, v in self.pairs]
        return Memory(pairs, *(v.index_select(0, index) for v in (self.hidden, self.pieces)))

    def put(self, index: th.Tensor, other: Memory) -> None:
        """Replace the sources of the texts at `index`, in place."""
        self.hidden[index], self.pieces[index] = other.hidden, other.pieces
        for (keys, values), (key, value) in zip(self.pairs, other.pairs, strict=True):
            keys[index], values[index] = key, value


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) whose keys and values can be cached.

    Args:
        width: Of queries and of the result.
        heads: Number of heads.
        source: Width of what keys and values are made from.
    """

    def __init__(self, width: int, heads: int, source: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.pair = nn.Linear(source, 2 * width)

    def keys_and_values(self, states: th.Tensor) -> Pair:
        """Keys and values of (n, S, source) states."""
        return self._pair(self.pair(states))

    def keys_and_values_of(self, words: th.Tensor, there: th.Tensor) -> Pair:
        """Keys and values (n, heads, S, width / heads) of (m, source) words; see `spread`."""
        return self._pair(spread(self.pair(words), there))

    def _pair(self, states: th.Tensor) -> Pair:
        if states.device.type == "cpu":  # what `_attend` computes with, once and not at each step
            states = states.float()
        keys, values = self._split(states).chunk(2, dim=1)
        return keys, values

    def forward(
        self, states: th.Tensor, pair: Pair, hidden: th.Tensor | None, *, causal: bool = False
    ) -> th.Tensor:
        """(n, T, width) for queries from (n, T, width) states; `hidden` is added to the scores."""
        query = self._split(self.query(states))
        found = _attend(query, pair, hidden, causal=causal)
        result: th.Tensor = self.out(found.transpose(1, 2).flatten(2))
        return result

    def within(self, words: th.Tensor, there: th.Tensor, hidden: th.Tensor) -> th.Tensor:
        """(m, width) for words that attend to those of their own source; see `SourceLayer`."""
        query, pair = self._split(spread(self.query(words), there)), self.keys_and_values_of
        found = _attend(query, pair(words, there), hidden, causal=False)
        result: th.Tensor = self.out(found.transpose(1, 2).flatten(2)[there])
        return result

    def weights(self, states: th.Tensor, keys: th.Tensor, hidden: th.Tensor) -> th.Tensor:
        """(n, T, S) how much each place attends to what is attended to, mean over heads."""
        query = self._split(self.query(states))
        scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[3]) + hidden
        return scores.softmax(dim=3).mean(dim=1)

    def _split(self, states: th.Tensor) -> th.Tensor:
        n, places, width = states.shape
        size = self.query.out_features // self.heads
        return states.view(n, places, width // size, size).transpose(1, 2)


def _attend(query: th.Tensor, pair: Pair, hidden: th.Tensor | None, *, causal: bool) -> th.Tensor:
    """Scaled dot products, (n, heads, T, width / heads)."""
    attention = F.scaled_dot_product_attention
    if query.device.type == "cpu":
        # Its backward pass is several times slower there in bfloat16 than in float32.
        with th.autocast("cpu", enabled=False):
            return attention(query.float(), *pair, attn_mask=hidden, is_causal=causal)
    return attention(query, *pair, attn_mask=hidden, is_causal=causal)


def spread(words: th.Tensor, there: th.Tensor) -> th.Tensor:
    """(n, S, width), zeros where there is no word, of (m, width) words; there: (n, S), m true."""
    padded = words.new_zeros(there.numel(), words.shape[1])
    place = there.flatten().nonzero()[:, 0]
    return padded.index_copy(0, place, words).view(*there.shape, -1)


class Dropout(nn.Module):
    """Dropout in steps of 1/256, from a random byte each: torch's draws a double for each number.

    Args:
        rate: Share of what becomes 0, from 0 to below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.cut = min(round(256 * rate), 255)

    def forward(self, states: th.Tensor) -> th.Tensor:
        """States of the same shape; while training some are 0, and the others larger."""
        if not (self.training and self.cut):
            return states
        size = states.numel()
        words = th.empty(-(-size // 8), dtype=th.int64, device=states.device)
        drawn = words.random_(-(2**63), None).view(th.uint8)[:size].view(states.shape)
        kept = (drawn >= self.cut).to(states.dtype).mul_(256 / (256 - self.cut))
        return states * kept


class SourceLayer(nn.Module):
    """Self-attention between the words of a source, then a feed-forward layer; norms come first.

    Args:
        width: Of states.
        heads: Of the attention.
        inner: Width of the feed-forward layer.
        dropout: Of each part's result.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.dropout = Dropout(dropout)

    def forward(self, words: th.Tensor, there: th.Tensor, hidden: th.Tensor) -> th.Tensor:
        """(m, width) states of m words.

        Args:
            words: (m, width) of all sources, one after another.
            there: (n, S) bool places of the n sources, m of them true.
            hidden: (n, 1, 1, S) added to the scores.
        """
        found = self.attention.within(self.norms[0](words), there, hidden)
        words = words + self.dropout(found)
        return words + self.dropout(self.inner(self.norms[1](words)))


class Layer(nn.Module):
    """Attention to what is written and to the source, then a feed-forward layer; norms come first.

    Args:
        width: Of states.
        heads: Of both attentions.
        inner: Width of the feed-forward layer.
        dropout: Of each part's result.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.written, self.source = (Attention(width, heads, width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        states: th.Tensor,
        pair: Pair,
        memory: Pair,
        hidden: tuple[th.Tensor | None, th.Tensor],
        *,
        causal: bool,
    ) -> th.Tensor:
        """(n, T, width) states; `pair` are the keys and values of `normed(states)`."""
        found = self.written(self.normed(states), pair, hidden[0], causal=causal)
        states = states + self.dropout(found)
        found = self.source(self.norms[1](states), memory, hidden[1])
        states = states + self.dropout(found)
        return states + self.dropout(self.inner(self.norms[2](states)))

    def normed(self, states: th.Tensor) -> th.Tensor:
        """What the first attention reads."""
        result: th.Tensor = self.norms[0](states)
        return result


class Decoder(nn.Module):
    """A decoder: its states are what the next token is read from.

    Args:
        n_tokens: Tokens V; 0 stands for the beginning as well.
        source: Width of the source's vectors.
        length: Most tokens L of a text.
        max_source: Most vectors S of a source.
        width: Of states.
        layers: Number of layers.
        heads: Of each attention.
        inner: Width of the feed-forward layers.
        dropout: While training.
        copy: Words of the source can be copied.
        source_layers: Layers of self-attention between the words of a source.

    Attributes:
        copying: Does so; None where words cannot be copied.
    """

    def __init__(
        self,
        n_tokens: int,
        source: int,
        length: int,
        max_source: int,
        *,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        dropout: float,
        copy: bool = False,
        source_layers: int = 0,
    ) -> None:
        super().__init__()
        self.width, self.heads, self.length = width, heads, length
        self.n_tokens = n_tokens
        self.tokens = nn.Embedding(n_tokens, width)
        self.places = nn.Embedding(length + 1, width)
        self.source_places = nn.Embedding(max_source, width)
        self.read = nn.Linear(source, width)
        self.stack = nn.ModuleList(Layer(width, heads, inner, dropout) for _ in range(layers))
        self.source_stack = nn.ModuleList(
            SourceLayer(width, heads, inner, dropout) for _ in range(source_layers)
        )
        self.source_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.copying = Copying(width, heads) if copy else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=self.width**-0.5)
        if self.copying is not None:
            self.copying.start()

    @property
    def layers(self) -> list[Layer]:
        """From the first to the last."""
        return [layer for layer in self.stack if isinstance(layer, Layer)]

    def apply(self, fn: Callable[[nn.Module], None]) -> Decoder:
        """Do nothing: Stable-Baselines3 would draw the weights of linear layers anew."""
        return self

    def read_source(
        self, vectors: th.Tensor, there: th.Tensor, pieces: th.Tensor | None = None
    ) -> Memory:
        """Keys and values of sources.

        Args:
            vectors: (n, S, source) words.
            there: (n, S) bool which of them are real; at least one of each source.
            pieces: (n, S, K) their tokens, where they can be copied.
        """
        # What is not there is left out of all layers: padding would be half of their work.
        places = self.source_places.weight[: there.shape[1]].expand(*vectors.shape[:2], -1)
        words = self.read(vectors[there]) + places[there]
        hidden = words.new_zeros(there.shape, dtype=th.float32).masked_fill(~there, -math.inf)
        hidden = hidden[:, None, None, :]
        if len(self.source_stack):
            words = self.dropout(words)
            for layer in self.source_stack:
                words = layer(words, there, hidden)
        words = self.dropout(self.source_norm(words))
        pairs = [layer.source.keys_and_values_of(words, there) for layer in self.layers]
        none = th.zeros(*there.shape, 0, dtype=th.long, device=there.device)
        return Memory(pairs, hidden, none if pieces is None else pieces)

    def features(self, states: th.Tensor, memory: Memory, before: th.Tensor) -> th.Tensor:
        """What heads read: states, and behind them probabilities of what is copied.

        Args:
            states: (n, T, width) of T places of n texts.
            memory: Of their sources.
            before: (n, K - 2 + P) what was written before the places, see `Copying`.
        """
        if self.copying is None:
            return states
        keys = memory.pairs[-1][0]
        copied = self.copying(states, keys, memory.pieces, before, self.n_tokens)
        return th.cat([states, copied], dim=2)

    def forward(self, tokens: th.Tensor, memory: Memory) -> tuple[th.Tensor, list[Pair]]:
        """States of all places of n texts.

        Args:
            tokens: (n, T) what was written before each place: 0, then all tokens but the last.
            memory: Their sources.

        Returns:
            (n, T, width) states, and keys and values of what is written, by layer.
        """
        places = self.places.weight[: tokens.shape[1]]
        states, pairs = self._embedded(tokens, places), []
        for layer, source in zip(self.layers, memory.pairs, strict=True):
            pair = layer.written.keys_and_values(layer.normed(states))
            pairs.append(pair)
            states = layer(states, pair, source, (None, memory.hidden), causal=True)
        return self.norm(states), pairs

    def attended(self, tokens: th.Tensor, memory: Memory) -> th.Tensor:
        """(n, T, S) weights of the last layer's attention to the source; arguments as `forward`."""
        layer, seen = self.layers[-1].source, list[th.Tensor]()

        def note(_: nn.Module, given: tuple[th.Tensor, ...]) -> None:
            seen.append(given[0])

        handle = layer.register_forward_pre_hook(note)
        try:
            self(tokens, memory)
        finally:
            handle.remove()
        return layer.weights(seen[0], memory.pairs[-1][0], memory.hidden)

    def step(
        self, tokens: th.Tensor, places: th.Tensor, past: list[Pair], memory: Memory
    ) -> th.Tensor:
        """States of one place of n texts.

        Args:
            tokens: (n,) what was written last.
            places: (n,) places.
            past: Keys and values of the places before, by layer; those of this one are written
                into it.
            memory: Their sources.

        Returns:
            (n, width) states.
        """
        row, width = th.arange(len(tokens), device=tokens.device), int(places.max()) + 1
        states = self._embedded(tokens[:, None], self.places(places)[:, None])
        later = th.arange(width, device=tokens.device) > places[:, None]
        hidden = states.new_zeros(later.shape).masked_fill(later, -math.inf)[:, None, None, :]
        for layer, (keys, values), source in zip(self.layers, past, memory.pairs, strict=True):
            key, value = layer.written.keys_and_values(layer.normed(states))
            keys[row, :, places] = key[:, :, 0].to(keys.dtype)
            values[row, :, places] = value[:, :, 0].to(keys.dtype)
            pair = keys[:, :, :width], values[:, :, :width]
            states = layer(states, pair, source, (hidden, memory.hidden), causal=False)
        result: th.Tensor = self.norm(states)[:, 0]
        return result

    def _embedded(self, tokens: th.Tensor, places: th.Tensor) -> th.Tensor:
        found: th.Tensor = self.dropout(self.tokens(tokens) * math.sqrt(self.width) + places)
        return found
