"""Batches that keep the decisions on one text together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import DictReplayBuffer, DictRolloutBuffer
from stable_baselines3.common.utils import set_random_seed

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.algorithms.buffers import (
    EpisodeReplayBuffer,
    EpisodeRolloutBuffer,
    MaskableEpisodeRolloutBuffer,
    minibatches,
    segments,
)
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model

pytestmark = pytest.mark.usefixtures("one_thread")

N_ACTIONS = 5
SPACE = spaces.Dict(
    {
        "row": spaces.Box(0, 2**24, (1,), np.int32),
        "position": spaces.Box(0, 2**24, (1,), np.int32),
        "env": spaces.Box(0, 2**24, (1,), np.int32),
    }
)


def drawn_starts(steps: int, n_envs: int, share: float, seed: int) -> Any:
    return (np.random.default_rng(seed).random((steps, n_envs)) < share).astype(np.float32)


def filled(cls: type[Any], starts: Any) -> Any:
    """A rollout buffer in which every field tells which transition it belongs to."""
    steps, n_envs = starts.shape
    buffer = cls(steps, SPACE, spaces.Discrete(N_ACTIONS), device="cpu", n_envs=n_envs)
    rows, position = np.arange(n_envs) * 1000, np.zeros(n_envs, int)
    for step, start in enumerate(starts):
        rows = np.where(start, rows + 1, rows)
        position = np.where(start, 0, position + 1)
        obs = {"row": rows[:, None], "position": position[:, None]}
        obs["env"] = np.arange(n_envs)[:, None]
        number = th.arange(n_envs) * steps + step
        options = {}
        if cls is MaskableEpisodeRolloutBuffer:
            options["action_masks"] = (number[:, None] >> th.arange(N_ACTIONS)).numpy() % 2
        action = number.numpy() % N_ACTIONS
        reward = number.numpy().astype(float)
        buffer.add(obs, action, reward, start, number.float(), -number.float(), **options)
    buffer.compute_returns_and_advantage(th.zeros(n_envs), np.zeros(n_envs))
    return buffer


def numbers(batch: Any) -> Any:
    return batch.old_values.long().numpy()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, 40),
    n_envs=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    batch_size=st.none() | st.integers(1, 60),
    seed=st.integers(0, 2**31),
)
def test_buffers_whole_episodes(
    steps: int, n_envs: int, share: float, batch_size: int | None, seed: int
) -> None:
    starts = drawn_starts(steps, n_envs, share, seed)
    buffer = filled(EpisodeRolloutBuffer, starts)
    total = steps * n_envs
    size = batch_size or total
    for _ in range(2):  # the second pass finds the arrays flattened
        batches = [numbers(batch) for batch in buffer.get(batch_size)]
        assert sorted(np.concatenate(batches)) == list(range(total))
        first, length = segments(starts)
        owner = np.repeat(np.arange(len(first)), length)
        in_batch = np.empty(total, int)
        for place, batch in enumerate(batches):
            in_batch[batch] = place
            inner = owner[batch][1:] == owner[batch][:-1]
            assert (np.diff(batch)[inner] == 1).all(), "the order inside an episode"
        for begin, count in zip(first, length, strict=True):
            if count <= 2 * size:
                assert len(set(in_batch[begin : begin + count])) == 1, "an episode is split"
        sizes = [len(batch) for batch in batches]
        assert all(count >= size for count in sizes[:-1])
        assert len(batches) == 1 or 2 * sizes[-1] >= size
        assert max(sizes) < 3.5 * size
        if batch_size is None:
            assert len(batches) == 1


@settings(max_examples=100, deadline=None)
@given(
    steps=st.integers(1, 200),
    n_envs=st.integers(1, 4),
    share=st.sampled_from([0.0, 0.02, 0.3]),
    longest=st.none() | st.integers(2, 40),
    seed=st.integers(0, 2**31),
)
def test_buffers_segments(
    steps: int, n_envs: int, share: float, longest: int | None, seed: int
) -> None:
    starts = drawn_starts(steps, n_envs, share, seed)
    expected = []
    for env in range(n_envs):  # the same, slowly
        begins = [t for t in range(steps) if t == 0 or starts[t, env]]
        for begin, end in zip(begins, [*begins[1:], steps], strict=True):
            count = end - begin
            pieces = 2 * count // longest if longest is not None and count > longest else 1
            edges = [begin - (-piece * count // pieces) for piece in range(pieces)]
            expected += [
                (env * steps + one, two - one)
                for one, two in zip(edges, [*edges[1:], end], strict=True)
            ]
    first, length = segments(starts, longest)
    assert list(zip(first, length, strict=True)) == expected
    if longest is not None:
        assert length.max() <= longest


def test_buffers_packed_merges_a_small_rest() -> None:
    assert list(minibatches(np.array([3, 3, 2]), 6)) == [(0, 8)]
    assert list(minibatches(np.array([3, 3, 2, 1]), 6)) == [(0, 6), (6, 9)]
    assert list(minibatches(np.array([7, 1]), 5)) == [(0, 8)]
    assert list(minibatches(np.array([2]), 100)) == [(0, 2)]


def test_buffers_everything_travels_together() -> None:
    starts = drawn_starts(30, 4, 0.2, 0)
    buffer, plain = filled(MaskableEpisodeRolloutBuffer, starts), filled(DictRolloutBuffer, starts)
    everything = next(plain.get(None))
    place = np.argsort(numbers(everything))
    for batch in buffer.get(16):
        number = numbers(batch)
        bits = (number[:, None] >> np.arange(N_ACTIONS)) % 2
        assert (batch.action_masks.numpy() == bits).all()
        own = place[number]
        for field in ("actions", "old_log_prob", "advantages", "returns"):
            assert th.equal(getattr(batch, field), getattr(everything, field)[own]), field
        for key, values in batch.observations.items():
            assert th.equal(values, everything.observations[key][own]), key
            assert values.dtype == everything.observations[key].dtype


def test_buffers_minibatches_have_few_texts() -> None:
    starts = drawn_starts(64, 16, 1 / 14, 1)

    def texts(cls: type[Any]) -> float:
        batches = list(filled(cls, starts).get(128))
        return float(np.mean([len(batch.observations["row"].unique()) for batch in batches]))

    assert texts(EpisodeRolloutBuffer) < 0.35 * texts(DictRolloutBuffer)


def test_buffers_seed_decides() -> None:
    starts = drawn_starts(30, 4, 0.2, 0)
    orders = []
    for seed in (0, 0, 1):
        set_random_seed(seed)
        batches = filled(EpisodeRolloutBuffer, starts).get(16)
        orders.append(np.concatenate([numbers(batch) for batch in batches]).tolist())
    assert orders[0] == orders[1] != orders[2]


# -- replay ------------------------------------------------------------------------------------


def replay(size: int, n_envs: int, steps: int, **options: Any) -> Any:
    """A replay buffer of `steps` steps in which the position tells the step."""
    buffer = EpisodeReplayBuffer(
        size * n_envs, SPACE, spaces.Discrete(N_ACTIONS), device="cpu", n_envs=n_envs, **options
    )
    for step in range(steps):
        position = np.full((n_envs, 1), step)
        obs = {"row": position // 10, "position": position, "env": np.arange(n_envs)[:, None]}
        after = {**obs, "position": position + 1}
        done = np.full(n_envs, step % 10 == 9)
        infos = [{"TimeLimit.truncated": step % 20 == 19}] * n_envs
        buffer.add(obs, after, np.full(n_envs, step % 5), np.full(n_envs, float(step)), done, infos)
    return buffer


@pytest.mark.parametrize("steps", [37, 50, 73])
def test_buffers_replay_draws_all_equally_often(steps: int) -> None:
    size, n_envs, draws = 50, 3, 4000
    set_random_seed(0)
    buffer = replay(size, n_envs, steps, run=8)
    counts = np.zeros((steps, n_envs))
    for _ in range(draws):
        batch = buffer.sample(29)  # the fourth run is cut
        assert len(batch.actions) == len(batch.rewards) == 29
        step, env = (batch.observations[key].flatten().numpy() for key in ("position", "env"))
        np.add.at(counts, (step, env), 1)
    assert counts[: max(steps - size, 0)].sum() == 0, "forgotten"
    kept = counts[max(steps - size, 0) :]
    # Each step is in a batch 29 / (kept transitions) times; the runs of a batch are independent.
    assert kept.mean() == 29 * draws / kept.size
    assert np.abs(kept / kept.mean() - 1).max() < 0.15


def test_buffers_replay_runs() -> None:
    set_random_seed(0)
    buffer = replay(64, 4, 50, run=8)
    batch = buffer.sample(32)
    step = batch.observations["position"].flatten().view(4, 8)
    env = batch.observations["env"].flatten().view(4, 8)
    assert ((step - step[:, :1]) % 50 == th.arange(8)).all()
    assert (env == env[:, :1]).all()


def test_buffers_replay_fields_are_those_of_the_base_class() -> None:
    buffer = replay(40, 2, 55, run=4)
    index = np.random.default_rng(0).integers(0, 80, 64)
    mine = buffer._get_samples(index)
    step, env = np.divmod(index, 2)
    given = {k: v[step, env] for k, v in vars(buffer).items() if isinstance(v, np.ndarray)}
    assert mine.rewards.flatten().tolist() == given["rewards"].tolist()
    truncated = given["timeouts"] == 1
    assert truncated.any()
    assert (mine.dones.flatten().numpy() == given["dones"] * ~truncated).all()
    base = DictReplayBuffer._get_samples(buffer, np.arange(3))
    for name, one, two in zip(base._fields, mine, base, strict=True):
        if isinstance(one, dict):
            assert {k: (v.dtype, v.shape[1:]) for k, v in one.items()} == {
                k: (v.dtype, v.shape[1:]) for k, v in two.items()
            }
        elif one is not None:
            assert (one.dtype, one.shape[1:]) == (two.dtype, two.shape[1:]), name
    after = mine.next_observations["position"] - mine.observations["position"]
    assert (after == 1).all()


def test_buffers_replay_of_single_transitions_spreads() -> None:
    set_random_seed(0)
    texts = [
        len(replay(400, 1, 400, run=run).sample(64).observations["row"].unique()) for run in (1, 16)
    ]
    assert texts[1] < 0.5 * texts[0]


@pytest.mark.parametrize("run", [0, 1.5, True, "8"])
def test_buffers_replay_refuses_runs(run: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"run=.*from 1"):
        replay(10, 1, 5, run=run)


# -- in algorithms -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algo", "options", "buffer"),
    [
        ("ppo", ["n_steps:16", "batch_size:64"], {"rollout_buffer_class": EpisodeRolloutBuffer}),
        ("a2c", ["n_steps:16"], {"rollout_buffer_class": EpisodeRolloutBuffer}),
        (
            "maskable_ppo",
            ["n_steps:16", "batch_size:64"],
            {"rollout_buffer_class": MaskableEpisodeRolloutBuffer},
        ),
        (
            "masked_dqn",
            ["buffer_size:2000", "learning_starts:100", "train_freq:1", "demonstrations:0"],
            {"replay_buffer_class": EpisodeReplayBuffer, "replay_buffer_kwargs": {"run": 8}},
        ),
    ],
)
def test_buffers_learn(algo: str, options: list[str], buffer: dict[str, Any]) -> None:
    task = make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 32})
    hidden = "policy_kwargs.features_extractor_kwargs.hidden:[16]"
    params = load_hyperparams(algo, "any", [*options, hidden])
    model = build_model(resolve(algo), task, {**params, **buffer}, n_envs=16, device="cpu")
    before = [p.clone() for p in model.policy.parameters()]
    model.learn(1024)
    kind = getattr(model, "rollout_buffer", None) or model.replay_buffer
    assert type(kind) in buffer.values()
    changed = [
        not th.equal(one, two) for one, two in zip(before, model.policy.parameters(), strict=True)
    ]
    assert any(changed)
