"""Options of encoders: checked when they are given, resolved without importing torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeGuard

from nlp_gym.checks import check_int, check_name, check_options
from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown

Layers = int | str | Sequence[int] | None
"""A choice of hidden states, see `EncoderOptions`."""

POOLINGS = ("mean", "first")
DTYPES = ("auto", "float32", "bfloat16")
STORAGES = ("float16", "int8")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_WIDEST = 65_536
"""Largest `dim`: wider vectors serve no test."""
_MOST = 2**31 - 1
_MOST_LAYERS = 10_000
_LAYER_HELP = (
    'Allowed: a number, "last", several ("0+2+4" or [0, 2, 4]: concatenated), "mean" or "mean:1-6"'
)


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Options of an encoder, as given in `encoder_kwargs`, after checks.

    Transformers have all of them but `dim`; ``"hashed"`` has `dim`, `project` and `storage`.

    Attributes:
        layers: Which hidden states make the vector, 0 being the embeddings: a number, ``"last"``,
            several (``"0+2+4"`` or a sequence: concatenated), ``"mean"`` (of all layers but the
            embeddings) or ``"mean:1-6"``. None: (0, L//3, 2L//3) of L layers.
        pooling: A word's vector is the ``"mean"`` of its sub-words' vectors or the ``"first"`` one.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"auto"`` (see `resolve_dtype`).
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"auto"``: CUDA if present.
        max_length: Most sub-words in one pass, special ones included; longer texts go through
            overlapping windows. None: the model's limit.
        batch_tokens: Most sub-words in a batch, padding included; it affects speed and memory
            alone. None: `default_batch_tokens`.
        dim: Width of a vector of the hashed encoder, before it is projected.
        project: Vectors are the first so many principal components, see `nlp_gym.encode.compact`.
            None: they are not projected.
        storage: Number format of the cache: ``"float16"``, or ``"int8"`` for half the bytes.
    """

    layers: Layers = None
    pooling: str = "mean"
    dtype: str = "auto"
    device: str = "auto"
    max_length: int | None = None
    batch_tokens: int | None = None
    dim: int = 64
    project: int | None = None
    storage: str = "float16"

    def __post_init__(self) -> None:
        """Check all that can be checked before the model is known."""
        check_name("encoder_kwargs: pooling", self.pooling, POOLINGS)
        check_name("encoder_kwargs: dtype", self.dtype, DTYPES)
        check_name("encoder_kwargs: storage", self.storage, STORAGES)
        if not (isinstance(self.device, str) and _DEVICE.fullmatch(self.device)):
            known = ["auto", "cpu", "cuda", "cuda:N", "mps"]
            raise UnknownNameError("encoder_kwargs: device", self.device, known)
        for name in ("batch_tokens", "max_length"):
            if getattr(self, name) is not None:
                self._check_size(name, _MOST)
        self._check_size("dim", _WIDEST)
        if self.project is not None:
            self._check_size("project", _WIDEST)

    def _check_size(self, name: str, most: int) -> None:
        size = check_int(f"encoder_kwargs: {name}", getattr(self, name), 1, most)
        object.__setattr__(self, name, size)  # an int, whatever kind of integer was given

    @classmethod
    def of(
        cls,
        encoder_kwargs: EncoderOptions | Mapping[str, Any] | None,
        *,
        encoder: object = "minilm",
        layers: Layers = None,
    ) -> EncoderOptions:
        """Make the options of an encoder from `encoder_kwargs`.

        Args:
            encoder_kwargs: A mapping from names to values, or options that were made before.
            encoder: Name of the encoder, or an encoder, which has its options already.
            layers: Default of `layers` of a transformer, if `encoder_kwargs` is a mapping.

        Raises:
            UnknownNameError: The encoder has no such option.
            InvalidArgumentError: A value is not allowed, or `encoder` is an encoder.
        """
        if isinstance(encoder_kwargs, EncoderOptions):
            _check_given(list(encoder_kwargs.changed()), encoder)
            return encoder_kwargs
        given = {} if encoder_kwargs is None else encoder_kwargs
        if not isinstance(given, Mapping):
            raise InvalidArgumentError(
                f"encoder_kwargs={shown(given)} must be None, EncoderOptions or a mapping from the "
                "names of options to their values."
            )
        _check_given(list(given), encoder)
        options = dict(given)
        if not _is_hashed(encoder):
            options.setdefault("layers", layers)
        return cls(**options)

    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        own = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        return {name: value for name, (value, default) in own.items() if value != default}


def _is_hashed(encoder: object) -> bool:
    return isinstance(encoder, str) and encoder == "hashed"


def _check_given(names: list[Any], encoder: object) -> None:
    """Refuse options that an encoder does not have."""
    if names and not isinstance(encoder, str):
        raise InvalidArgumentError(
            f"encoder_kwargs={shown(names)}: encoder is an object, so that options have no effect. "
            "Give them when you make it."
        )
    known = [f.name for f in fields(EncoderOptions) if f.name != "dim"]
    if _is_hashed(encoder):
        known = ["dim", "project", "storage"]
    check_options("encoder_kwargs", names, known)


@dataclass(frozen=True)
class LayerChoice:
    """The hidden states that make a vector: `indices`, concatenated or, with `mean`, averaged."""

    indices: tuple[int, ...]
    mean: bool = False

    @property
    def parts(self) -> int:
        """Width of a vector in units of the model's width."""
        return 1 if self.mean else len(self.indices)


def parse_layers(layers: Layers, n_layers: int) -> LayerChoice:
    """Resolve the option `layers` for a model of `n_layers` layers (hidden states 0..n_layers)."""
    if layers is None:
        choice = LayerChoice(tuple(dict.fromkeys((0, n_layers // 3, 2 * n_layers // 3))))
    elif isinstance(layers, str):
        choice = _parse_layer_text(layers.strip(), n_layers)
    elif isinstance(layers, int) and not isinstance(layers, bool):
        choice = LayerChoice((layers,))
    elif _are_numbers(layers):
        choice = LayerChoice(tuple(layers))
    else:
        raise _no_choice(layers)
    bad = [i for i in choice.indices if not 0 <= i <= n_layers]
    if bad or not choice.indices or len(set(choice.indices)) < len(choice.indices):
        raise InvalidArgumentError(
            f"encoder_kwargs: layers={shown(layers)} does not fit this encoder: its layers are 0 "
            f"(embeddings) to {n_layers}, each at most once. {_LAYER_HELP}."
        )
    return choice


def _are_numbers(layers: object) -> TypeGuard[Sequence[int]]:
    if not isinstance(layers, list | tuple | range) or len(layers) > _MOST_LAYERS:
        return False
    return all(type(layer) is int for layer in layers)


def _parse_layer_text(text: str, n_layers: int) -> LayerChoice:
    if text == "last":
        return LayerChoice((n_layers,))
    if text == "mean":
        return LayerChoice(tuple(range(1, n_layers + 1)), mean=True)
    if found := re.fullmatch(r"mean:(\d{1,4})-(\d{1,4})", text):
        return LayerChoice(tuple(range(int(found[1]), int(found[2]) + 1)), mean=True)
    if re.fullmatch(r"\d{1,4}(\+\d{1,4})*", text):
        return LayerChoice(tuple(int(part) for part in text.split("+")))
    raise _no_choice(text)


def _no_choice(layers: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"encoder_kwargs: layers={shown(layers)} is not a choice of layers. {_LAYER_HELP}."
    )


def resolve_dtype(dtype: str, device: str) -> str:
    """Resolve ``"auto"``: bfloat16 where this machine is faster in it, else float32.

    That is on NVIDIA GPUs and on CPUs with AMX tiles. A CPU that has bfloat16 as AVX-512
    instructions alone took 1.6 times as long in it as in float32 (`benchmarks/speed/encoding.py`).

    The CPU's flags and the presence of an NVIDIA driver decide, not torch: the number format is
    part of the fingerprint, which must be known without importing torch.
    """
    if dtype != "auto":
        return dtype
    fast = _cpu_has_tiles() or (device not in ("cpu", "mps") and _nvidia_gpu())
    return "bfloat16" if fast else "float32"


@lru_cache(maxsize=1)
def _cpu_has_tiles() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return flags is not None and "amx_bf16" in flags[1].split()


def _nvidia_gpu() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "unset").strip() in ("", "-1")
    if hidden or not Path("/proc/driver/nvidia/version").exists():
        return False
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
