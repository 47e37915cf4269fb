"""Rank metrics: mean reciprocal rank, and the share of right answers among the first k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score, corpus_value, mean_of_first, on_grid
from nlp_gym.types import Float64Array


def reciprocal_rank(ranks: npt.NDArray[np.int64]) -> Float64Array:
    """(B,) 1 / rank on the exact grid; 0 where the rank is 0 (not found)."""
    return on_grid(np.where(ranks > 0, 1.0 / np.maximum(ranks, 1), 0.0))


class Ranking:
    """Scores of integer ranks: 1 is best, 0 means that nothing right was ranked.

    MRR is the mean of 1 / rank (Voorhees 1999), Hits@k (Recall@k with one right answer) the share
    of ranks from 1 to k; a rank of 0 adds nothing to either.

    Args:
        headline: The score that `Score.value` holds: ``"mrr"`` or ``"<word>_at_<k>"``.
        at: Values of k that are reported.
        word: ``"hits"`` (knowledge graphs) or ``"recall"`` (reply selection).
        detail: Text put in the signature, such as ``"filtered:yes"``.
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
                f"headline={shown(headline)} is not reported; choose from "
                f"{', '.join(self.columns)}."
            )
        self.name = headline

    def counts(self, ranks: npt.ArrayLike) -> Float64Array:
        """(N, 2+K) counts of (N,) ranks: 1 / rank, a 0/1 for each k, and 1 for the sample."""
        n = np.asarray(ranks, np.int64).reshape(-1)
        hits = [(n > 0) & (n <= k) for k in self.at]
        return np.stack([reciprocal_rank(n), *hits, np.ones(len(n))], axis=1).astype(np.float64)

    def score(self, ranks: npt.ArrayLike, *, bootstrap: int = 1000, report: bool = True) -> Score:
        """Corpus score.

        Args:
            ranks: (N,) rank of the first right answer of each sample, from 1; 0: none.
            bootstrap: Number of resamples of samples for the interval; 0: no interval.
            report: Whether to give every score and the text.

        Returns:
            The headline; the report has all of `columns`.
        """
        counts = self.counts(ranks)
        pairs = {name: counts[:, [i, -1]] for i, name in enumerate(self.columns)}
        table = {n: corpus_value(pairs[n], mean_of_first) for n in pairs} if report else {}
        return Score.from_counts(
            self.name,
            pairs[self.name],
            mean_of_first,
            signature=f"metric:{self.name}|ties:none" + (f"|{self.detail}" if self.detail else ""),
            bootstrap=bootstrap,
            report=table,
            text=_text(table),
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
        sizes: (N,) number of choices of each question; the report has the accuracy of guessing.
        shown: (N,) number of choices looked at, if not all; the report has their share.
        bootstrap: Number of resamples of questions for the interval; 0: no interval.
        report: Whether to give report and text.
    """
    counts = np.stack([np.asarray(right, bool), np.ones_like(sizes)], axis=1).astype(np.int64)
    table = {}
    if report:
        chance = float(np.mean(1 / np.asarray(sizes)))
        table = {"accuracy": corpus_value(counts, mean_of_first), "chance": chance}
        if shown is not None:
            table["shown"] = float(np.sum(shown) / np.sum(sizes))
    return Score.from_counts(
        "accuracy",
        counts,
        mean_of_first,
        signature="metric:accuracy|unit:question",
        bootstrap=bootstrap,
        report=table,
        text=_text(table),
    )


def _text(table: dict[str, float]) -> str:
    return "".join(f"{name:>14} {value:.4f}\n" for name, value in table.items())
