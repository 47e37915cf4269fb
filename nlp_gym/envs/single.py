"""One environment over any task: a batch of one."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.envs import registration

from nlp_gym.checks import check_obs_type, check_seed
from nlp_gym.envs.portable import PortableSpec
from nlp_gym.envs.rows import RowSampler, begin, chosen_rows, n_numbers
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NotResetError, shown
from nlp_gym.layout import Layout, check_layout
from nlp_gym.render import RENDER_MODES, RenderModes, check_render_mode, draw
from nlp_gym.tasks.core.make import build_task
from nlp_gym.tasks.core.task import State, Task
from nlp_gym.types import Observation

_ONLY = np.zeros(1, np.int64)


_METADATA = {"render_modes": RenderModes(RENDER_MODES), "render_fps": 2}


class TaskEnv(PortableSpec, gym.Env[Observation, Any]):
    """Gymnasium environment that plays one episode of a task at a time.

    Args:
        task: ``"module:Class"`` of the rules (as registered), or a `Task` to share.
        obs_type: ``"features"``, ``"tokens"`` or ``"index"``; the keys are in the task's docstring.
        layout: None: the Dict of those keys. ``"flat"``, ``"obs_mask"`` or
            ``"observations_action_mask"``: what other libraries expect, made of features; see
            `nlp_gym.layout.Layout`.
        render_mode: None, ``"rgb_array"``, ``"ansi"``, ``"html"`` or ``"human"``.
        **kwargs: Arguments of the task.
    """

    metadata: ClassVar[dict[str, Any]] = _METADATA  # type: ignore[misc]

    def __init__(
        self,
        task: str | Task,
        *,
        obs_type: str = "features",
        layout: str | None = None,
        render_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_obs_type(obs_type)
        check_layout(layout, obs_type)
        check_render_mode(render_mode)
        _check_step_limit(sys._getframe(1))
        self.obs_type, self.layout, self.render_mode = obs_type, layout, render_mode
        rules = build_task(task, **kwargs)
        self._sampler = RowSampler(1, n_numbers(rules))
        self._sampled_from: np.random.Generator | None = None
        self.use(rules)
        self._running = False
        self._last_reward = 0.0

    def use(self, task: Task) -> None:
        """Play `task` from the next `reset` on: spaces become those of the task."""
        self.task = task
        space: Any = task.observation_space(self.obs_type)  # Dict's type parameter is invariant
        self._layout = None if self.layout is None else Layout(self.layout, space)
        self.observation_space = space if self._layout is None else self._layout.space
        self.action_space = task.action_space
        self._n_actions = task.n_actions
        self._sampler.draw_from(task)
        self._state: State | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Decides every later draw of samples.
            options: ``{"row": i}`` plays sample i; `Task.options` names what else there is.

        Raises:
            InvalidArgumentError: `seed` is no integer from 0, or there is no such sample.
        """
        rows = chosen_rows(options, 1, len(self.task.corpus), self.task.options)
        dial = self.task.dial_of(options or {})
        super().reset(seed=check_seed(seed))
        if self.np_random is not self._sampled_from:
            self._sampled_from = self.np_random
            self._sampler.seed(0, self.np_random)
        self._state = begin(self.task, self._sampler, _ONLY, rows, dial)
        self._running, self._last_reward = True, 0.0
        observation, info = self._observe()
        if self.render_mode == "human":
            self.render()
        return observation, info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one action.

        Raises:
            InvalidActionError: The action is no integer from 0 to A - 1. (A masked action is legal
                to send; see the task's Action Mask.)
            NotResetError: `reset` comes first.
        """
        state = self._started()
        if not self._running:
            raise NotResetError("step() after the episode ended; call reset() first.")
        try:
            number = int(action.item() if isinstance(action, np.ndarray) else action)
            valid = bool(number == action) and 0 <= number < self._n_actions
        except Exception:  # what is no number raises many kinds
            valid = False
        if not valid:
            raise InvalidActionError(
                f"action={shown(action)} must be an integer from 0 to {self._n_actions - 1}."
            )
        rewards, ended = self.task.transition(state, np.array((number,), np.int64))
        reward, terminated = float(rewards[0]), bool(ended[0])
        self._running, self._last_reward = not terminated, reward
        observation, info = self._observe()
        if terminated and self.task.has_gold:
            info["score"] = float(self.task.potential(state)[0])
        if self.render_mode == "human":
            self.render()
        return observation, reward, terminated, False, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """(A,) legal actions now; the name is sb3-contrib's."""
        return np.asarray(self.task.mask(self._started())[0])

    def oracle_action(self) -> int:
        """The expert's action now."""
        return int(self.task.oracle(self._started())[0])

    def action_rewards(self) -> npt.NDArray[np.float64]:
        """(A,) rewards that each action would earn now; see `Task.action_rewards`.

        Raises:
            NotResetError: `reset` comes first; after its end an episode has no next action.
        """
        self._started()
        if not self._running:
            raise NotResetError("action_rewards() after the episode ended; call reset() first.")
        return np.asarray(self.task.action_rewards(self._started())[0])

    def outputs(self) -> Any:
        """What was decided in this episode so far, such as the tags."""
        return self.task.outputs(self._started())[0]

    def render(self) -> Any:
        """The text with the decisions so far.

        Returns:
            A picture of constant size (`rgb_array`: height, width, 3 of uint8), a string (`ansi`,
            `html`), or None (`human`: it is printed).
        """
        if self.render_mode is None:
            gym.logger.warn(
                f"render() without render_mode; pass one of {', '.join(RENDER_MODES)} to gym.make."
            )
            return None
        frame = self.task.frame(self._started(), 0)
        return draw(
            self.render_mode, frame if self._running else frame.at_the_end(), self._last_reward
        )

    def _observe(self) -> tuple[Observation, dict[str, Any]]:
        seen, mask = self.task.views.observe_with_mask(self._started(), self.obs_type)
        observation = {key: value[0] for key, value in seen.items()}
        if self._layout is not None:
            observation = self._layout.one(observation)
        return observation, {"action_mask": mask[0].view(np.int8)}

    def _started(self) -> State:
        if self._state is None:
            raise NotResetError("call reset() first.")
        return self._state


def _check_step_limit(frame: FrameType | None) -> None:
    """Check `max_episode_steps` where an environment is made by `gymnasium.make`.

    Gymnasium keeps that argument to itself and asserts its type after the environment is made, in a
    wrapper: only its frame shows it before.

    Raises:
        InvalidArgumentError: It is no integer from 1 (nor None, nor -1 for no limit).
    """
    while frame is not None and frame.f_code is not registration.make.__code__:
        frame = frame.f_back if frame.f_code.co_name == "__init__" else None  # of a subclass
    limit = None if frame is None else frame.f_locals.get("max_episode_steps")
    if limit is not None and not (type(limit) is int and (limit == -1 or limit > 0)):
        raise InvalidArgumentError(
            f"max_episode_steps={shown(limit)} must be an integer from 1, or None."
        )
