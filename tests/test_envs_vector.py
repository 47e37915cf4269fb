"""The native vector environment: each autoreset mode plays what Gymnasium's own plays with it."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from gymnasium.utils.env_checker import data_equivalence as about_equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space

import nlp_gym
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NotResetError, UnknownNameError
from nlp_gym.layout import LAYOUTS
from nlp_gym.wrappers import LayoutObservation, LayoutVectorObservation

SMALL = {"encoder": "hashed", "corpus": "sample"}
NER = "NER-CoNLL-v0"
IDS = (
    NER,
    "Topic-AGNews-v0",
    "Relation-CoNLL04-v0",
    "SpanQA-SQuAD-v0",
    "Summary-SciTLDR-v0",
    "KnowledgeGraph-WN18RR-v0",
    "Translation-Multi30k-v0",
    "MultiTask-v0",
)
N = 5


def same(left, right):
    return about_equal(left, right, exact=True)


def pair(env_id, mode, n=N, **kwargs):
    """The native environment, and Gymnasium's of single ones."""
    arguments = {**SMALL, **kwargs}
    native = nlp_gym.make_vec_env(env_id, n, autoreset_mode=mode, **arguments)
    sync = SyncVectorEnv([lambda: gym.make(env_id, **arguments)] * n, autoreset_mode=mode)
    return native, sync


def with_ends(rng, native):
    """Actions of the expert for some and random ones for the others, so that episodes end."""
    drawn = rng.integers(native.single_action_space.n, size=native.num_envs)
    return np.where(rng.random(native.num_envs) < 0.7, native.oracle_actions(), drawn)


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_modes_equal_those_of_sync_vector_env(env_id, mode, limit):
    native, sync = pair(env_id, mode, obs_type="index", reward="metric", max_episode_steps=limit)
    assert native.metadata["autoreset_mode"] is mode
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    assert same(native.reset(seed=11), sync.reset(seed=11))
    rng, ends, steps = np.random.default_rng(0), 0, 40 if limit is None else 20
    for _ in range(steps):
        actions = with_ends(rng, native)
        left, right = native.step(actions), sync.step(actions)
        assert same(left, right)
        ended = left[2] | left[3]
        ends += int(ended.sum())
        assert np.array_equal(native.action_masks(), np.stack(sync.call("action_masks")))
        if mode is AutoresetMode.DISABLED and ended.any():
            reseed = [None, 5, None, 7, None] if rng.random() < 0.3 else None
            left = native.reset(seed=reseed, options={"reset_mask": ended.copy()})
            assert same(left, sync.reset(seed=reseed, options={"reset_mask": ended.copy()}))
    assert ends > 2


@pytest.mark.parametrize("layout", [None, *LAYOUTS])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_layouts_equal_those_of_single_environments(mode, layout):
    native, sync = pair(NER, mode, layout=layout, max_episode_steps=4)
    assert native.observation_space == sync.observation_space
    seen, info = native.reset(seed=1)
    assert seen in native.observation_space
    assert same((seen, info), sync.reset(seed=1))
    plain = pair(NER, mode, max_episode_steps=4)
    wraps = [LayoutVectorObservation(env, layout) for env in plain if layout is not None]
    for env in wraps:
        assert env.observation_space == native.observation_space
        assert same((seen, info), env.reset(seed=1))
    for _ in range(12):
        actions = native.oracle_actions()
        step = native.step(actions)
        assert step[0] in native.observation_space
        for env in (sync, *wraps):
            assert same(step, env.step(actions))
        ended = step[2] | step[3]
        if mode is AutoresetMode.DISABLED and ended.any():
            for env in (native, sync, *wraps):
                env.reset(options={"reset_mask": ended.copy()})
