"""The bridge from Gymnasium's vector environments to Stable-Baselines3's."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import nlp_gym  # noqa: F401 - registers the ids
from nlp_gym.errors import InvalidArgumentError, NotResetError
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv

OPTIONS: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "obs_type": "index"}


def native(n: int = 5, **kwargs: Any) -> Any:
    return gym.make_vec("NER-CoNLL-v0", num_envs=n, **{**OPTIONS, **kwargs})


def synced(n: int = 5) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: gym.make("NER-CoNLL-v0", disable_env_checker=True, **OPTIONS)] * n,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


def equal(left: Any, right: Any) -> bool:
    return set(left) == set(right) and all(np.array_equal(left[k], right[k]) for k in left)


def test_vec_plays_what_the_gymnasium_environment_plays() -> None:
    bridge, venv = SB3VecEnv(native()), native()
    bridge.seed(7)
    expected, _ = venv.reset(seed=[7, 8, 9, 10, 11])
    assert equal(bridge.reset(), expected)
    rng = np.random.default_rng(0)
    returns, lengths, episodes = np.zeros(5), np.zeros(5, int), 0
    for _ in range(80):
        actions = rng.integers(0, venv.single_action_space.n, 5)
        obs, rewards, dones, infos = bridge.step(actions)
        expected, exp_rewards, terminated, truncated, info = venv.step(actions)
        assert equal(obs, expected)
        np.testing.assert_array_equal(rewards, exp_rewards.astype(np.float32))
        np.testing.assert_array_equal(dones, terminated | truncated)
        returns, lengths = returns + exp_rewards, lengths + 1
        for i in range(5):
            if not dones[i]:
                assert infos[i] == {}
                continue
            episodes += 1
            assert equal(infos[i]["terminal_observation"], info["final_obs"][i])
            assert infos[i]["TimeLimit.truncated"] is False
            assert infos[i]["episode"]["r"] == pytest.approx(returns[i])
            assert infos[i]["episode"]["l"] == lengths[i]
            assert infos[i]["score"] == info["final_info"]["score"][i]
            returns[i] = lengths[i] = 0
    assert episodes > 10


def test_vec_bridges_sync_vector_env_alike() -> None:
    one, two = SB3VecEnv(native()), SB3VecEnv(synced())
    one.seed(3)
    two.seed(3)
    assert equal(one.reset(), two.reset())
    ended = 0
    for _ in range(40):
        actions = np.array(two.env_method("oracle_action"))
        np.testing.assert_array_equal(actions, one.env_method("oracle_action"))
        (obs, rewards, dones, infos), other = one.step(actions), two.step(actions)
        assert equal(obs, other[0])
        np.testing.assert_array_equal(rewards, other[1])
        np.testing.assert_array_equal(dones, other[2])
        for mine, theirs in zip(infos, other[3], strict=True):
            assert set(mine) == set(theirs)
            if mine:
                ended += 1
                assert mine["score"] == theirs["score"] == 1.0
                assert equal(mine["terminal_observation"], theirs["terminal_observation"])
    assert ended > 0


def test_vec_marks_truncation() -> None:
    bridge = SB3VecEnv(native(max_episode_steps=2))
    bridge.seed(0)
    bridge.reset()
    marks = set()
    for _ in range(20):
        _, _, dones, infos = bridge.step(np.zeros(5, int))
        marks |= {info["TimeLimit.truncated"] for info in infos if info}
        assert all(info["episode"]["l"] <= 2 for info in infos if info)
        assert [bool(info) for info in infos] == dones.tolist()
    assert True in marks


def test_vec_takes_other_gymnasium_environments() -> None:
    bridge = SB3VecEnv(
        gym.make_vec(
            "CartPole-v1",
            num_envs=3,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
            max_episode_steps=5,
        )
    )
    bridge.seed(0)
    bridge.reset()
    for _ in range(5):
        obs, _, dones, infos = bridge.step(np.zeros(3, int))
    assert dones.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert all(info["episode"] == {"r": 5.0, "l": 5, "t": info["episode"]["t"]} for info in infos)
    assert not np.array_equal(obs[0], infos[0]["terminal_observation"])
    assert bridge.env_is_wrapped(gym.wrappers.TimeLimit) == [True, True, True]


def test_vec_rejects_next_step_autoreset() -> None:
    venv = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    with pytest.raises(InvalidArgumentError, match="SAME_STEP"):
        SB3VecEnv(venv)


def test_vec_needs_actions() -> None:
    bridge = SB3VecEnv(native())
    bridge.reset()
    with pytest.raises(NotResetError, match="step_async"):
        bridge.step_wait()


def test_vec_masks_through_env_method() -> None:
    bridge = SB3VecEnv(native())
    bridge.seed(1)
    obs = bridge.reset()
    assert bridge.has_attr("action_masks")
    for _ in range(6):
        masks = bridge.env_method("action_masks")
        assert len(masks) == 5
        np.testing.assert_array_equal(np.stack(masks), obs["action_mask"].astype(bool))
        some = bridge.env_method("action_masks", indices=[3, 1])
        np.testing.assert_array_equal(some, [masks[3], masks[1]])
        obs, *_ = bridge.step(np.array(bridge.env_method("oracle_action")))


def test_vec_seeds_are_used_once() -> None:
    one, two = SB3VecEnv(native()), SB3VecEnv(native())
    assert list(one.seed(5)) == [5, 6, 7, 8, 9]
    two.seed(5)
    first = one.reset()
    assert equal(first, two.reset())
    again = one.reset()
    assert not equal(first, again)
    assert equal(again, two.reset())


def test_vec_options_start_a_chosen_row() -> None:
    bridge = SB3VecEnv(native())
    bridge.set_options({"row": 4})
    assert bridge.reset()["row"].ravel().tolist() == [4] * 5
    assert len(bridge.reset_infos) == 5
    assert set(bridge.reset_infos[0]) == {"action_mask"}
    bridge.set_options([{"row": 0}, {}, {}, {}, {}])
    with pytest.raises(InvalidArgumentError, match="differ"):
        bridge.reset()


def test_vec_attributes() -> None:
    bridge = SB3VecEnv(native())
    tasks = bridge.get_attr("task")
    assert len(tasks) == 5
    assert all(task is tasks[0] for task in tasks)
    assert bridge.get_attr("obs_type", indices=2) == ["index"]
    assert not bridge.has_attr("nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        bridge.get_attr("nonsense")
    bridge.set_attr("note", 3)
    assert bridge.get_attr("note") == [3] * 5
    bridge.set_attr("note", 4, indices=[0])
    assert bridge.get_attr("note") == [4, 3, 3, 3, 3]
    with pytest.raises(InvalidArgumentError, match="share"):
        bridge.set_attr("task", None, indices=[0])
    assert bridge.env_is_wrapped(gym.Wrapper) == [False] * 5


def test_vec_sets_attributes_of_single_environments() -> None:
    bridge = SB3VecEnv(synced())
    bridge.set_attr("note", 1)
    bridge.set_attr("note", 2, indices=[0, 3])
    assert bridge.get_attr("note") == [2, 1, 1, 2, 1]


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_vec_sets_attributes_of_other_vector_environments(kind: Any) -> None:
    options = {"context": "fork"} if kind is AsyncVectorEnv else {}
    venv = kind(
        [lambda: gym.make("CartPole-v1")] * 3, autoreset_mode=AutoresetMode.SAME_STEP, **options
    )
    bridge = SB3VecEnv(venv)
    try:
        bridge.set_attr("note", [1, 2])  # a list is one value
        assert [list(note) for note in bridge.get_attr("note")] == [[1, 2]] * 3
        bridge.set_attr("note", 4, indices=[0, 2])
        assert [bridge.get_attr("note", indices=i)[0] for i in (0, 2)] == [4, 4]
        assert list(bridge.get_attr("note", indices=1)[0]) == [1, 2]
    finally:
        bridge.close()


def test_vec_results_are_not_shared() -> None:
    bridge = SB3VecEnv(native())
    bridge.seed(0)
    before = bridge.reset()
    kept = {key: value.copy() for key, value in before.items()}
    after, _, _, infos = bridge.step(np.zeros(5, int))
    infos[0]["mine"] = True
    assert "mine" not in infos[1]
    assert equal(before, kept)
    assert not any(np.shares_memory(before[key], after[key]) for key in before)
