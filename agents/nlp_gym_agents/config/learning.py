"""Sections of the hyperparameters that say how a run learns, as typed objects.

The sections are `tuning` (an encoder that learns), `kl` (a penalty for leaving the policy that
training starts from) and `start` (how training goes on from a warm start); `constant_reward` is a
control. Everything else among the hyperparameters are arguments of the algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from nlp_gym.checks import check_bool, check_number, check_options
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.networks.encoder.options import Tuning

LARGEST_COEFFICIENT = 1e6

Section = TypeVar("Section", "KLOptions", "StartOptions")


@dataclass(frozen=True)
class KLOptions:
    """The section ``kl``: a penalty for the divergence from the policy training starts from.

    Attributes:
        coef: The coefficient, from 0, in units of reward per nat.
        target: The divergence to hold, in nats per decision; None leaves `coef` as it is.
    """

    coef: float = 0.05
    target: float | None = None

    def __post_init__(self) -> None:
        """Check both values.

        Raises:
            InvalidArgumentError: A value outside what is allowed.
        """
        check_number("coef", self.coef, 0.0, LARGEST_COEFFICIENT)
        if self.target is None:
            return
        check_number("target", self.target, 1e-6, LARGEST_COEFFICIENT)
        if self.coef == 0:
            raise InvalidArgumentError(
                f"coef={shown(self.coef)} stays 0 whatever it is multiplied by: with "
                f"target={shown(self.target)}, begin above 0."
            )


@dataclass(frozen=True)
class StartOptions:
    """The section ``start``: how training goes on from a warm start.

    Attributes:
        temperature: Logits are divided by it. Below 1 what is sampled in training comes nearer to
            what is chosen greedily in the end; of thousands of tokens the many unlikely ones have
            a large share together.
        fit_values: Fit the value head to the first rollout; see
            `nlp_gym_agents.training.callbacks.value_fit`.
    """

    temperature: float = 1.0
    fit_values: bool = False

    def __post_init__(self) -> None:
        """Check both values.

        Raises:
            InvalidArgumentError: A value outside what is allowed.
        """
        check_number("start.temperature", self.temperature, 1e-3, 1e3)
        check_bool("start.fit_values", self.fit_values)


@dataclass(frozen=True)
class LearningOptions:
    """All sections of a run.

    Attributes:
        tuning: How the encoder learns; None: it is frozen.
        kl: The penalty; None: there is none.
        start: How training goes on from a warm start.
        constant_reward: What every decision of training earns in place of its reward; None: its
            reward. It is a control, see `nlp_gym.tasks.core.task.Task.constant_reward`.
    """

    tuning: Tuning | None = None
    kl: KLOptions | None = None
    start: StartOptions = field(default_factory=StartOptions)
    constant_reward: float | None = None

    @classmethod
    def of(cls, hyperparams: Mapping[str, Any]) -> LearningOptions:
        """The sections of merged hyperparameters.

        Raises:
            UnknownNameError: A section has no such option.
            InvalidArgumentError: A value outside what is allowed.
        """
        return cls(
            tuning_of(hyperparams),
            None if hyperparams.get("kl") is None else _section(KLOptions, "kl", hyperparams),
            _section(StartOptions, "start", hyperparams),
            hyperparams.get("constant_reward"),
        )


def tuning_of(hyperparams: Mapping[str, Any]) -> Tuning | None:
    """How the encoder learns by merged hyperparameters; None: it is frozen."""
    given = hyperparams.get("tuning")
    return None if given is None else Tuning.of(given)


def _section(kind: type[Section], name: str, hyperparams: Mapping[str, Any]) -> Section:
    options = hyperparams.get(name) or {}
    check_options(name, options, [item.name for item in fields(kind)])
    return kind(**options)
