"""The episodes being played, as arrays: what makes a resumed run go on exactly where it was.

Only this package's own vector environment can be captured; with any other, a resumed run begins
new episodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.runs.weights import Tensors

_SUMS = ("returns", "lengths")  # the bridge's running sums, under these names in the file


def _native(model: BaseAlgorithm) -> TaskVectorEnv | None:
    bridge = model.env
    venv = bridge.venv.unwrapped if isinstance(bridge, SB3VecEnv) else None
    return venv if isinstance(venv, TaskVectorEnv) else None


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


def restore(model: BaseAlgorithm, tensors: Tensors, numbers: Mapping[str, Any]) -> None:
    """Put `capture`'s result into a model built from the same settings."""
    bridge = model.env
    assert bridge is not None
    bridge.reset()
    venv = _native(model)
    if venv is None:
        return
    arrays = {key: tensor.numpy() for key, tensor in tensors.items()}
    model._last_obs = venv.restore(arrays, numbers["generators"])
    for name in _SUMS:
        getattr(bridge, f"_{name}")[...] = arrays[name]
    model._last_episode_starts = arrays["starts"].copy()
