"""The reward of every action in the infos, for algorithms that learn from more than they tried.

An environment tells what the action that was played earned: *bandit* feedback. Gold says more: what
each action would have earned. Results of agents that use it are called *full information*, which is
why it is not told unless it is asked for. In the agents' own training an algorithm says what it
learns from (`nlp_gym_agents.algorithms.registry`), and needs no wrapper.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray

INFORMATION = "full information"
"""What ``metadata["information"]`` says of an environment in one of these wrappers."""


class FullInformation(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds ``info["action_rewards"]``, (A,) float64: what each action would earn now.

    The rewards are those that the `step` of the package's environment would give, exactly
    (`Task.action_rewards`), whatever other wrappers make of them: an illegal action has that of its
    repair, less 1/8. After the last step of an episode there is no next
    action, and the key is absent. ``metadata["information"]`` is ``"full information"``.

    Args:
        env: An environment of this package, in any wrappers.

    Raises:
        InvalidArgumentError: `env` is another environment, or a vector environment.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        if isinstance(env, gym.vector.VectorEnv):
            raise InvalidArgumentError(
                f"env={shown(env)} is a vector environment: wrap it in FullInformationVector."
            )
        if not isinstance(env, gym.Env) or not _has_rules(env):
            raise InvalidArgumentError(
                f"env={shown(env)} is no environment of this package: rewards of every action come "
                "from its rules. Make one by gymnasium.make on a registered id."
            )
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self.metadata = {**env.metadata, "information": INFORMATION}
        self._inner: Any = env.unwrapped

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "action_rewards": self._inner.action_rewards()}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play one action; see the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not (terminated or truncated):
            info = {**info, "action_rewards": self._inner.action_rewards()}
        return observation, reward, terminated, truncated, info


class FullInformationVector(gym.vector.VectorWrapper):
    """`FullInformation` for a vector environment of `gymnasium.make_vec`.

    ``infos["action_rewards"]`` is (B, A) float64, and ``infos["_action_rewards"]`` (B,) bool where
    there are any. With autoreset in the same step these are all: the rewards are those of the
    episodes that were just begun, and ``infos["final_info"]`` has none, since an episode that ended
    has no next action. In the other modes an episode that ended has zeros until its reset, and so
    has one that a reset with ``reset_mask`` left alone, as in ``action_mask``.

    Args:
        env: A native vector environment of this package, in any wrappers. For Gymnasium's own
            vector environments wrap each of theirs in `FullInformation`.

    Raises:
        InvalidArgumentError: `env` is another environment, or a single one.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        if not isinstance(env, gym.vector.VectorEnv):
            raise InvalidArgumentError(
                f"env={shown(env)} is no vector environment: wrap it in FullInformation."
            )
        if not _has_rules(env):
            raise InvalidArgumentError(
                f"env={shown(env)} is no vector environment of this package: make one by "
                "gymnasium.make_vec on a registered id, or wrap each environment of Gymnasium's "
                "own in FullInformation."
            )
        super().__init__(env)
        self.metadata = {**env.metadata, "information": INFORMATION}
        self._inner: Any = env.unwrapped
        self._over = np.zeros(env.num_envs, bool)  # whose episode ended and was not reset

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes; see the environment."""
        observation, infos = self.env.reset(seed=seed, options=options)
        begun = np.array(infos["_action_mask"])  # those that were asked for
        self._over &= ~begun
        return observation, infos | self._rewards(begun)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play (B,) actions; see the environment."""
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        if self._inner.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._over = terminated | truncated
        return observation, reward, terminated, truncated, infos | self._rewards(~self._over)

    def _rewards(self, there: BoolArray) -> dict[str, Any]:
        """What is added to the infos of the environments `there` (B,)."""
        task, state = self._inner.task, self._inner.current_state()
        rewards = np.zeros((self.num_envs, task.n_actions))
        if there.any():
            rewards[there] = task.action_rewards(state.take(there))
        return {"action_rewards": rewards, "_action_rewards": there.copy()}


def _has_rules(env: Any) -> bool:
    """Whether an environment is one of this package, with a task whose states branch."""
    return isinstance(getattr(env.unwrapped, "task", None), Task)
