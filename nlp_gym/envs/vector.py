"""B environments over any task in one object, without a loop over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from nlp_gym.checks import as_array, check_int, check_obs_type, check_seed
from nlp_gym.envs.actions import BatchedActions
from nlp_gym.envs.attributes import EachAttribute
from nlp_gym.envs.autoreset import check_autoreset_mode, split_reset_mask
from nlp_gym.envs.final import final_infos
from nlp_gym.envs.portable import PortableSpec
from nlp_gym.envs.rows import BLOCK, RowSampler, begin, chosen_rows, n_numbers, row_of
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NotResetError, listed, shown
from nlp_gym.layout import Layout, check_layout
from nlp_gym.memory import check_memory, observation_bytes
from nlp_gym.render import RENDER_MODES, RenderModes, check_render_mode, draw
from nlp_gym.tasks.core.make import build_task
from nlp_gym.tasks.core.task import State, Task
from nlp_gym.types import BoolArray

_MOST = 2**31 - 1
_GENERATOR = 1000
"""Bytes of a random generator, measured with 100,000 of them."""


class TaskVectorEnv(EachAttribute, PortableSpec, gym.vector.VectorEnv[Any, Any, Any]):
    """Gymnasium vector environment; plays step for step what `SyncVectorEnv` would.

    Args:
        task: ``"module:Class"`` of the rules (as registered), or a `Task` to share.
        num_envs: Number B of environments.
        obs_type: ``"features"``, ``"tokens"`` or ``"index"``.
        layout: None, ``"flat"``, ``"obs_mask"`` or ``"observations_action_mask"``; see
            `nlp_gym.layout.Layout`.
        render_mode: None, ``"rgb_array"``, ``"ansi"``, ``"html"`` (`render` gives one picture or
            string per environment) or ``"human"`` (`render` prints each and gives None).
        max_episode_steps: Truncate longer episodes; None: never.
        autoreset_mode: When an environment whose episode ended is reset, a member of
            `gymnasium.vector.AutoresetMode` or its name. ``SAME_STEP``: at once, its last
            observation and information are ``infos["final_obs"]`` and ``infos["final_info"]``.
            ``NEXT_STEP``: by the next `step`, which ignores its action. ``DISABLED``: by
            ``reset(options={"reset_mask": ended})``.
        **kwargs: Arguments of the task.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": RenderModes(RENDER_MODES),
        "render_fps": 2,
    }

    def __init__(
        self,
        task: str | Task,
        num_envs: int = 1,
        *,
        obs_type: str = "features",
        layout: str | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_obs_type(obs_type)
        check_layout(layout, obs_type)
        check_render_mode(render_mode)
        self.autoreset_mode = check_autoreset_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        self.num_envs = check_int("num_envs", num_envs, 1, _MOST)
        self._limit: int | None = None
        if max_episode_steps is not None:
            self._limit = check_int("max_episode_steps", max_episode_steps, 1, _MOST)
        self.obs_type, self.layout, self.render_mode = obs_type, layout, render_mode
        rules = build_task(task, **kwargs)
        self._sampler = RowSampler(self.num_envs, n_numbers(rules))
        self.use(rules)
        self._elapsed = np.zeros(self.num_envs, np.int64)
        # Whose episode ended and waits for its reset; nobody's with SAME_STEP.
        self._ended = np.zeros(self.num_envs, bool)
        self._over = np.zeros(self.num_envs, bool)  # those of them that were not truncated
        self._all = np.arange(self.num_envs)
        self._seeded = False
        self._seeds = [-1] * self.num_envs
        self._last_reward = np.zeros(self.num_envs)
        _keep_freed_memory()

    def use(self, task: Task) -> None:
        """Play `task` from the next `reset` on: spaces become those of the task."""
        self.task = task
        space: Any = task.observation_space(self.obs_type)
        self._layout = None if self.layout is None else Layout(self.layout, space)
        self.single_observation_space = space if self._layout is None else self._layout.space
        self.single_action_space = task.action_space
        _check_size(self.num_envs, task, self.obs_type, laid_out=self.layout is not None)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = BatchedActions(self.num_envs, task.n_actions)
        self._n_actions = task.n_actions
        self._sampler.draw_from(task)
        self._state: State | None = None

    @property
    def max_episode_steps(self) -> int | None:
        """Steps after which an episode is truncated; None: never."""
        return self._limit

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: Environment i is seeded with ``seed + i``, or with the i-th of a sequence.
            options: ``{"row": i}`` or ``{"row": [i0, i1, ...]}`` plays those samples;
                `Task.options` names what else there is.
                ``{"reset_mask": array}`` of B bools resets only where it is True; what is said
                of the others is their observation of now.

        Raises:
            NotResetError: Some are to be reset before all were.
        """
        chosen, options = split_reset_mask(options, self.num_envs)
        rows = chosen_rows(options, self.num_envs, len(self.task.corpus), self.task.options)
        dial = self.task.dial_of(options or {})
        if chosen is not None:
            self._started()
        envs = self._all if chosen is None else chosen.nonzero()[0]
        self._seed(seed, envs)
        fresh = begin(self.task, self._sampler, envs, rows, dial)
        if chosen is None:
            self._state = fresh
        else:
            self._started().put(envs, fresh)
        self._elapsed[envs] = 0
        self._ended[envs] = self._over[envs] = False
        self._last_reward[envs] = 0.0
        observation, mask = self._observe(self._started())
        info = self._info(mask)
        if chosen is not None:
            info["action_mask"][~chosen] = 0
            info["_action_mask"] &= chosen
        return observation, info

    def _observe(self, state: State) -> tuple[Any, BoolArray]:
        """Observations and (B, A) masks of the episodes in `state`."""
        observation, mask = self.task.views.observe_with_mask(state, self.obs_type)
        return observation if self._layout is None else self._layout.batch(observation), mask

    def _seed(self, seed: int | Sequence[int | None] | None, envs: npt.NDArray[np.int64]) -> None:
        if seed is None and self._seeded:
            return
        if isinstance(seed, list | tuple) or (isinstance(seed, np.ndarray) and seed.ndim == 1):
            seeds = [check_seed(value, f"seed[{i}]") for i, value in enumerate(seed)]
        else:
            first = check_seed(seed)
            seeds = [None if first is None else first + i for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise InvalidArgumentError(
                f"seed={shown(seed)} has {len(seeds)} entries for num_envs={self.num_envs}: give "
                "one number, or one for each environment."
            )
        for i in envs.tolist():
            value = seeds[i]
            if value is not None or not self._seeded:
                generator, used = seeding.np_random(value)
                self._sampler.seed(i, generator)
                self._seeds[i] = used
                if i == 0:
                    self._np_random, self._np_random_seed = generator, used
        self._seeded = True

    def step(
        self, actions: Any
    ) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Play (B,) actions; what follows the end of an episode is `autoreset_mode`.

        Raises:
            InvalidActionError: Not B integers from 0 to A - 1.
            NotResetError: `reset` comes first.
        """
        state = self._started()
        fresh = self._ended.nonzero()[0]
        played = self._checked(actions, fresh)
        if len(fresh):
            reward, terminated = self._step_others(state, played, fresh)
        else:
            reward, terminated = self.task.transition(state, played)
        done, truncated = terminated, np.zeros(self.num_envs, bool)
        if self._limit is not None:
            self._elapsed += 1
            if len(fresh):
                self._elapsed[fresh] = 0
            truncated = self._elapsed >= self._limit
            done = terminated | truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            if self.render_mode is not None:  # what is seen next is a new episode
                self._last_reward = np.where(done, 0.0, reward)
            ended = done.nonzero()[0]
            if len(ended):
                infos = self._final(ended, terminated)
                state.put(ended, begin(self.task, self._sampler, ended))
                if self._limit is not None:
                    self._elapsed[ended] = 0
        else:
            self._ended, self._over = done.copy(), terminated.copy()
            self._last_reward = reward.copy()
            infos = self._scores(terminated)
        observation, mask = self._observe(state)
        return observation, reward, terminated, truncated, infos | self._info(mask)

    def _step_others(
        self, state: State, actions: npt.NDArray[np.int64], fresh: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], BoolArray]:
        """Reset the environments `fresh` and let the others play; gives rewards and ends of all."""
        if self.autoreset_mode is AutoresetMode.DISABLED:
            raise NotResetError(
                f"the episodes of environments {listed(map(str, fresh.tolist()))} ended: call "
                "reset(options={'reset_mask': terminated | truncated}) before the next step."
            )
        reward, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        others = (~self._ended).nonzero()[0]
        if len(others):
            running = state.take(others)
            reward[others], terminated[others] = self.task.transition(running, actions[others])
            state.put(others, running)
        state.put(fresh, begin(self.task, self._sampler, fresh))
        return reward, terminated

    def _scores(self, terminated: BoolArray) -> dict[str, Any]:
        """The metric of the episodes that terminated, where there is gold."""
        if not self.task.has_gold or not terminated.any():
            return {}
        scores = np.zeros(self.num_envs)
        scores[terminated] = self.task.potential(self._started().take(terminated))
        return {"score": scores, "_score": terminated.copy()}

    def _checked(self, actions: Any, ignored: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The actions as int64; those of the environments `ignored` may be anything."""
        array = actions if isinstance(actions, np.ndarray) else as_array(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise InvalidActionError(
                f"actions={shown(actions)} must be {self.num_envs} integers from 0 to "
                f"{self._n_actions - 1}."
            )
        array = array.astype(np.int64, copy=len(ignored) > 0)
        if len(ignored):
            array[ignored] = 0
        if array.view(np.uint64).max() >= self._n_actions:
            bad = int(array[(array < 0) | (array >= self._n_actions)][0])
            raise InvalidActionError(
                f"action={bad} must be an integer from 0 to {self._n_actions - 1}."
            )
        return array

    def _info(self, mask: BoolArray) -> dict[str, Any]:
        return {"action_mask": mask.view(np.int8), "_action_mask": np.ones(self.num_envs, bool)}

    def _final(self, ended: npt.NDArray[np.int64], terminated: BoolArray) -> dict[str, Any]:
        """What is said of the environments `ended`; see `final_infos`."""
        last = self._started().take(ended)
        scored = self.task.has_gold and (self._limit is None or terminated.any())
        observation, mask = self._observe(last)
        return final_infos(
            self.num_envs,
            ended,
            observation,
            masks=mask.view(np.int8),
            scores=self.task.potential(last) if scored else None,
            terminated=terminated,
        )

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """(B, A) legal actions now."""
        return self.task.mask(self._started())

    def oracle_actions(self) -> npt.NDArray[np.int64]:
        """(B,) the expert's actions now."""
        return self.task.oracle(self._started())

    def action_rewards(self) -> npt.NDArray[np.float64]:
        """(B, A) rewards that each action would earn now; see `Task.action_rewards`.

        Zeros where an episode ended and waits for its reset: it has no next action.
        """
        state, running = self._started(), ~self._ended
        if running.all():
            return self.task.action_rewards(state)
        rewards = np.zeros((self.num_envs, self._n_actions))
        if running.any():
            rewards[running] = self.task.action_rewards(state.take(running.nonzero()[0]))
        return rewards

    def current_state(self) -> Any:
        """The running episodes, as a `State` that later steps do not change."""
        return self._started().take(self._all)

    def upcoming(self) -> npt.NDArray[np.int64]:
        """Samples of the next episodes, as far as they are drawn: to encode them together."""
        return row_of(self.task, self._sampler.peek())

    def outputs(self) -> list[Any]:
        """What was decided in each running episode so far."""
        return list(self.task.outputs(self._started()))

    def render(self) -> tuple[Any, ...] | None:
        """One drawing per environment; None where there is no mode, or where it was printed."""
        if self.render_mode is None:
            return None
        state = self._started()
        drawings = tuple(
            draw(self.render_mode, frame.at_the_end() if over else frame, reward)
            for frame, over, reward in zip(
                (self.task.frame(state, i) for i in range(self.num_envs)),
                self._over.tolist(),
                self._last_reward.tolist(),
                strict=True,
            )
        )
        return None if self.render_mode == "human" else drawings

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], list[dict[str, Any]]]:
        """The running episodes and the generators, to go on later exactly from here.

        Returns:
            Arrays by name, and one JSON-able state a generator; all copies.
        """
        state = self._started()
        arrays, generators = self._sampler.snapshot()
        arrays["elapsed"] = self._elapsed.copy()
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            arrays |= {"ended": self._ended.copy(), "over": self._over.copy()}
        arrays |= {f"state/{name}": a.copy() for name, a in vars(state).items()}
        return arrays, generators

    def restore(
        self, arrays: Mapping[str, npt.NDArray[Any]], generators: Sequence[Mapping[str, Any]]
    ) -> Any:
        """Go on from a `snapshot` of an environment of the same task and size.

        Gives the observation of the running episodes.
        """
        self.reset()  # makes the state and the generators that are overwritten here
        state = self._started()
        self._sampler.restore(arrays, generators)
        self._elapsed[...] = arrays["elapsed"]
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended[...], self._over[...] = arrays["ended"], arrays["over"]
        saved = {name: np.array(arrays[f"state/{name}"]) for name in vars(state)}
        self._state = self.task.restored(type(state)(**saved))
        return self._observe(self._state)[0]

    def _started(self) -> State:
        if self._state is None:
            raise NotResetError("call reset() first.")
        return self._state


def _check_size(num_envs: int, task: Task, obs_type: str, *, laid_out: bool) -> None:
    """Refuse environments that memory cannot hold, before anything is allocated for them."""
    seen = observation_bytes(task.observation_space(obs_type))
    state = vars(task.initial(np.zeros(1, np.int64))).values()
    kept = sum(array.nbytes for array in state if array is not None)
    # Bounds of the batched space, observations, last observations and what they are gathered from
    # (measured: 6 to 7 times an observation); the state and its successor; masks; the rows drawn
    # ahead and their generator.
    each = (7 + 2 * laid_out) * seen + 2 * kept + 3 * task.n_actions + 8 * BLOCK + _GENERATOR
    check_memory("num_envs", num_envs, num_envs * each, f"{num_envs:,} environments of this task")


def _keep_freed_memory() -> None:
    """Let the memory of observations serve the next ones.

    The allocator of glibc hands the memory of large arrays back to the system at once, and each
    page that is used again costs a fault. It stops doing so for arrays up to the size of one that
    was freed before; so one is.

    Measured with 256 environments on the bundled samples and the hashed encoder, in turn with and
    without this (`benchmarks/speed/stepping.py --clock cpu --only "features, default"`): `features`
    steps of Summary-SciTLDR-v0 are 2.4 times as fast and those of KnowledgeGraph-WN18RR-v0 1.8
    times. Steps of seven other ids were as fast without it (0.97 to 1.10 in eleven cases).
    """
    np.empty(2**24, np.uint8)
