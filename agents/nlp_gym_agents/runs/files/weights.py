"""Tensors and policies as safetensors files; reading them executes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import RunError
from nlp_gym.inert import shown
from nlp_gym.memory import memory_limit, readable_size

Tensors = dict[str, torch.Tensor]
POLICY = "policy.safetensors"
"""Weights of a policy, online and target networks."""
TENSORS = ".safetensors"
"""Ending of the files that hold tensors."""


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


def check_tensors_size(path: Path) -> None:
    """Check what the header of a file of tensors says, without reading the tensors.

    Raises:
        RunError: The file is missing, no regular one, not as large as its header says, or larger
            than half of the machine's memory.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError(0, "there is no such regular file")
        size = path.stat().st_size
        if size > memory_limit() // 2:
            raise OSError(0, f"it has {readable_size(size)}, more than half of the memory")
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is missing or damaged ({_problem(error)}).") from error


def read_tensors(path: Path, aliases: Mapping[str, str] | None = None) -> Tensors:
    """Read what `save_tensors` wrote, on the CPU.

    Raises:
        RunError: The file is missing or damaged, or a number in it is NaN or infinite.
    """
    check_tensors_size(path)
    try:
        tensors: Tensors = dict(load_file(path))
        tensors |= {name: tensors[source] for name, source in (aliases or {}).items()}
    except (OSError, SafetensorError, KeyError) as error:
        raise RunError(f"{path} is missing or damaged ({_problem(error)}).") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise RunError(
                f"{path}: the tensor {shown(name)} has numbers that are NaN or infinite. The file "
                "was altered, or training diverged: take an older checkpoint, or train again with "
                "a lower learning rate."
            )
    return tensors


def _problem(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def load_policy(folder: Path, model: BaseAlgorithm, aliases: Mapping[str, str]) -> None:
    """Put ``policy.safetensors`` into ``model.policy``.

    Raises:
        RunError: Missing file, weights of another architecture or number format, or weights that
            are not finite.
    """
    tensors = read_tensors(folder / POLICY, aliases)
    try:
        _check_dtypes(tensors, model.policy.state_dict())
        model.policy.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(
            f"{folder / POLICY} does not fit the policy that the run's settings "
            f"describe: {str(error).splitlines()[-1].strip()} Settings and weights come from "
            "different runs, the encoder's width changed, or arguments in place of the run's own "
            "(--env-kwargs) change what the agent sees."
        ) from error


def _check_dtypes(tensors: Tensors, own: Mapping[str, torch.Tensor]) -> None:
    """Raise `RuntimeError` where torch would convert numbers silently."""
    for name, tensor in tensors.items():
        if name in own and tensor.dtype != own[name].dtype:
            raise RuntimeError(f"{shown(name)} is {tensor.dtype}, not {own[name].dtype}.")


def save_weights(folder: Path, model: BaseAlgorithm) -> dict[str, str]:
    """Write the policy alone (what ``best/`` needs); returns the aliases to load it with."""
    return save_tensors(folder / POLICY, model.policy.state_dict())
