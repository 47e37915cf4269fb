"""A Gymnasium `VectorEnv` as a Stable-Baselines3 `VecEnv`.

Stable-Baselines3 does not accept Gymnasium's vector environments (its issue 1745): it wants a
4-tuple step, the last observation of an episode in the infos, and one info dict per environment.
The bridge does no work per environment and step except for the episodes that ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnv,
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)
from typing_extensions import override

from nlp_gym.errors import InvalidArgumentError, NotResetError, shown
from nlp_gym.types import BoolArray, Int64Array

Info = dict[str, Any]
"""What is said of one environment after a step."""

Obs = dict[str, np.ndarray] | np.ndarray
"""Observation of one environment."""


class SB3VecEnv(VecEnv):
    """B environments of a Gymnasium `VectorEnv` behind Stable-Baselines3's interface.

    Infos are empty except where an episode ended; those hold `episode` (`r` return, `l` length,
    `t` seconds since the bridge was made), `terminal_observation`, `TimeLimit.truncated` and what
    the environment's `final_info` holds. What the vector environment says about running episodes
    (the masks, for one) is read through `env_method` and the observation instead: unpacking it
    into B dicts would cost more than the environments do.

    Args:
        venv: The environments, native (`gym.make_vec` on an id of this package)
            or Gymnasium's `SyncVectorEnv` / `AsyncVectorEnv`. They must reset in the same step and
            must give a fresh observation array each step, which is Gymnasium's default.

    Raises:
        InvalidArgumentError: The environments do not reset in the same step.
    """

    def __init__(self, venv: VectorEnv) -> None:
        mode = venv.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP.value):
            raise InvalidArgumentError(
                f"venv={shown(venv)} has autoreset_mode={shown(mode)}, but Stable-Baselines3 needs "
                "environments that reset in the same step: use make_sb3_env, or gym.make_vec on an "
                "id of this package without autoreset_mode=, or pass "
                "autoreset_mode=AutoresetMode.SAME_STEP to Gymnasium's SyncVectorEnv."
            )
        self.venv = venv
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(venv.num_envs)  # (B,)
        self._lengths = np.zeros(venv.num_envs, np.int64)  # (B,)
        self._started = time.monotonic()
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)

    def reset(self) -> VecEnvObs:
        """Start B new episodes with the seeds and options set before (used once).

        Raises:
            InvalidArgumentError: Options differ between environments, which Gymnasium cannot do.
        """
        seeds = None if all(s is None for s in self._seeds) else list(self._seeds)
        if any(options != self._options[0] for options in self._options):
            raise InvalidArgumentError(
                f"options={shown(self._options)} differ between environments; a Gymnasium vector "
                "environment takes the same options for all: pass one dict to set_options."
            )
        venv: Any = self.venv  # the declared type of `seed` lacks the list that is documented
        obs, info = venv.reset(seed=seeds, options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = [_info_of(info, i) for i in range(self.num_envs)]
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions (B,) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Play the actions that `step_async` was given; see `step`.

        Raises:
            NotResetError: No actions were given.
        """
        if self._actions is None:
            raise NotResetError(
                "step_wait() was called without actions: call step_async(actions) first."
            )
        actions, self._actions = self._actions, None
        return self.step(actions)

    @override
    def step(self, actions: np.ndarray) -> VecEnvStepReturn:
        """Play actions (B,) without the detour over `step_async`.

        Returns:
            Observations, rewards (B,) float32, dones (B,) bool and B info dicts.
        """
        obs, rewards, terminated, truncated, info = self.venv.step(actions)
        self._returns += rewards
        self._lengths += 1
        dones = terminated | truncated
        # A dict each: 256 of them cost about 10 microseconds, and callers may write into them.
        infos: list[Info] = [{} for _ in range(self.num_envs)]
        ended = np.flatnonzero(dones)
        if len(ended):
            self._finish(ended, terminated, info, infos)
        return obs, rewards.astype(np.float32), dones, infos

    def _finish(
        self,
        ended: Int64Array,
        terminated: BoolArray,
        info: Mapping[str, Any],
        infos: list[Info],
    ) -> None:
        seconds = round(time.monotonic() - self._started, 6)
        final_obs, final_info = info["final_obs"], info.get("final_info", {})
        for i in ended.tolist():
            infos[i] = _info_of(final_info, i)
            infos[i]["terminal_observation"] = _obs_of(final_obs, i)
            # Stable-Baselines3 bootstraps from the last observation where this is True.
            infos[i]["TimeLimit.truncated"] = not bool(terminated[i])
            infos[i]["episode"] = {
                "r": float(self._returns[i]),
                "l": int(self._lengths[i]),
                "t": seconds,
            }
        self._returns[ended] = 0.0
        self._lengths[ended] = 0

    def close(self) -> None:
        """Close the environments."""
        self.venv.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The attribute of each environment; native vector environments share one value.

        Raises:
            AttributeError: There is no such attribute.
        """
        chosen = list(self._get_indices(indices))
        if hasattr(self.venv, "get_attr"):
            values = self.venv.get_attr(attr_name)
            return [values[i] for i in chosen]
        value = getattr(self._owner(attr_name), attr_name)
        return [value for _ in chosen]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environments.

        Raises:
            InvalidArgumentError: `indices` names some environments of a native vector environment,
                whose attributes are shared.
        """
        chosen = list(self._get_indices(indices))
        venv: Any = self.venv
        if len(chosen) == self.num_envs and hasattr(venv, "set_attr"):
            venv.set_attr(attr_name, [value] * self.num_envs)  # a bare list would be split
        elif hasattr(venv, "envs"):
            for i in chosen:
                venv.envs[i].set_wrapper_attr(attr_name, value)
        elif hasattr(venv, "set_attr"):  # environments in other processes: all are set at once
            values = list(venv.get_attr(attr_name))
            for i in chosen:
                values[i] = value
            venv.set_attr(attr_name, values)
        elif len(chosen) == self.num_envs:
            setattr(self.venv.unwrapped, attr_name, value)
        else:
            raise InvalidArgumentError(
                f"indices={shown(chosen)}: the environments of {shown(self.venv)} share their "
                f"attributes, so {shown(attr_name)} can only be set for all of them (indices=None)."
            )

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method on each environment; a native one is called once and its result split.

        Native vector environments name batched methods in the plural where the single environment
        uses the singular: `oracle_action` finds `oracle_actions`.

        Raises:
            AttributeError: There is no such method.
        """
        chosen = list(self._get_indices(indices))
        if hasattr(self.venv, "call"):
            values: Any = self.venv.call(method_name, *method_args, **method_kwargs)
        else:
            plural = f"{method_name}s"
            owner = self._owner(method_name, plural)
            name = method_name if hasattr(owner, method_name) else plural
            values = getattr(owner, name)(*method_args, **method_kwargs)
        if isinstance(values, np.ndarray | Sequence) and not isinstance(values, str | bytes):
            return [values[i] for i in chosen]
        return [values for _ in chosen]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether each environment has the wrapper.

        Native environments have none, but infos hold what `Monitor` writes into them: true returns
        and lengths, for ``evaluate_policy``.
        """
        if wrapper_class is Monitor:
            return [True for _ in self._get_indices(indices)]
        envs: Iterable[Any] = getattr(self.venv, "envs", [None] * self.num_envs)
        wrapped = [_is_wrapped(env, wrapper_class) for env in envs]
        return [wrapped[i] for i in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """The pictures that the environments render, one each."""
        frames: Any = self.venv.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def _owner(self, *names: str) -> Any:
        """The outermost layer of the vector environment that has one of the attributes."""
        for layer in (self.venv, self.venv.unwrapped):
            if any(hasattr(layer, name) for name in names):
                return layer
        raise AttributeError(f"{shown(self.venv)} has no attribute {shown(names[0])}")


def _info_of(info: Mapping[str, Any], i: int) -> Info:
    """Environment i's part of a vector environment's infos (see `VectorEnv._add_info`)."""
    own: Info = {}
    for key, value in info.items():
        if key.startswith("_") or key in ("final_obs", "final_info"):
            continue
        present = info.get(f"_{key}")
        if present is None or present[i]:
            own[key] = _info_of(value, i) if isinstance(value, Mapping) else value[i]
    return own


def _obs_of(final_obs: Mapping[str, np.ndarray] | np.ndarray, i: int) -> Obs:
    """Environment i's last observation, from an array of observations or a dict of arrays."""
    if isinstance(final_obs, Mapping):
        return {key: value[i] for key, value in final_obs.items()}
    return final_obs[i]


def _is_wrapped(env: object, wrapper_class: type[gym.Wrapper]) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrapper_class):
            return True
        env = env.env
    return False
