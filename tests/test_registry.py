"""What every registered id must do; a new row in the table gets all of this free."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import subprocess
import sys
import warnings
from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as about_equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import nlp_gym
from nlp_gym.checks import OBS_TYPES, REWARDS
from nlp_gym.data import READERS
from nlp_gym.registration import ENVS
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout

IDS = [row.id for row in ENVS]
SMALL = {"encoder": "hashed", "corpus": "sample"}
HEADINGS = (
    "Description",
    "Data",
    "Observation Space",
    "Action Space",
    "Action Mask",
    "Rewards",
    "Starting State",
    "Episode End",
    "Metric",
    "Information",
    "Arguments",
    "Registered Ids",
    "Version History",
)

KINDS = list({(row.task, row.dataset, str(row.kwargs)): row.id for row in reversed(ENVS)}.values())
"""One id of those that play the same rules on the same sample."""

every_id = pytest.mark.parametrize("env_id", IDS)
every_kind = pytest.mark.parametrize("env_id", KINDS)
every_obs = pytest.mark.parametrize("obs_type", OBS_TYPES)
every_reward = pytest.mark.parametrize("reward", REWARDS)


def data_equivalence(left, right):
    return about_equal(left, right, exact=True)


def make(env_id, **kwargs):
    return gym.make(env_id, **{**SMALL, **kwargs})


@every_id
@every_obs
def test_check_env_is_silent(env_id, obs_type):
    env = make(env_id, obs_type=obs_type, render_mode="ansi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@every_kind
@every_obs
def test_sb3_check_env_is_silent(env_id, obs_type):
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Candidates are a matrix on purpose: a row each, for a network that scores them one by one.
        warnings.filterwarnings("ignore", ".*unconventional shape", UserWarning)
        sb3_check_env(make(env_id, obs_type=obs_type).unwrapped)


@every_kind
@pytest.mark.parametrize(
    ("obs_type", "reward"),
    [*((o, "metric") for o in OBS_TYPES), *(("index", r) for r in REWARDS if r != "metric")],
)
def test_batched_env_equals_single_envs(env_id, obs_type, reward):
    kwargs = {**SMALL, "obs_type": obs_type, "reward": reward}
    n = 5
    batched = gym.make_vec(env_id, num_envs=n, **kwargs)
    single = SyncVectorEnv(
        [lambda: gym.make(env_id, **kwargs) for _ in range(n)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    rng = np.random.default_rng(0)
    assert data_equivalence(batched.reset(seed=7), single.reset(seed=7))
    ends = 0
    for _ in range(250):
        actions = rng.integers(batched.single_action_space.n, size=n)
        left, right = batched.step(actions), single.step(actions)
        assert data_equivalence(left, right)
        assert np.array_equal(batched.action_masks(), np.stack(single.call("action_masks")))
        assert np.array_equal(batched.oracle_actions(), np.stack(single.call("oracle_action")))
        ends += int(left[2].sum())
    assert ends > 10
    assert data_equivalence(batched.reset(seed=[3] * n), single.reset(seed=[3] * n))


@every_kind
def test_step_limit_truncates_batched_and_single_alike(env_id):
    n = 4
    batched = gym.make_vec(env_id, num_envs=n, max_episode_steps=2, obs_type="index", **SMALL)
    single = SyncVectorEnv(
        [lambda: make(env_id, max_episode_steps=2, obs_type="index") for _ in range(n)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert data_equivalence(batched.reset(seed=1), single.reset(seed=1))
    truncated = 0
    for _ in range(30):
        actions = batched.oracle_actions()  # who plays at random may end an episode at once
        left, right = batched.step(actions), single.step(actions)
        assert data_equivalence(left, right)
        truncated += int(left[3].sum())
    assert truncated > 0 or batched.task.lengths.max() <= 2


@every_kind
def test_seed_decides_the_episodes(env_id):
    def play(seed):
        env = make(env_id, obs_type="index")
        rows = []
        env.reset(seed=seed)
        for _ in range(80):
            obs, *_ = env.reset()
            rows.append(int(obs["row"][0]))
        return rows

    assert play(3) == play(3)
    assert play(3) != play(4)


ROLLOUT = """
import sys, hashlib, json, numpy as np, gymnasium as gym
import nlp_gym
printed = {}
for env_id in sys.argv[1:]:
    env = gym.make_vec(env_id, num_envs=3, encoder="hashed", corpus="sample", obs_type="features")
    digest = hashlib.sha256()
    obs, _ = env.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(60):
        obs, reward, *_ = env.step(rng.integers(env.single_action_space.n, size=3))
        for key in sorted(obs):
            digest.update(obs[key].tobytes())
        digest.update(reward.tobytes())
    printed[env_id] = [digest.hexdigest(), *env.task.labels]
print(json.dumps(printed))
"""


@pytest.fixture(scope="module")
def rollouts():
    """What `ROLLOUT` prints in processes of two hash seeds."""
    return [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", ROLLOUT, *IDS],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
            ).stdout
        )
        for hash_seed in ("1", "2")
    ]


@every_id
def test_rollout_is_the_same_in_every_process(env_id, rollouts):
    first, second = rollouts
    assert first[env_id] == second[env_id]
    assert len(first[env_id][0]) == 64


@every_kind
@every_obs
def test_pickled_env_goes_on_where_it_was(env_id, obs_type):
    env = make(env_id, obs_type=obs_type)
    env.reset(seed=2)
    if env.step(0)[2]:
        env.reset()
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(60):
        left, right = env.step(1), copy.step(1)
        assert data_equivalence(left, right)
        if left[2]:
            assert data_equivalence(env.reset(), copy.reset())


@every_id
def test_spec_survives_json(env_id):
    env = make(env_id, obs_type="index")
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    again = gym.make(spec)
    assert data_equivalence(env.reset(seed=9), again.reset(seed=9))
    json.loads(gym.spec(env_id).to_json())


@pytest.mark.parametrize("make_env", [gym.make, gym.make_vec])
def test_spec_with_a_path_survives_json(make_env, tmp_path):
    path = tmp_path / "own.conll"
    path.write_text("".join(f"{name} B-PER\nleft O\n\n" for name in ("Ana", "Li", "Bo", "Jo")))
    for data in (path, {"train": path}):
        env = make_env("NER-v0", data=data, encoder="hashed")
        again = make_env(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
        assert data_equivalence(env.reset(seed=9), again.reset(seed=9))


@every_id
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_oracle_reaches_the_maximum(env_id, split):
    task = make_task(env_id, split, **SMALL)
    score = task.score(rollout(task, "oracle"), bootstrap=50)
    if task.exact_oracle:
        assert score.value == 1.0
        assert score.interval == (1.0, 1.0)
    else:
        rng = np.random.default_rng(0)
        chance = rollout(task, lambda _, mask: np.where(mask, rng.random(mask.shape), -1).argmax(1))
        assert score.value > task.score(chance, bootstrap=0).value
        assert score.interval[0] <= score.value <= score.interval[1]
    assert score.n == len(task.corpus)
    assert score.metric == task.metric_name
    assert score.metric in score.signature
    json.dumps(score.report)


def play_to_the_end(task, choose):
    """Returns of one episode on every sample, and the final states' metric and costs."""
    n = len(task.corpus)
    state = task.initial(np.arange(n))
    totals, running = np.zeros(n), np.ones(n, bool)
    for _ in range(int(task.lengths.max())):
        part = state.take(running)
        rewards, ended = task.transition(part, choose(part))
        where = np.flatnonzero(running)
        totals[where] += rewards
        state.put(where, part)
        running[where[ended]] = False
    assert not running.any(), "an episode took more decisions than `lengths` says"
    return totals, task.potential(state), state.cost


@every_kind
@every_reward
def test_oracle_earns_its_metric_and_more_than_chance(env_id, reward):
    task = make_task(env_id, reward=reward, **SMALL)
    totals, value, cost = play_to_the_end(task, task.oracle)
    if reward != "correctness":
        assert np.array_equal(totals, value - cost)
        if task.exact_oracle:
            assert (value == 1.0).all()
    rng = np.random.default_rng(1)
    chance, _, lost = play_to_the_end(
        task, lambda state: rng.integers(task.n_actions, size=len(state.row))
    )
    assert totals.mean() > chance.mean()
    assert lost.min() >= 0.0


@every_kind
def test_untrained_policy_with_gold_only_mask_gets_everything_right(env_id):
    import torch
    from sb3_contrib import MaskablePPO

    task = make_task(env_id, "dev", **SMALL)
    env = make(env_id, split="dev", obs_type="features")
    torch.manual_seed(0)
    model = MaskablePPO("MultiInputPolicy", env, device="cpu", policy_kwargs={"net_arch": [8]})
    outputs, rows = [], range(min(10, len(task.corpus)))
    for row in rows:
        obs, _ = env.reset(options={"row": row})
        ended = False
        while not ended:
            mask = np.arange(env.action_space.n) == env.unwrapped.oracle_action()
            action, _ = model.predict(obs, action_masks=mask)
            obs, _, ended, _, _ = env.step(action)
        outputs.append(env.unwrapped.outputs())
    best = task.score(rollout(task, "oracle", rows), rows=rows, bootstrap=0)
    assert task.score(outputs, rows=rows, bootstrap=0).value == best.value


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_dense_rewards_sum_to_the_sparse_one_exactly(env_id, seed):
    dense, sparse = (
        gym.make_vec(env_id, num_envs=16, obs_type="index", reward=r, **SMALL)
        for r in ("metric", "sparse")
    )
    rng = np.random.default_rng(seed)
    dense.reset(seed=seed), sparse.reset(seed=seed)
    totals, ends = np.zeros(16), 0
    for _ in range(200):
        oracle = rng.random(16) < 0.6  # a mix of right, wrong and illegal actions
        actions = np.where(
            oracle, dense.oracle_actions(), rng.integers(dense.single_action_space.n, size=16)
        )
        _, reward, done, _, _ = dense.step(actions)
        _, final, done_too, _, _ = sparse.step(actions)
        totals += reward
        assert np.array_equal(done, done_too)
        assert np.array_equal(totals[done], final[done])
        assert not final[~done].any()
        totals[done] = 0.0
        ends += int(done.sum())
    assert ends > 20


@every_kind
@every_obs
def test_observation_shows_no_gold(env_id, obs_type, request):
    """The same texts without gold give the same observations and masks."""
    split = "test" if obs_type == "index" else "dev"
    task = make_task(env_id, split, **SMALL)
    request.getfixturevalue("without_gold")
    other = make_task(env_id, split, **SMALL)
    assert task.has_gold
    assert not other.has_gold
    rng = np.random.default_rng(0)
    state, state_other = (t.initial(np.arange(len(task.corpus))) for t in (task, other))
    for _ in range(int(task.lengths.max())):
        assert data_equivalence(task.observe(state, obs_type), other.observe(state_other, obs_type))
        assert np.array_equal(task.mask(state), other.mask(state_other))
        actions = rng.integers(task.n_actions, size=len(state.row))
        _, ended = task.transition(state, actions)
        assert np.array_equal(ended, other.transition(state_other, actions)[1])
        if ended.all():
            break
        state, state_other = state.take(~ended), state_other.take(~ended)


@every_kind
@every_obs
def test_every_split_has_the_same_shapes(env_id, obs_type):
    """What is trained on one split can be played on another."""
    spaces = [
        make_task(env_id, split, **SMALL).observation_space(obs_type)
        for split in ("train", "dev", "test")
    ]
    first, *others = ({key: (box.shape, box.dtype) for key, box in s.items()} for s in spaces)
    assert all(other == first for other in others)


@every_kind
def test_masks_agree_everywhere(env_id):
    env = make(env_id, obs_type="features")
    obs, info = env.reset(seed=0)
    for _ in range(50):
        assert np.array_equal(obs["action_mask"], info["action_mask"])
        assert np.array_equal(obs["action_mask"].astype(bool), env.unwrapped.action_masks())
        assert obs["action_mask"].any()
        obs, _, ended, _, info = env.step(env.action_space.sample(obs["action_mask"]))
        if ended:
            obs, info = env.reset()


@every_kind
def test_observations_that_are_kept_do_not_change(env_id):
    env = gym.make_vec(env_id, num_envs=4, obs_type="index", **SMALL)
    kept = [env.reset(seed=0)]
    copies = deepcopy(kept)
    for _ in range(12):
        kept.append(env.step(env.unwrapped.oracle_actions()))
        copies.append(deepcopy(kept[-1]))
    for now, then in zip(kept, copies, strict=True):
        assert data_equivalence(now, then)


def arrays_in(data):
    """Every array of numbers in what a call returned."""
    if isinstance(data, np.ndarray) and data.dtype != object:
        return [data]
    if isinstance(data, dict):
        data = data.values()
    elif not isinstance(data, tuple | list | np.ndarray):
        return []
    return [array for part in data for array in arrays_in(part)]


def make_env(env_id, obs_type, batched):
    kwargs = {**SMALL, "obs_type": obs_type}
    if batched:
        return gym.make_vec(env_id, num_envs=4, render_mode="ansi", **kwargs)
    return gym.make(env_id, **kwargs).unwrapped


def played(env_id, obs_type, batched, spoil=False):
    """What each call returns while a game is played, with a reset in the middle.

    Args:
        env_id: The id.
        obs_type: As in `gym.make`.
        batched: Play the vector environment.
        spoil: Yield copies, and overwrite what was returned, as its owner may.
    """

    def handed(returned):
        if not spoil:
            return returned
        kept = deepcopy(returned)
        for array in arrays_in(returned):
            array[...] = 1
        return kept

    rng = np.random.default_rng(0)
    env = make_env(env_id, obs_type, batched)
    for seed in (0, 1):
        yield handed(env.reset(seed=seed))
        for _ in range(10):
            if batched:
                yield handed(env.step(rng.integers(env.single_action_space.n, size=4)))
                continue
            returned = env.step(int(rng.integers(env.action_space.n)))
            yield handed(returned)
            if returned[2]:
                yield handed(env.reset())


each_shell = pytest.mark.parametrize("batched", [False, True], ids=["single", "batched"])


@every_kind
@every_obs
@each_shell
def test_no_two_arrays_that_are_returned_share_memory(env_id, obs_type, batched):
    kept, copies = [], []
    for returned in played(env_id, obs_type, batched):
        kept.append(returned)
        copies.append(deepcopy(returned))
    assert data_equivalence(kept, copies)  # no later call wrote to them
    arrays = arrays_in(kept)
    assert len(arrays) > 20
    for i, array in enumerate(arrays):
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in arrays[:i])


@every_kind
@every_obs
@each_shell
def test_what_is_returned_can_be_overwritten(env_id, obs_type, batched):
    both = zip(
        played(env_id, obs_type, batched),
        played(env_id, obs_type, batched, spoil=True),
        strict=True,
    )
    assert all(data_equivalence(left, right) for left, right in both)


@every_kind
@every_obs
def test_final_observations_have_a_legal_action(env_id, obs_type):
    env = gym.make_vec(env_id, num_envs=8, obs_type=obs_type, **SMALL)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    finals = 0
    for _ in range(60):
        *_, info = env.step(rng.integers(env.single_action_space.n, size=8))
        for final in info.get("final_obs", ()):
            if final is not None:
                named = "legal" in final
                mask = env.task.masks[final["legal"][0]] if named else final["action_mask"]
                assert mask.any()
                finals += 1
        if "final_info" in info:
            assert info["final_info"]["action_mask"][info["_final_info"]].any(axis=1).all()
    assert finals > 5
    state = env.task.initial(np.arange(len(env.task.corpus)))
    while len(state.row):  # whatever the last decision was
        _, ended = env.task.transition(state, rng.integers(env.task.n_actions, size=len(state.row)))
        assert env.task.mask(state).any(axis=1).all()
        state = state.take(~ended)


@every_kind
@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.usefixtures("without_gold")
def test_without_gold_nothing_is_scored_batched_and_single_alike(env_id, limit):
    kwargs = {**SMALL, "obs_type": "index", "max_episode_steps": limit}
    n = 4
    batched = gym.make_vec(env_id, num_envs=n, **kwargs)
    single = SyncVectorEnv(
        [lambda: gym.make(env_id, **kwargs) for _ in range(n)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert not batched.task.has_gold
    assert data_equivalence(batched.reset(seed=1), single.reset(seed=1))
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(60):
        actions = rng.integers(batched.single_action_space.n, size=n)
        left, right = batched.step(actions), single.step(actions)
        assert data_equivalence(left, right)
        if "final_info" in left[4]:
            assert "score" not in left[4]["final_info"]
            ends += 1
    assert ends > 3


@every_kind
def test_batched_render_gives_a_drawing_an_env_or_prints_it(env_id, capsys):
    for mode in gym.make_vec(env_id, num_envs=2, **SMALL).metadata["render_modes"]:
        env = gym.make_vec(env_id, num_envs=2, render_mode=mode, obs_type="index", **SMALL)
        env.reset(options={"row": [0, 1]})
        drawn = env.render()
        if mode == "human":
            assert drawn is None
            drawn = capsys.readouterr().out
        elif mode == "rgb_array":  # see test_render_envs
            assert [(picture.ndim, picture.dtype) for picture in drawn] == [(3, np.uint8)] * 2
            continue
        else:
            assert len(drawn) == 2
            assert all(isinstance(text, str) for text in drawn)
            drawn = "".join(drawn)
        place = env.task.frame(env._state, 0).place.split("/")[0]
        assert drawn.count(place) == 2
    assert gym.make_vec(env_id, num_envs=2, **SMALL).render() is None


@every_kind
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder_kwargs": 3}, "encoder_kwargs=3 .*mapping"),
        ({"encoder_kwargs": {1: 2}}, "encoder_kwargs=.*names of options"),
        ({"encoder": 3}, "encoder=3 .*name"),
        ({"data_dir": 3}, "data_dir=3 .*folder"),
        ({"labels": 3}, "labels=3 .*list of distinct names"),
        ({"labels": {"O", "B-X"}}, "labels=.*list of distinct names"),
        ({"max_tokens": None}, "max_tokens=None .*integer"),
        ({"column": 1.5}, "column=1.5 .*name"),
        ({"column": True}, "column=True .*name"),
        ({"data_format": []}, r"data_format=\[\] .*jsonl"),
        ({"reward": 3}, "reward=3 .*sparse"),
        ({"obs_type": ["index"]}, r"obs_type=\['index'\] .*features"),
        ({"split": ["dev"]}, r"split=\['dev'\] .*train"),
    ],
)
def test_arguments_of_a_wrong_type_name_what_is_allowed(env_id, arguments, message):
    of_one_task = {"labels", "column", "data_format"} & set(arguments)
    if make_task(env_id, **SMALL).family not in READERS and of_one_task:
        message = "belongs to one task"
    for obs_type in ("index", "features"):
        with pytest.raises(nlp_gym.errors.InvalidArgumentError, match=message):
            make(env_id, **{"obs_type": obs_type, **arguments})


@every_kind
def test_an_illegal_action_is_played_as_its_repair_and_costs_an_eighth(env_id):
    task = make_task(env_id, reward="sparse", **SMALL)
    state = task.initial(np.arange(min(64, len(task.corpus))))
    rng = np.random.default_rng(0)
    for _ in range(int(task.lengths.max())):
        actions = rng.integers(task.n_actions, size=len(state.row))
        legal = task.mask(state)[np.arange(len(actions)), actions]
        repaired, illegal = task.repair(state, actions)
        assert np.array_equal(illegal, ~legal)
        assert np.array_equal(repaired[legal], actions[legal])
        assert task.mask(state)[np.arange(len(actions)), repaired].all()
        other = state.take(np.arange(len(actions)))
        _, ended = task.transition(state, actions)
        task.transition(other, repaired)
        assert np.array_equal(state.cost - other.cost, 0.125 * ~legal)
        other.cost[:] = state.cost
        assert data_equivalence(vars(state), vars(other))
        state = state.take(~ended)


@every_id
def test_row_option_plays_that_sample(env_id):
    env = make(env_id, obs_type="index")
    for row in (0, 5, 3):
        assert env.reset(options={"row": row})[0]["row"] == row
    batched = gym.make_vec(env_id, num_envs=3, obs_type="index", **SMALL)
    assert batched.reset(options={"row": [4, 0, 2]})[0]["row"].ravel().tolist() == [4, 0, 2]
    with pytest.raises(nlp_gym.errors.InvalidArgumentError, match="from 0 to"):
        env.reset(options={"row": len(env.unwrapped.task.corpus)})
    with pytest.raises(nlp_gym.errors.InvalidArgumentError, match="'row'"):
        env.reset(options={"rwo": 1})


@every_kind
@pytest.mark.parametrize("mode", ["ansi", "html", "human"])
def test_render_shows_the_text_and_the_decisions(env_id, mode, capsys):
    env = make(env_id, render_mode=mode, obs_type="index")
    env.reset(options={"row": 0})
    word = env.unwrapped.task.corpus.samples[0].words[0]
    *_, reward, _, _, _ = env.step(env.unwrapped.oracle_action())
    drawn = env.render()
    if mode == "human":
        assert drawn is None
        drawn = capsys.readouterr().out
    assert word in drawn or word.replace("&", "&amp;") in drawn
    assert f"reward {reward:+.3f}" in drawn
    if mode == "html":
        assert drawn.startswith("<div")


@every_kind
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"obs_type": "feature"}, "Did you mean 'features'"),
        ({"reward": "metrics"}, "Did you mean 'metric'"),
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"encoder": "minilmm"}, "minilm"),
        ({"max_toknes": 9}, "'max_tokens'"),
        ({"max_tokens": 3}, "max_tokens=3"),
    ],
)
def test_wrong_arguments_name_what_is_allowed(env_id, arguments, message):
    with pytest.raises(nlp_gym.errors.NLPGymError, match=message):
        make(env_id, **arguments)


@every_id
def test_wrong_render_mode_names_what_is_allowed(env_id):
    with pytest.raises(nlp_gym.errors.UnknownNameError, match="ansi"):
        gym.make_vec(env_id, num_envs=2, render_mode="ascii", **SMALL)


@every_kind
def test_misuse_of_an_episode_is_a_typed_error(env_id):
    env = make(env_id, obs_type="index").unwrapped
    with pytest.raises(nlp_gym.errors.NotResetError):
        env.step(0)
    env.reset(seed=0)
    for bad in (env.action_space.n, -1, 0.5, "O", None):
        with pytest.raises(nlp_gym.errors.InvalidActionError, match="from 0 to"):
            env.step(bad)
    batched = gym.make_vec(env_id, num_envs=2, obs_type="index", **SMALL)
    batched.reset(seed=0)
    for bad in ([0], [0, env.action_space.n], [0, -1], [0.5, 0.5]):
        with pytest.raises(nlp_gym.errors.InvalidActionError):
            batched.step(np.array(bad))


@every_id
def test_docstring_has_every_heading(env_id):
    doc = inspect.getdoc(type(make_task(env_id, **SMALL)))
    for heading in HEADINGS:
        assert f"## {heading}" in doc
    assert env_id in doc.split("## Registered Ids")[1]


def test_ids_have_the_fields_form():
    for row in ENVS:
        assert gym.spec(row.id).kwargs["task"] == row.task
    with pytest.raises(gym.error.NameNotFound, match="NER-CoNLL"):
        gym.make("NER-CoNL-v0")


@every_kind
def test_restored_snapshot_plays_on_exactly(env_id):
    first, second = (gym.make_vec(env_id, num_envs=4, obs_type="index", **SMALL) for _ in range(2))
    rng = np.random.default_rng(0)
    first.reset(seed=5)
    for _ in range(37):
        first.step(rng.integers(first.single_action_space.n, size=4))
    arrays, generators = first.snapshot()
    second.restore(arrays, json.loads(json.dumps(generators)))
    for _ in range(400):  # further than one block of drawn samples
        actions = rng.integers(first.single_action_space.n, size=4)
        assert data_equivalence(first.step(actions), second.step(actions))
