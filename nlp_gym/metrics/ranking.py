"""Rank metrics: mean reciprocal rank and the share found among the first k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval, on_grid


def reciprocal(ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(B,) 1 / rank on the exact grid; 0 where the rank is 0 (not found)."""
    return on_grid(np.where(ranks > 0, 1.0 / np.maximum(ranks, 1), 0.0))


class Ranking:
    """Scores of integer ranks: 1 is best, 0 means that nothing right was ranked.

    MRR is the mean of 1 / rank (Voorhees 1999), Hits@k (Recall@k with one right answer) the share
    of ranks from 1 to k; a rank of 0 adds nothing to either.

    Args:
        headline: The score that `Score.value` holds: ``"mrr"`` or ``"<word>_at_<k>"``.
        at: The k reported.
        word: ``"hits"`` (knowledge graphs) or ``"recall"`` (reply selection).
        detail: Put in the signature, such as ``"filtered:yes"``.
    """

    def __init__(
        self,
        headline: str = "mrr",
        *,
        at: Sequence[int] = (1, 3, 10),
        word: str = "hits",
        detail: str = "",
    ) -> None:
        self.at, self.detail = tuple(at), detail
        self.columns = ("mrr", *(f"{word}_at_{k}" for k in self.at))
        if headline not in self.columns:
            raise InvalidArgumentError(
                f"headline={headline!r} is not reported; choose from {', '.join(self.columns)}."
            )
        self.name = headline

    def counts(self, ranks: npt.ArrayLike) -> npt.NDArray[Any]:
        """(N, 2+K) counts of (N,) ranks: 1 / rank, one 0/1 for each k, and 1 for the sample."""
        n = np.asarray(ranks, np.int64).reshape(-1)
        hits = [(n > 0) & (n <= k) for k in self.at]
        return np.stack([reciprocal(n), *hits, np.ones(len(n))], axis=1).astype(np.float64)

    def score(self, ranks: npt.ArrayLike, *, bootstrap: int = 1000, report: bool = True) -> Score:
        """Corpus score.

        Args:
            ranks: (N,) rank of the first right answer of each sample, from 1; 0: none.
            bootstrap: Resamples of the interval over samples; 0: no interval.
            report: Whether to give every score and the text.

        Returns:
            The headline; the report has all of `columns`.
        """
        counts = self.counts(ranks)
        means = counts.sum(0) / max(len(counts), 1)
        place = self.columns.index(self.name)
        signature, interval = f"metric:{self.name}|ties:none", None
        if self.detail:
            signature += f"|{self.detail}"
        if bootstrap:
            interval = bootstrap_interval(
                counts[:, [place, -1]], lambda s: s[:, 0] / np.maximum(s[:, 1], 1), draws=bootstrap
            )
            signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
        table = {name: float(means[i]) for i, name in enumerate(self.columns)} if report else {}
        text = "\n".join(f"{name:>14} {value:.4f}" for name, value in table.items())
        value = float(means[place])
        return Score(
            self.name, value, interval, len(counts), signature, table, text and text + "\n"
        )


def choice_accuracy(
    right: npt.ArrayLike,
    sizes: npt.ArrayLike,
    *,
    shown: npt.ArrayLike | None = None,
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Accuracy over N questions with several choices.

    Args:
        right: (N,) whether the choice is right.
        sizes: (N,) choices of each question; the report has the accuracy of guessing.
        shown: (N,) choices looked at, if not all; the report has their share.
        bootstrap: Resamples of the interval over questions; 0: no interval.
        report: Whether to give report and text.
    """
    counts: npt.NDArray[Any] = np.stack([np.asarray(right, bool), np.ones_like(sizes)], axis=1)
    counts = counts.astype(np.int64)
    signature, interval = "metric:accuracy|unit:question", None
    if bootstrap:
        interval = bootstrap_interval(
            counts, lambda s: s[:, 0] / np.maximum(s[:, 1], 1), draws=bootstrap
        )
        signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
    value, table = float(counts[:, 0].mean()), {}
    if report:
        table = {"accuracy": value, "chance": float(np.mean(1 / np.asarray(sizes)))}
        if shown is not None:
            table["shown"] = float(np.sum(shown) / np.sum(sizes))
    text = "".join(f"{name:>14} {number:.4f}\n" for name, number in table.items())
    return Score("accuracy", value, interval, len(counts), signature, table, text)
