"""Noise of understanding, a function of an episode's number and turn: branches see the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Float64Array, Int64Array

_MULTIPLIERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))
_LAST = np.uint64(0x94D049BB133111EB)


def uniform(episode: Int64Array, turn: Int64Array, channel: int | Int64Array) -> Float64Array:
    """Numbers from 0 to 1, by counters and not by a generator (splitmix64; Steele 2014).

    Args:
        episode: Number of the sample and of the dial's setting, an array.
        turn: Decisions so far.
        channel: What is drawn; the shape of the result is that of all three together.
    """
    counter = turn.astype(np.uint64) * np.uint64(0x10001) + np.asarray(channel, np.uint64)
    bits = episode.astype(np.uint64) * np.uint64(0x100000001B3) ^ counter
    _mix(bits)
    _mix(bits)
    bits >>= np.uint64(11)
    return bits * 2.0**-53


def _mix(bits: npt.NDArray[np.uint64]) -> None:
    """A step of the generator, in place."""
    bits += _MULTIPLIERS[0]
    bits ^= bits >> np.uint64(30)
    bits *= _MULTIPLIERS[1]
    bits ^= bits >> np.uint64(27)
    bits *= _LAST
    bits ^= bits >> np.uint64(31)
