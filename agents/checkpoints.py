"""A Stable-Baselines3 model's state as safetensors and JSON; nothing here reads or writes pickle.

Files of a checkpoint (a folder, see `agents.snapshots`):

``policy.safetensors``     ``model.policy.state_dict()``: online and target networks
``optimizer.safetensors``  tensors of every optimizer state; its numbers are in ``state.json``
``buffer.safetensors``     replay buffer, the filled part of each array (off-policy only)
``rng.safetensors``        torch's generator states
``state.json``             counters, optimizer groups, Python's and numpy's generator states

What a resumed run continues exactly: weights, target network, optimizer, replay buffer, counters,
schedules and all random generators above. What it does not: the episodes that were being played.
Environments are reset with a seed derived from the run's seed and the timesteps done, so from
there on a resumed run sees other texts than an uninterrupted one would have.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from agents.snapshots import read_json
from nlp_gym.errors import RunError

BUFFER_LIMIT = (
    2 * 1024**3
)  # bytes; `features` observations make buffers too large to save each time
_NOT_STATE = frozenset({"n_envs", "verbose", "seed", "start_time", "_total_timesteps"})
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


def load_policy(folder: Path, model: Any, aliases: Mapping[str, str]) -> None:
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
            "different runs, or the encoder's width changed."
        ) from error


def _optimizers(model: Any) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    """Every optimizer that the algorithm itself lists as state, by its dotted name."""
    for name in dict.fromkeys(["policy.optimizer", *model._get_torch_save_params()[0]]):
        value = model
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, torch.optim.Optimizer):
            yield name, value


def _split_optimizers(model: Any) -> tuple[Tensors, dict[str, Any]]:
    tensors: Tensors = {}
    numbers: dict[str, Any] = {}
    for name, optimizer in _optimizers(model):
        state = optimizer.state_dict()
        entries: dict[str, dict[str, Any]] = {}
        for index, values in state["state"].items():
            entries[str(index)] = {}
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{name}/{index}/{key}"] = value
                else:
                    entries[str(index)][key] = value
        numbers[name] = {"state": entries, "param_groups": state["param_groups"]}
    return tensors, numbers


def _join_optimizers(model: Any, tensors: Tensors, numbers: Mapping[str, Any]) -> None:
    for name, optimizer in _optimizers(model):
        saved = numbers[name]
        state: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in saved["state"].items()}
        for key, tensor in tensors.items():
            owner, index, entry = key.rsplit("/", 2)
            if owner == name:
                state.setdefault(int(index), {})[entry] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})


def _buffer_arrays(buffer: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays with the buffer's time axis first, by attribute (and key, for dict observations)."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in vars(buffer).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, array in parts:
            if isinstance(array, np.ndarray) and array.shape[:1] == (buffer.buffer_size,):
                arrays[f"{name}/{key}" if key else name] = array
    return arrays


def _save_buffer(folder: Path, model: Any) -> dict[str, Any] | None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return None
    arrays = {key: array[: buffer.size()] for key, array in _buffer_arrays(buffer).items()}
    if sum(array.nbytes for array in arrays.values()) > BUFFER_LIMIT:
        return None
    tensors = {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
    save_tensors(folder / "buffer.safetensors", tensors)
    return {"pos": buffer.pos, "full": buffer.full, "buffer_size": buffer.buffer_size}


def _load_buffer(folder: Path, model: Any, saved: Mapping[str, Any] | None) -> None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None or saved is None:
        return
    if saved["buffer_size"] != buffer.buffer_size:
        raise RunError(
            f"{folder} holds a replay buffer of {saved['buffer_size']} rows, the model's has "
            f"{buffer.buffer_size}. Resume with the buffer_size and n_envs of the run's config.yml."
        )
    tensors = read_tensors(folder / "buffer.safetensors")
    for key, array in _buffer_arrays(buffer).items():
        values = tensors[key].numpy()
        array[: len(values)] = values
    buffer.pos, buffer.full = saved["pos"], saved["full"]


def _counters(model: Any) -> dict[str, int | float | bool]:
    """Numbers an algorithm keeps about its progress, third-party ones included."""
    return {
        name: value
        for name, value in vars(model).items()
        if type(value) in (int, float, bool) and name not in _NOT_STATE
    }


def _random_state(model: Any) -> tuple[Tensors, dict[str, Any]]:
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda/{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 - SB3's generator
    numbers = {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "action_space": model.action_space.np_random.bit_generator.state,
    }
    return tensors, numbers


def _restore_random(model: Any, tensors: Tensors, numbers: Mapping[str, Any]) -> None:
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available() and "cuda/0" in tensors:
        states = [tensors[key] for key in sorted(tensors) if key.startswith("cuda/")]
        torch.cuda.set_rng_state_all(states[: torch.cuda.device_count()])
    version, internal, gauss = numbers["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = numbers["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), *rest))  # noqa: NPY002 - SB3's generator
    model.action_space.np_random.bit_generator.state = numbers["action_space"]


def save_weights(folder: Path, model: Any) -> dict[str, str]:
    """Write the policy alone (what ``best/`` needs); returns the aliases to load it with."""
    return save_tensors(folder / "policy.safetensors", model.policy.state_dict())


def save_state(folder: Path, model: Any, extra: Mapping[str, Any]) -> None:
    """Write everything a run continues from into the existing folder `folder`.

    Args:
        folder: Usually from `agents.snapshots.publish`, which makes it all or nothing.
        model: A Stable-Baselines3 algorithm.
        extra: JSON-able state of the training loop (best value, early stopping, ...).
    """
    aliases = save_weights(folder, model)
    tensors, optimizers = _split_optimizers(model)
    save_tensors(folder / "optimizer.safetensors", tensors)
    random_tensors, random_numbers = _random_state(model)
    save_tensors(folder / "rng.safetensors", random_tensors)
    state = {
        "aliases": aliases,
        "counters": _counters(model),
        "optimizers": optimizers,
        "buffer": _save_buffer(folder, model),
        "random": random_numbers,
        "extra": dict(extra),
    }
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")


def load_state(folder: Path, model: Any) -> dict[str, Any]:
    """Restore what `save_state` wrote into a model built from the same settings.

    Returns:
        The `extra` that was saved.

    Raises:
        RunError: A file is missing, damaged or of another architecture.
    """
    state = read_json(folder / "state.json")
    try:
        load_policy(folder, model, state["aliases"])
        tensors = read_tensors(folder / "optimizer.safetensors")
        _join_optimizers(model, tensors, state["optimizers"])
        _load_buffer(folder, model, state["buffer"])
        for name, value in state["counters"].items():
            if type(getattr(model, name, None)) is type(value):
                setattr(model, name, value)
        _restore_random(model, read_tensors(folder / "rng.safetensors"), state["random"])
        return dict(state["extra"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{folder / 'state.json'} is incomplete or damaged ({error!r}).") from error
