"""A Stable-Baselines3 model's state as safetensors and JSON; nothing here reads or writes pickle.

Files of a checkpoint (a folder, see `nlp_gym_agents.runs.snapshots`):

``policy.safetensors``     ``model.policy.state_dict()``: online and target networks
``optimizer.safetensors``  tensors of every optimizer state; its numbers are in ``state.json``
``buffer.safetensors``     replay buffer, the filled part of each array (off-policy only)
``rng.safetensors``        torch's generator states
``episodes.safetensors``   the episodes being played (`nlp_gym_agents.runs.episodes`)
``memory.safetensors``     what a recurrent policy remembers of them
``data.safetensors``       what the algorithm aggregated (`KeepsData`), such as roll-ins
``state.json``             counters, optimizer groups, Python's and numpy's generator states

A run resumed from a checkpoint continues exactly as if it had not stopped: weights, target network,
optimizer, replay buffer, counters, schedules, random generators, the episodes being played, the
running means of their rewards and the memory of a recurrent policy are all restored. A stop
requested inside a long rollout saves the state before it (`Boundary`); the rollout is then played
again. Not exact are: a stop between two checkpoints where Q-learning has an encoder that learns or
writes, or an encoder is on hold (what a rollout caches, which a checkpoint drops, differs in its
last digit by what it was computed together with); replay buffers above `BUFFER_LIMIT` (they start
empty); third-party environments (they begin new episodes); and, as everywhere, another number of
threads or a GPU.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import NLPGymError, RunError
from nlp_gym.files import write_json
from nlp_gym.inert import listed, shown
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.runs import episodes, schema
from nlp_gym_agents.runs.folder import resume_command
from nlp_gym_agents.runs.plain_files import read_json
from nlp_gym_agents.runs.settings import SETTINGS
from nlp_gym_agents.runs.snapshots import prune, publish
from nlp_gym_agents.runs.state import (
    BufferState,
    CheckpointState,
    Numbers,
    OptimizerState,
    RandomState,
    RecentEpisodes,
    buffer_arrays,
    check_arrays,
    check_buffer,
    check_counters,
    counters_of,
    fitted_groups,
    optimizers_of,
    whole_arrays,
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
KEPT_CHECKPOINTS = 2
_MEMORY = "memory.safetensors"
_DATA = "data.safetensors"


@runtime_checkable
class KeepsData(Protocol):
    """An algorithm that learns from data which its weights of now could not make again."""

    def kept_tensors(self) -> Tensors:
        """What a checkpoint has to hold of it."""

    def restore_tensors(self, tensors: Tensors) -> None:
        """Go on with what `kept_tensors` gave.

        Raises:
            NLPGymError: They are not those of a run with the same settings.
        """


Optimizers = Mapping[str, torch.optim.Optimizer]
"""Optimizers by name."""


def _split_optimizers(optimizers: Optimizers) -> tuple[Tensors, Numbers]:
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


def _fitted_optimizers(
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


def _save_buffer(folder: Path, model: BaseAlgorithm) -> Numbers | None:
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


def _load_buffer(folder: Path, model: BaseAlgorithm, saved: BufferState | None) -> None:
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


def _restore_random(
    model: BaseAlgorithm, tensors: Tensors, numbers: RandomState, alone: bool
) -> None:
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


def _memory(model: BaseAlgorithm) -> Tensors:
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


def _restore_memory(model: BaseAlgorithm, tensors: Tensors) -> None:
    fresh = {name: state.numpy(force=True) for name, state in _memory(model).items()}
    check_arrays(tensors, {name: (state.dtype, state.shape) for name, state in fresh.items()})
    parts = [
        tuple(tensors[f"{part}/{i}"].to(model.device) for i in range(2))
        for part in RNNStates._fields
    ]
    model._last_lstm_states = RNNStates(*parts)  # type: ignore[attr-defined]


def _recent(model: BaseAlgorithm) -> RecentEpisodes:
    """The last episodes' returns and lengths, which the logged means are taken over."""
    ended = [
        {key: float(info[key]) for key in ("r", "l", "t") if key in info}
        for info in model.ep_info_buffer or ()
    ]
    return {
        "episodes": [info for info in ended if all(map(math.isfinite, info.values()))],
        "successes": [float(success) for success in model.ep_success_buffer or ()],
    }


def _restore_recent(model: BaseAlgorithm, saved: RecentEpisodes) -> None:
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
        _random_state(model),
        episodes.capture(model),
        _memory(model),
        _recent(model),
    )


def save_state(
    folder: Path,
    model: BaseAlgorithm,
    extra: Mapping[str, Any],
    *,
    at: Boundary | None = None,
    optimizers: Optimizers | None = None,
) -> dict[str, str]:
    """Write everything a run continues from into the existing folder `folder`.

    Args:
        folder: Usually from `nlp_gym_agents.runs.snapshots.publish`, which makes it all or nothing.
        model: A Stable-Baselines3 algorithm.
        extra: JSON-able state of the training loop (best value, early stopping, ...).
        at: From before the rollout that `model` is in; None: it is in none.
        optimizers: Further ones than the model's own, by name.

    Returns:
        The aliases to load the policy with.
    """
    at = at or boundary(model)
    clear_caches(model.policy)
    aliases = save_weights(folder, model)
    tensors, groups = _split_optimizers({**dict(optimizers_of(model)), **(optimizers or {})})
    save_tensors(folder / "optimizer.safetensors", tensors)
    save_tensors(folder / "rng.safetensors", at.random[0])
    if at.episodes is not None:
        save_tensors(folder / "episodes.safetensors", at.episodes[0])
    if at.memory:
        save_tensors(folder / _MEMORY, at.memory)
    if isinstance(model, KeepsData) and (kept := model.kept_tensors()):
        save_tensors(folder / _DATA, kept)
    state = {
        "aliases": aliases,
        "counters": at.counters,
        "optimizers": groups,
        "buffer": _save_buffer(folder, model),
        "random": at.random[1],
        "episodes": None if at.episodes is None else at.episodes[1],
        "recent": at.recent,
        "extra": dict(extra),
    }
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    return aliases


def write_checkpoint(
    run: Path,
    model: BaseAlgorithm,
    *,
    settings: Mapping[str, Any],
    extra: Mapping[str, Any],
    at: Boundary | None = None,
    optimizers: Optimizers | None = None,
) -> None:
    """Save the state of a run as ``checkpoints/N`` and delete all but the newest ones.

    Args:
        run: The run folder.
        model: A Stable-Baselines3 algorithm.
        settings: JSON-able settings that the policy is loaded with.
        extra: As for `save_state`.
        at: As for `save_state`.
        optimizers: As for `save_state`.

    Raises:
        RunError: It could not be written; earlier checkpoints are untouched.
    """
    steps = model.num_timesteps if at is None else at.counters["num_timesteps"]
    checkpoints = run / "checkpoints"
    with publish(
        checkpoints / str(steps), fix=lambda: f"continue with: {resume_command(run)}"
    ) as folder:
        aliases = save_state(folder, model, extra, at=at, optimizers=optimizers)
        chosen = {"aliases": aliases, "timesteps": steps}
        write_json(folder / SETTINGS, {**settings, **chosen})
    prune(checkpoints, keep=KEPT_CHECKPOINTS)


def saved_environments(folder: Path) -> int | None:
    """How many environments a checkpoint was made with; None: it does not say.

    Raises:
        RunError: Its state is missing or damaged.
    """
    state = _read_state(folder)
    return None if state["episodes"] is None else len(state["episodes"]["generators"])


def read_extra(folder: Path) -> Numbers:
    """The `extra` of a checkpoint.

    Raises:
        RunError: Its state is missing or damaged.
    """
    return dict(_read_state(folder)["extra"])


def _read_state(folder: Path) -> CheckpointState:
    state: CheckpointState = read_json(folder / STATE)
    schema.check(state, CheckpointState, folder / STATE)
    return state


def load_state(
    folder: Path,
    model: BaseAlgorithm,
    *,
    timesteps: int | None = None,
    optimizers: Optimizers | None = None,
    share: slice | None = None,
) -> None:
    """Restore what `save_state` wrote into a model built from the same settings.

    Args:
        folder: A checkpoint.
        model: A Stable-Baselines3 algorithm.
        timesteps: When the checkpoint was made, by its settings; None: they do not say.
        optimizers: Those that `save_state` was given.
        share: Which of the environments the model plays; None: all.

    Raises:
        RunError: A file is missing, damaged or of another architecture.
    """
    state = _read_state(folder)
    load_policy(folder, model, state["aliases"])
    tensors = read_tensors(folder / "optimizer.safetensors")
    own = {**dict(optimizers_of(model)), **(optimizers or {})}
    try:
        check_counters(model, state["counters"], timesteps)
        for optimizer, saved in _fitted_optimizers(own, tensors, state["optimizers"]):
            optimizer.load_state_dict(saved)
        _load_buffer(folder, model, state["buffer"])
        counters = counters_of(model)
        for name, value in state["counters"].items():
            if name in counters:
                setattr(model, name, value)
        if state["episodes"] is not None:
            tensors = read_tensors(folder / "episodes.safetensors")
            episodes.restore(model, tensors, state["episodes"], share=share)
        if (folder / _MEMORY).exists():
            _restore_memory(model, read_tensors(folder / _MEMORY))
        if isinstance(model, KeepsData) and (folder / _DATA).exists():
            model.restore_tensors(read_tensors(folder / _DATA))
        if "recent" in state:  # older checkpoints have none
            _restore_recent(model, state["recent"])
        # Last: restoring the episodes resets environments, which draws random numbers.
        alone = share is None
        _restore_random(model, read_tensors(folder / "rng.safetensors"), state["random"], alone)
    except _UNFIT as error:
        problem = str(error) if isinstance(error, NLPGymError) else repr(error)
        raise RunError(
            f"{folder / STATE} does not fit the model that the run's settings describe: {problem}"
        ) from error


_UNFIT = (NLPGymError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError)
