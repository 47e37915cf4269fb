"""Arrays that an environment returned stay as they were, and are the caller's to change."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence as about_equal

import nlp_gym
from nlp_gym.checks import OBS_TYPES
from nlp_gym.registration import ENVS

SMALL = {"encoder": "hashed", "corpus": "sample"}
SHAPES = [*({"obs_type": name} for name in OBS_TYPES), {"layout": "obs_mask"}]
KINDS = {(row.task, row.dataset, str(row.kwargs)): row.id for row in reversed(ENVS)}
STEPS = 3


def arrays(data):
    """Every array of numbers in what a call returned."""
    if isinstance(data, np.ndarray) and data.dtype != object:
        return [data]
    if isinstance(data, dict):
        data = list(data.values())
    return (
        [a for d in data for a in arrays(d)] if isinstance(data, list | tuple | np.ndarray) else []
    )


def scribble(returned):
    for array in arrays(returned):
        array[...] = True if array.dtype == np.bool_ else 7


def check(start, step):
    """Play twice: left alone, and with everything that is returned overwritten."""
    plain, scribbled = (list(start(i)) for i in range(2))
    returned = [plain[0]]
    kept = [copy.deepcopy(plain[0])]
    scribble(scribbled[0])
    for _ in range(STEPS):
        returned.append(step(plain[1]))
        kept.append(copy.deepcopy(returned[-1]))
        other = step(scribbled[1])
        assert about_equal(returned[-1], other, exact=True)
        scribble(other)
    assert about_equal(returned, kept, exact=True)
    every = [(i, a) for i, data in enumerate(returned) for a in arrays(data)]
    assert len(every) > 2 * STEPS
    for i, left in every:
        for j, right in every:
            if left is not right and i <= j:
                assert not np.shares_memory(left, right)


@pytest.mark.parametrize("env_id", list(KINDS.values()))
def test_returned_arrays_are_nobody_elses(env_id):
    for kwargs in SHAPES:

        def single(_):
            env = gym.make(env_id, **kwargs, **SMALL)  # noqa: B023 - called at once
            return env.reset(seed=0), env

        def step(env):
            step = env.step(env.unwrapped.oracle_action())
            return (step, env.reset()) if step[2] else step

        def batch(_):
            env = nlp_gym.make_vec_env(env_id, 2, max_episode_steps=2, **kwargs, **SMALL)  # noqa: B023
            return env.reset(seed=0), env

        check(single, step)
        check(batch, lambda env: env.step(env.oracle_actions()))
