"""Tianshou on environments with masks: the example learns, and its own DQN obeys `obs.mask`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tianshou")

import gymnasium as gym
import torch
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.utils.net.common import Net

import nlp_gym
from examples import tianshou_ppo

pytestmark = pytest.mark.usefixtures("one_thread")
OPTIONS = ["--env", "POS-EWT-v0", "--encoder", "hashed", "--num-envs", "32"]


def test_tianshou_example_learns(capsys: pytest.CaptureFixture[str]) -> None:
    before = tianshou_ppo.main([*OPTIONS, "--steps", "256"])[2]
    steps, _, dev = tianshou_ppo.main([*OPTIONS, "--steps", "12800"])
    assert steps == 12800
    assert dev > before + 0.15  # accuracy; chance is one in 17
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["dev"] == round(dev, 4)


def make() -> Any:
    return gym.make("nlp_gym:NER-CoNLL-v0", layout="obs_mask", encoder="hashed")


@pytest.mark.parametrize(
    ("kind", "epsilon"), [(DummyVectorEnv, 0.0), (DummyVectorEnv, 1.0), (SubprocVectorEnv, 0.5)]
)
def test_tianshou_dqn_obeys_masks_when_it_is_greedy_and_when_it_explores(
    kind: Any, epsilon: float
) -> None:
    single = make()
    envs = kind([make] * 2)
    space: Any = single.observation_space
    torch.manual_seed(0)
    net = Net(state_shape=space["obs"].shape, action_shape=single.action_space.n)
    policy = DiscreteQLearningPolicy(
        model=net,
        action_space=single.action_space,
        eps_training=epsilon,
        eps_inference=epsilon,
    )
    buffer = VectorReplayBuffer(200, 2)
    collector: Any = Collector(policy, envs, buffer, exploration_noise=True)
    collector.reset()
    collector.collect(n_step=200)
    played: Any = buffer[:]
    assert len(played) == 200
    assert played.obs.mask.dtype == bool
    assert not played.obs.mask.all()
    assert np.take_along_axis(played.obs.mask, played.act[:, None], 1).all()
    envs.close()


def test_tianshou_policy_is_scored_by_the_official_metric() -> None:
    """The same actions whether the split is played by `rollout` or by an environment."""
    task = nlp_gym.make_task("NER-CoNLL-v0", split="dev", encoder="hashed")
    env: Any = gym.make("NER-CoNLL-v0", split="dev", layout="obs_mask", encoder="hashed")
    torch.manual_seed(0)
    net = Net(state_shape=env.observation_space["obs"].shape, action_shape=env.action_space.n)
    policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space)

    def act(obs: Any, mask: Any) -> Any:
        return policy(Batch(obs=Batch(obs), info=Batch())).act

    (output,) = nlp_gym.tasks.rollout(task, act, [3], layout="obs_mask")
    obs, _ = env.reset(options={"row": 3})
    played, done = [], False
    while not done:
        action = int(act({key: value[None] for key, value in obs.items()}, None)[0])
        played.append(task.labels[action])
        obs, _, done, _, _ = env.step(action)
    assert list(output) == played
