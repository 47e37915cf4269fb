"""A Stable-Baselines3 model's state as safetensors and JSON; nothing here reads or writes pickle.

Files of a checkpoint (a folder, see `nlp_gym_agents.runs.snapshots`):

``policy.safetensors``     ``model.policy.state_dict()``: online and target networks
``optimizer.safetensors``  tensors of every optimizer state; its numbers are in ``state.json``
``buffer.safetensors``     replay buffer, the filled part of each array (off-policy only)
``rng.safetensors``        torch's generator states
``episodes.safetensors``   the episodes being played (`nlp_gym_agents.runs.episodes`)
``state.json``             counters, optimizer groups, Python's and numpy's generator states

A run resumed from a checkpoint that was saved between rollouts continues exactly as if it had not
stopped: weights, target network, optimizer, replay buffer, counters, schedules, random generators
and the episodes being played are all restored. Not exact are: a stop requested inside a long
rollout (its steps count as done but are not learned from), a stop between two checkpoints where an
encoder learns (cached vectors differ in their last digit by what they were encoded together with,
and a checkpoint drops them), the running means of episode rewards,
`recurrent_ppo`'s memory, replay buffers above `BUFFER_LIMIT` (they start empty), third-party
environments (they begin new episodes) and, as everywhere, another number of threads or a GPU.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from nlp_gym.errors import RunError, shown
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.runs import episodes
from nlp_gym_agents.runs.snapshots import read_json
from nlp_gym_agents.runs.weights import (
    Tensors,
    load_policy,
    read_tensors,
    save_tensors,
    save_weights,
)

Numbers = dict[str, Any]
"""State that goes into JSON."""

# Bytes; `features` observations make buffers too large to save each time.
BUFFER_LIMIT = 2 * 1024**3
_NOT_STATE = frozenset({"n_envs", "verbose", "seed", "start_time", "_total_timesteps"})


def _optimizers(model: BaseAlgorithm) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    """Every optimizer that the algorithm itself lists as state, by its dotted name."""
    for name in dict.fromkeys(["policy.optimizer", *model._get_torch_save_params()[0]]):
        value: object = model
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, torch.optim.Optimizer):
            yield name, value


def _split_optimizers(model: BaseAlgorithm) -> tuple[Tensors, Numbers]:
    tensors: Tensors = {}
    numbers: Numbers = {}
    for name, optimizer in _optimizers(model):
        state = optimizer.state_dict()
        entries: dict[str, Numbers] = {}
        for index, values in state["state"].items():
            entries[str(index)] = {}
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{name}/{index}/{key}"] = value
                else:
                    entries[str(index)][key] = value
        numbers[name] = {"state": entries, "param_groups": state["param_groups"]}
    return tensors, numbers


def _join_optimizers(model: BaseAlgorithm, tensors: Tensors, numbers: Numbers) -> None:
    for name, optimizer in _optimizers(model):
        saved = numbers[name]
        state: dict[int, Numbers] = {int(i): dict(v) for i, v in saved["state"].items()}
        for key, tensor in tensors.items():
            owner, index, entry = key.rsplit("/", 2)
            if owner == name:
                state.setdefault(int(index), {})[entry] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})


def _buffer_arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Arrays with the buffer's time axis first, by attribute (and key, for dict observations)."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in vars(buffer).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, array in parts:
            if isinstance(array, np.ndarray) and array.shape[:1] == (buffer.buffer_size,):
                arrays[f"{name}/{key}" if key else name] = array
    return arrays


def _save_buffer(folder: Path, model: BaseAlgorithm) -> Numbers | None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return None
    arrays = {key: array[: buffer.size()] for key, array in _buffer_arrays(buffer).items()}
    if sum(array.nbytes for array in arrays.values()) > BUFFER_LIMIT:
        return None
    tensors = {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
    save_tensors(folder / "buffer.safetensors", tensors)
    return {"pos": buffer.pos, "full": buffer.full, "buffer_size": buffer.buffer_size}


def _load_buffer(folder: Path, model: BaseAlgorithm, saved: Numbers | None) -> None:
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


def _counters(model: BaseAlgorithm) -> dict[str, int | float | bool]:
    """Numbers an algorithm keeps about its progress, third-party ones included."""
    return {
        name: value
        for name, value in vars(model).items()
        if type(value) in (int, float, bool) and name not in _NOT_STATE
    }


def _random_state(model: BaseAlgorithm) -> tuple[Tensors, Numbers]:
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


def _restore_random(model: BaseAlgorithm, tensors: Tensors, numbers: Numbers) -> None:
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available() and "cuda/0" in tensors:
        states = [tensors[key] for key in sorted(tensors) if key.startswith("cuda/")]
        torch.cuda.set_rng_state_all(states[: torch.cuda.device_count()])
    version, internal, gauss = numbers["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = numbers["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), *rest))  # noqa: NPY002 - SB3's generator
    model.action_space.np_random.bit_generator.state = numbers["action_space"]


def _save_episodes(folder: Path, model: BaseAlgorithm) -> Numbers | None:
    captured = episodes.capture(model)
    if captured is None:
        return None
    save_tensors(folder / "episodes.safetensors", captured[0])
    return captured[1]


def save_state(folder: Path, model: BaseAlgorithm, extra: Mapping[str, Any]) -> dict[str, str]:
    """Write everything a run continues from into the existing folder `folder`.

    Args:
        folder: Usually from `nlp_gym_agents.runs.snapshots.publish`, which makes it all or nothing.
        model: A Stable-Baselines3 algorithm.
        extra: JSON-able state of the training loop (best value, early stopping, ...).

    Returns:
        The aliases to load the policy with.
    """
    clear_caches(model.policy)
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
        "episodes": _save_episodes(folder, model),
        "extra": dict(extra),
    }
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return aliases


def load_state(folder: Path, model: BaseAlgorithm) -> Numbers:
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
        if state["episodes"] is not None:
            tensors = read_tensors(folder / "episodes.safetensors")
            episodes.restore(model, tensors, state["episodes"])
        # Last: restoring the episodes resets environments, which draws random numbers.
        _restore_random(model, read_tensors(folder / "rng.safetensors"), state["random"])
        return dict(state["extra"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(
            f"{folder / 'state.json'} is incomplete or damaged ({shown(error)})."
        ) from error
