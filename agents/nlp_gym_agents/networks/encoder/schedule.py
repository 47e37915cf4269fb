"""Learning rates by the progress of a run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from nlp_gym.checks import check_number
from nlp_gym.errors import InvalidArgumentError, shown

_LARGEST = 1e300
_SCHEDULE = re.compile(r"lin_([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")


def schedule_value(argument: str, value: Any) -> tuple[float, bool]:
    """Read a rate: its number, and whether it falls linearly.

    Args:
        argument: For the message.
        value: A number, or ``"lin_NUMBER"``.

    Raises:
        InvalidArgumentError: Neither of the two.
    """
    match = _SCHEDULE.fullmatch(value) if isinstance(value, str) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if match is None and not (number and not abs(value) > _LARGEST):
        raise InvalidArgumentError(
            f"{argument}={shown(value)} must be a number, or lin_NUMBER to fall linearly to 0 "
            "(lin_1e-3)."
        )
    return float(match[1] if match else value), match is not None


@dataclass(frozen=True)
class EncoderRate:
    """An encoder's learning rate by the progress of the run.

    It is 0 for the share `hold` of the run, rises linearly to `peak` over the share `warmup`, and
    then stays there or falls linearly to 0 at the run's end, as is usual for transformers (Devlin
    et al. 2019, appendix A).

    Attributes:
        peak: The highest rate.
        falls: Whether it falls after the warm-up.
        warmup: Share of the run in which it rises.
        hold: Share of the run, at its beginning, in which the encoder does not move.
    """

    peak: float
    falls: bool = False
    warmup: float = 0.1
    hold: float = 0.0

    @classmethod
    def of(cls, lr: float | str, *, warmup: float = 0.1, hold: float = 0.0) -> EncoderRate:
        """A rate from an option such as ``"lin_5e-5"``, checked.

        Args:
            lr: A number, or ``"lin_NUMBER"`` to fall linearly to 0.
            warmup: See the class.
            hold: See the class.

        Raises:
            InvalidArgumentError: A value outside what is allowed.
        """
        peak, falls = schedule_value("encoder_lr", lr)
        if not (math.isfinite(peak) and peak > 0):
            raise InvalidArgumentError(f"encoder_lr={shown(lr)} must be above 0.")
        check_number("warmup", warmup, 0.0, 1.0)
        check_number("hold", hold, 0.0, 1.0)
        if warmup + hold >= 1:
            raise InvalidArgumentError(
                f"warmup={shown(warmup)} and hold={shown(hold)} are shares of the run: together "
                "they must be below 1."
            )
        return cls(peak, falls, float(warmup), float(hold))

    def on_hold(self, progress_remaining: float) -> bool:
        """Whether the encoder does not move yet; 1 is the run's beginning, 0 its end."""
        return 1.0 - progress_remaining < self.hold

    def __call__(self, progress_remaining: float) -> float:
        """The rate; 1 is the run's beginning, 0 its end."""
        # The last rollout may go beyond the run's end.
        done = min(max(1.0 - progress_remaining, 0.0), 1.0) - self.hold
        if done < 0:
            return 0.0
        if done < self.warmup:
            return self.peak * done / self.warmup
        left = 1.0 - self.hold - self.warmup
        return self.peak * (left + self.warmup - done) / left if self.falls else self.peak
