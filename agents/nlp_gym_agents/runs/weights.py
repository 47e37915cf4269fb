"""Tensors and policies as safetensors files; reading them executes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import RunError

Tensors = dict[str, torch.Tensor]


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Write tensors; those that share memory once. Returns ``{name: name it is stored under}``.

    Raises:
        OSError: The disk is full or read-only.
    """
    stored: Tensors = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in seen:
            aliases[name] = seen[key]
            continue
        seen[key] = name
        stored[name] = tensor.detach().cpu().clone().contiguous()
    path.write_bytes(save(stored))
    return aliases


def read_tensors(path: Path, aliases: Mapping[str, str] | None = None) -> Tensors:
    """Read what `save_tensors` wrote, on the CPU.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        tensors: Tensors = dict(load_file(path))
        return tensors | {name: tensors[source] for name, source in (aliases or {}).items()}
    except (OSError, SafetensorError, KeyError) as error:
        raise RunError(f"{path} is missing or damaged ({error}).") from error


def load_policy(folder: Path, model: BaseAlgorithm, aliases: Mapping[str, str]) -> None:
    """Put ``policy.safetensors`` into ``model.policy``.

    Raises:
        RunError: Missing file, or weights of another architecture.
    """
    tensors = read_tensors(folder / "policy.safetensors", aliases)
    try:
        model.policy.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(
            f"{folder / 'policy.safetensors'} does not fit the policy that the run's settings "
            f"describe: {str(error).splitlines()[-1].strip()} Settings and weights come from "
            "different runs, the encoder's width changed, or arguments in place of the run's own "
            "(--env-kwargs) change what the agent sees."
        ) from error


def save_weights(folder: Path, model: BaseAlgorithm) -> dict[str, str]:
    """Write the policy alone (what ``best/`` needs); returns the aliases to load it with."""
    return save_tensors(folder / "policy.safetensors", model.policy.state_dict())
