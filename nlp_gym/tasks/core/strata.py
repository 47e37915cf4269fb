"""Parts of the samples that are drawn from in stated shares, whatever their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Corpus, Float64Array, Int64Array


@dataclass(frozen=True)
class Strata:
    """Consecutive ranges of rows, and the share of what is drawn that comes from each.

    An agent that learns on new data and replays old data draws from both in a share that does not
    depend on how much there is of each (experience replay; Rolnick et al. 2019, "Experience Replay
    for Continual Learning"). Within a range every row is drawn as often as any other.

    Attributes:
        bounds: (G+1,) first row of each range, and one past the last row.
        shares: (G,) shares, which sum to 1.
    """

    bounds: Int64Array
    shares: Float64Array

    @classmethod
    def replaying(cls, bounds: Sequence[int] | Int64Array, replay: float) -> Strata:
        """Ranges of which the first is new and the others are replayed, all to the same share.

        Args:
            bounds: (G+1,) bounds of the ranges.
            replay: Share of what is drawn that comes from all others than the first, below 1.
        """
        edges = np.asarray(bounds, np.int64)
        old = len(edges) - 2
        return cls(edges, np.array([1.0 - replay, *[replay / max(old, 1)] * old]))

    def within(self, drawn: Int64Array | None) -> Strata:
        """The same ranges of the places in `drawn` (M,), ascending rows; None: of all rows.

        A range without a place in `drawn` leaves its share to the others.
        """
        bounds = self.bounds if drawn is None else np.searchsorted(drawn, self.bounds)
        shares = self.shares * (np.diff(bounds) > 0)
        return Strata(bounds.astype(np.int64), shares / shares.sum())

    def draw(self, uniform: Float64Array, repeats: int = 1) -> Int64Array:
        """Numbers below ``bounds[-1] * repeats``, each row standing for `repeats` numbers.

        Args:
            uniform: (n,) independent numbers from 0 to below 1.
            repeats: Numbers of a row.
        """
        ends = np.cumsum(self.shares)
        part = np.searchsorted(ends, uniform, side="right")
        part = np.minimum(part, np.flatnonzero(self.shares > 0)[-1])
        below = ends[part] - self.shares[part]
        place = np.clip((uniform - below) / self.shares[part], 0.0, np.nextafter(1.0, 0.0))
        sizes = np.diff(self.bounds) * repeats
        return np.asarray(self.bounds[part] * repeats + (place * sizes[part]).astype(np.int64))

    def counts(self, rows: Int64Array) -> Int64Array:
        """(G,) how many items of each range a pass has: all of the first one, the others by share.

        Args:
            rows: (M,) the row of each item.
        """
        sizes = np.diff(np.searchsorted(np.sort(rows), self.bounds))
        there = np.where(sizes > 0, self.shares, 0.0)
        if not there[0] or there.sum() == there[0]:
            return np.asarray(sizes, np.int64)
        counts = np.rint(sizes[0] * there / there[0]).astype(np.int64)
        counts[0] = sizes[0]
        return np.asarray(counts)

    def order(self, rows: Int64Array, seed: int, *, whole: bool = False) -> Int64Array:
        """Items of one pass in a random order, in which any stretch has each range's share.

        Of a range that gives fewer items than it has, a pass has a random part; one that gives more
        is gone through several times.

        Args:
            rows: (M,) the row of each item.
            seed: Of the order.
            whole: Leave the items of a row together.

        Returns:
            Numbers of items, as many as `counts` sums to.
        """
        counts = self.counts(rows)
        part = np.searchsorted(self.bounds, rows, side="right") - 1
        chosen, keys = [], []
        for k, count in enumerate(counts.tolist()):
            if not count:
                continue
            random = np.random.default_rng([seed, k])
            items = _drawn(np.flatnonzero(part == k), rows, count, random, whole=whole)
            chosen.append(items)
            texts = np.arange(count)
            if whole:  # a text's items have the place of its first one
                first = np.r_[True, rows[items][1:] != rows[items][:-1]]
                texts = np.maximum.accumulate(np.where(first, texts, 0))
            keys.append((texts + random.random(count)[texts]) / count)
        order = np.argsort(np.concatenate(keys), kind="stable")
        return np.asarray(np.concatenate(chosen)[order])


def _drawn(
    items: Int64Array, rows: Int64Array, count: int, random: np.random.Generator, *, whole: bool
) -> Int64Array:
    """(count,) of `items` in a random order, each once before any is there again."""
    found: list[Int64Array] = []
    left = count
    while left > 0:
        if whole:
            _, text = np.unique(rows[items], return_inverse=True)
            place = random.permutation(int(text.max()) + 1)
            order = items[np.argsort(place[text], kind="stable")]
        else:
            order = random.permutation(items)
        found.append(order[:left])
        left -= len(found[-1])
    return np.concatenate(found)


def check_corpora(corpora: object) -> Sequence[Corpus]:
    """Return corpora that were given; raise `InvalidArgumentError` for anything else."""
    fits = isinstance(corpora, list | tuple) and all(isinstance(c, Corpus) for c in corpora)
    if not fits:
        raise InvalidArgumentError(
            f"earlier={shown(corpora)} must be a list of corpora, such as [make_task(...).corpus]."
        )
    return cast("Sequence[Corpus]", corpora)


def joined(corpora: Sequence[Corpus]) -> tuple[Corpus, Int64Array]:
    """One corpus with the samples of several, named as the first, and the (G+1,) bounds of each."""
    first = corpora[0]
    if len(corpora) == 1:
        return first, np.array([0, len(first)])
    samples = [sample for corpus in corpora for sample in corpus.samples]
    bounds = np.cumsum([0, *map(len, corpora)])
    return replace(first, samples=samples), bounds
