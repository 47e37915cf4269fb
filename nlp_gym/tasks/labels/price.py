"""What reading costs: one price, or a dial whose setting is drawn with each episode and is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nlp_gym.checks import check_name
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import on_grid
from nlp_gym.types import Float64Array, Int64Array

DIAL = (0.0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Prices of a whole text, of which ``read_cost="dial"`` draws one an episode."""

UNITS = ("chunk", "text")
"""What a price is for."""

_MOST = 32


def check_cost(argument: str, value: object) -> float:
    """Return a reward that is lost, as a multiple of 2**-20 (sums of those are exact).

    Raises:
        InvalidArgumentError: It is no number from 0 to 1.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        raise InvalidArgumentError(f"{argument}={shown(value)} must be a number from 0 to 1.")
    return float(on_grid(np.array([value], np.float64))[0])


class Price:
    """What it costs to read a chunk.

    Attributes:
        costs: (G,) the settings of the dial, ascending; of a fixed price one.
        per_text: Whether a price is for a whole text, of which a chunk has its share of the words.

    Args:
        read_cost: A price, ``"dial"`` for those of `DIAL`, or 2 to 32 ascending ones.
        cost_per: ``"chunk"`` or ``"text"``; None: ``"text"`` for a dial.

    Raises:
        InvalidArgumentError: No such price.
        UnknownNameError: `cost_per` is neither.
    """

    def __init__(self, read_cost: object, cost_per: str | None) -> None:
        if isinstance(read_cost, str) and read_cost == "dial":
            costs: Sequence[float] = DIAL
        elif isinstance(read_cost, Sequence) and not isinstance(read_cost, str):
            costs = [check_cost(f"read_cost[{k}]", cost) for k, cost in enumerate(read_cost)]
            if not 2 <= len(costs) <= _MOST or sorted(set(costs)) != list(costs):
                raise InvalidArgumentError(
                    f"read_cost={shown(read_cost)} must have 2 to {_MOST} ascending prices, such "
                    'as (0, 1/16, 1/4); "dial" stands for usual ones.'
                )
        else:
            if isinstance(read_cost, str):
                raise InvalidArgumentError(
                    f'read_cost={shown(read_cost)} must be a number from 0 to 1, "dial", or 2 to '
                    f"{_MOST} ascending numbers."
                )
            costs = [check_cost("read_cost", read_cost)]
        self.costs = np.array(costs, np.float64)
        if cost_per is not None:
            check_name("cost_per", cost_per, UNITS)
        self.per_text = (cost_per or ("text" if self.dial else "chunk")) == "text"

    @property
    def dial(self) -> bool:
        """Whether there are several settings."""
        return len(self.costs) > 1

    def setting(self, cost: object) -> int:
        """The setting of the dial that asks a price.

        Raises:
            InvalidArgumentError: There is none.
        """
        known = self.costs.tolist()
        wanted = check_cost("read_cost", cost)
        if wanted not in known:
            raise InvalidArgumentError(
                f"read_cost={shown(cost)} is no setting of the dial, which are "
                f"{', '.join(map(str, known))}."
            )
        return int(known.index(wanted))

    def of(self, setting: Int64Array | int, words: Int64Array, of: Int64Array) -> Float64Array:
        """(B,) what it costs to read so many words `words` (B,) of the `of` (B,) of a text."""
        cost = np.broadcast_to(self.costs[setting], words.shape)
        return on_grid(cost * words / np.maximum(of, 1)) if self.per_text else cost
