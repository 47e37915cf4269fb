"""Heads of a reader: what to commit to, and apart from it when, from how sure it is.

A few thousand texts are soon learned by heart, and on what it knows by heart a policy has no reason
to read on. So moves see no text: they see how likely the likeliest labels are, where in the text
the reader is and what reading costs, which is little enough to hold for texts never seen.
"""

from __future__ import annotations

import math

import torch as th
from torch import nn

from nlp_gym_agents.networks.features.layers import orthogonal

TOP = 3
"""Probabilities of labels that moves are decided by."""
SHARP = 4.0
"""Label logits are multiplied by this where labels do not learn: greedy play commits to the
likeliest label, so what a sampled one would earn is not what reading on competes with."""
START = 0.5
"""Logit of READ at first, beside 0 of other moves and a total of 0 of all labels."""


class CommitHead(nn.Module):
    """Logits of A actions, labels first and then moves, of features ``[h | extras]``.

    The labels' logits are normalised, so that a move's logit is how much likelier it is than to
    commit. Greedy play begins with reading all: it stops only where it has learned that this pays,
    and goes on where reading is free and makes no difference.

    Args:
        width: Of h.
        extras: Of what else the observation has: the place in the text, the price.
        n_labels: Number of labels.
        n_moves: Number of moves.
        hidden: Width of the layer that moves are decided with.
        sharp: Factor of the label logits.
    """

    def __init__(
        self, width: int, extras: int, n_labels: int, n_moves: int, hidden: int, *, sharp: float
    ) -> None:
        super().__init__()
        self.width, self.sharp, self.n_labels = width, sharp, n_labels
        self.labels = orthogonal(width, n_labels, gain=0.01)
        self.n_inputs = min(TOP, n_labels) + 1 + extras
        self.inner = nn.Sequential(orthogonal(self.n_inputs, hidden), nn.Tanh())
        self.moves = orthogonal(hidden, n_moves, gain=0.01)
        nn.init.zeros_(self.moves.bias)
        nn.init.constant_(self.moves.bias[:1], START)

    def sure(self, features: th.Tensor) -> th.Tensor:
        """(B, n_inputs) likeliest probabilities, entropy from 0 to 1, and the extras."""
        with th.no_grad():
            logs = self.labels(features[:, : self.width]).log_softmax(dim=1)
            chances = logs.exp()
            top = chances.topk(min(TOP, self.n_labels), dim=1).values
            entropy = -(chances * logs).sum(dim=1, keepdim=True) / math.log(max(self.n_labels, 2))
            return th.cat([top, entropy, features[:, self.width :]], dim=1)

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, A) of (B, width + extras)."""
        labels = (self.sharp * self.labels(features[:, : self.width])).log_softmax(dim=1)
        return th.cat([labels, self.moves(self.inner(self.sure(features)))], dim=1)


class CommitValue(nn.Module):
    """What the rest of an episode is worth, from what moves are decided by.

    Args:
        head: The head of actions.
        hidden: Width of the layer.
    """

    def __init__(self, head: CommitHead, hidden: int) -> None:
        super().__init__()
        self._head = (head,)  # its weights are no weights of this one
        self.layers = nn.Sequential(
            orthogonal(head.n_inputs, hidden), nn.Tanh(), orthogonal(hidden, 1, gain=1.0)
        )

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, 1) of (B, width + extras)."""
        value: th.Tensor = self.layers(self._head[0].sure(features))
        return value
