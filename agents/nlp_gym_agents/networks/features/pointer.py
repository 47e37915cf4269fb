"""The pointer head: scores for actions that are candidates, which differ from state to state.

Only real candidates are computed. They lie packed, one after the other with the number of the
observation they belong to, because padding is most of a batch where a few texts are long or a few
entities have many edges; the scores are spread to (B, A) at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch as th
from torch import nn
from torch.nn.functional import embedding_bag, normalize

from nlp_gym.checks import check_int
from nlp_gym_agents.networks.encoder.trainable import IndexedVectors
from nlp_gym_agents.networks.features.layers import LARGEST_WIDTH, orthogonal
from nlp_gym_agents.networks.features.observation_keys import Keys

PADDING = -1e4
"""Score of a candidate that is not there: no probability, and the last value to be chosen. Finite,
so that entropies and targets stay numbers."""

_FEW = 16
"""Candidates an observation, on average, up to which contexts are copied for each."""

_TINY = 1e-6


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
    parts: Sequence[IndexedVectors]
    flags: th.Tensor
    width: int


def real(scores: th.Tensor) -> th.Tensor:
    """(B, A) whether a score, value or logit is that of an action that is there."""
    return scores > PADDING / 2


def similarities(context: th.Tensor, packed: Packed) -> th.Tensor:
    """Cosines of candidates' units and those of their context; 0 where there is no unit.

    Args:
        context: (B, K*D).
        packed: The candidates, in order of their owners.

    Returns:
        (N, J*K).
    """
    batch = len(context)
    found = []
    for vectors, rows in packed.parts:
        norms = th.linalg.vector_norm(vectors, dim=1).clamp(min=_TINY)  # (n,)
        units = normalize(context.reshape(batch, -1, vectors.shape[1]), dim=2, eps=_TINY)
        if rows is not None and len(vectors) * batch < _FEW * len(rows):
            table = vectors @ units.flatten(0, 1).T  # few units: each with every context
            dots = table.view(len(vectors), batch, -1)[rows, packed.owner]
        else:
            own = vectors if rows is None else vectors.index_select(0, rows)
            dots = _dots(own, units, packed.owner)
        found.append(dots / (norms if rows is None else norms[rows])[:, None])
    return th.cat(found, dim=1)


def _dots(own: th.Tensor, units: th.Tensor, owner: th.Tensor) -> th.Tensor:
    """Products (N, K) of vectors (N, D), in order of `owner` (N,), with their own of (B, K, D)."""
    if len(own) < _FEW * len(units):
        return th.einsum("nd,nkd->nk", own, units.index_select(0, owner))
    # One product a context, rather than a copy of the context for each candidate.
    counts = th.bincount(owner, minlength=len(units)).tolist()
    pairs = zip(own.split(counts), units, strict=True)
    return th.cat([mine @ theirs.T for mine, theirs in pairs])


def _sum_rows(tables: Sequence[th.Tensor], rows: Sequence[th.Tensor | None]) -> th.Tensor:
    """(N, W) sum over tables of their rows (N,), or of the tables where there are none."""
    spread = [r for r in rows if r is not None]
    if len(spread) < len(rows) or len(rows) == 1:
        parts = zip(tables, rows, strict=True)
        return reduce(th.add, [t if r is None else t.index_select(0, r) for t, r in parts])
    starts = th.tensor([0, *(len(table) for table in tables[:-1])]).cumsum(0).tolist()
    index = th.stack([r + start for r, start in zip(spread, starts, strict=True)], dim=1)
    return embedding_bag(index, th.cat(list(tables)), mode="sum")  # without a copy of each part


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

    Attributes:
        through_likeness: Gradients flow through the likeness, too, which explanations need. While
            it is learned from, it is a measure that the encoder is not to change.

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
        check_int("pointer_dim", width, 1, LARGEST_WIDTH)
        self.scale = 1 / math.sqrt(width)
        self.keys = nn.ModuleList(orthogonal(dim, width, bias=False) for _ in range(parts))
        self.flags = orthogonal(flags, width) if flags else None
        self.marks = orthogonal(flags, width, bias=False) if flags else None
        self.query = orthogonal(hidden, width)
        self.query_context = orthogonal(context, width, bias=False) if context else None
        self.of_key = orthogonal(width, width, gain=1.0, bias=False)
        self.of_product = orthogonal(width, width, gain=1.0, bias=False)
        alike = parts * (context // dim) if context % dim == 0 else 0
        self.likeness = orthogonal(alike, width, bias=False) if alike else None
        self.state = orthogonal(hidden, width)
        self.score = nn.Linear(width, 1, bias=False)
        self.gain = nn.Parameter(th.zeros(()))
        self.fixed = nn.Linear(hidden, fixed) if fixed else None
        self.through_likeness = False
        self.reset_scores()

    @classmethod
    def of(cls, keys: Keys, hidden: int, width: int) -> PointerScorer | None:
        """A scorer that fits an observation; None where actions are no candidates."""
        if not keys.n_candidates:
            return None
        return cls(
            keys.dim,
            keys.parts,
            flags=len(keys.flags),
            hidden=hidden,
            context=keys.context,
            fixed=keys.n_actions - keys.n_candidates,
            width=width,
        )

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
        key, hidden = self._key(packed)
        both = key * query.index_select(0, packed.owner)
        hidden = hidden + self.of_product(both)
        if self.likeness is not None:
            with th.set_grad_enabled(th.is_grad_enabled() and self.through_likeness):
                alike = similarities(context, packed) / self.scale
            hidden = hidden + self.likeness(alike)
        hidden = th.relu(hidden + self.state(h).index_select(0, packed.owner))
        scores = self.score(hidden).flatten() + self.gain * self.scale * both.sum(dim=1)
        batch, flat = len(h), packed.owner * packed.width + packed.place
        blank = th.full((batch * packed.width,), PADDING, device=h.device)
        spread = blank.scatter(0, flat, scores).view(batch, packed.width)
        return spread if self.fixed is None else th.cat([spread, self.fixed(h)], dim=1)

    def _key(self, packed: Packed) -> tuple[th.Tensor, th.Tensor]:
        """(N, P) keys and what the hidden layer makes of them.

        Units that several candidates share go through both layers once.
        """
        tables = []
        for project, (vectors, _) in zip(self.keys, packed.parts, strict=True):
            part = project(vectors)
            tables.append(th.cat([part, self.of_key(part)], dim=1))
        key, hidden = _sum_rows(tables, [rows for _, rows in packed.parts]).chunk(2, dim=1)
        if self.flags is None or self.marks is None:
            return key, hidden
        return key + self.flags(packed.flags), hidden + self.marks(packed.flags)
