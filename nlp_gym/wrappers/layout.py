"""Observations of an environment in another layout; the same as its argument ``layout=``."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector.utils import batch_space

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.layout import Layout, check_layout
from nlp_gym.types import Observation


class LayoutObservation(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Lays out the observations of a single environment.

    Args:
        env: An environment of ``obs_type="features"`` (or any other whose observations are a Dict
            of arrays with ``action_mask``).
        layout: ``"flat"``, ``"obs_mask"`` or ``"observations_action_mask"``, see
            `nlp_gym.layout.Layout`.

    Raises:
        UnknownNameError: No such layout.
        InvalidArgumentError: `env` is a vector environment, has another `obs_type`, or is laid out
            already.
    """

    def __init__(self, env: gym.Env[Any, Any], layout: str) -> None:
        if isinstance(env, gym.vector.VectorEnv):
            raise InvalidArgumentError(
                f"env={shown(env)} is a vector environment: wrap it in LayoutVectorObservation."
            )
        if not isinstance(env, gym.Env):
            raise InvalidArgumentError(f"env={shown(env)} is no environment of Gymnasium.")
        self._layout = _layout_for(layout, env, env.observation_space)
        RecordConstructorArgs.__init__(self, layout=layout)
        gym.Wrapper.__init__(self, env)
        self.observation_space = self._layout.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._layout.one(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play one action; see the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._layout.one(observation), reward, terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """(A,) legal actions now."""
        masks: npt.NDArray[np.bool_] = self.env.get_wrapper_attr("action_masks")()
        return masks


class LayoutVectorObservation(gym.vector.VectorWrapper):
    """`LayoutObservation` for a vector environment, native or one of Gymnasium's; same arguments.

    Every autoreset mode works: ``infos["final_obs"]`` is laid out too.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], layout: str) -> None:
        if not isinstance(env, gym.vector.VectorEnv):
            raise InvalidArgumentError(
                f"env={shown(env)} is no vector environment: wrap it in LayoutObservation."
            )
        self._layout = _layout_for(layout, env, env.single_observation_space)
        super().__init__(env)
        self.single_observation_space = self._layout.space
        self.observation_space = batch_space(self._layout.space, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes; see the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._layout.batch(observation), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play (B,) actions; see the environment."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            info = {**info, "final_obs": self._finals(info["final_obs"], info["_final_obs"])}
        return self._layout.batch(observation), reward, terminated, truncated, info

    def _finals(self, finals: Any, which: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        laid: npt.NDArray[Any] = np.full(self.num_envs, None, object)
        for i in which.nonzero()[0]:
            laid[i] = self._layout.one(finals[i])
        return laid

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """(B, A) legal actions now."""
        if hasattr(self.env, "call"):
            return np.asarray(self.env.call("action_masks"))
        masks: npt.NDArray[np.bool_] = self.env.unwrapped.action_masks()  # type: ignore[attr-defined]
        return masks


def _layout_for(layout: str, env: Any, space: gym.Space[Observation]) -> Layout:
    check_layout(layout, _obs_type(env))
    return Layout(layout, space)


def _obs_type(env: Any) -> str:
    """What the environment says that it observes; Gymnasium's vector environments ask theirs."""
    inner = env.unwrapped
    try:
        found = inner.obs_type if hasattr(inner, "obs_type") else inner.get_attr("obs_type")[0]
    except AttributeError:  # it is none of this package
        return "features"
    return str(found)
