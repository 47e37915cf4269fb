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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import RunError
from nlp_gym.inert import listed, shown
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.runs import episodes, schema
from nlp_gym_agents.runs.plain_files import read_json
from nlp_gym_agents.runs.state import (
    BufferState,
    CheckpointState,
    Numbers,
    OptimizerState,
    RandomState,
    buffer_arrays,
    check_buffer,
    check_counters,
    counters_of,
    fitted_groups,
    optimizers_of,
)
from nlp_gym_agents.runs.weights import (
    Tensors,
    load_policy,
    read_tensors,
    save_tensors,
    save_weights,
)

STATE = "state.json"
# Bytes; `features` observations make buffers too large to save each time.
BUFFER_LIMIT = 2 * 1024**3


def _split_optimizers(model: BaseAlgorithm) -> tuple[Tensors, Numbers]:
    tensors: Tensors = {}
    numbers: Numbers = {}
    for name, optimizer in optimizers_of(model):
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


def _fitted_optimizers(
    model: BaseAlgorithm, tensors: Tensors, numbers: Mapping[str, OptimizerState]
) -> list[tuple[torch.optim.Optimizer, Numbers]]:
    """The states of all optimizers, once all are known to fit."""
    optimizers = dict(optimizers_of(model))
    if set(numbers) != set(optimizers):
        raise RunError(f"optimizers: {listed(numbers)}; the model has {listed(optimizers)}.")
    owners = {key: key.rsplit("/", 2)[0] for key in tensors if key.count("/") >= 2}
    unknown = [key for key in tensors if owners.get(key) not in optimizers]
    if unknown:
        raise RunError(f"optimizers: {shown(unknown[0])} belongs to none.")
    found = []
    for name, optimizer in optimizers.items():
        own = {key: tensor for key, tensor in tensors.items() if owners[key] == name}
        groups = fitted_groups(name, optimizer, numbers[name], own)
        state: dict[int, Numbers] = {int(i): dict(v) for i, v in numbers[name]["state"].items()}
        for key, tensor in own.items():
            _, index, entry = key.rsplit("/", 2)
            state.setdefault(int(index), {})[entry] = tensor
        found.append((optimizer, {"state": state, "param_groups": groups}))
    return found


def _save_buffer(folder: Path, model: BaseAlgorithm) -> Numbers | None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return None
    arrays = {key: array[: buffer.size()] for key, array in buffer_arrays(buffer).items()}
    if sum(array.nbytes for array in arrays.values()) > BUFFER_LIMIT:
        return None
    tensors = {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
    save_tensors(folder / "buffer.safetensors", tensors)
    return {"pos": buffer.pos, "full": buffer.full, "buffer_size": buffer.buffer_size}


def _load_buffer(folder: Path, model: BaseAlgorithm, saved: BufferState | None) -> None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None or saved is None:
        return
    tensors = read_tensors(folder / "buffer.safetensors")
    check_buffer(model, saved, tensors)
    for key, array in buffer_arrays(buffer).items():
        values = tensors[key].numpy()
        array[: len(values)] = values
    buffer.pos, buffer.full = saved["pos"], saved["full"]


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


def _restore_random(model: BaseAlgorithm, tensors: Tensors, numbers: RandomState) -> None:
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available() and "cuda/0" in tensors:
        states = [tensors[key] for key in sorted(tensors) if key.startswith("cuda/")]
        torch.cuda.set_rng_state_all(states[: torch.cuda.device_count()])
    version, internal, following = numbers["python"]
    random.setstate((version, tuple(internal), following))
    kind, keys, position, has_gauss, gauss = numbers["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), position, has_gauss, gauss))  # noqa: NPY002 - SB3's generator
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
        "counters": counters_of(model),
        "optimizers": optimizers,
        "buffer": _save_buffer(folder, model),
        "random": random_numbers,
        "episodes": _save_episodes(folder, model),
        "extra": dict(extra),
    }
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    return aliases


def saved_environments(folder: Path) -> int | None:
    """How many environments a checkpoint was made with; None: it does not say.

    Raises:
        RunError: Its state is missing or damaged.
    """
    state: CheckpointState = read_json(folder / STATE)
    schema.check(state, CheckpointState, folder / STATE)
    return None if state["episodes"] is None else len(state["episodes"]["generators"])


def load_state(folder: Path, model: BaseAlgorithm, *, timesteps: int | None = None) -> Numbers:
    """Restore what `save_state` wrote into a model built from the same settings.

    Args:
        folder: A checkpoint.
        model: A Stable-Baselines3 algorithm.
        timesteps: When the checkpoint was made, by its settings; None: they do not say.

    Returns:
        The `extra` that was saved.

    Raises:
        RunError: A file is missing, damaged or of another architecture.
    """
    path = folder / STATE
    state: CheckpointState = read_json(path)
    schema.check(state, CheckpointState, path)
    load_policy(folder, model, state["aliases"])
    optimizers = read_tensors(folder / "optimizer.safetensors")
    try:
        check_counters(model, state["counters"], timesteps)
        for optimizer, saved in _fitted_optimizers(model, optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        _load_buffer(folder, model, state["buffer"])
        own = counters_of(model)
        for name, value in state["counters"].items():
            if name in own:
                setattr(model, name, value)
        if state["episodes"] is not None:
            tensors = read_tensors(folder / "episodes.safetensors")
            episodes.restore(model, tensors, state["episodes"])
        # Last: restoring the episodes resets environments, which draws random numbers.
        _restore_random(model, read_tensors(folder / "rng.safetensors"), state["random"])
    except _UNFIT as error:
        problem = str(error) if isinstance(error, RunError) else repr(error)
        raise RunError(
            f"{path} does not fit the model that the run's settings describe: {problem}"
        ) from error
    return dict(state["extra"])


_UNFIT = (RunError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError)
