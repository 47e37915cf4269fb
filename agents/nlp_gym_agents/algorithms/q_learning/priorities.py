"""Prioritised replay (Schaul et al. 2016): what surprised most is drawn most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Float64Array, Int64Array

_LEAST = 1e-3
"""Added to every error, so that what is known well is drawn now and then."""


class Priorities:
    """Proportional priorities of stored decisions: P(i) = p_i ** alpha / sum of these.

    They are kept as p ** alpha. A draw takes a running sum over all of them, a millisecond for half
    a million, which is less than an update of a network takes.

    Args:
        shape: Of the store.
        alpha: 0 draws uniformly.

    Attributes:
        powered: p ** alpha of each stored decision, 0 where there is none.
    """

    def __init__(self, shape: tuple[int, ...], alpha: float) -> None:
        self.alpha = alpha
        self.powered = np.zeros(shape, np.float32)

    def expect(self, places: tuple[int | slice, ...] | slice) -> None:
        """Give new decisions the highest priority there is, so that each is soon drawn."""
        highest = float(self.powered.max(initial=0.0))
        self.powered[places] = highest if highest > 0 else 1.0

    def draw(self, n: int) -> tuple[Int64Array, Float64Array]:
        """(n,) flat places and (n,) how much likelier each is than if all were drawn equally.

        The range is cut into n equal parts and one place is drawn from each, so that a batch has
        few repetitions.
        """
        sums = np.cumsum(self.powered.reshape(-1), dtype=np.float64)
        parts = np.random.random(n)  # noqa: NPY002 - the generator that checkpoints hold
        wanted = (np.arange(n) + parts) * (sums[-1] / max(n, 1))
        # Rounded up to the whole sum, a number would lie behind all that is stored.
        wanted = np.minimum(wanted, np.nextafter(sums[-1], 0.0))
        index = np.searchsorted(sums, wanted, side="right")
        known = np.count_nonzero(self.powered)
        return index, self.powered.reshape(-1)[index] * (known / sums[-1])

    def update(self, index: Int64Array, errors: npt.NDArray[np.floating]) -> None:
        """Set the priorities of decisions (B,) to the size of their errors (B,)."""
        self.powered.reshape(-1)[index] = (np.abs(errors) + _LEAST) ** self.alpha


def importance(likelier: Float64Array, beta: float) -> npt.NDArray[np.float32]:
    """(B,) weights that take back what prioritised draws favour, the largest of them 1.

    Args:
        likelier: As `Priorities.draw` gives it.
        beta: 0 takes back nothing, 1 all of it.
    """
    weights = likelier**-beta
    return np.asarray(weights / weights.max(), np.float32)
