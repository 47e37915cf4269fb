"""Wrappers that tell the reward of every action."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from nlp_gym import make_task
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NotResetError
from nlp_gym.wrappers import FullInformation, FullInformationVector, LayoutVectorObservation

SMALL = {"encoder": "hashed", "corpus": "sample", "obs_type": "index"}
NER = "NER-CoNLL-v0"
MODES = list(AutoresetMode)


def vector(mode, n=4, **kwargs):
    env = gym.make_vec(NER, num_envs=n, autoreset_mode=mode, **{**SMALL, **kwargs})
    return FullInformationVector(env)


def test_full_information_is_what_a_step_gives():
    env = FullInformation(gym.make(NER, reward="metric", **SMALL))
    assert env.metadata["information"] == "full information"
    assert "information" not in env.env.metadata  # it is opted into
    rng = np.random.default_rng(0)
    for episode in range(3):
        _, info = env.reset(seed=episode)
        done = False
        while not done:
            told = info["action_rewards"]
            assert told.shape == (9,)
            assert told.dtype == np.float64
            action = int(rng.integers(9))
            _, reward, terminated, truncated, info = env.step(action)
            assert reward == told[action]
            done = terminated or truncated
            assert ("action_rewards" in info) != done


@pytest.mark.parametrize("mode", MODES)
def test_full_information_of_many_is_what_a_step_gives(mode):
    env = vector(mode, reward="metric", max_episode_steps=6)
    assert env.metadata["information"] == "full information"
    assert env.metadata["autoreset_mode"] == mode
    _, infos = env.reset(seed=0)
    rng, ends, fresh = np.random.default_rng(0), 0, np.zeros(4, bool)
    for _ in range(40):
        told, there = infos["action_rewards"], infos["_action_rewards"]
        assert told.shape == (4, 9)
        assert not told[~there].any()
        actions = rng.integers(9, size=4)
        _, rewards, terminated, truncated, infos = env.step(actions)
        assert np.array_equal(rewards[~fresh], told[np.arange(4), actions][~fresh])
        done = terminated | truncated
        ends += done.sum()
        if mode is AutoresetMode.SAME_STEP:
            assert infos["_action_rewards"].all()
            assert "action_rewards" not in infos.get("final_info", {})
            continue
        assert np.array_equal(infos["_action_rewards"], ~done)
        fresh = done & (mode is AutoresetMode.NEXT_STEP)
        if mode is AutoresetMode.DISABLED and done.any():
            _, again = env.reset(options={"reset_mask": done})
            assert np.array_equal(again["_action_rewards"], done)
            assert not again["action_rewards"][~done].any()
            told = infos["action_rewards"]
            told[done], infos["_action_rewards"] = again["action_rewards"][done], np.ones(4, bool)
    assert ends > 12


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_full_information_of_gymnasiums_vector_environment_is_the_same(mode):
    own = vector(mode, 3)
    makers = [lambda: FullInformation(gym.make(NER, **SMALL))] * 3
    other = SyncVectorEnv(makers, autoreset_mode=mode)
    assert data_equivalence(own.reset(seed=1)[1], other.reset(seed=1)[1], exact=True)
    rng = np.random.default_rng(0)
    for _ in range(30):
        actions = rng.integers(9, size=3)
        infos, others = (env.step(actions)[4] for env in (own, other))
        for key in ("action_rewards", "_action_rewards"):
            assert np.array_equal(infos[key], others.get(key, np.zeros_like(infos[key])))


@pytest.mark.parametrize("env_id", [NER, "Relation-SemEval-v0", "KnowledgeGraph-WN18RR-v0"])
def test_an_episode_that_ended_has_no_rewards_of_next_actions(env_id):
    kwargs = {"corpus": "sample", "obs_type": "index"}
    one = gym.make(env_id, **kwargs).unwrapped
    with pytest.raises(NotResetError, match=r"call reset\(\) first"):
        one.action_rewards()
    one.reset(seed=0)
    while not one.step(one.oracle_action())[2]:
        assert one.action_rewards().shape == (one.action_space.n,)
    with pytest.raises(NotResetError, match="after the episode ended"):
        one.action_rewards()
    envs = gym.make_vec(env_id, num_envs=3, autoreset_mode=AutoresetMode.NEXT_STEP, **kwargs)
    envs.reset(seed=0)
    ended = np.zeros(3, bool)
    while not ended.any():
        ended = envs.step(envs.oracle_actions())[2]
    rewards = envs.action_rewards()
    assert not rewards[ended].any()
    running = envs.current_state().take((~ended).nonzero()[0])
    assert np.array_equal(rewards[~ended], envs.task.action_rewards(running))


def test_full_information_is_part_of_a_spec_and_fits_other_wrappers():
    env = FullInformation(gym.make(NER, **SMALL))
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, FullInformation)
    assert data_equivalence(env.reset(seed=2), again.reset(seed=2), exact=True)
    laid = vector("SameStep", obs_type="features")
    outer = LayoutVectorObservation(laid, "flat")
    assert outer.metadata["information"] == "full information"
    assert outer.reset(seed=0)[1]["action_rewards"].shape == (4, 9)


def test_full_information_needs_environments_of_this_package():
    cart, carts = gym.make("CartPole-v1"), gym.make_vec("CartPole-v1", num_envs=2)
    own, many = gym.make(NER, **SMALL), gym.make_vec(NER, num_envs=2, **SMALL)
    for wrapper, env, message in (
        (FullInformation, cart, "is no environment of this package"),
        (FullInformation, 3, "is no environment of this package"),
        (FullInformation, many, "wrap it in FullInformationVector"),
        (FullInformationVector, own, "wrap it in FullInformation"),
        (FullInformationVector, carts, "is no vector environment of this package"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            wrapper(env)


@pytest.mark.parametrize(
    "actions",
    [np.zeros(2, int), np.zeros((2, 2)), np.zeros((3, 2), int), [[0, -1]] * 2, [[0, 9]] * 2],
)
def test_what_is_branched_on_are_actions_of_each_episode(actions):
    task = make_task(NER, corpus="sample", encoder="hashed")
    state = task.initial(np.arange(2))
    with pytest.raises(InvalidActionError, match="must be 2 rows, one for each episode, of integ"):
        task.branch(state, actions)
    assert task.branch(state, [[0, 8], [1, 2]]).rewards.shape == (2, 2)
