"""Masked DQN with targets of all actions, demonstrations, n steps and priorities."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from safetensors.torch import load_file
from stable_baselines3.common.utils import set_random_seed

from nlp_gym import make_task
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym_agents import make_sb3_env, nlp_policy_kwargs
from nlp_gym_agents.algorithms.buffers import RUN, EpisodeReplayBuffer
from nlp_gym_agents.algorithms.q_learning.full_targets import full_targets, some_of
from nlp_gym_agents.algorithms.q_learning.masked_dqn import MaskedDQN, margin_loss
from nlp_gym_agents.algorithms.q_learning.priorities import Priorities
from nlp_gym_agents.algorithms.q_learning.state_buffer import StateReplayBuffer
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.signals import TrainingInterrupted
from nlp_gym_agents.training.start.setup import Setup
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.usefixtures("one_thread")

HASHED: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": {"dim": 32}}
KINDS: dict[str, dict[str, Any]] = {
    "bandit": {"full_targets": False},
    "full": {"full_targets": True, "gamma": 0.9},
    "some": {"full_targets": True, "gamma": 0.9, "branches": 3},
    "shown": {"full_targets": False, "demonstrations": 0.5, "n_steps": 3, "gamma": 0.9},
    "prioritised": {"full_targets": False, "demonstrations": 0.25, "prioritised": True},
    "both": {"full_targets": True, "demonstrations": 0.5, "prioritised": True},
}


def build(env_id: str, **options: Any) -> Any:
    task = make_task(env_id, **HASHED)
    small = {"features_extractor_kwargs": {"hidden": [32]}}
    given = {
        "policy": "MultiInputPolicy",
        "train_freq": 1,
        "buffer_size": 2000,
        "learning_starts": 64,
        "batch_size": 64,
    }
    params = {**given, "learning_rate": 3e-3, "policy_kwargs": small, **options}
    return build_model(resolve("masked_dqn"), task, params, n_envs=8, device="cpu")


# -- targets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "env_id",
    [
        "NER-CoNLL-v0",
        "Intent-CLINC-v0",
        "SpanQA-SQuAD-v0",
        "Dialogue-DailyDialog-v0",
        "MultiLabel-GoEmotions-v0",
        "DialoguePolicy-SGD-v0",
        "Summary-SciTLDR-v0",
        "KnowledgeGraph-WN18RR-v0",
    ],
)
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_full_targets_equal_those_by_hand(env_id: str, gamma: float) -> None:
    task = make_task(env_id, **HASHED)
    state = task.initial(np.arange(3))
    task.transition(state, task.mask(state).argmax(axis=1))  # some have ended; they are left out
    fresh = task.initial(np.arange(2))
    state = type(fresh).joined([fresh, state.take(np.flatnonzero(task.lengths[:3] > 1))])
    if env_id == "Dialogue-DailyDialog-v0":  # one decision
        state = fresh

    def worth(after: Any) -> Any:
        return (after.slot * 0.25 + after.row).astype(np.float32)

    legal = task.mask(state)
    before = {name: array.copy() for name, array in vars(state).items()}
    targets = full_targets(task, state, legal, gamma=gamma, worth=worth)
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(state, name), array)
    expected = np.zeros(legal.shape)
    for b, a in zip(*legal.nonzero(), strict=True):
        after = state.take(np.array([b]))
        rewards, ended = task.transition(after, np.array([a]))
        expected[b, a] = rewards[0] + (0.0 if ended[0] else gamma * worth(after)[0])
    np.testing.assert_allclose(targets, expected, rtol=1e-5)
    assert targets.any() or env_id == "KnowledgeGraph-WN18RR-v0"  # nothing is earned on the way
    if not gamma:
        rewarded = np.where(legal, task.action_rewards(state), 0.0)
        np.testing.assert_allclose(targets, rewarded, rtol=1e-6)


def test_full_targets_of_some_actions() -> None:
    set_random_seed(0)
    rng = np.random.default_rng(0)
    legal = rng.random((50, 40)) < 0.5
    legal[:, 0] = True
    legal[7] = False
    legal[7, :2] = True  # fewer than are wanted
    values = rng.random((50, 40)).astype(np.float32)
    taken = np.zeros(50, np.int64)
    chosen = some_of(legal, values, taken, 9)
    assert not (chosen & ~legal).any()
    assert chosen[:, 0].all()
    assert (chosen.sum(axis=1) == np.minimum(legal.sum(axis=1), 9)).all()
    for row in range(50):
        others = np.flatnonzero(legal[row, 1:]) + 1
        best = others[np.argsort(-values[row, others])[:4]]
        assert chosen[row, best].all()
    often = np.mean([some_of(legal, values, taken, 9) for _ in range(300)], axis=0)
    assert (often[legal] > 0).all(), "every action has its turn"
    assert (some_of(legal, values, taken, 1).sum(axis=1) == 1).all()


def test_full_targets_in_an_update() -> None:
    """The loss of an update is that of targets made by hand, with the best next value by masks."""
    model = build("Intent-CLINC-v0", full_targets=True, gamma=0.9)
    model.learn(128)
    buffer, task = model.replay_buffer, model.replay_buffer.task
    state_of_numpy = np.random.get_state()  # noqa: NPY002
    model.policy.set_training_mode(False)
    loss = model._loss(16)
    np.random.set_state(state_of_numpy)  # noqa: NPY002
    drawn = buffer.sample(16)
    total = 0.0
    for b in range(16):
        one = drawn.state.take(np.array([b]))
        obs = {k: th.as_tensor(v) for k, v in task.observe(one, "index").items()}
        values = model.q_net(obs)[0]
        for a in np.flatnonzero(task.mask(one)[0]):
            after = one.take(np.array([0]))
            rewards, ended = task.transition(after, np.array([a]))
            target = rewards[0]
            if not ended[0]:
                seen = {k: th.as_tensor(v) for k, v in task.observe(after, "index").items()}
                legal = th.as_tensor(task.mask(after)[0])
                best = model.q_net(seen)[0].masked_fill(~legal, -th.inf).argmax()
                target += 0.9 * model.q_net_target(seen)[0, best].item()
            total += th.nn.functional.smooth_l1_loss(values[a], th.tensor(target)).item()
    assert loss.item() == pytest.approx(total / 16, rel=1e-4)


# -- margin ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"demonstrations": 1.5}, "demonstrations=1.5"),
        ({"margin": -1}, "margin=-1"),
        ({"margin_temperature": -0.1}, "margin_temperature=-0.1"),
        ({"priority_alpha": 2}, "priority_alpha=2"),
    ],
)
def test_numbers_outside_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        MaskedDQN("MultiInputPolicy", None, **options)  # type: ignore[arg-type]


def test_full_targets_of_thousands_of_tokens_need_branches() -> None:
    small = {"features_extractor_kwargs": {"width": 16, "layers": 1, "heads": 2}}
    model = build("Summary-AESLC-v0", full_targets=True, policy_kwargs=small)
    with pytest.raises(InvalidArgumentError, match="Set branches"):
        model.learn(64)


def test_margin_loss_by_hand() -> None:
    values = th.tensor([[1.0, 0.5, 9.0], [0.2, 0.1, 0.0], [0.0, 2.0, 0.0]])
    actions = th.tensor([0, 2, 1])
    mask = th.tensor([[True, True, False], [True, True, False], [True, True, True]])
    found = margin_loss(values, actions, mask, margin=0.8)
    # .5 + .8 - 1; .2 + .8 - 0, whose action was masked; what is above by more than the margin
    np.testing.assert_allclose(found, [0.3, 1.0, 0.0], atol=1e-6)
    unmasked = margin_loss(values, actions, None, margin=0.8)
    np.testing.assert_allclose(unmasked, [8.8, 1.0, 0.0], atol=1e-6)
    soft = margin_loss(values, actions, mask, margin=0.0, temperature=0.5)
    logits = (values / 0.5).masked_fill(~mask.scatter(1, actions[:, None], True), -th.inf)
    cross = th.nn.functional.cross_entropy(logits, actions, reduction="none")
    np.testing.assert_allclose(soft, 0.5 * cross, atol=1e-6)
    sharp = margin_loss(values, actions, mask, margin=0.8, temperature=1e-3)
    np.testing.assert_allclose(sharp, found, atol=1e-3)


def test_margin_loss_lifts_the_demonstrated() -> None:
    model = build("Intent-CLINC-v0", full_targets=False, demonstrations=1.0, margin_coef=1.0)
    model.learn(640)
    buffer = model.replay_buffer
    batch = buffer.sample(64)
    assert batch.n_own == 0
    obs, legal = model._observed(buffer.task, batch.state)
    values = model.q_net(obs).masked_fill(~th.as_tensor(legal), -th.inf)
    assert (values.argmax(dim=1).numpy() == batch.actions).mean() > 0.8


# -- learning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "shown", "both"])
def test_masked_dqn_kinds_learn(kind: str) -> None:
    model = build("POS-EWT-v0", **KINDS[kind])
    task = model.replay_buffer.task

    def score() -> float:
        found = rollout(task, make_act(model, masked=True))
        return float(task.score(found, bootstrap=0).value)

    before = score()
    model.learn(1600)
    assert score() > before + 0.3


def test_masked_dqn_full_learns_faster_than_the_bandit() -> None:
    scores = {}
    for kind in (False, True):
        model = build("Intent-CLINC-v0", full_targets=kind, gamma=1.0)
        model.learn(800)
        task = model.replay_buffer.task if kind else model.env.get_attr("task")[0]
        found = rollout(task, make_act(model, masked=True))
        scores[kind] = task.score(found, bootstrap=0).value
    assert scores[True] > scores[False] + 0.2


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_masked_dqn_seed_decides(kind: str) -> None:
    found = []
    for seed in (0, 0, 1):
        task = make_task("NER-CoNLL-v0", **HASHED)
        hidden = {"features_extractor_kwargs": {"hidden": [8]}}
        params = {"buffer_size": 128, "learning_starts": 16, "batch_size": 16, **KINDS[kind]}
        params |= {"policy_kwargs": hidden, "train_freq": 1, "policy": "MultiInputPolicy"}
        model = build_model(resolve("masked_dqn"), task, params, n_envs=4, seed=seed, device="cpu")
        model.learn(64)
        found.append(th.cat([p.flatten() for p in model.policy.parameters()]))
    assert th.equal(found[0], found[1])
    assert not th.equal(found[0], found[2])


# -- runs --------------------------------------------------------------------------------------


def small(kind: str, env: str = "NER-CoNLL-v0", **changes: Any) -> TrainConfig:
    hyperparams = {"buffer_size": 160, "learning_starts": 32, "batch_size": 16, **KINDS[kind]}
    hyperparams |= {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}}}
    hyperparams |= {"train_freq": 1, "gradient_steps": 1, "target_update_interval": 64}
    values: dict[str, Any] = {
        "algo": "masked_dqn",
        "env": env,
        "n_timesteps": 256,
        "n_envs": 4,
        "hyperparams": hyperparams,
        "env_kwargs": {"corpus": "sample", "encoder": "hashed"},
        "eval_freq": 64,
        "save_freq": 64,
        **changes,
    }
    return TrainConfig(**values)


def tensors(run: Path) -> dict[str, Any]:
    folder = newest(run / "checkpoints")[0]
    paths = sorted(folder.glob("*.safetensors"))
    return {f"{p.name}/{k}": v for p in paths for k, v in load_file(p).items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_masked_dqn_resume_equals_unbroken(tmp_path: Path, kind: str) -> None:
    whole = train(small(kind), run_dir=tmp_path / "whole", progress=False)
    calls = 0

    def stop(self: Setup) -> Score:
        nonlocal calls
        calls += 1
        if calls == 3:
            signal.raise_signal(signal.SIGINT)
        return score(self)

    score = Setup.score
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Setup, "score", stop)
        with pytest.raises(TrainingInterrupted):
            train(small(kind), run_dir=tmp_path / "half", progress=False)
    half = resume(tmp_path / "half", progress=False)
    one, two = tensors(whole), tensors(half)
    assert one.keys() == two.keys()
    assert ("buffer.safetensors/states/row" in one) == (kind != "bandit")
    assert ("buffer.safetensors/whole/shown" in one) == (kind in ("prioritised", "both"))
    for key, value in one.items():
        assert th.equal(value, two[key]), key
    values = [[row["value"] for row in read_metrics(run)] for run in (whole, half)]
    assert values[0] == values[1]


def test_masked_dqn_states_of_written_texts_are_made_anew() -> None:
    """They hold numbers of the process, which those of a run that goes on replace."""
    env_kwargs: dict[str, Any] = {"corpus": "sample", "max_length": 40}
    tasks = [make_task("Generation-v0", encoder="hashed", **env_kwargs) for _ in range(2)]
    venv = TaskVectorEnv(tasks[0], 4, obs_type="index")
    spaces = venv.single_observation_space, venv.single_action_space
    buffers = [StateReplayBuffer(48, *spaces, "cpu", 4, task=task) for task in tasks]
    venv.reset(seed=0)
    for _ in range(5):
        buffers[0].before(venv.current_state())
        actions = venv.oracle_actions()
        _, rewards, done, _, _ = venv.step(actions)
        buffers[0].add({}, {}, actions, rewards, done, [{}] * 4)
    tasks[1].transition(tasks[1].initial(np.arange(3)), np.zeros(3, np.int64))  # other numbers
    for name, array in buffers[1].states.items():
        array[...] = buffers[0].states[name] if "metric" not in name else 0
    buffers[1].pos = buffers[0].pos
    buffers[1].restored()
    index = np.arange(20)
    states = [buffer._own.state(index) for buffer in buffers]
    one, two = (
        task.transition(s, task.oracle(s))[0] for task, s in zip(tasks, states, strict=True)
    )
    assert one.any()
    np.testing.assert_array_equal(one, two)


def test_masked_dqn_refuses_a_damaged_replay() -> None:
    from nlp_gym_agents.runs.checkpoints import state

    model = build("NER-CoNLL-v0", full_targets=True)
    buffer = model.replay_buffer
    numbers = {"pos": 2, "full": False, "buffer_size": buffer.buffer_size}
    good = {k: th.as_tensor(a[:2].copy()) for k, a in state.buffer_arrays(buffer).items()}
    state.check_buffer(model, numbers, good)  # type: ignore[arg-type]
    good["states/row"] += 10**6
    with pytest.raises(RunError, match="states/row"):
        state.check_buffer(model, numbers, good)  # type: ignore[arg-type]


# -- refusals ----------------------------------------------------------------------------------


def test_masked_dqn_refuses_n_steps_with_full_targets() -> None:
    with pytest.raises(InvalidArgumentError, match=r"n_steps=3.*full_targets: false"):
        build("NER-CoNLL-v0", full_targets=True, n_steps=3)


@pytest.mark.parametrize("option", ["full_targets:true", "demonstrations:0.5"])
def test_masked_dqn_needs_gold(option: str, without_gold: None) -> None:
    params = load_hyperparams("masked_dqn", "any", [option])
    task = make_task("NER-CoNLL-v0", **HASHED)
    model = build_model(resolve("masked_dqn"), task, params, n_envs=4, device="cpu")
    with pytest.raises(InvalidArgumentError, match=option.partition(":")[0]):
        model.learn(64)


def test_masked_dqn_needs_states_of_this_package() -> None:
    import gymnasium as gym
    from stable_baselines3.common.vec_env import DummyVecEnv

    env = DummyVecEnv([lambda: gym.make("NER-CoNLL-v0", obs_type="index", **HASHED)])
    with pytest.raises(InvalidArgumentError, match=r"make_sb3_env"):
        MaskedDQN("MultiInputPolicy", env, full_targets=True)


def test_masked_dqn_in_plain_code(tmp_path: Path) -> None:
    """As Stable-Baselines3 users write it, saved and loaded without environments too."""
    env = make_sb3_env("NER-CoNLL-v0", n_envs=4, obs_type="features", **HASHED)
    options: dict[str, Any] = {"full_targets": True, "learning_starts": 16, "buffer_size": 400}
    options["policy_kwargs"] = nlp_policy_kwargs(env)
    model = MaskedDQN("MultiInputPolicy", env, gamma=0.0, **options)
    model.learn(64)
    model.save(tmp_path / "model")
    loaded = MaskedDQN.load(tmp_path / "model")
    obs = env.reset()
    assert (loaded.predict(obs)[0] == model.predict(obs)[0]).all()
    loaded.set_env(env)
    loaded.learn(32)
    assert isinstance(loaded.replay_buffer, StateReplayBuffer)


def test_nothing_is_drawn_where_all_are_demonstrations() -> None:
    priorities = Priorities((4,), 0.6)
    priorities.expect(slice(None))
    with np.errstate(all="raise"):
        index, likelier = priorities.draw(0)
    assert index.shape == likelier.shape == (0,)


def test_masked_dqn_draws_runs_where_texts_are_encoded() -> None:
    options: dict[str, Any] = {"replay_buffer_class": EpisodeReplayBuffer, "full_targets": True}
    assert build("NER-CoNLL-v0", **options).replay_buffer.run == RUN
    options["replay_buffer_kwargs"] = {"run": 8}
    assert build("NER-CoNLL-v0", **options).replay_buffer.run == 8
    # Priorities are those of single decisions.
    assert build("NER-CoNLL-v0", prioritised=True, **options).replay_buffer.run == 1


def test_masked_dqn_checks_the_memory_of_states() -> None:
    with pytest.raises(InvalidArgumentError, match=r"buffer_size=.*states of"):
        build("NER-CoNLL-v0", full_targets=True, buffer_size=10**11)
