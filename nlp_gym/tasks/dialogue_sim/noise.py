"""Noise of understanding, a function of an episode's number and turn: branches see the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Float64Array, Int64Array

_MULTIPLIERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))
_LAST = np.uint64(0x94D049BB133111EB)


def uniform(episode: Int64Array, turn: Int64Array, channel: int) -> Float64Array:
    """(B,) numbers from 0 to 1, by counters and not by a generator (splitmix64; Steele 2014).

    Args:
        episode: (B,) number of the sample and of the dial's setting.
        turn: (B,) decisions so far.
        channel: What is drawn.
    """
    with np.errstate(over="ignore"):
        bits = episode.astype(np.uint64) * np.uint64(0x100000001B3)
        bits ^= turn.astype(np.uint64) * np.uint64(0x10001) + np.uint64(channel)
        bits = _mixed(_mixed(bits))
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, np.float64)


def _mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    bits = bits + _MULTIPLIERS[0]
    bits = (bits ^ (bits >> np.uint64(30))) * _MULTIPLIERS[1]
    bits = (bits ^ (bits >> np.uint64(27))) * _LAST
    return bits ^ (bits >> np.uint64(31))
