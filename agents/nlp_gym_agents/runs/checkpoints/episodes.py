"""The episodes being played, as arrays: what makes a resumed run go on exactly where it was.

Only this package's own vector environment can be captured; with any other, a resumed run begins
new episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.envs.rows import BLOCK
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import RunError
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.runs.checkpoints.state import EpisodesState, check_arrays
from nlp_gym_agents.runs.files.schema import LARGEST
from nlp_gym_agents.runs.files.weights import Tensors

_SUMS = ("returns", "lengths")  # the bridge's running sums, under these names in the file


def _native(model: BaseAlgorithm) -> TaskVectorEnv | None:
    bridge = model.env
    venv = bridge.venv.unwrapped if isinstance(bridge, SB3VecEnv) else None
    return venv if isinstance(venv, TaskVectorEnv) else None


def _check_places(venv: TaskVectorEnv, tensors: Tensors) -> None:
    """Refuse numbers of samples and of places in them that the corpus does not have."""
    task = venv.task
    limits = {
        "block": len(task.corpus) - 1,
        "used": BLOCK,
        "elapsed": LARGEST,
        "state/row": len(task.corpus) - 1,
        "state/slot": len(task.tables.context) - 1,
    }
    for name, high in limits.items():
        array = tensors[name]
        if array.numel() and not 0 <= int(array.min()) <= int(array.max()) <= high:
            raise RunError(f"the array {name!r} has numbers beyond 0 to {high}.")


def capture(model: BaseAlgorithm) -> tuple[Tensors, dict[str, Any]] | None:
    """Arrays and numbers of the episodes `model` is in; None where they cannot be had."""
    venv = _native(model)
    if venv is None or model._last_obs is None or model._last_episode_starts is None:
        return None
    arrays, generators = venv.snapshot()
    arrays |= {name: getattr(model.env, f"_{name}").copy() for name in _SUMS}
    arrays["starts"] = np.array(model._last_episode_starts)
    tensors = {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
    return tensors, {"generators": generators}


def joined(
    parts: Sequence[tuple[Tensors, dict[str, Any]] | None],
) -> tuple[Tensors, dict[str, Any]] | None:
    """What `capture` gives of all environments, from what it gave of one share after the other."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    tensors = {key: torch.cat([part[0][key] for part in known]) for key in known[0][0]}
    return tensors, {"generators": [g for part in known for g in part[1]["generators"]]}


def restore(
    model: BaseAlgorithm,
    tensors: Tensors,
    numbers: EpisodesState,
    *,
    share: slice | None = None,
) -> None:
    """Put `capture`'s result into a model built from the same settings.

    Args:
        model: It plays the environments of `share`.
        tensors: Arrays.
        numbers: Numbers.
        share: Which of the environments the model has; None: all.

    Raises:
        RunError: It was taken of other environments.
    """
    bridge = model.env
    assert bridge is not None
    first, venv = bridge.reset(), _native(model)
    if venv is None:
        return
    assert isinstance(first, dict)
    model._last_obs, model._last_episode_starts = first, np.ones(bridge.num_envs, bool)
    fresh = capture(model)
    assert fresh is not None
    share = slice(None) if share is None else share
    tensors = {key: tensor[share] for key, tensor in tensors.items()}
    generators = numbers["generators"][share]
    check_arrays(tensors, {k: (t.numpy().dtype, tuple(t.shape)) for k, t in fresh[0].items()})
    _check_places(venv, tensors)
    arrays = {key: tensor.numpy() for key, tensor in tensors.items()}
    model._last_obs = venv.restore(arrays, generators)
    for name in _SUMS:
        getattr(bridge, f"_{name}")[...] = arrays[name]
    model._last_episode_starts = arrays["starts"].copy()
