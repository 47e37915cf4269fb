"""BLEU of many sentences at once, equal to sacreBLEU's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.metrics.text.ngrams import number_words, sequence_matches, word_ids
from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer
from nlp_gym.types import Float64Array, Int64Array

BLEU_ORDER = 4
TOKENIZERS = ("13a", "intl", "zh", "char", "none")
SMOOTH_METHODS = {"exp": 0.0, "floor": 0.1, "add-k": 1.0, "none": 0.0}
"""sacreBLEU's smoothing methods (Chen and Cherry 2014) and the default value of each."""


def check_bleu_options(
    tokenize: object, smooth_method: object, smooth_value: float | None = None
) -> float:
    """Return the smoothing value; `UnknownNameError` or `InvalidArgumentError` for bad options."""
    if not isinstance(tokenize, str) or tokenize not in TOKENIZERS:
        raise UnknownNameError("tokenize", tokenize, TOKENIZERS)
    if not isinstance(smooth_method, str) or smooth_method not in SMOOTH_METHODS:
        raise UnknownNameError("smooth_method", smooth_method, SMOOTH_METHODS)
    if smooth_value is None:
        return SMOOTH_METHODS[smooth_method]
    if (
        isinstance(smooth_value, bool)
        or not isinstance(smooth_value, (int, float))
        or not 0 <= smooth_value < np.inf
    ):
        raise InvalidArgumentError(
            f"smooth_value={shown(smooth_value)} must be None or a number from 0, such as 0.1."
        )
    return float(smooth_value)


_ROW = 32  # bits of a key that are the length, above which is the row
_FAR = 2**62


class ReferenceLengths:
    """Lengths of the references of N rows.

    Args:
        lengths: Number of words of each reference of each row.
    """

    def __init__(self, lengths: Sequence[Sequence[int]]) -> None:
        # Repeated lengths change nothing: the closest stays the closest.
        distinct = [sorted(set(row)) for row in lengths]
        counts = np.array(list(map(len, distinct)), np.int64)
        rows = np.repeat(np.arange(len(distinct)), counts)
        # Ascending, so that the closest is found by bisection.
        self._keys = (rows << _ROW) + np.array([n for row in distinct for n in row], np.int64)
        self._single = bool((counts == 1).all())

    def closest(self, rows: Int64Array, length: npt.NDArray[Any]) -> Int64Array:
        """(B,) length of the reference closest to `length` (B,); the shorter of two as close."""
        low = np.asarray(rows, np.int64) << _ROW
        if self._single:
            return np.asarray(self._keys.take(rows) - low)
        key = low + length
        place = np.searchsorted(self._keys, key)
        below = self._keys.take(place - 1, mode="clip") - low
        above = self._keys.take(place, mode="clip") - low
        # Keys of other rows are far below 0 or far above any length.
        is_below = np.where(below < 0, _FAR, length - below) <= np.abs(above - length)
        nearest: Int64Array = np.where(is_below & (below >= 0), below, above)
        return nearest


def bleu_formula(
    matches: npt.NDArray[Any],
    length: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    *,
    smooth_method: str = "exp",
    smooth_value: float = 0.0,
    effective_order: bool = True,
    totals: npt.NDArray[Any] | None = None,
) -> Float64Array:
    """(B,) BLEU in [0, 1] (Papineni et al. 2002) from counts.

    Args:
        matches: (B, orders) clipped n-gram matches.
        length: (B,) words of the hypothesis.
        reference: (B,) words of the reference.
        smooth_method: A key of `SMOOTH_METHODS`.
        smooth_value: Value of the smoothing method.
        effective_order: Leave out the orders for which the hypothesis is too short, as is usual for
            single sentences.
        totals: (B, orders) number of n-grams of the hypothesis; None: that of a text of `length`.
    """
    orders = np.arange(matches.shape[1])
    if totals is None:
        totals = np.maximum(length[:, None] - orders, 0)
    right, total = matches.astype(np.float64), totals.astype(np.float64)
    if smooth_method == "add-k":
        right[:, 1:] += smooth_value
        total[:, 1:] += smooth_value
    none = right == 0
    if none.any():
        if smooth_method == "exp":
            # Each order without a match counts half as much as the one before it.
            right += none * 0.5 ** np.cumsum(none, axis=1)
        elif smooth_method == "floor":
            right += none * smooth_value
    reached = np.logical_and.accumulate(total > 0, axis=1)
    known = reached & (right > 0)
    logs = np.log(np.divide(right, total, out=np.ones_like(right), where=known))
    n = reached.sum(axis=1) if effective_order else np.full(len(right), len(orders))
    zero = (reached & (right <= 0)).any(axis=1) | ~matches.any(axis=1)
    if not effective_order:
        zero |= ~reached.all(axis=1)
    brevity = np.minimum(1 - reference / np.maximum(length, 1), 0.0)
    score: Float64Array = np.exp(brevity) * np.exp(logs.sum(axis=1) / np.maximum(n, 1)) * ~zero
    return score


def sentence_bleu(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    smooth_method: str = "exp",
    smooth_value: float | None = None,
    effective_order: bool = True,
) -> Float64Array:
    """Sentence BLEU of N pairs, equal to sacreBLEU's divided by 100.

    Args:
        hypotheses: N texts.
        references: One or more references of each text.
        tokenize: One of `TOKENIZERS`, sacreBLEU's own.
        smooth_method: A key of `SMOOTH_METHODS`.
        smooth_value: Value of ``"floor"`` and ``"add-k"``; None: sacreBLEU's default.
        effective_order: Leave out the orders for which a hypothesis is too short.

    Returns:
        (N,) scores in [0, 1].

    Raises:
        UnknownNameError: No such tokenizer or smoothing.
        InvalidArgumentError: Not as many references as hypotheses, or a text without references.
    """
    value = check_bleu_options(tokenize, smooth_method, smooth_value)
    check_references(references, len(hypotheses))
    matches, length, reference = bleu_counts(hypotheses, references, tokenize)
    return bleu_formula(
        matches,
        length,
        reference,
        smooth_method=smooth_method,
        smooth_value=value,
        effective_order=effective_order,
    )


def check_references(references: Sequence[Sequence[str]], n: int | None = None) -> None:
    """Raise `InvalidArgumentError` unless there are `n` rows of one or more strings."""
    if n is not None and len(references) != n:
        raise InvalidArgumentError(
            f"references must have one row for each of the {n} texts, not {len(references)} rows."
        )
    for row, texts in enumerate(references):
        if isinstance(texts, str) or not texts or not all(isinstance(t, str) for t in texts):
            raise InvalidArgumentError(
                f"references[{row}]={shown(texts)} must be a sequence of one or more strings."
            )


def bleu_counts(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Counts of N texts: (N, 4) clipped matches, (N,) length, (N,) closest reference length."""
    cut = scoring_tokenizer("bleu", tokenize).tokenize
    index, golds = number_words(references, cut)
    words = word_ids(hypotheses, cut, index)
    matches = sequence_matches(golds, words, BLEU_ORDER)
    length = np.array([len(text) for text in words], np.int64)
    lengths = ReferenceLengths([[len(text) for text in texts] for texts in golds])
    return matches, length, lengths.closest(np.arange(len(words)), length)
