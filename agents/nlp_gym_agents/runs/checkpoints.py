"""A Stable-Baselines3 model's state as safetensors and JSON; nothing here reads or writes pickle.

Files of a checkpoint (a folder, see `nlp_gym_agents.runs.snapshots`):

``policy.safetensors``     ``model.policy.state_dict()``: online and target networks
``optimizer.safetensors``  tensors of every optimizer state; its numbers are in ``state.json``
``buffer.safetensors``     replay buffer, the filled part of each array (off-policy only)
``rng.safetensors``        torch's generator states
``episodes.safetensors``   the episodes being played (`nlp_gym_agents.runs.episodes`)
``memory.safetensors``     what a recurrent policy remembers of them
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
import random
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from nlp_gym.errors import RunError, shown
from nlp_gym.files import write_json
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.runs import episodes
from nlp_gym_agents.runs.folder import how_to_resume
from nlp_gym_agents.runs.settings import SETTINGS
from nlp_gym_agents.runs.snapshots import prune, publish, read_json
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
KEPT_CHECKPOINTS = 2
_NOT_STATE = frozenset({"n_envs", "verbose", "seed", "start_time", "_total_timesteps"})


def _optimizers(model: BaseAlgorithm) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    """Every optimizer that the algorithm itself lists as state, by its dotted name."""
    for name in dict.fromkeys(["policy.optimizer", *model._get_torch_save_params()[0]]):
        value: object = model
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, torch.optim.Optimizer):
            yield name, value


def _split_optimizers(
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> tuple[Tensors, Numbers]:
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


def _join_optimizers(
    optimizers: Mapping[str, torch.optim.Optimizer], folder: Path, numbers: Numbers
) -> None:
    tensors = read_tensors(folder / "optimizer.safetensors")
    for name, optimizer in optimizers.items():
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
    parts = [
        tuple(tensors[f"{part}/{i}"].to(model.device) for i in range(2))
        for part in RNNStates._fields
    ]
    model._last_lstm_states = RNNStates(*parts)  # type: ignore[attr-defined]


def _recent(model: BaseAlgorithm) -> Numbers:
    """The last episodes' returns and lengths, which the logged means are taken over."""
    kept = {"episodes": model.ep_info_buffer, "successes": model.ep_success_buffer}
    return {name: [_plain(item) for item in found or ()] for name, found in kept.items()}


def _plain(value: Any) -> Any:
    """A value for JSON; those of third-party environments may be numpy's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _restore_recent(model: BaseAlgorithm, saved: Mapping[str, Any]) -> None:
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
    recent: Numbers


def boundary(model: BaseAlgorithm) -> Boundary:
    """Copy what the next rollout will change; takes about a tenth of a millisecond."""
    return Boundary(
        _counters(model),
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
    optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
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
    tensors, groups = _split_optimizers({**dict(_optimizers(model)), **(optimizers or {})})
    save_tensors(folder / "optimizer.safetensors", tensors)
    save_tensors(folder / "rng.safetensors", at.random[0])
    if at.episodes is not None:
        save_tensors(folder / "episodes.safetensors", at.episodes[0])
    if at.memory:
        save_tensors(folder / "memory.safetensors", at.memory)
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
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return aliases


def write_checkpoint(
    run: Path,
    model: BaseAlgorithm,
    *,
    settings: Mapping[str, Any],
    extra: Mapping[str, Any],
    at: Boundary | None = None,
    optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
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
    with publish(checkpoints / str(steps), fix=how_to_resume(run)) as folder:
        aliases = save_state(folder, model, extra, at=at, optimizers=optimizers)
        chosen = {"aliases": aliases, "timesteps": steps}
        write_json(folder / SETTINGS, {**settings, **chosen})
    prune(checkpoints, keep=KEPT_CHECKPOINTS)


def read_extra(folder: Path) -> Numbers:
    """The `extra` of a checkpoint.

    Raises:
        RunError: The file is missing or damaged.
    """
    with _reading(folder / "state.json") as state:
        return dict(state["extra"])


def load_state(folder: Path, model: BaseAlgorithm) -> None:
    """Restore what `save_state` wrote into a model built from the same settings.

    Raises:
        RunError: A file is missing, damaged or of another architecture.
    """
    with _reading(folder / "state.json") as state:
        load_policy(folder, model, state["aliases"])
        _join_optimizers(dict(_optimizers(model)), folder, state["optimizers"])
        _load_buffer(folder, model, state["buffer"])
        for name, value in state["counters"].items():
            if type(getattr(model, name, None)) is type(value):
                setattr(model, name, value)
        if state["episodes"] is not None:
            tensors = read_tensors(folder / "episodes.safetensors")
            episodes.restore(model, tensors, state["episodes"])
        if (folder / "memory.safetensors").exists():
            _restore_memory(model, read_tensors(folder / "memory.safetensors"))
        if "recent" in state:  # older checkpoints have none
            _restore_recent(model, state["recent"])
        # Last: restoring the episodes resets environments, which draws random numbers.
        _restore_random(model, read_tensors(folder / "rng.safetensors"), state["random"])


def load_optimizer(folder: Path, name: str, optimizer: torch.optim.Optimizer) -> None:
    """Restore an optimizer that `save_state` was given besides the model's own.

    Raises:
        RunError: It is missing, damaged or of other weights.
    """
    with _reading(folder / "state.json") as state:
        _join_optimizers({name: optimizer}, folder, state["optimizers"])


@contextmanager
def _reading(path: Path) -> Iterator[Numbers]:
    """The state in a file; what it lacks, or does not fit the model, is a `RunError`."""
    state = read_json(path)
    try:
        yield state
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path} is incomplete or damaged ({shown(error)}).") from error
