"""Averages of weights over training, which are evaluated and kept in place of the last ones.

The noise of single updates averages out (Polyak and Juditsky 1992, "Acceleration of Stochastic
Approximation by Averaging"), so that the mean of the last hundreds of weights is better than any of
them. The mean is state of the optimizer: checkpoints hold it, and a resumed run goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch as th

from nlp_gym.checks import check_number
from nlp_gym_agents.networks.features.swap_source import clear_caches

_DECAY = "weight_average"
"""Key of the decay in a group of an optimizer."""
_MEAN, _COUNT = "average", "averaged"
"""Keys of the mean and of the number of weights in it in what an optimizer keeps of a parameter."""


@cache
def averaging(optimizer_class: type[th.optim.Optimizer]) -> type[th.optim.Optimizer]:
    """A subclass of an optimizer that keeps an exponential moving average of the weights.

    It takes one more argument, `weight_average`: the share of the mean that each step leaves, from
    0 to below 1. In the first steps it is less, (1 + t) / (10 + t) after step t: the beginning is
    forgotten fast.

    Args:
        optimizer_class: Any optimizer of torch.
    """

    class Averaging(optimizer_class):  # type: ignore[misc, valid-type]
        def __init__(
            self, params: Any, *args: Any, weight_average: float = 0.999, **options: Any
        ) -> None:
            check_number(_DECAY, weight_average, 0.0, 1.0 - 1e-9)
            super().__init__(params, *args, **options)
            for group in self.param_groups:
                group.setdefault(_DECAY, weight_average)
            # A step that calls the base class's would run the hooks of an optimizer twice.
            self.register_step_post_hook(_after_step)

    Averaging.__name__ = Averaging.__qualname__ = f"Averaging{optimizer_class.__name__}"
    return Averaging


@th.no_grad()
def _after_step(optimizer: th.optim.Optimizer, args: object, kwargs: object) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                _average(optimizer.state[parameter], parameter, group[_DECAY])


def _average(state: dict[str, Any], parameter: th.Tensor, decay: float) -> None:
    if _MEAN not in state:
        state[_MEAN], state[_COUNT] = parameter.detach().clone(), th.zeros(())
    state[_COUNT] += 1
    count = float(state[_COUNT])
    state[_MEAN].lerp_(parameter, 1.0 - min(decay, (1.0 + count) / (10.0 + count)))


def with_average(policy_kwargs: dict[str, Any], weight_average: float | None) -> dict[str, Any]:
    """Arguments of a policy whose optimizer averages the weights; as they are where it is None.

    Args:
        policy_kwargs: Of the policy.
        weight_average: See `averaging`.
    """
    chosen = policy_kwargs.get("optimizer_class", th.optim.Adam)
    if weight_average is None or not issubclass(chosen, th.optim.Optimizer):
        return policy_kwargs  # a model that only acts has no optimizer
    options = {**(policy_kwargs.get("optimizer_kwargs") or {}), _DECAY: weight_average}
    return {
        **policy_kwargs,
        "optimizer_class": averaging(chosen),
        "optimizer_kwargs": options,
    }


@contextmanager
def averaged_weights(policy: Any) -> Iterator[None]:
    """Within it a policy has the averages of its weights, where its optimizer keeps them.

    Args:
        policy: Of Stable-Baselines3, or any module with an `optimizer`.
    """
    state = getattr(getattr(policy, "optimizer", None), "state", {})
    means = {p: own[_MEAN] for p, own in state.items() if _MEAN in own}
    if not means:
        yield
        return
    last = {p: p.detach().clone() for p in means}
    _put(policy, means)
    try:
        yield
    finally:
        _put(policy, last)


@th.no_grad()
def _put(policy: Any, weights: dict[th.Tensor, th.Tensor]) -> None:
    for parameter, weight in weights.items():
        parameter.copy_(weight)
    clear_caches(policy)
