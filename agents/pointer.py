"""The pointer head: scores for actions that are candidates, which differ from state to state.

Only real candidates are computed. They lie packed, one after the other with the number of the
observation they belong to, because padding is most of a batch where a few texts are long or a few
entities have many edges; the scores are spread to (B, A) at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch as th
from torch import nn
from torch.nn.functional import normalize

from agents.layers import orthogonal
from nlp_gym.errors import InvalidArgumentError

PADDING = -1e4
"""Score of a candidate that is not there: no probability, and the last value to be chosen. Finite,
so that entropies and targets stay numbers."""

_FEW = 16
"""Candidates an observation, on average, up to which contexts are copied for each."""

Part = tuple[th.Tensor, th.Tensor | None]
"""Vectors (n, D), and the row (N,) of each candidate in them; None: they are in order."""


@dataclass(frozen=True)
class Packed:
    """The N real candidates of a batch of B observations.

    Attributes:
        owner: (N,) int64 observation of each.
        place: (N,) int64 its action.
        parts: Vectors of each of its J units.
        flags: (N, F) float32.
        width: Number C of candidates an observation has room for.
    """

    owner: th.Tensor
    place: th.Tensor
    parts: Sequence[Part]
    flags: th.Tensor
    width: int


def real(scores: th.Tensor) -> th.Tensor:
    """(B, A) whether a score, value or logit is that of an action that is there."""
    return scores > PADDING / 2


@th.no_grad()
def similarities(context: th.Tensor, packed: Packed) -> th.Tensor:
    """Cosines of candidates' units and those of their context; 0 where there is no unit.

    Args:
        context: (B, K*D).
        packed: The candidates, in order of their owners.

    Returns:
        (N, J*K).
    """
    found = []
    batch, n = len(context), len(packed.owner)
    for vectors, rows in packed.parts:
        own = vectors if rows is None else vectors.index_select(0, rows)  # (N, D)
        units = normalize(context.reshape(batch, -1, own.shape[1]), dim=2)  # (B, K, D)
        if n < _FEW * batch:
            dots = th.einsum("nd,nkd->nk", own, units.index_select(0, packed.owner))
        else:  # one product a context, rather than a copy of the context for each candidate
            counts = th.bincount(packed.owner, minlength=batch).tolist()
            pairs = zip(own.split(counts), units, strict=True)
            dots = th.cat([mine @ theirs.T for mine, theirs in pairs])
        found.append(dots / th.linalg.vector_norm(own, dim=1, keepdim=True).clamp(min=1e-6))
    return th.cat(found, dim=1)


class PointerScorer(nn.Module):
    """Scores (B, A) of candidates and of further fixed actions, from the state and the candidates.

    With h the trunk's output, ``key = W [units | flags]`` and ``query = U h + V context``, the
    score is ``v relu(K key + P (key * query) + L likeness + Q h + b)`` plus a learned multiple of
    ``key . query / sqrt(width)``: additive and multiplicative attention (Bahdanau et al. 2015;
    Luong et al. 2015) as in pointer networks (Vinyals et al. 2015). The likeness of a candidate is
    the cosine of each of its units and each unit of the context, as large as a key: what the
    encoder knows of likeness, a narrow projection would have to learn. Fixed actions have a linear
    score.

    Args:
        dim: Width D of a unit.
        parts: Units J a candidate.
        flags: Binary marks F a candidate.
        hidden: Width of h.
        context: Width of the context.
        fixed: Actions after the candidates (STOP, ...).
        width: Of keys and queries.

    Raises:
        InvalidArgumentError: `width` is no integer from 1.
    """

    def __init__(
        self,
        dim: int,
        parts: int,
        *,
        flags: int,
        hidden: int,
        context: int,
        fixed: int,
        width: int,
    ) -> None:
        super().__init__()
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise InvalidArgumentError(f"pointer_dim={width!r} must be an integer from 1.")
        self.scale = 1 / math.sqrt(width)
        self.keys = nn.ModuleList(orthogonal(dim, width, bias=False) for _ in range(parts))
        self.flags = orthogonal(flags, width) if flags else None
        self.query = orthogonal(hidden, width)
        self.query_context = orthogonal(context, width, bias=False) if context else None
        self.inner = orthogonal(2 * width, width, bias=False)  # of [key | key * query]
        alike = parts * (context // dim) if context % dim == 0 else 0
        self.likeness = orthogonal(alike, width, bias=False) if alike else None
        self.state = orthogonal(hidden, width)
        self.score = nn.Linear(width, 1, bias=False)
        self.gain = nn.Parameter(th.zeros(()))
        self.fixed = nn.Linear(hidden, fixed) if fixed else None
        self.reset_scores()

    def reset_scores(self) -> None:
        """Let all actions begin about equal, as policies with a linear head do."""
        nn.init.orthogonal_(self.score.weight, gain=0.01)
        nn.init.constant_(self.gain, 0.01)
        if self.fixed is not None:
            nn.init.orthogonal_(self.fixed.weight, gain=0.01)
            nn.init.zeros_(self.fixed.bias)

    def forward(self, h: th.Tensor, context: th.Tensor, packed: Packed) -> th.Tensor:
        """Scores of a batch.

        Args:
            h: (B, hidden).
            context: (B, context).
            packed: The candidates.

        Returns:
            (B, C + fixed) float32, `PADDING` where there is no candidate.
        """
        query = self.query(h)
        if self.query_context is not None:
            query = query + self.query_context(context)
        key = self._key(packed)  # (N, P)
        both = key * query.index_select(0, packed.owner)
        hidden = self.inner(th.cat([key, both], dim=1))
        if self.likeness is not None:
            hidden = hidden + self.likeness(similarities(context, packed) / self.scale)
        hidden = th.relu(hidden + self.state(h).index_select(0, packed.owner))
        scores = self.score(hidden).flatten() + self.gain * self.scale * both.sum(dim=1)
        batch, flat = len(h), packed.owner * packed.width + packed.place
        blank = th.full((batch * packed.width,), PADDING, device=h.device)
        spread = blank.scatter(0, flat, scores).view(batch, packed.width)
        return spread if self.fixed is None else th.cat([spread, self.fixed(h)], dim=1)

    def _key(self, packed: Packed) -> th.Tensor:
        """(N, P) keys; units that several candidates share are projected once."""
        key: th.Tensor | None = None
        for project, (vectors, rows) in zip(self.keys, packed.parts, strict=True):
            part: th.Tensor = project(vectors)
            part = part if rows is None else part.index_select(0, rows)
            key = part if key is None else key + part
        assert key is not None
        return key if self.flags is None else key + self.flags(packed.flags)
