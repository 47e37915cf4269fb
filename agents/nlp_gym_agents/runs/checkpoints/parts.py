"""The parts of a checkpoint besides weights: each is taken from a model, and put back into one."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import RunError
from nlp_gym.inert import listed, shown
from nlp_gym_agents.runs.checkpoints import episodes
from nlp_gym_agents.runs.checkpoints.state import (
    BufferState,
    Numbers,
    OptimizerState,
    RandomState,
    RecentEpisodes,
    buffer_arrays,
    check_arrays,
    check_buffer,
    counters_of,
    fitted_groups,
    whole_arrays,
)
from nlp_gym_agents.runs.files.weights import (
    Tensors,
    read_tensors,
    save_tensors,
)

# Bytes; `features` observations make buffers too large to save each time.
BUFFER_LIMIT = 2 * 1024**3


Optimizers = Mapping[str, torch.optim.Optimizer]
"""Optimizers by name."""


def split_optimizers(optimizers: Optimizers) -> tuple[Tensors, Numbers]:
    """Tensors of the states of optimizers, and their numbers."""
    tensors: Tensors = {}
    numbers: Numbers = {}
    for name, optimizer in optimizers.items():
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


def fitted_optimizers(
    optimizers: Optimizers, tensors: Tensors, numbers: Mapping[str, OptimizerState]
) -> list[tuple[torch.optim.Optimizer, Numbers]]:
    """The states of all optimizers, once all are known to fit."""
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


def save_buffer(folder: Path, model: BaseAlgorithm) -> Numbers | None:
    """Write the filled part of a replay buffer; None: there is none, or it is too large."""
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return None
    arrays = {key: array[: buffer.size()] for key, array in buffer_arrays(buffer).items()}
    arrays |= whole_arrays(buffer)
    if sum(array.nbytes for array in arrays.values()) > BUFFER_LIMIT:
        return None
    tensors = {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
    save_tensors(folder / "buffer.safetensors", tensors)
    return {"pos": buffer.pos, "full": buffer.full, "buffer_size": buffer.buffer_size}


def load_buffer(folder: Path, model: BaseAlgorithm, saved: BufferState | None) -> None:
    """Fill a replay buffer with what `save_buffer` wrote.

    Raises:
        NLPGymError: It does not fit.
    """
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None or saved is None:
        return
    tensors = read_tensors(folder / "buffer.safetensors")
    check_buffer(model, saved, tensors)
    for key, array in buffer_arrays(buffer).items():
        values = tensors[key].numpy()
        array[: len(values)] = values
    for key, array in whole_arrays(buffer).items():
        array[...] = tensors[key].numpy()
    buffer.pos, buffer.full = saved["pos"], saved["full"]
    if hasattr(buffer, "restored"):
        buffer.restored()


def random_state(model: BaseAlgorithm) -> tuple[Tensors, Numbers]:
    """States of all random generators that training draws from, as tensors and as numbers."""
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


def restore_random(
    model: BaseAlgorithm, tensors: Tensors, numbers: RandomState, alone: bool
) -> None:
    """Put the states of `random_state` back; `alone`: this process is the only one that trains."""
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available() and "cuda/0" in tensors and not alone:
        torch.cuda.set_rng_state(tensors["cuda/0"])  # that of rank 0, on this rank's device
    elif torch.cuda.is_available() and "cuda/0" in tensors:
        states = [tensors[key] for key in sorted(tensors) if key.startswith("cuda/")]
        torch.cuda.set_rng_state_all(states[: torch.cuda.device_count()])
    version, internal, following = numbers["python"]
    random.setstate((version, tuple(internal), following))
    kind, keys, position, has_gauss, gauss = numbers["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), position, has_gauss, gauss))  # noqa: NPY002 - SB3's generator
    model.action_space.np_random.bit_generator.state = numbers["action_space"]


def memory_of(model: BaseAlgorithm) -> Tensors:
    """Hidden and cell states of a recurrent policy's actor and critic; empty for any other."""
    states = getattr(model, "_last_lstm_states", None)
    if not isinstance(states, RNNStates):
        return {}
    # One LSTM for both would be the same tensors twice.
    return {
        f"{part}/{i}": state.detach().clone()
        for part in RNNStates._fields
        for i, state in enumerate(getattr(states, part))
    }


def restore_memory(model: BaseAlgorithm, tensors: Tensors) -> None:
    """Put back what `memory_of` gave.

    Raises:
        NLPGymError: It does not fit.
    """
    fresh = {name: state.numpy(force=True) for name, state in memory_of(model).items()}
    check_arrays(tensors, {name: (state.dtype, state.shape) for name, state in fresh.items()})
    parts = [
        tuple(tensors[f"{part}/{i}"].to(model.device) for i in range(2))
        for part in RNNStates._fields
    ]
    model._last_lstm_states = RNNStates(*parts)  # type: ignore[attr-defined]


def recent_of(model: BaseAlgorithm) -> RecentEpisodes:
    """The last episodes' returns and lengths, which the logged means are taken over."""
    ended = [
        {key: float(info[key]) for key in ("r", "l", "t") if key in info}
        for info in model.ep_info_buffer or ()
    ]
    return {
        "episodes": [info for info in ended if all(map(math.isfinite, info.values()))],
        "successes": [float(success) for success in model.ep_success_buffer or ()],
    }


def restore_recent(model: BaseAlgorithm, saved: RecentEpisodes) -> None:
    """Put back what `recent_of` gave."""
    size = model._stats_window_size
    model.ep_info_buffer = deque(saved["episodes"], maxlen=size)
    model.ep_success_buffer = deque(saved["successes"], maxlen=size)


@dataclass(frozen=True)
class Boundary:
    """What a rollout changes in a model that learns from rollouts alone, as it was between two.

    Attributes:
        counters: Numbers about the progress.
        random: States of the random generators, as tensors and as numbers.
        episodes: The episodes being played; None where they cannot be had.
        memory: That of a recurrent policy.
        recent: The last episodes' returns.
    """

    counters: Numbers
    random: tuple[Tensors, Numbers]
    episodes: tuple[Tensors, Numbers] | None
    memory: Tensors
    recent: RecentEpisodes


def boundary(model: BaseAlgorithm) -> Boundary:
    """Copy what the next rollout will change; for 256 environments it takes a millisecond."""
    return Boundary(
        counters_of(model),
        random_state(model),
        episodes.capture(model),
        memory_of(model),
        recent_of(model),
    )
