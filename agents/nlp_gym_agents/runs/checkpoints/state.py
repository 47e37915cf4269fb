"""What a checkpoint holds besides weights, as types, and whether it fits the model that goes on.

`nlp_gym_agents.runs.files.schema` compares ``state.json`` with `CheckpointState`. The functions
here compare what a type cannot say with the model that was built from the run's settings: which
optimizers, counters and arrays there are, how large they are, and where indices end.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from nlp_gym.errors import RunError, shown
from nlp_gym.inert import listed
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.weights import Tensors

Numbers = dict[str, Any]
"""State that goes into JSON."""

_Bits32 = Annotated[int, schema.Range(0, 2**32 - 1)]
_Bits128 = Annotated[int, schema.Range(0, 2**128 - 1)]
_RATES = ("lr", "initial_lr")
"""What of an optimizer's group changes in training."""
_PACKAGES = ("nlp_gym_agents", "sb3_contrib", "stable_baselines3")
_PROGRESS = frozenset(
    {
        "_current_progress_remaining",
        "_custom_logger",
        "_episode_num",
        "_n_calls",
        "_n_updates",
        "_num_timesteps_at_start",
        "_shown",
        "exploration_rate",
        "num_timesteps",
        "texts_begun",
    }
)
"""Numbers that change in training, of the algorithms in these packages. Of others, all may that are
no arguments of theirs."""
_NOT_STATE = frozenset({"n_envs", "verbose", "seed", "start_time", "_total_timesteps"})


class OptimizerState(TypedDict):
    """Numbers of an optimizer; its tensors are in a file of their own."""

    state: dict[str, dict[str, float | bool | None]]
    param_groups: list[dict[str, Any]]


class BufferState(TypedDict):
    """How far a replay buffer is filled."""

    pos: schema.Count
    full: bool
    buffer_size: schema.Positive


class PCG64Words(TypedDict):
    """The 128-bit integers of numpy's PCG64."""

    state: _Bits128
    inc: _Bits128


class GeneratorState(TypedDict):
    """State of a generator of numpy, as Gymnasium makes it."""

    bit_generator: Literal["PCG64"]
    state: PCG64Words
    has_uint32: Annotated[int, schema.Range(0, 1)]
    uinteger: _Bits32


class RandomState(TypedDict):
    """States of Python's generator, numpy's global one, and that of the action space."""

    python: tuple[int, list[_Bits32], float | None]
    numpy: tuple[
        Literal["MT19937"],
        list[_Bits32],
        Annotated[int, schema.Range(0, 624)],  # beyond it, numpy reads other memory
        Annotated[int, schema.Range(0, 1)],
        float,
    ]
    action_space: GeneratorState


class EpisodesState(TypedDict):
    """Generators of the environments, which draw their samples."""

    generators: list[GeneratorState]


class RecentEpisodes(TypedDict):
    """The last episodes that ended, which the logged means are taken over.

    Attributes:
        episodes: Returns `r`, lengths `l` and times `t`.
        successes: 1 for each that was one, of environments that say so.
    """

    episodes: list[dict[str, float]]
    successes: list[float]


class _CheckpointState(TypedDict):
    aliases: dict[str, str]
    counters: dict[str, int | float | bool]
    optimizers: dict[str, OptimizerState]
    buffer: BufferState | None
    random: RandomState
    episodes: EpisodesState | None
    extra: dict[str, Any]


class CheckpointState(_CheckpointState, total=False):
    """``state.json``.

    Attributes:
        aliases: See `nlp_gym_agents.runs.files.weights`.
        counters: Numbers that the algorithm keeps about its progress, by attribute.
        optimizers: By dotted name.
        buffer: None where there is no replay buffer, or it is too large to be saved.
        random: The generators of the process.
        episodes: None where they cannot be had; see `nlp_gym_agents.runs.checkpoints.episodes`.
        extra: State of the training loop.
        recent: Older checkpoints have none.
    """

    recent: RecentEpisodes


def counters_of(model: BaseAlgorithm) -> dict[str, int | float | bool]:
    """Numbers an algorithm keeps about its progress, third-party ones included."""
    return {
        name: value
        for name, value in vars(model).items()
        if type(value) in (int, float, bool) and name not in _NOT_STATE and np.isfinite(value)
    }


def check_counters(
    model: BaseAlgorithm, counters: Mapping[str, int | float | bool], timesteps: int | None
) -> None:
    """Compare saved counters with a fresh model.

    Args:
        model: Built from the run's settings.
        counters: From a checkpoint.
        timesteps: When it was made, by its settings; None: they do not say.

    Raises:
        RunError: One is of another type, negative, beyond `schema.LARGEST`, or does not change in
            training and is not what the settings say.
    """
    steps = counters.get("num_timesteps")
    if type(steps) is not int or (timesteps is not None and steps != timesteps):
        raise RunError(f"counters: num_timesteps={shown(steps)} is not that of the settings.")
    own = counters_of(model)
    fixed = _constructor_arguments(type(model))
    if type(model).__module__.partition(".")[0] in _PACKAGES:
        fixed |= set(own) - _PROGRESS
    for name, value in counters.items():
        if name not in own:
            continue  # of another release of the algorithm's package
        low = min(own[name], 0) if type(value) is int else -schema.LARGEST
        if type(value) is not type(own[name]) or not low <= value <= schema.LARGEST:
            raise RunError(f"counters: {name}={shown(value)} cannot be.")
        if name in fixed and value != own[name]:
            raise RunError(
                f"counters: {name}={shown(value)} was saved, and the run's settings say "
                f"{shown(own[name])}."
            )


def _constructor_arguments(cls: type) -> set[str]:
    """Names of the arguments of a class and its bases."""
    inits = (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
    names: set[str] = set()
    for init in inits:
        try:
            names |= set(inspect.signature(init).parameters)
        except ValueError:  # a builtin's
            break
    return names


def optimizers_of(model: BaseAlgorithm) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    """Every optimizer that the algorithm itself lists as state, by its dotted name."""
    for name in dict.fromkeys(["policy.optimizer", *model._get_torch_save_params()[0]]):
        value: object = model
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, torch.optim.Optimizer):
            yield name, value


def fitted_groups(
    name: str, optimizer: torch.optim.Optimizer, saved: OptimizerState, tensors: Tensors
) -> list[Numbers]:
    """The parameter groups of a saved optimizer, if all of it fits a fresh one.

    Args:
        name: Of the optimizer.
        optimizer: Of the model.
        saved: Its numbers in the checkpoint.
        tensors: Tensors of all optimizers, by ``name/index/entry``.

    Raises:
        RunError: Other groups, options or shapes.
    """
    own = [_plain(group) for group in optimizer.state_dict()["param_groups"]]
    if len(own) != len(saved["param_groups"]):
        raise RunError(f"{name}: {len(saved['param_groups'])} groups, the model has {len(own)}.")
    groups = []
    for fresh, group in zip(own, saved["param_groups"], strict=True):
        for key, value in group.items():
            rate = key in _RATES and schema.misfit(value, _Rate) is None
            if key not in fresh or not (rate or (value == fresh[key] and key not in _RATES)):
                raise RunError(
                    f"{name}: {shown(key)}={shown(value)} was saved, and the run's settings say "
                    f"{shown(fresh.get(key))}."
                )
        groups.append({**fresh, **group})  # options of a newer torch are at their defaults
    _check_entries(name, optimizer, saved, tensors)
    return groups


def _check_entries(
    name: str, optimizer: torch.optim.Optimizer, saved: OptimizerState, tensors: Tensors
) -> None:
    """Check what is kept of each parameter: all that the optimizer keeps of one, or nothing."""
    kept: dict[str, dict[str, Any]] = {place: dict(own) for place, own in saved["state"].items()}
    for key, tensor in tensors.items():
        _, place, entry = key.rsplit("/", 2)
        kept.setdefault(place, {})[entry] = tensor
    number = 0
    for group in optimizer.param_groups:
        usual = _entries(optimizer, group)
        for parameter in group["params"]:
            own = kept.pop(str(number), {})
            number += 1
            if own and set(own) != set(usual):
                raise RunError(
                    f"{name}: {listed(own)} is kept of a parameter, not {listed(usual)}."
                )
            for entry, value in own.items():
                wanted, shape = usual[entry], getattr(value, "shape", None)
                if isinstance(wanted, torch.Tensor) and wanted.ndim:
                    fits = shape == parameter.shape and value.dtype == parameter.dtype
                else:  # a number, which may be a tensor of one
                    fits = shape in (None, torch.Size())
                if not fits:
                    raise RunError(
                        f"{name}: {shown(entry)} of a parameter of the shape "
                        f"{tuple(parameter.shape)} has the shape {shown(shape)} or another format."
                    )
    if kept:
        raise RunError(f"{name}: there is no parameter {listed(kept)}.")


def _entries(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> dict[str, Any]:
    """What an optimizer keeps of a parameter, learned from one step with a small one."""
    probe = torch.nn.Parameter(torch.zeros(1))
    probe.grad = torch.zeros(1)
    options = {key: value for key, value in group.items() if key != "params"}
    other = type(optimizer)([{**options, "params": [probe]}], **{"lr": options["lr"]})
    other.step()
    return dict(other.state[probe])


_Rate = Annotated[float, schema.Range(0.0, 1e6)]


def _plain(value: Any) -> Any:
    """As JSON has it: tuples are lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def buffer_arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Arrays with the buffer's time axis first, by attribute (and key, for dict observations)."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in vars(buffer).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, array in parts:
            if isinstance(array, np.ndarray) and array.shape[:1] == (buffer.buffer_size,):
                arrays[f"{name}/{key}" if key else name] = array
    return arrays


def whole_arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Arrays of a buffer that are kept as they are, however far it is filled."""
    found: Mapping[str, np.ndarray] = getattr(buffer, "whole_arrays", {})
    return {f"whole/{name}": array for name, array in found.items()}


def check_buffer(model: BaseAlgorithm, saved: BufferState, tensors: Tensors) -> None:
    """Compare a saved replay buffer with that of a fresh model.

    Raises:
        RunError: Another size, other arrays, or observations and actions outside of their spaces.
    """
    buffer: ReplayBuffer = model.replay_buffer  # type: ignore[attr-defined]
    if saved["buffer_size"] != buffer.buffer_size:
        raise RunError(
            f"a replay buffer of {saved['buffer_size']} rows, the model's has "
            f"{buffer.buffer_size}. Resume with the buffer_size and n_envs of the run's config.yml."
        )
    rows = buffer.buffer_size if saved["full"] else saved["pos"]
    if saved["pos"] >= buffer.buffer_size:
        raise RunError(f"the replay buffer's pos={saved['pos']} is beyond its end.")
    own = buffer_arrays(buffer)
    wanted = {key: (array.dtype, (rows, *array.shape[1:])) for key, array in own.items()}
    whole = {key: (array.dtype, array.shape) for key, array in whole_arrays(buffer).items()}
    check_arrays(tensors, wanted | whole)
    for key, high in getattr(buffer, "limits", {}).items():
        array = tensors[key]
        if array.numel() and not 0 <= int(array.min()) <= int(array.max()) <= high:
            raise RunError(f"the replay buffer's {shown(key)} has numbers beyond 0 to {high}.")
    for key, tensor in tensors.items():
        name, _, part = key.partition("/")
        space: Any = model.action_space if name == "actions" else None
        if name in ("observations", "next_observations"):
            known = model.observation_space
            space = known[part] if isinstance(known, spaces.Dict) else known
        if rows and space is not None and not _within(tensor.numpy(), space):
            raise RunError(f"the replay buffer's {shown(key)} has values that cannot be.")


def _within(array: np.ndarray, space: Any) -> bool:
    if isinstance(space, spaces.Discrete):
        low, high = space.start, space.start + space.n - 1
        return bool((array >= low).all() and (array <= high).all())
    if isinstance(space, spaces.Box):
        return bool((array >= space.low).all() and (array <= space.high).all())
    return True


def check_arrays(
    tensors: Tensors, expected: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
) -> None:
    """Compare names, number formats and shapes of arrays.

    Raises:
        RunError: Naming the first that differs.
    """
    for name in sorted({*tensors, *expected}):
        if name not in tensors:
            raise RunError(f"the array {shown(name)} is missing.")
        if name not in expected:
            raise RunError(f"the array {shown(name)} is not known.")
        array, (dtype, shape) = tensors[name].numpy(), expected[name]
        if array.dtype != dtype or array.shape != shape:
            raise RunError(
                f"the array {shown(name)} is {array.dtype} of the shape {array.shape}, and "
                f"{dtype} of {shape} is wanted."
            )
