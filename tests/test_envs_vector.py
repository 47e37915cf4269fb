"""The native vector environment: each autoreset mode plays what Gymnasium's own plays with it."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence as about_equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers

import nlp_gym
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NotResetError, UnknownNameError

SMALL = {"encoder": "hashed", "corpus": "sample"}
NER = "NER-CoNLL-v0"
IDS = (
    NER,
    "Topic-AGNews-v0",
    "SpanQA-SQuAD-v0",
    "Dialogue-DailyDialog-v0",
    "KnowledgeGraph-WN18RR-v0",
    "MultiTask-v0",
)
N = 5

every_mode = pytest.mark.parametrize("mode", list(AutoresetMode))


def same(left, right):
    return about_equal(left, right, exact=True)


def make(mode=AutoresetMode.SAME_STEP, n=N, env_id=NER, **kwargs):
    arguments = {**SMALL, "obs_type": "index", **kwargs}
    return nlp_gym.make_vec_env(env_id, n, autoreset_mode=mode, **arguments)


def synced(mode=AutoresetMode.SAME_STEP, n=N, env_id=NER, **kwargs):
    """The same of single environments, in Gymnasium's own."""
    arguments = {**SMALL, "obs_type": "index", **kwargs}
    return SyncVectorEnv([lambda: gym.make(env_id, **arguments)] * n, autoreset_mode=mode)


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("env_id", IDS)
@every_mode
def test_modes_equal_those_of_sync_vector_env(env_id, mode, limit):
    kwargs = {"env_id": env_id, "reward": "metric", "max_episode_steps": limit}
    native, sync = make(mode, **kwargs), synced(mode, **kwargs)
    assert native.metadata["autoreset_mode"] is mode
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    assert same(native.reset(seed=11), sync.reset(seed=11))
    rng, ends = np.random.default_rng(0), 0
    for _ in range(16):
        drawn = rng.integers(native.single_action_space.n, size=N)
        actions = np.where(rng.random(N) < 0.7, native.oracle_actions(), drawn)
        left, right = native.step(actions), sync.step(actions)
        assert same(left, right)
        assert np.array_equal(native.action_masks(), np.stack(sync.call("action_masks")))
        ended = left[2] | left[3]
        ends += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            seed = [None, 5, None, 7, None] if rng.random() < 0.3 else None
            left = native.reset(seed=seed, options={"reset_mask": ended.copy()})
            assert same(left, sync.reset(seed=seed, options={"reset_mask": ended.copy()}))
    assert ends > 2


@every_mode
def test_pictures_of_ended_episodes_equal_those_of_single_environments(mode):
    kwargs = {"env_id": "Topic-AGNews-v0", "render_mode": "ansi"}
    native, sync = make(mode, **kwargs), synced(mode, **kwargs)
    native.reset(seed=1), sync.reset(seed=1)
    ends = 0
    for _ in range(6):
        actions = native.oracle_actions()
        ended = native.step(actions)[2]
        sync.step(actions)
        ends += int(ended.sum())
        assert native.render() == sync.render() == native.call("render")
        if mode is AutoresetMode.DISABLED and ended.any():
            for env in (native, sync):
                env.reset(options={"reset_mask": ended.copy()})
    assert ends > 0


@every_mode
def test_snapshots_go_on_where_they_were_taken(mode):
    native, other = make(mode, max_episode_steps=2), make(mode, max_episode_steps=2)
    native.reset(seed=3), other.reset(seed=4)
    native.step(native.oracle_actions())
    if mode is not AutoresetMode.DISABLED:
        native.step(native.oracle_actions())
    again = pickle.loads(pickle.dumps(native))
    other.restore(*native.snapshot())
    for _ in range(5):
        actions = native.oracle_actions()
        expected = native.step(actions)
        assert same(expected, other.step(actions))
        assert same(expected, again.step(actions))
        if mode is AutoresetMode.DISABLED:
            ended = expected[2] | expected[3]
            for env in (native, other, again):
                env.reset(options={"reset_mask": ended} if ended.any() else None)


def test_mode_belongs_to_the_instance():
    for mode in ("NextStep", "NEXT_STEP", AutoresetMode.NEXT_STEP):
        assert make(mode).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert make().metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert gym.make_vec(NER, 2, **SMALL).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    with pytest.raises(UnknownNameError, match=r"autoreset_mode='next'.*NextStep"):
        make("next")


def test_mode_and_layout_are_kept_in_the_spec():
    env = nlp_gym.make_vec_env(NER, 2, autoreset_mode="DISABLED", layout="flat", **SMALL)
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert same(env.reset(seed=2), again.reset(seed=2))


def test_next_step_ignores_the_action_of_an_environment_that_is_reset():
    env = make("NextStep", n=2, max_episode_steps=1)
    env.reset(seed=0)
    env.step(env.oracle_actions())
    _, reward, terminated, truncated, _ = env.step(np.array([-5, 10**9]))
    assert reward.tolist() == [0.0, 0.0]
    assert not (terminated | truncated).any()
    with pytest.raises(InvalidActionError):
        env.step(np.array([0, 10**9]))


def test_disabled_refuses_steps_after_the_end():
    env = make("Disabled", n=3, max_episode_steps=1)
    env.reset(seed=0)
    env.step(env.oracle_actions())
    with pytest.raises(NotResetError, match="environments 0, 1, 2 ended"):
        env.step(env.oracle_actions())
    env.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(NotResetError, match="environments 1, 2 ended"):
        env.step(env.oracle_actions())


@pytest.mark.parametrize(
    "mask", [None, [True, False, True], np.ones(2, bool), np.ones(3), np.zeros(3, bool)]
)
def test_reset_mask_must_name_environments(mask):
    env = make(n=3)
    env.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="reset_mask"):
        env.reset(options={"reset_mask": mask})


def test_reset_mask_resets_the_others_not():
    env = make(n=3)
    mask = np.array([False, True, False])
    with pytest.raises(NotResetError):
        env.reset(options={"reset_mask": mask})
    before, _ = env.reset(seed=0)
    options = {"reset_mask": mask, "row": 7}
    after, info = env.reset(options=options)
    assert set(options) == {"reset_mask", "row"}
    assert after["row"].ravel().tolist() == [before["row"][0, 0], 7, before["row"][2, 0]]
    assert info["_action_mask"].tolist() == mask.tolist()


def test_attributes_are_those_of_single_environments():
    native, sync = make(), synced()
    native.reset(seed=5), sync.reset(seed=5)
    actions = native.oracle_actions()
    native.step(actions), sync.step(actions)
    for name in ("oracle_action", "action_masks", "outputs"):
        assert same(list(native.call(name)), list(sync.call(name)))
    for name in ("obs_type", "layout", "render_mode", "action_space", "observation_space"):
        assert native.get_attr(name) == sync.get_attr(name)
    states = [[g.bit_generator.state for g in e.get_attr("np_random")] for e in (native, sync)]
    assert states[0] == states[1]
    for env in (native, sync):
        env.set_attr("note", [1, 2, 3, 4, 5])
        assert env.get_attr("note") == (1, 2, 3, 4, 5)
        env.set_attr("note", "all")
        assert env.get_attr("note") == ("all",) * N
        with pytest.raises(AttributeError, match="nonsense"):
            env.get_attr("nonsense")
        with pytest.raises(ValueError, match="values"):
            env.set_attr("note", [1, 2])
        env.set_attr("np_random", [np.random.default_rng(i) for i in range(N)])
    assert same(native.reset(), sync.reset())


def test_shared_attributes_are_set_for_all():
    env = make(n=2)
    other = nlp_gym.make_task(NER, split="dev", **SMALL)
    with pytest.raises(InvalidArgumentError, match="share their 'task'"):
        env.set_attr("task", [env.task, other])
    env.set_attr("task", other)
    assert env.task is other
    assert env.reset(seed=0)[0]["row"].max() < len(other.corpus)
    env.set_attr("render_mode", "ansi")
    assert len(env.render()) == 2
    with pytest.raises(UnknownNameError, match="render_mode"):
        env.set_attr("render_mode", "sketch")
    for name in ("obs_type", "num_envs", "action_masks", "_state"):
        with pytest.raises(InvalidArgumentError, match=f"{name}.* cannot be set"):
            env.set_attr(name, None)
    with pytest.raises(InvalidArgumentError, match="reset_mask"):
        env.call("reset")


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
@pytest.mark.parametrize(
    "wrap",
    [
        wrappers.FlattenObservation,
        lambda env: wrappers.FilterObservation(env, ["context"]),
        wrappers.RecordEpisodeStatistics,
        wrappers.DictInfoToList,
    ],
)
def test_vector_wrappers_of_gymnasium_work(mode, wrap):
    env = make(mode, obs_type="features", max_episode_steps=3, wrappers=[wrap])
    sync = wrap(synced(mode, obs_type="features", max_episode_steps=3))
    assert env.observation_space == sync.observation_space
    left, right = env.reset(seed=0), sync.reset(seed=0)
    assert left[0] in env.observation_space
    assert same(left[0], right[0])
    for _ in range(3):
        actions = env.unwrapped.oracle_actions()
        left, right = env.step(actions), sync.step(actions)
        assert same(left[0], right[0])


def test_statistics_of_episodes_are_recorded_with_the_default_mode():
    env = make(n=2, max_episode_steps=2, wrappers=[wrappers.RecordEpisodeStatistics])
    env.reset(seed=0)
    env.step(env.unwrapped.oracle_actions())
    *_, info = env.step(env.unwrapped.oracle_actions())
    assert info["episode"]["l"].tolist() == [2, 2]


def test_normalised_vectors_of_the_flat_layout_leave_the_masks_alone():
    env = make(
        "NextStep", obs_type="features", layout="flat", wrappers=[wrappers.NormalizeObservation]
    )
    env.reset(seed=0)
    for _ in range(60):
        seen, *_, info = env.step(env.unwrapped.oracle_actions())
    assert set(np.unique(info["action_mask"])) == {0, 1}
    assert np.array_equal(info["action_mask"], env.unwrapped.action_masks())
    assert seen.std() == pytest.approx(1, abs=0.3)


def test_make_vec_env_names_what_is_wrong():
    with pytest.raises(UnknownNameError, match="NER-CoNLL-v0"):
        nlp_gym.make_vec_env("NER-CoNL-v0", 2)
    for wrong in ("flat", [gym.wrappers.FlattenObservation], [3]):
        with pytest.raises(InvalidArgumentError, match=r"gymnasium\.wrappers\.vector"):
            make(wrappers=wrong)
    with pytest.raises(InvalidArgumentError, match="in place of a vector environment"):
        make(n=2, wrappers=[lambda env: None])
    with pytest.raises(InvalidArgumentError, match=r"vectorization_mode='sync'.*make_vec"):
        make(vectorization_mode="sync")
    assert make(env_id=f"nlp_gym:{NER}", n=2).num_envs == 2
