"""Environments for plain Stable-Baselines3 code, whose observations name their corpus."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper

from nlp_gym.checks import check_int, check_seed
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.memory import REPLAY, memory_limit, observation_bytes, readable_size
from nlp_gym.tasks.core.make import task_spec
from nlp_gym.tasks.core.observation import IndexBox
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.networks.features.open_corpora import CORPUS_KEY, corpus_number, open_venv
from nlp_gym_agents.networks.features.source import MAX_ROWS

_MOST = 2**31 - 1


def make_sb3_env(id: str, n_envs: int = 1, *, seed: int | None = None, **env_kwargs: Any) -> Any:
    """The fast native environments of an id as a `VecEnv` of Stable-Baselines3.

    Observations are of ``obs_type="index"`` unless another is asked for: a few integers that name a
    state of the corpus, and the corpus. Policies read them with `nlp_policy_kwargs`; those of
    Stable-Baselines3 itself need ``obs_type="features"``.

    Args:
        id: A registered id, such as ``"NER-CoNLL-v0"``.
        n_envs: Number B of environments.
        seed: Environment i is seeded with ``seed + i`` at its first reset; None: by chance.
        **env_kwargs: As for `gymnasium.make`: `split`, `data_dir`, `encoder`, `obs_type`, ...

    Returns:
        An `SB3VecEnv` with `action_masks` for sb3-contrib.

    Raises:
        UnknownNameError: No such id or argument.
        InvalidArgumentError: A value outside what is allowed.
    """
    check_int("n_envs", n_envs, 1, _MOST)
    check_seed(seed)
    task_spec(id)
    obs_type = env_kwargs.setdefault("obs_type", "index")
    venv: Any = gym.make_vec(id, num_envs=n_envs, **env_kwargs)
    if obs_type == "index":
        venv = NameCorpusVector(venv)
    warn_of_replay(venv.single_observation_space, id)
    env = SB3VecEnv(venv)
    if seed is not None:
        env.seed(seed)
    return env


def warn_of_replay(space: spaces.Space[Any], name: str) -> None:
    """Warn where a replay buffer of the default size would not fit into memory."""
    each = observation_bytes(space)
    needed, limit = 2 * REPLAY * each, memory_limit()
    if needed > limit:
        warnings.warn(
            f"An observation of {name} takes {readable_size(each)}: the replay buffer of DQN and "
            f"QRDQN, of buffer_size={REPLAY:,} by default, would take {readable_size(needed)}, and "
            f"there are {readable_size(limit)}. Use obs_type='index' with nlp_policy_kwargs, a "
            "smaller buffer_size, or an algorithm without replay.",
            UserWarning,
            stacklevel=3,
        )


def _number_space() -> spaces.Box:
    return IndexBox(0, MAX_ROWS - 1, (1,), np.int32)


def _with_number(space: Any) -> spaces.Dict:
    if not isinstance(space, spaces.Dict) or "row" not in space.spaces:
        raise InvalidArgumentError(
            f"env has the observation space {shown(space)}: only observations of "
            "obs_type='index' name rows of a corpus."
        )
    return spaces.Dict({**space.spaces, CORPUS_KEY: _number_space()})


class NameCorpus(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Let the `index` observations of one environment name their corpus.

    For Stable-Baselines3's own ``make_vec_env(id, env_kwargs={"obs_type": "index"},
    wrapper_class=NameCorpus)``; `make_sb3_env` does so by itself.

    Args:
        env: Of an id of this suite, with ``obs_type="index"``.

    Raises:
        InvalidArgumentError: It has other observations.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space = _with_number(env.observation_space)
        self._number = corpus_number(self.unwrapped.task)  # type: ignore[attr-defined]

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The observation with its corpus."""
        return {**observation, CORPUS_KEY: np.array([self._number], np.int32)}


class NameCorpusVector(VectorWrapper):
    """As `NameCorpus`, for native vector environments.

    Args:
        env: With ``obs_type="index"``.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.single_observation_space = _with_number(env.single_observation_space)
        self.observation_space = gym.vector.utils.batch_space(
            self.single_observation_space, env.num_envs
        )
        self._number = open_venv(self.unwrapped)  # type: ignore[arg-type]

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._named(observations), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play (B,) actions."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        for final in infos.get("final_obs", ()):
            if final is not None:
                final[CORPUS_KEY] = np.array([self._number], np.int32)
        return self._named(observations), rewards, terminated, truncated, infos

    def _named(self, observations: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        numbers = np.full((self.num_envs, 1), self._number, np.int32)
        return {**observations, CORPUS_KEY: numbers}
