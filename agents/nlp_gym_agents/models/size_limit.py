"""What is built to load saved weights is not larger than these weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch as th
from torch.overrides import TorchFunctionMode

from nlp_gym.encode import Encoder
from nlp_gym.errors import RunError

_MAKERS = frozenset({th.empty, th.eye, th.full, th.ones, th.rand, th.randn, th.zeros})
"""What modules make their weights and tables with."""
_SLACK = 2**22
"""Numbers of what is not saved, such as tables of unit vectors."""
_PRETRAINED = 2**30
"""Numbers of an encoder of which only a part is saved."""
_MOST, _UNSAVED = 20_000, 2_000
"""Tensors of a network, and how many of them need not be saved."""
_ENTRY = 50
"""Bytes that a file says about each tensor, at least."""


_CAUSE = "settings and weights come from different runs, or were altered."


def check_width(encoder: Encoder, weights: Path) -> None:
    """Refuse vectors that the network of some weights cannot read, before any are computed.

    Raises:
        RunError: They are wider than all of the file.
    """
    if encoder.dim > weights.stat().st_size:
        raise RunError(
            f"The settings beside {weights} ask for vectors of {encoder.dim:,} numbers, more than "
            f"this file has weights: {_CAUSE}"
        )


class SizeLimit(TorchFunctionMode):
    """Within it, tensors are made only as far as a file of weights could hold them.

    Settings of a stranger may ask for layers that fill any memory, or take minutes to initialise.
    What is built from them has to fit the weights beside them, so it cannot be larger.

    Args:
        weights: The file.
        pretrained: The network has a pretrained encoder, of which the file has only a part.

    Raises:
        RunError: Where a tensor is asked for that is too large, before it is made.
    """

    def __init__(self, weights: Path, *, pretrained: bool = False) -> None:
        super().__init__()
        self.weights = weights
        size = weights.stat().st_size
        # A number takes two bytes or more; online and target networks may share theirs in the file.
        self._left = size + (_PRETRAINED if pretrained else _SLACK)
        self._tensors = min(_MOST, size // _ENTRY + _UNSAVED)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch."""
        if func in _MAKERS:
            self._count(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

    def _count(self, func: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if str(kwargs.get("device")) == "meta" or th.get_default_device().type == "meta":
            return  # it has a shape alone
        size = kwargs.get("size", args[0] if args and isinstance(args[0], Sequence) else args)
        sides = [side for side in size if isinstance(side, int)]
        self._left -= math.prod(sides if func is not th.eye or len(sides) > 1 else sides * 2)
        self._tensors -= 1
        if self._left < 0 or self._tensors < 0:
            raise RunError(
                f"The settings beside {self.weights} describe a network with more weights than "
                f"this file holds: {_CAUSE}"
            )
