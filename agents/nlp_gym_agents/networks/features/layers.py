"""Building blocks of the networks: activations by name, the trunk, checks of its options."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch as th
from torch import nn

from nlp_gym.checks import check_name
from nlp_gym.errors import InvalidArgumentError, shown

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
"""Activation functions by the name used in hyperparameter files."""

LARGEST_WIDTH = 65_536
"""Most units of a layer."""
_MOST_LAYERS = 100


def check_options(hidden: Sequence[int], rates: Mapping[str, float], activation: str) -> None:
    """Check what `trunk` takes.

    Raises:
        InvalidArgumentError: A width or rate outside what is allowed.
        UnknownNameError: The activation is not known.
    """
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not hidden:
        raise InvalidArgumentError(
            f"hidden={shown(hidden)} must be a list of layer widths, such as [256]."
        )
    if len(hidden) > _MOST_LAYERS or any(
        type(n) is not int or not 1 <= n <= LARGEST_WIDTH for n in hidden
    ):
        raise InvalidArgumentError(
            f"hidden={shown(hidden)}: layer widths are integers from 1 to {LARGEST_WIDTH}, of at "
            f"most {_MOST_LAYERS} layers."
        )
    for name, rate in rates.items():
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise InvalidArgumentError(f"{name}={shown(rate)} must be a number from 0 to below 1.")
    check_name("activation", activation, tuple(ACTIVATIONS))


def trunk(
    width: int,
    hidden: Sequence[int],
    dropout: tuple[float, float],
    activation: type[nn.Module],
    layer_norm: bool,
) -> nn.Sequential:
    """Fully connected layers, orthogonal as in Stable-Baselines3's actor-critic policies.

    Layers have the same names with dropout and without, so that one can start from the other.

    Args:
        width: Of the input.
        hidden: Widths of the layers.
        dropout: Of the input, and of each layer's output.
        activation: After each layer.
        layer_norm: Normalise each layer before its activation.

    Returns:
        Layers named by their number, dropout apart.
    """
    rate_in, rate = dropout
    layers: list[nn.Module] = []
    for inputs, outputs in zip((width, *hidden[:-1]), hidden, strict=True):
        layers.append(orthogonal(inputs, outputs))
        if layer_norm:
            layers.append(nn.LayerNorm(outputs))
        layers.append(activation())
    named: dict[str, nn.Module] = {"input_dropout": nn.Dropout(rate_in)} if rate_in else {}
    for place, layer in enumerate(layers):
        named[str(place)] = layer
        if rate and isinstance(layer, activation):
            named[f"dropout_{place}"] = nn.Dropout(rate)
    return nn.Sequential(OrderedDict(named))


def orthogonal(
    inputs: int, outputs: int, *, gain: float = math.sqrt(2), bias: bool = True
) -> nn.Linear:
    """A linear layer with orthogonal weights and no offset.

    There are no inputs where candidates are all that a task shows.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors", UserWarning)
        linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.orthogonal_(linear.weight, gain=gain)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


class LatentHead(nn.Module):
    """A linear value of h.

    Args:
        width: Width of h.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = orthogonal(width, 1, gain=1.0)

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, 1) of (B, width + A)."""
        return self.linear(features[:, : self.linear.in_features])
