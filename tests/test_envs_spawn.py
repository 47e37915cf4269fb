"""Ids in processes that import nothing by themselves: ``nlp_gym:ID`` brings the ids with it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

import nlp_gym

ID = "nlp_gym:NER-CoNLL-v0"
SMALL = {"encoder": "hashed", "corpus": "sample", "layout": "obs_mask"}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_gymnasium_plays_in_workers_what_is_played_here(context):
    native = nlp_gym.make_vec_env(ID, 2, **SMALL)
    workers = AsyncVectorEnv(
        [lambda: gym.make(ID, **SMALL)] * 2,
        context=context,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    try:
        assert data_equivalence(native.reset(seed=1), workers.reset(seed=1), exact=True)
        for _ in range(5):
            actions = native.oracle_actions()
            assert workers.call("oracle_action") == tuple(actions.tolist())
            assert data_equivalence(native.step(actions), workers.step(actions), exact=True)
    finally:
        workers.close()


def test_stable_baselines3_plays_in_spawned_workers():
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv

    env = make_vec_env(
        ID,
        n_envs=2,
        seed=0,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "spawn"},
        env_kwargs=SMALL,
    )
    try:
        seen = env.reset()
        masks = np.stack(env.env_method("action_masks"))
        assert np.array_equal(seen["mask"], masks)
        seen, *_ = env.step(np.array(env.env_method("oracle_action")))
        assert seen["obs"].shape == (2, *env.observation_space["obs"].shape)
    finally:
        env.close()
