"""Choices of words that need no agent: all, the first, chance, and hill climbing."""

from __future__ import annotations

import numpy as np

from nlp_gym.tasks.compression.quality import Quality
from nlp_gym.types import BoolArray, Int64Array

_TOGETHER = 512


def first_words(quality: Quality, rows: Int64Array) -> BoolArray:
    """(B, T) as many of the first words as are asked for."""
    lengths = quality.lengths.take(rows)
    places = np.arange(int(lengths.max(initial=1)))
    found: BoolArray = places < quality.goal.words(lengths)[:, None]
    return found


def all_words(quality: Quality, rows: Int64Array) -> BoolArray:
    """(B, T) every word, up to the most that may be kept."""
    lengths = np.minimum(quality.lengths.take(rows), quality.goal.most)
    places = np.arange(int(quality.lengths.take(rows).max(initial=1)))
    found: BoolArray = places < lengths[:, None]
    return found


def random_words(quality: Quality, rows: Int64Array, seed: int) -> BoolArray:
    """(B, T) as many words as are asked for, each choice of them as likely as the others."""
    lengths = quality.lengths.take(rows)
    width = int(lengths.max(initial=1))
    chances = np.random.default_rng(seed).random((len(rows), width))
    chances[np.arange(width) >= lengths[:, None]] = 2.0
    rank = chances.argsort(axis=1).argsort(axis=1)
    found: BoolArray = rank < quality.goal.words(lengths)[:, None]
    return found


def hill_climbing(
    quality: Quality, rows: Int64Array, *, evaluations: int, seed: int = 0
) -> BoolArray:
    """(B, T) the words that a search by swaps arrives at (Schumann et al. 2020).

    It begins with chance, keeps the number of words that is asked for, and tries to replace a kept
    word by one that is not. A swap that raises the quality stays (first-choice hill climbing).

    Args:
        quality: What is climbed.
        rows: (B,) texts, which are searched side by side.
        evaluations: Swaps that are tried for each text.
        seed: Of the first choice and of the swaps.
    """
    width = int(quality.lengths.take(rows).max(initial=1))
    found = np.zeros((len(rows), width), bool)
    order = np.argsort(quality.lengths.take(rows), kind="stable")
    for number, start in enumerate(range(0, len(order), _TOGETHER)):
        some = order[start : start + _TOGETHER]
        kept = _climb(quality, rows[some], evaluations, [seed, number])
        found[some, : kept.shape[1]] = kept
    return found


def _climb(quality: Quality, rows: Int64Array, evaluations: int, seed: list[int]) -> BoolArray:
    rng = np.random.default_rng(seed)
    kept = random_words(quality, rows, int(rng.integers(2**32)))
    value = quality.value(rows, quality.of(rows, kept))
    there = np.arange(kept.shape[1]) < quality.lengths.take(rows)[:, None]
    (free,) = (kept.sum(axis=1) < there.sum(axis=1)).nonzero()
    for _ in range(evaluations if len(free) else 0):
        chances = rng.random((len(free), kept.shape[1]))
        own = kept[free]
        out = np.where(own, chances, -1.0).argmax(axis=1)
        into = np.where(there[free] & ~own, chances, -1.0).argmax(axis=1)
        each = np.arange(len(free))
        own[each, out], own[each, into] = False, True
        tried = quality.value(rows[free], quality.of(rows[free], own))
        better = tried > value[free]
        kept[free[better]] = own[better]
        value[free[better]] = tried[better]
    return kept
