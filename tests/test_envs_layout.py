"""Layouts of observations: one vector, or a vector and the mask, from every kind of environment."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as about_equal
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import nlp_gym
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.layout import LAYOUTS
from nlp_gym.memory import observation_bytes
from nlp_gym.registration import ENVS
from nlp_gym.wrappers import LayoutObservation, LayoutVectorObservation

SMALL = {"encoder": "hashed", "corpus": "sample"}
NER = "NER-CoNLL-v0"
KINDS = list({(row.task, row.dataset, str(row.kwargs)): row.id for row in reversed(ENVS)}.values())
KEYS = {"obs_mask": ("obs", "mask"), "observations_action_mask": ("observations", "action_mask")}
N = 4

every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def same(left, right):
    return about_equal(left, right, exact=True)


def by_hand(seen):
    """The vector of one observation: its keys by name, without the mask."""
    parts = [seen[key].ravel() for key in sorted(seen) if key != "action_mask"]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("env_id", KINDS)
def test_layouts_hold_what_the_dict_holds(env_id):
    plain = gym.make(env_id, **SMALL)
    laid = {layout: gym.make(env_id, layout=layout, **SMALL) for layout in LAYOUTS}
    for layout, env in laid.items():
        check_env(env.unwrapped, skip_render_check=True)
        assert LayoutObservation(plain, layout).observation_space == env.observation_space
    seen, info = plain.reset(seed=3)
    others = {layout: env.reset(seed=3) for layout, env in laid.items()}
    for _ in range(3):
        vector = by_hand(seen)
        for layout, (other, other_info) in others.items():
            assert other in laid[layout].observation_space
            assert same(info, other_info)
            if layout == "flat":
                assert np.array_equal(other, vector)
                continue
            key, mask_key = KEYS[layout]
            assert np.array_equal(other[key], vector)
            assert np.array_equal(other[mask_key], seen["action_mask"])
        action = plain.unwrapped.oracle_action()
        seen, reward, terminated, _, info = plain.step(action)
        for layout, env in laid.items():
            *_, other_reward, other_terminated, _, other_info = step = env.step(action)
            assert (other_reward, other_terminated) == (reward, terminated)
            others[layout] = step[0], other_info
        if terminated:
            break


@every_layout
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_laid_out_batches_equal_single_environments(mode, layout):
    kwargs = {**SMALL, "max_episode_steps": 4}
    native = nlp_gym.make_vec_env(NER, N, autoreset_mode=mode, layout=layout, **kwargs)
    plain = nlp_gym.make_vec_env(NER, N, autoreset_mode=mode, **kwargs)

    def synced(**more):
        make = [lambda: gym.make(NER, **kwargs, **more)] * N
        return SyncVectorEnv(make, autoreset_mode=mode)

    others = [
        synced(layout=layout),
        LayoutVectorObservation(plain, layout),
        LayoutVectorObservation(synced(), layout),
    ]
    expected = native.reset(seed=1)
    for env in others:
        assert env.single_observation_space == native.single_observation_space
        assert env.observation_space == native.observation_space
        assert same(expected, env.reset(seed=1))
    ends = 0
    for _ in range(10):
        actions = native.oracle_actions()
        expected = native.step(actions)
        assert expected[0] in native.observation_space
        assert all(same(expected, env.step(actions)) for env in others)
        ended = expected[2] | expected[3]
        ends += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            for env in (native, *others):
                env.reset(options={"reset_mask": ended.copy()})
    assert ends > 3
    assert np.array_equal(others[1].action_masks(), others[2].action_masks())


def test_types_are_those_the_libraries_take():
    seen = {layout: gym.make(NER, layout=layout, **SMALL).reset(seed=0)[0] for layout in LAYOUTS}
    assert seen["flat"].dtype == np.float32
    assert seen["obs_mask"]["mask"].dtype == np.bool_  # Tianshou inverts it by ~
    assert (
        seen["observations_action_mask"]["action_mask"].dtype == np.float32
    )  # RLlib takes its log
    assert not np.shares_memory(*seen["obs_mask"].values())


def test_wrapper_is_part_of_the_spec():
    env = LayoutObservation(gym.make(NER, **SMALL), "flat")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, LayoutObservation)
    assert same(env.reset(seed=4), again.reset(seed=4))
    assert np.array_equal(env.action_masks(), again.action_masks())


@pytest.mark.parametrize("obs_type", ["index", "tokens"])
def test_layouts_are_for_features(obs_type):
    wanted = r"layout='flat' needs obs_type='features'"
    for make in (gym.make, gym.make_vec):
        with pytest.raises(InvalidArgumentError, match=wanted):
            make(NER, layout="flat", obs_type=obs_type, **SMALL)
    single = [lambda: gym.make(NER, obs_type=obs_type, **SMALL)] * 2
    with pytest.raises(InvalidArgumentError, match=wanted):
        LayoutObservation(single[0](), "flat")
    with pytest.raises(InvalidArgumentError, match=wanted):
        LayoutVectorObservation(gym.make_vec(NER, 2, obs_type=obs_type, **SMALL), "flat")
    for kind, more in ((SyncVectorEnv, {}), (AsyncVectorEnv, {"context": "fork"})):
        env = kind(single, **more)
        try:
            with pytest.raises(InvalidArgumentError, match=wanted):
                LayoutVectorObservation(env, "flat")
        finally:
            env.close()


def test_layouts_that_cannot_be():
    with pytest.raises(UnknownNameError, match=r"layout='flatt'.*'flat'"):
        gym.make(NER, layout="flatt", **SMALL)
    with pytest.raises(UnknownNameError, match="layout"):
        LayoutObservation(gym.make(NER, **SMALL), "row")
    for twice in LAYOUTS:
        env = gym.make(NER, layout="observations_action_mask", **SMALL)
        wrapped = LayoutObservation(gym.make(NER, **SMALL), twice)
        for laid in (env, wrapped):
            with pytest.raises(InvalidArgumentError, match="Give the layout once"):
                LayoutObservation(laid, twice)
    with pytest.raises(InvalidArgumentError, match="LayoutVectorObservation"):
        LayoutObservation(gym.make_vec(NER, 2, **SMALL), "flat")
    with pytest.raises(InvalidArgumentError, match="LayoutObservation"):
        LayoutVectorObservation(gym.make(NER, **SMALL), "flat")
    with pytest.raises(InvalidArgumentError, match="Give the layout once"):
        LayoutObservation(gym.make("CartPole-v1"), "flat")


def test_layouts_keep_what_a_changed_task_shows(tmp_path):
    path = tmp_path / "facts.tsv"
    path.write_text("Smith\tPER\tperson\n")
    env = gym.make(NER, layout="flat", **SMALL)
    width = env.observation_space.shape[0]
    more = gym.make(NER, layout="flat", knowledge=str(path), **SMALL).observation_space.shape[0]
    assert more > width


def test_bytes_of_observations_are_counted():
    for layout in (None, *LAYOUTS):
        env = gym.make(NER, layout=layout, **SMALL)
        seen, _ = env.reset(seed=0)
        parts = list(seen.values()) if isinstance(seen, dict) else [seen]
        assert observation_bytes(env.observation_space) == sum(part.nbytes for part in parts)
