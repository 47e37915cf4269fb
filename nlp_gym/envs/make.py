"""The fast vector environment of an id, for any library that knows Gymnasium's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.make import task_spec


def make_vec_env(
    id: str,
    num_envs: int,
    *,
    layout: str | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
    wrappers: Sequence[Callable[[Any], Any]] | None = None,
    **kwargs: Any,
) -> VectorEnv[Any, Any, Any]:
    """The native vector environment of an id: B environments in one object, without processes.

    It is what `gymnasium.make_vec` makes, with vector wrappers around it.

    Args:
        id: A registered id, such as ``"NER-CoNLL-v0"``, or ``"package.module:Id"``.
        num_envs: Number B of environments.
        layout: None, ``"flat"``, ``"obs_mask"`` or ``"observations_action_mask"``; see
            `nlp_gym.layout.Layout`.
        autoreset_mode: What happens to an environment whose episode ended.
        wrappers: Vector wrappers, the innermost first; each takes the environment.
        **kwargs: As for `gymnasium.make`.

    Raises:
        UnknownNameError: No such id, layout, mode or argument.
        InvalidArgumentError: A wrapper is for single environments, or an argument is outside what
            is allowed.
    """
    task_spec(id)
    for name in ("vectorization_mode", "vector_kwargs"):
        if name in kwargs:
            raise InvalidArgumentError(
                f"{name}={shown(kwargs[name])} belongs to gymnasium.make_vec: make_vec_env makes "
                "the native environment only."
            )
    if isinstance(wrappers, str) or not isinstance(wrappers, Sequence | None):
        raise InvalidArgumentError(
            f"wrappers={shown(wrappers)} must be a list of vector wrappers, such as "
            "[gymnasium.wrappers.vector.RecordEpisodeStatistics]."
        )
    for wrapper in wrappers or ():
        if not callable(wrapper) or (
            isinstance(wrapper, type) and not issubclass(wrapper, VectorEnv)
        ):
            raise InvalidArgumentError(
                f"wrappers has {shown(wrapper)}, which is no vector wrapper: take those of "
                "gymnasium.wrappers.vector, or use gymnasium.make_vec(id, num_envs, "
                "vectorization_mode='sync', wrappers=...) with wrappers of single environments."
            )
    env: VectorEnv[Any, Any, Any] = gym.make_vec(
        id, num_envs=num_envs, layout=layout, autoreset_mode=autoreset_mode, **kwargs
    )
    for wrapper in wrappers or ():
        env = wrapper(env)
        if not isinstance(env, VectorEnv):
            raise InvalidArgumentError(
                f"wrappers has {shown(wrapper)}, which gave {shown(env)} in place of a vector "
                "environment."
            )
    return env
