"""The size of a network is known before its weights are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch as th
from torch.overrides import TorchFunctionMode

from nlp_gym.encode import Encoder
from nlp_gym.errors import InvalidArgumentError, NLPGymError, RunError, shown
from nlp_gym.memory import memory_limit, readable_size

_MAKERS = frozenset({th.empty, th.eye, th.full, th.ones, th.rand, th.randn, th.zeros})
"""What modules make their weights and tables with."""
_LEARNED = 16
"""Bytes of a weight in training: itself, its gradient and two moments, of four each."""
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
    """Within it, tensors are made up to a number and a size; what goes beyond raises an error.

    Settings may ask for layers that fill any memory, or take hours to initialise.

    Args:
        numbers: How many the tensors may have together.
        tensors: How many there may be.
        refusal: What is raised before a tensor is made that is too large.
    """

    def __init__(self, numbers: int, tensors: int, refusal: NLPGymError) -> None:
        super().__init__()
        self._numbers, self._tensors, self._refusal = numbers, tensors, refusal

    @classmethod
    def of_memory(cls, hyperparams: Mapping[str, Any]) -> SizeLimit:
        """What this machine can train.

        Args:
            hyperparams: For the message.
        """
        memory = memory_limit()
        refusal = InvalidArgumentError(
            f"hyperparams={shown(dict(hyperparams))}: a network of these sizes does not fit into "
            f"{readable_size(memory)} of memory while it learns, or has more than {_MOST:,} "
            "tensors. Ask for smaller or fewer layers in policy_kwargs."
        )
        return cls(memory // _LEARNED, _MOST, refusal)

    @classmethod
    def of_weights(cls, weights: Path, *, pretrained: bool) -> SizeLimit:
        """What a file of weights can hold: a network that is built to load it cannot be larger.

        Args:
            weights: The file.
            pretrained: The network has a pretrained encoder, of which the file has only a part.
        """
        # A number takes two bytes or more; online and target networks may share theirs in the file.
        size = weights.stat().st_size
        refusal = RunError(
            f"The settings beside {weights} describe a network with more weights than this file "
            f"holds: {_CAUSE}"
        )
        tensors = min(_MOST, size // _ENTRY + _UNSAVED)
        return cls(size + (_PRETRAINED if pretrained else _SLACK), tensors, refusal)

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
        self._numbers -= math.prod(sides if func is not th.eye or len(sides) > 1 else sides * 2)
        self._tensors -= 1
        if self._numbers < 0 or self._tensors < 0:
            raise self._refusal
