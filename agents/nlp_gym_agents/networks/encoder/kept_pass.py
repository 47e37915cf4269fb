"""A pass through an encoder that was made to act, kept for the update that learns from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch as th

from nlp_gym.encode.transformer.pooling import send
from nlp_gym.types import Int64Array
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts

Weights = tuple[float, ...]
"""Numbers that differ where weights differ, see `TrainableEncoder`."""


@dataclass(frozen=True)
class KeptPass:
    """Vectors of all units of some texts, with the graph that leads to the weights.

    Attributes:
        texts: The book of the texts.
        weights: Those of the encoder then.
        rows: (n,) the texts.
        units: (U,) all their units.
        vectors: (U, D) float32.
    """

    texts: UnitTexts
    weights: Weights
    rows: Int64Array
    units: Int64Array
    vectors: th.Tensor


def gathered(parts: list[tuple[Int64Array, th.Tensor]], units: Int64Array) -> th.Tensor:
    """(n, D) vectors of `units` from parts that have them all."""
    if len(parts) == 1 and np.array_equal(parts[0][0], units):
        return parts[0][1]
    known = np.concatenate([own for own, _ in parts])
    order = np.argsort(known, kind="stable")
    place = order[np.searchsorted(known, units, sorter=order)]
    vectors = th.cat([part for _, part in parts])
    return vectors.index_select(0, send(place, vectors.device))
