"""The episodes being played, as arrays: what makes a resumed run go on exactly where it was.

Only this package's own vector environment can be captured; with any other, a resumed run begins
new episodes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from agents.vec import SB3VecEnv
from nlp_gym.envs.vector import TaskVectorEnv

_STATE = "state/"


def _native(model: Any) -> TaskVectorEnv | None:
    bridge = model.env
    venv = bridge.venv.unwrapped if isinstance(bridge, SB3VecEnv) else None
    return venv if isinstance(venv, TaskVectorEnv) and venv._state is not None else None


def capture(model: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Arrays and numbers of the episodes `model` is in; None where they cannot be had."""
    venv = _native(model)
    if venv is None or model._last_episode_starts is None:
        return None
    sampler, bridge = venv._sampler, model.env
    arrays = {
        _STATE + item.name: getattr(venv._state, item.name)
        for item in dataclasses.fields(venv._state)  # type: ignore[arg-type]
    }
    arrays |= {
        "elapsed": venv._elapsed,
        "block": sampler._block,
        "used": sampler._used,
        "returns": bridge._returns,
        "lengths": bridge._lengths,
        "starts": np.asarray(model._last_episode_starts),
    }
    generators = [g.bit_generator.state for g in sampler._generators if g is not None]
    tensors = {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
    return tensors, {"generators": generators}


def restore(model: Any, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> None:
    """Put `capture`'s result into a model built from the same settings."""
    model.env.reset()  # makes the state and the generators that are overwritten here
    venv = _native(model)
    if venv is None or venv._state is None:
        return
    sampler, bridge, state = venv._sampler, model.env, venv._state
    for item in dataclasses.fields(state):
        setattr(state, item.name, tensors[_STATE + item.name].numpy().copy())
    for target, key in (
        (venv._elapsed, "elapsed"),
        (sampler._block, "block"),
        (sampler._used, "used"),
        (bridge._returns, "returns"),
        (bridge._lengths, "lengths"),
    ):
        target[...] = tensors[key].numpy()
    for generator, saved in zip(sampler._generators, numbers["generators"], strict=True):
        if generator is not None:
            generator.bit_generator.state = saved
    model._last_obs = venv.task.observe(state, venv.obs_type)
    model._last_episode_starts = tensors["starts"].numpy().copy()
