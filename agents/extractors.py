"""From an observation to the features a policy's heads read.

One extractor serves the observation types `index` and `features`: the first names a position of
the corpus and the extractor gathers its vectors from the encoded corpus, the second carries them.
Both give the same numbers, but an `index` observation is about 20 bytes, which is what makes large
replay buffers and fast rollouts possible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from agents.sources import FeatureSource, WordTask
from nlp_gym.errors import InvalidArgumentError, UnknownNameError

__all__ = [
    "ACTIVATIONS",
    "MASK_KEY",
    "FeatureSource",
    "NLPExtractor",
    "WordTask",
    "reading",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
"""Activation functions by the name used in hyperparameter files."""

POSITION_KEYS = ("row", "position")
"""Keys of an `index` observation that name a place in the corpus."""

MASK_KEY = "action_mask"
"""Not a feature: the policies apply it to the actions."""

MAX_CLASSES = 1024
"""Widest one-hot an integer of the observation is turned into."""


class NLPExtractor(BaseFeaturesExtractor):
    """Context and history through a trunk of fully connected layers.

    The input is the context (gathered or given), every other float vector of the observation as it
    is, and every other integer as a one-hot over its range. The trunk is inside the extractor, so
    that with `net_arch=[]` the policy's and the value's head share it, as does a Q-network.

    Args:
        observation_space: The environment's, a flat Dict of Boxes.
        source: Where contexts are gathered from; needed where the observation has `row` and
            `position`. Swap it with `reading` to play another corpus.
        hidden: Widths of the trunk's layers.
        dropout: Of each layer's output, while training.
        input_dropout: Of the trunk's input, while training.
        activation: A name of `ACTIVATIONS`.
        layer_norm: Normalise each layer before its activation.

    Raises:
        InvalidArgumentError: A value outside what is allowed, or an observation it cannot read.
        UnknownNameError: The activation is not known.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        source: FeatureSource | None = None,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        activation: str = "relu",
        layer_norm: bool = False,
    ) -> None:
        _check_options(hidden, {"dropout": dropout, "input_dropout": input_dropout}, activation)
        super().__init__(observation_space, features_dim=int(hidden[-1]))
        self.source = source
        self.context_width = _context_width(observation_space, source)
        self.gathers = set(POSITION_KEYS) <= set(observation_space.spaces)
        self._floats, self._classes = _other_keys(observation_space)
        for key, (low, classes) in self._classes.items():
            # A table of unit vectors: indexing it is several times faster than F.one_hot.
            self.register_buffer(f"_unit_{key}", th.eye(classes), persistent=False)
            self.register_buffer(f"_low_{key}", th.tensor(low), persistent=False)
        self.width = self.context_width + sum(
            math.prod(observation_space[key].shape or ()) * classes
            for key, classes in self._widths().items()
        )
        self.trunk = _trunk(
            self.width, hidden, (input_dropout, dropout), ACTIVATIONS[activation], layer_norm
        )

    def _widths(self) -> dict[str, int]:
        """Columns that one element of each further key takes."""
        return {**dict.fromkeys(self._floats, 1), **{k: n for k, (_, n) in self._classes.items()}}

    def read(self, observations: dict[str, th.Tensor]) -> th.Tensor:
        """The trunk's input, (B, width) float32.

        Raises:
            InvalidArgumentError: Contexts are to be gathered, but there is no source.
        """
        batch = len(next(iter(observations.values())))
        out = th.empty((batch, self.width), device=next(self.parameters()).device)
        if self.gathers:
            if self.source is None:
                raise _no_source()
            self.source.gather_into(
                out[:, : self.context_width], observations["row"], observations["position"]
            )
        elif self.context_width:
            out[:, : self.context_width] = observations["context"]
        start = self.context_width
        for key in self._widths():
            part = observations[key]
            if key in self._classes:
                index = part.long() - getattr(self, f"_low_{key}")
                part = getattr(self, f"_unit_{key}")[index]
            part = part.reshape(batch, -1)
            out[:, start : start + part.shape[1]] = part
            start += part.shape[1]
        return out

    def forward(self, observations: dict[str, th.Tensor]) -> th.Tensor:
        """Features of a batch of observations, (B, features_dim) float32."""
        features: th.Tensor = self.trunk(self.read(observations))
        return features


@contextmanager
def reading(policy: nn.Module, source: FeatureSource) -> Iterator[None]:
    """Let every `NLPExtractor` in `policy` read another corpus for the duration of the block.

    Args:
        policy: Any policy; extractors of other classes are left alone.
        source: Of a corpus encoded as the training corpus was.

    Raises:
        InvalidArgumentError: The contexts have another width than those the policy was built for.
    """
    extractors = [m for m in policy.modules() if isinstance(m, NLPExtractor)]
    before = [extractor.source for extractor in extractors]
    for extractor in extractors:
        if extractor.gathers and extractor.context_width != source.width:
            raise InvalidArgumentError(
                f"source: contexts are {source.width} wide, but the policy reads "
                f"{extractor.context_width}. Use the encoder, layers and window the policy was "
                "trained with."
            )
    try:
        for extractor in extractors:
            extractor.source = source
        yield
    finally:
        for extractor, old in zip(extractors, before, strict=True):
            extractor.source = old


def _no_source() -> InvalidArgumentError:
    return InvalidArgumentError(
        "source=None: `index` observations name positions, and there is no corpus to gather them "
        "from. Pass features_extractor_kwargs={'source': FeatureSource(task)}, or use "
        "obs_type='features'."
    )


def _context_width(space: spaces.Dict, source: FeatureSource | None) -> int:
    if set(POSITION_KEYS) <= set(space.spaces):
        if source is None:
            raise _no_source()
        return source.width
    return math.prod(space["context"].shape or ()) if "context" in space.spaces else 0


def _other_keys(space: spaces.Dict) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """Keys of float vectors, and of integers with their lowest value and number of values."""
    floats: list[str] = []
    classes: dict[str, tuple[int, int]] = {}
    for key, box in space.spaces.items():
        if key in (*POSITION_KEYS, "context", MASK_KEY):
            continue
        flat = isinstance(box, spaces.Box) and len(box.shape) <= 1
        if flat and np.issubdtype(box.dtype, np.floating):
            floats.append(key)
        elif isinstance(box, spaces.Box) and flat and (count := _values(box)) <= MAX_CLASSES:
            classes[key] = (int(box.low.min()), count)
        else:
            raise InvalidArgumentError(
                f"observation key {key!r} ({box}) cannot be read by NLPExtractor, which takes "
                f"float vectors and integers of at most {MAX_CLASSES} values. Use "
                "obs_type='index' or 'features', or another features_extractor_class."
            )
    return floats, classes


def _values(box: spaces.Box) -> int:
    return int(box.high.max()) - int(box.low.min()) + 1


def _check_options(hidden: Sequence[int], rates: dict[str, float], activation: str) -> None:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not hidden:
        raise InvalidArgumentError(
            f"hidden={hidden!r} must be a list of layer widths, such as [256]."
        )
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in hidden):
        raise InvalidArgumentError(f"hidden={list(hidden)!r}: layer widths are integers from 1.")
    for name, rate in rates.items():
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise InvalidArgumentError(f"{name}={rate!r} must be a number from 0 to below 1.")
    if activation not in ACTIVATIONS:
        raise UnknownNameError("activation", activation, ACTIVATIONS)


def _trunk(
    width: int,
    hidden: Sequence[int],
    dropout: tuple[float, float],
    activation: type[nn.Module],
    layer_norm: bool,
) -> nn.Sequential:
    """Fully connected layers, orthogonal as in Stable-Baselines3's actor-critic policies."""
    rate_in, rate = dropout
    layers: list[nn.Module] = [nn.Dropout(rate_in)] if rate_in else []
    for inputs, outputs in zip((width, *hidden[:-1]), hidden, strict=True):
        linear = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(linear.weight, gain=math.sqrt(2))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if layer_norm:
            layers.append(nn.LayerNorm(outputs))
        layers.append(activation())
        if rate:
            layers.append(nn.Dropout(rate))
    return nn.Sequential(*layers)
