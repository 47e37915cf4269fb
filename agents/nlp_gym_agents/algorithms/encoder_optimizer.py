"""An encoder's own learning rate and schedule, for any Stable-Baselines3 algorithm.

Stable-Baselines3 keeps one flat group of parameters and, before each update, writes one rate into
every group. `split_optimizer` gives the encoder groups of its own, and has their rate put in right
before each step of the optimizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from nlp_gym.checks import check_int, check_number
from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.networks.encoder.schedule import EncoderRate

_DECAY = "encoder_decay"
"""Key of an encoder's group: its decoupled weight decay. Other groups do not have it."""


def split_optimizer(
    model: BaseAlgorithm,
    encoder_parameters: Sequence[nn.Parameter],
    *,
    lr: float | str,
    warmup: float = 0.1,
    hold: float = 0.0,
    weight_decay: float = 0.01,
) -> EncoderRate:
    """Rebuild the optimizer of `model.policy` so that the encoder has a rate of its own.

    The new optimizer is of the same class with the same options. Parameters that need no gradient
    are in none of its groups. The encoder's weight decay is decoupled (Loshchilov and Hutter 2019)
    whatever the class, and leaves out offsets and LayerNorm's weights; that of the head stays as it
    was. While the encoder is on hold, its gradients are dropped and its optimizer state stays
    empty; they still count for the gradient's length, so leave them uncomputed then if you can.

    All that a run needs to continue is in the optimizer's `state_dict` and in the progress that
    Stable-Baselines3 derives from the timesteps. The rate is logged as ``train/encoder_lr``.

    Args:
        model: A Stable-Baselines3 algorithm whose policy has one optimizer. Split it once.
        encoder_parameters: Parameters of `model.policy`.
        lr: The encoder's rate: a number, or ``"lin_NUMBER"`` to fall linearly to 0.
        warmup: Share of the run over which the rate rises from 0.
        hold: Share of the run, at its beginning, in which the encoder does not move.
        weight_decay: Of the encoder's matrices, as in AdamW.

    Returns:
        The encoder's rate by progress.

    Raises:
        InvalidArgumentError: A value outside what is allowed, nothing to train, a parameter that is
            not the policy's, or an optimizer that is split already.
    """
    rate = EncoderRate.of(lr, warmup=warmup, hold=hold)
    check_number("weight_decay", weight_decay, 0.0, 1.0)
    old = _optimizer_of(model)
    encoder = _trainable(encoder_parameters)
    _check_owned(model.policy, encoder)
    groups = _groups(old.param_groups, encoder, weight_decay)
    optimizer = type(old)(groups, **{"lr": groups[0]["lr"], **model.policy.optimizer_kwargs})
    for group in optimizer.param_groups:
        optimizer.state.update({p: old.state[p] for p in group["params"] if p in old.state})
    optimizer.register_step_pre_hook(_EncoderStep(model, rate))
    model.policy.optimizer = optimizer
    return rate


class _EncoderStep:
    """A hook of an optimizer that sets an encoder's rate and decays its weights before each step.

    Args:
        model: Whose progress and logger are used.
        rate: The encoder's rate.
    """

    def __init__(self, model: BaseAlgorithm, rate: EncoderRate) -> None:
        self.model, self.rate = model, rate

    @th.no_grad()
    def __call__(self, optimizer: Any, args: object, kwargs: object) -> None:
        """Set the rate, and decay the weights or drop their gradients."""
        progress = self.model._current_progress_remaining
        rate, on_hold = self.rate(progress), self.rate.on_hold(progress)
        for group in optimizer.param_groups:
            if _DECAY not in group:
                continue
            group["lr"] = rate
            for parameter in group["params"]:
                if on_hold:
                    parameter.grad = None  # optimizers pass over it and keep no state for it
                elif group[_DECAY] and parameter.grad is not None:
                    parameter.mul_(1.0 - rate * group[_DECAY])
        if getattr(self.model, "_logger", None) is not None:  # None outside learn()
            self.model.logger.record("train/encoder_lr", rate)


def _optimizer_of(model: BaseAlgorithm) -> th.optim.Optimizer:
    optimizer = getattr(getattr(model, "policy", None), "optimizer", None)
    if not isinstance(optimizer, th.optim.Optimizer):
        raise InvalidArgumentError(
            f"model={type(model).__name__} has no `policy.optimizer` that could be split: train a "
            "frozen encoder, or use an algorithm whose policy has one optimizer."
        )
    if any(_DECAY in group for group in optimizer.param_groups):
        raise InvalidArgumentError(
            f"model={type(model).__name__}: its optimizer is split already; split it once."
        )
    return optimizer


def _trainable(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """The parameters that need gradients, each once."""
    return [p for p in dict.fromkeys(parameters) if p.requires_grad]


def _check_owned(policy: nn.Module, encoder: Sequence[nn.Parameter]) -> None:
    foreign = set(encoder) - set(policy.parameters())
    if foreign or not encoder:
        problem = f"holds {len(foreign)} that are not the policy's" if foreign else "has none"
        raise InvalidArgumentError(
            f"encoder_parameters: of parameters that need gradients, it {problem}. Give those of "
            "the encoder inside the policy, and set requires_grad before."
        )


def _groups(
    old: Sequence[Mapping[str, Any]], encoder: Sequence[nn.Parameter], weight_decay: float
) -> list[dict[str, Any]]:
    """The head's groups as they were without the encoder, then the encoder's."""
    own = set(encoder)
    head = [{**g, "params": [p for p in _trainable(g["params"]) if p not in own]} for g in old]
    options = {**old[0], "weight_decay": 0.0}
    decays = ((weight_decay, lambda p: p.ndim > 1), (0.0, lambda p: p.ndim <= 1))
    added = [
        {**options, "params": [p for p in encoder if chosen(p)], _DECAY: decay}
        for decay, chosen in decays
    ]
    return [group for group in head + added if group["params"]]


_STEPS = "encoder_steps"
"""Key of an encoder's group in `OwnRateAdam`: its updates so far."""


def mark_encoder(encoder: nn.Module) -> None:
    """Mark the parameters of an encoder for `OwnRateAdam`."""
    for parameter in encoder.parameters():
        parameter.learns_as_encoder = True  # type: ignore[attr-defined]


def check_own_rate(encoder_lr: object, encoder_warmup: object) -> None:
    """Check what `OwnRateAdam` is told of an encoder's rate.

    Raises:
        InvalidArgumentError: The rate is no number above 0, or the updates no integer from 0.
    """
    EncoderRate.of(check_number("encoder_lr", encoder_lr, 0.0, 1e300))  # which refuses 0
    check_int("encoder_warmup", encoder_warmup, 0, 2**31 - 1)


class OwnRateAdam(th.optim.Adam):
    """Adam with a rate of its own for the parameters of a marked encoder, for ``policy_kwargs``.

    Stable-Baselines3 builds the optimizer from one list of parameters and writes its own rate into
    every group before each update. The encoder's rate keeps its ratio to that one, and so follows
    its schedule.

    Args:
        params: Of a policy; see `mark_encoder`.
        lr: Of all others.
        encoder_lr: Of the encoder.
        encoder_warmup: Updates over which it rises from 0.
        encoder_weight_decay: Of the encoder's matrices, decoupled as in AdamW.
        **kwargs: As for `torch.optim.Adam`.

    Raises:
        InvalidArgumentError: A value outside what is allowed.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        *,
        encoder_lr: float = 5e-5,
        encoder_warmup: int = 100,
        encoder_weight_decay: float = 0.01,
        **kwargs: Any,
    ) -> None:
        check_own_rate(encoder_lr, encoder_warmup)
        check_number("encoder_weight_decay", encoder_weight_decay, 0.0, 1.0)
        given = [p for p in params if p.requires_grad]
        encoder = [p for p in given if getattr(p, "learns_as_encoder", False)]
        groups: Any = _groups([{"params": given}], encoder, encoder_weight_decay)
        for group in groups:
            if _DECAY in group:
                group[_STEPS] = 0
        self._ratio, self._warmup = encoder_lr / lr if lr else 0.0, encoder_warmup
        super().__init__(groups, lr=lr, **kwargs)

    def step(self, closure: Any = None) -> Any:
        """Update all groups, the encoder's with its own rate."""
        head = next((g["lr"] for g in self.param_groups if _DECAY not in g), self.defaults["lr"])
        for group in self.param_groups:
            if _DECAY in group:
                group[_STEPS] += 1
                risen = min(1.0, group[_STEPS] / max(self._warmup, 1))
                group["lr"] = head * self._ratio * risen
                self._decay(group)
        return super().step(closure)

    @staticmethod
    @th.no_grad()
    def _decay(group: Mapping[str, Any]) -> None:
        if group[_DECAY]:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1.0 - group["lr"] * group[_DECAY])
