"""Copying words of the source: a pointer beside the vocabulary.

A decoder that learns from a few thousand texts knows few of the names and numbers that a subject
line or a translation takes over from its source. A pointer-generator (See et al. 2017, "Get To The
Point: Summarization with Pointer-Generator Networks") chooses a place of the source instead.
"""

from __future__ import annotations

import math

import torch as th
from torch import nn
from torch.nn import functional as F

from nlp_gym_agents.networks.features.layers import orthogonal


class Copying(nn.Module):
    """Probabilities of the tokens that go on with a word of the source.

    A word of the source is several tokens. Its first may follow anything; a later one only those
    before it, so that what is copied are words. A word that was begun before has less of a share:
    without such a coverage pointers repeat themselves (the same paper, section 2.3).

    Args:
        width: Of the decoder's states.
        heads: Of the keys of the source's words, which are those of the decoder's last layer.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.amount = nn.Linear(width, 1)
        self.further = nn.Parameter(th.ones(1))
        self.covered = nn.Parameter(th.ones(1))

    def start(self) -> None:
        """Begin with a small share of copied tokens."""
        nn.init.zeros_(self.amount.weight)
        nn.init.constant_(self.amount.bias, -2.0)

    def forward(
        self, states: th.Tensor, keys: th.Tensor, pieces: th.Tensor, before: th.Tensor, size: int
    ) -> th.Tensor:
        """(n, T, V) probabilities, which sum to the share that is copied.

        The arguments are those of `shares`, and the number V of tokens.
        """
        shares = self.shares(states, keys, pieces, before).flatten(2)
        copied = shares.new_zeros(*shares.shape[:2], size)
        return copied.scatter_add(2, pieces.flatten(1)[:, None].expand_as(shares), shares)

    def shares(
        self, states: th.Tensor, keys: th.Tensor, pieces: th.Tensor, before: th.Tensor
    ) -> th.Tensor:
        """(n, T, S, K) probabilities that a token is copied from a place in a word of the source.

        Args:
            states: (n, T, width) of T places of n texts.
            keys: (n, heads, S, width / heads) of the words of the sources.
            pieces: (n, S, K) tokens of the words, then 0; 0 for what is not copied.
            before: (n, K - 2 + P) zeros for K - 2 places, then what was written before each of P
                places of which the last T are meant: 0, then all tokens but the last.
        """
        n, places, width = states.shape
        query = self.query(states).view(n, places, self.heads, -1).transpose(1, 2)
        scores = (query @ keys.transpose(2, 3)).float().sum(dim=1) / math.sqrt(width)  # (n, T, S)
        most = pieces.shape[2]
        recent = before.unfold(1, most - 1, 1)[:, -places:]  # (n, T, K - 1)
        begun = (before[:, :, None] == pieces[:, None, :, 0]).cumsum(dim=1)[:, -places:] > 0
        parts = []
        for k in range(most):
            fits = (pieces[:, None, :, k] > 0).expand_as(scores)
            for i in range(k):  # the k tokens before are the word's first k
                fits = fits & (recent[:, :, most - 1 - k + i, None] == pieces[:, None, :, i])
            own = scores + self.further if k else scores - self.covered * begun
            parts.append(own.masked_fill(~fits, -math.inf))
        logits = th.stack(parts, dim=3).flatten(2)  # (n, T, S * K)
        found = logits.amax(dim=2, keepdim=True) > -math.inf
        shares = logits.masked_fill(~found, 0.0).softmax(dim=2) * found
        shares = shares * self.amount(states).sigmoid()
        return shares.unflatten(2, (-1, most))


class TiedHead(nn.Module):
    """Logits of tokens, read with their embeddings (Press and Wolf 2017).

    Press and Wolf, "Using the Output Embedding to Improve Language Models".

    Args:
        weight: (V, width) the embeddings.
    """

    sharpness: th.Tensor

    def __init__(self, weight: th.Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, nn.Parameter(weight.new_zeros(len(weight)))
        self.register_buffer("sharpness", th.ones(()))

    @property
    def in_features(self) -> int:
        """Width of the states."""
        return self.weight.shape[1]

    def forward(self, states: th.Tensor) -> th.Tensor:
        """(B, V) logits of (B, width) states."""
        return F.linear(states, self.weight, self.bias) * self.sharpness

    def sharpen(self, factor: float) -> None:
        """Multiply all logits from now on."""
        self.sharpness *= factor


class CopyHead(nn.Module):
    """A head that gives logits of tokens, of which a share is copied.

    Args:
        width: Of the decoder's states, which the features begin with; probabilities follow.
        size: Tokens V.
        tied: (V, width) embeddings to read logits with; None: the head has weights of its own.
    """

    sharpness: th.Tensor

    def __init__(self, width: int, size: int, tied: th.Tensor | None = None) -> None:
        super().__init__()
        self.linear: nn.Linear | TiedHead = orthogonal(width, size, gain=0.01)
        if tied is not None:
            self.linear = TiedHead(tied)
        self.register_buffer("sharpness", th.ones(()))

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, V) logits of (B, width + V) features."""
        states, copied = features.split(
            [self.linear.in_features, features.shape[1] - self.linear.in_features], dim=1
        )
        logits: th.Tensor = self.linear(states).float()
        written = logits.softmax(dim=1) * (1.0 - copied.sum(dim=1, keepdim=True))
        return (written + copied).clamp(min=1e-9).log() * self.sharpness

    def sharpen(self, factor: float) -> None:
        """Multiply all logits from now on."""
        self.sharpness *= factor
