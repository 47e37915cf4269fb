"""What pictures of every registered id must do, alone, batched and in the hands of wrappers."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import AddRenderObservation

import nlp_gym
from nlp_gym.registration import ENVS
from nlp_gym.render.picture import HEIGHT, WIDTH

SMALL = {"encoder": "hashed", "corpus": "sample"}
SHAPE = (HEIGHT, WIDTH, 3)
IDS = [row.id for row in ENVS]
KINDS = list({(row.task, row.dataset, str(row.kwargs)): row.id for row in reversed(ENVS)}.values())

every_id = pytest.mark.parametrize("env_id", IDS)
every_kind = pytest.mark.parametrize("env_id", KINDS)


def make(env_id, render_mode="rgb_array", **kwargs):
    return gym.make(env_id, render_mode=render_mode, **{**SMALL, "obs_type": "index", **kwargs})


def body(picture):
    """The picture without its first lines: title, place and reward."""
    return picture[64:]


@every_id
def test_pictures_are_of_one_shape_and_show_each_decision(env_id):
    env = make(env_id)
    env.reset(seed=0)
    first = before = env.render()
    for _ in range(5):
        assert before.shape == SHAPE
        assert before.dtype == np.uint8
        assert np.array_equal(before, env.render())
        assert not np.shares_memory(before, env.render())
        *_, terminated, _, _ = env.step(env.unwrapped.oracle_action())
        after = env.render()
        assert not np.array_equal(before, after)
        before = after
        if terminated:
            break
    assert not np.array_equal(body(first), body(before))  # a first token may be no letter yet


@every_kind
def test_rewards_are_seen(env_id):
    env = make(env_id)
    env.reset(options={"row": 0})
    before = env.render()
    env.unwrapped._last_reward = 0.5
    assert not np.array_equal(before[:60], env.render()[:60])
    assert np.array_equal(body(before), body(env.render()))


@every_kind
def test_batched_pictures_equal_those_of_single_envs(env_id):
    kwargs = {**SMALL, "obs_type": "index", "render_mode": "rgb_array"}
    batched = gym.make_vec(env_id, num_envs=3, max_episode_steps=4, **kwargs)
    single = SyncVectorEnv(
        [lambda: gym.make(env_id, max_episode_steps=4, **kwargs) for _ in range(3)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert batched.render_mode == "rgb_array"
    assert "rgb_array" in batched.metadata["render_modes"]
    batched.reset(seed=3), single.reset(seed=3)
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(8):
        left, right = batched.render(), single.render()
        assert isinstance(left, tuple)
        assert np.array_equal(left, right)
        actions = rng.integers(batched.single_action_space.n, size=3)
        *_, terminated, truncated, _ = batched.step(actions)
        single.step(actions)
        ends += int((terminated | truncated).sum())
    assert ends > 0


@every_id
def test_make_vec_env_of_stable_baselines3_works(env_id):
    from stable_baselines3.common.env_util import make_vec_env

    env = make_vec_env(env_id, n_envs=2, seed=0, env_kwargs=SMALL)
    assert env.render_mode == "rgb_array"
    env.reset()
    images = env.get_images()
    assert [image.shape for image in images] == [SHAPE, SHAPE]
    env.step(np.array(env.env_method("oracle_action")))
    assert not np.array_equal(images, env.get_images())
    assert env.render().dtype == np.uint8  # both, side by side
    env.close()


@every_kind
def test_sb3_check_env_is_silent(env_id):
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(env_id).unwrapped)


@every_kind
def test_frames_are_collected(env_id):
    env = make(env_id, render_mode="rgb_array_list")
    env.reset(seed=1)
    env.step(env.unwrapped.oracle_action())
    frames = env.render()
    assert len(frames) == 2
    assert {frame.shape for frame in frames} == {SHAPE}
    assert not np.array_equal(*frames)


@every_kind
@pytest.mark.parametrize("mode", ["ansi", "html"])
def test_texts_are_collected(env_id, mode):
    env = make(env_id, render_mode=f"{mode}_list")
    env.reset(seed=1)
    env.step(env.unwrapped.oracle_action())
    first, second = env.render()
    assert first != second
    assert env.render() == []


@every_kind
def test_pictures_are_observed(env_id):
    env = AddRenderObservation(make(env_id), render_only=True)
    seen, _ = env.reset(seed=0)
    assert seen in env.observation_space
    seen, *_ = env.step(env.unwrapped.oracle_action())
    assert seen in env.observation_space
    beside = AddRenderObservation(make(env_id), render_only=False)
    seen, _ = beside.reset(seed=0)
    assert seen in beside.observation_space


def test_pillow_is_loaded_where_pictures_are_asked_for():
    code = (
        "import sys, gymnasium as gym, nlp_gym\n"
        "for mode in ('ansi', 'rgb_array'):\n"
        "    env = gym.make('NER-CoNLL-v0', encoder='hashed', corpus='sample', render_mode=mode)\n"
        "    env.reset(seed=0), env.render()\n"
        "    print('PIL' in sys.modules)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.split() == ["False", "True"]


def test_wrong_render_mode_names_what_is_allowed():
    with pytest.raises(nlp_gym.errors.UnknownNameError, match="rgb_array"):
        gym.make_vec("NER-CoNLL-v0", num_envs=2, render_mode="rgb", **SMALL)
