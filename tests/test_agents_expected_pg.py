"""All-action policy gradient: its gradient and values by hand, its rollouts, its runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from safetensors.torch import load_file
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.vec_env import DummyVecEnv

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks import rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.policy_gradient.all_actions import AllActionsRolloutBuffer
from nlp_gym_agents.algorithms.policy_gradient.expected_pg import ExpectedPG
from nlp_gym_agents.algorithms.policy_gradient.lookahead import LookAhead, outcomes
from nlp_gym_agents.algorithms.registry import information_of, resolve
from nlp_gym_agents.algorithms.sb3_env import make_sb3_env
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.stock import nlp_policy_kwargs
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.callbacks.kl_penalty import KLToStart
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLE: dict[str, Any] = {"corpus": "sample", "encoder": "hashed"}
SMALL = ["n_steps:8", "batch_size:64", "policy_kwargs.features_extractor_kwargs.hidden:[16]"]


def build(task: Task, *overrides: str, n_envs: int = 8, env_id: str = "any") -> Any:
    params = load_hyperparams("expected_pg", env_id, [*SMALL, *overrides])
    return build_model(resolve("expected_pg"), task, params, n_envs=n_envs, device="cpu")


def played(model: Any, *callbacks: BaseCallback) -> Any:
    """The buffer of one rollout, with values of all actions."""
    _, calls = model._setup_learn(10**6, CallbackList([*callbacks]))
    calls.on_training_start({}, {})
    model.collect_rollouts(model.env, calls, model.rollout_buffer, model.n_steps)
    model._value_actions()
    return model.rollout_buffer


@pytest.fixture(scope="module")
def ner() -> Task:
    return make_task("NER-CoNLL-v0", **SAMPLE, encoder_kwargs={"dim": 16})


@pytest.fixture(scope="module")
def span() -> Task:
    return make_task("SpanQA-SQuAD-v0", **SAMPLE, reward="metric")


def test_expected_pg_is_full_information() -> None:
    row = resolve("expected_pg")
    assert information_of(row, {}) == "full information"
    assert information_of(resolve("maskable_ppo"), {}) == "bandit"


def test_expected_pg_learns_more_than_chance() -> None:
    task = make_task("POS-EWT-v0", **SAMPLE, encoder_kwargs={"dim": 32})
    model = build(task, "learning_rate:3e-3", n_envs=32).learn(6_000)
    value = task.score(rollout(task, make_act(model, True)), bootstrap=0).value
    baselines = run_baselines(task, task, ["random", "majority"], bootstrap=0)
    assert value > baselines["majority"].value + 0.1 > baselines["random"].value + 0.1


# -- the gradient ------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [None, 0.5])
def test_expected_pg_gradient_of_a_bandit_by_hand(ner: Task, temperature: float | None) -> None:
    """With gamma 0 each state is a bandit: d/dz_a of sum_a pi_a r_a is pi_a (r_a - sum pi r)."""
    model = build(ner, f"temperature:{temperature}".replace("None", "null"), "ent_coef:0.1")
    buffer = played(model)
    with th.no_grad():
        model.policy.action_net.weight.zero_()
        model.policy.action_net.bias.copy_(th.linspace(-1, 1, 9))
    batch = next(buffer.get(None))
    model.policy.set_training_mode(True)
    found = model.losses(batch)
    loss = found["policy_gradient_loss"] + model.ent_coef * found["entropy_loss"]
    (gradient,) = th.autograd.grad(loss, model.policy.action_net.bias)
    z, expected = np.linspace(-1, 1, 9), np.zeros(9)
    for mask, reward in zip(
        batch.action_masks.numpy() > 0, batch.action_values.numpy(), strict=True
    ):
        pi = np.where(mask, np.exp(z), 0.0)
        pi /= pi.sum()
        if temperature is None:
            expected -= pi * (reward - pi @ reward)
        else:
            goal = pi * np.exp(reward / temperature)
            expected += pi - goal / goal.sum()
        logs = np.log(np.where(mask, pi, 1.0))
        expected += model.ent_coef * pi * (logs - pi @ logs)  # of minus the entropy
    assert gradient.numpy() == pytest.approx(expected / len(batch.actions), abs=1e-6)


def test_expected_pg_is_exact_where_ppo_samples(ner: Task) -> None:
    """The same states give the same gradient, whatever was played in them."""
    model = build(ner)
    batch = next(played(model).get(None))
    gradients = []
    for actions in (batch.actions, batch.action_masks.argmax(dim=1, keepdim=True)):
        loss = model.losses(batch._replace(actions=actions))["policy_gradient_loss"]
        gradients.append(th.autograd.grad(loss, model.policy.action_net.weight)[0])
    assert th.equal(*gradients)


# -- values of actions -------------------------------------------------------------------------


def test_expected_pg_values_are_rewards_where_nothing_follows(ner: Task) -> None:
    model = build(ner)
    states: list[Any] = []
    look = LookAhead.values

    class Kept(BaseCallback):
        def _on_step(self) -> bool:
            states.append(self.model._states[-1])  # type: ignore[attr-defined]
            return True

    buffer = played(model, Kept())
    assert look is LookAhead.values
    for t, state in enumerate(states):
        legal = buffer.action_masks[t] > 0
        told = ner.action_rewards(state)
        assert np.array_equal(buffer.action_values[t][legal], told[legal].astype(np.float32))
        assert not buffer.action_values[t][~legal].any()
        chosen = buffer.actions[t, :, 0].astype(int)
        assert np.array_equal(buffer.rewards[t], told[np.arange(8), chosen].astype(np.float32))
    probs = np.exp(buffer.action_log_probs) * (buffer.action_masks > 0)
    assert buffer.returns == pytest.approx((probs * buffer.action_values).sum(axis=2), abs=1e-5)


def test_expected_pg_values_of_successors_by_hand() -> None:
    task = make_task("NER-CoNLL-v0", **SAMPLE, encoder_kwargs={"dim": 16}, reward="metric")
    model = build(task, "gamma:0.9", "branches:100")
    model.policy.set_training_mode(False)
    state = task.initial(np.arange(6))
    masks, b = task.mask(state), np.arange(6)
    seen = {k: th.as_tensor(v) for k, v in task.observe(state, "index").items()}
    with th.no_grad():
        logs = model.policy.get_distribution(seen, masks).distribution.logits.numpy()
        look = LookAhead(model.env.venv, seen, gamma=0.9, branches=100, temperature=1.0)
        worth = look.values(model.policy, state, masks, logs, np.zeros(6), masks.argmax(axis=1))
        few = LookAhead(model.env.venv, seen, gamma=0.9, branches=2, temperature=1.0)
        some = few.values(model.policy, state, masks, logs, np.zeros(6), masks.argmax(axis=1))
        for action in range(task.n_actions):
            after = state.take(b)
            rewards, ended = task.transition(after, np.full(6, action))
            following = {k: th.as_tensor(v) for k, v in task.observe(after, "index").items()}
            values = model.policy.predict_values(following).flatten().numpy()
            own = rewards + 0.9 * values * ~ended
            legal = masks[:, action]
            assert worth[legal, action] == pytest.approx(own[legal], abs=1e-5)
    same = np.isclose(some, worth, atol=1e-5) & masks
    goes_on = masks & ~outcomes(task, state, masks).ended
    assert (same.sum(axis=1) >= np.minimum(2, goes_on.sum(axis=1))).all()
    assert same[b, masks.argmax(axis=1)].all()  # what was played is always looked into
    assert (same | ~masks).sum() < masks.size


def test_expected_pg_of_two_decisions_is_an_expectation_over_both(span: Task) -> None:
    model = build(span, "gamma:1.0", "branches:600", "n_steps:2", env_id="SpanQA-SQuAD-v0")
    model.policy.set_training_mode(False)
    state = span.initial(np.arange(3))
    masks = span.mask(state)
    logs = np.where(masks, -np.log(masks.sum(axis=1, keepdims=True)), -1e8)
    keys = span.observe(state, "index")
    look = LookAhead(model.env.venv, keys, gamma=1.0, branches=600, temperature=1.0)
    assert look.exact
    with th.no_grad():
        worth = look.values(model.policy, state, masks, logs, np.zeros(3), np.zeros(3, np.int64))
        for start in (0, 5):
            after = state.take(np.arange(3))
            first, _ = span.transition(after, np.full(3, start))
            ends = span.mask(after)
            seen = {k: th.as_tensor(v) for k, v in span.observe(after, "index").items()}
            logits = model.policy.get_distribution(seen, ends).distribution.logits.numpy()
            own = first.copy()
            for i in range(3):
                for end in ends[i].nonzero()[0]:
                    one = after.take(np.array([i]))
                    own[i] += np.exp(logits[i, end]) * span.transition(one, np.array([end]))[0][0]
            assert worth[:, start] == pytest.approx(own, abs=1e-5)


def test_expected_pg_returns_by_hand() -> None:
    space = spaces.Dict({"x": spaces.Box(0, 1, (1,))})
    buffer = AllActionsRolloutBuffer(3, space, spaces.Discrete(2), "cpu", gamma=0.5, n_envs=1)
    buffer.reset()
    buffer.action_log_probs[:] = np.log([0.75, 0.25])
    buffer.values[:, 0] = [1.0, 2.0, 3.0]
    buffer.episode_starts[:, 0] = [1, 0, 1]  # the first episode has two steps
    worth = np.array([[4.0, 8.0], [0.0, 4.0], [2.0, 2.0]])[:, None]  # of 5, 1 and 2 on average
    buffer.compute_expected_returns(worth, np.array([False]), trace=0.8)
    # The second state turned out 1 below its value of 2, which reaches the first at 0.5 * 0.8.
    assert buffer.returns[:, 0] == pytest.approx([5 - 0.4, 1, 2])
    assert buffer.advantages[:, 0] == pytest.approx([-0.4, 0, 0])


def test_expected_pg_residual_is_what_was_played_beyond_its_value(ner: Task) -> None:
    model = build(ner, "gamma:0.9", "branches:2", "temperature:null")
    batch = next(played(model).get(None))
    assert batch.advantages.std() > 0.01
    without = model.losses(batch)["policy_gradient_loss"]
    model.residual_coef = 0.5
    change = model.losses(batch)["policy_gradient_loss"] - without
    # The policy is still the one that played, so that every ratio is 1.
    assert change.item() == pytest.approx(-0.5 * float(batch.advantages.mean()), abs=1e-4)


def test_expected_pg_plays_and_values_legal_actions_only(span: Task) -> None:
    model = build(span, "n_steps:4", "batch_size:8", env_id="SpanQA-SQuAD-v0")
    batch = next(played(model).get(None))
    legal = batch.action_masks > 0
    assert legal.gather(1, batch.actions.long()).all()
    assert not batch.action_values[~legal].any()
    assert 0 < legal.float().mean() < 0.9
    assert all(th.isfinite(loss) for loss in model.losses(batch).values())
    model.learn(64)
    assert all(th.isfinite(p).all() for p in model.policy.parameters())


def test_expected_pg_penalty_is_taken_off_every_action(ner: Task) -> None:
    model = build(ner)

    class Moves(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            with th.no_grad():
                self.model.policy.action_net.bias.copy_(th.linspace(-1, 1, 9))

    buffer = played(model, KLToStart(0.5), Moves())
    assert buffer.penalties is not None
    legal = buffer.action_masks > 0
    rewards = (buffer.action_values + buffer.penalties)[legal]
    assert set(np.unique(rewards.round(5))) <= {0.0, 1.0}
    probs = np.exp(buffer.action_log_probs) * legal
    divergence = (probs * buffer.penalties).sum(axis=2) / 0.5  # of two distributions
    assert (divergence > -1e-5).all()
    assert divergence.mean() > 0.05


# -- runs --------------------------------------------------------------------------------------


def settings(**changes: Any) -> TrainConfig:
    hidden = {"features_extractor_kwargs": {"hidden": [8]}}
    small = {"n_steps": 8, "batch_size": 32, "gamma": 0.9, "branches": 3, "policy_kwargs": hidden}
    values: dict[str, Any] = {
        "env": "POS-v0",
        "algo": "expected_pg",
        "n_timesteps": 96,
        "n_envs": 4,
        "hyperparams": small,
        "env_kwargs": {**SAMPLE, "window": 0},
        "save_freq": 32,
        "eval_freq": 48,
    }
    return TrainConfig(**{**values, **changes})


def weights(run: Path) -> dict[str, th.Tensor]:
    return load_file(newest(run / "checkpoints")[0] / "policy.safetensors")


def check_resumes(run: Path, half: Path) -> None:
    shutil.copytree(run, half)
    shutil.rmtree(newest(half / "checkpoints")[0])
    resume(half, progress=False)
    assert all(th.equal(value, weights(half)[name]) for name, value in weights(run).items())
    values = [[row["value"] for row in read_metrics(r)] for r in (run, half)]
    assert values[0] == values[1]


def test_expected_pg_resumed_is_the_run_that_was_not_stopped(tmp_path: Path) -> None:
    check_resumes(train(settings(), run_dir=tmp_path / "run", progress=False), tmp_path / "half")


def test_expected_pg_finetunes_an_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    layers = {"layers": "1+3", "dtype": "float32"}
    kwargs = {"corpus": "sample", "encoder": str(tiny_bert), "window": 0, "encoder_kwargs": layers}
    small = {**settings().hyperparams, "tuning": {"lr": 1e-3, "warmup": 0.0}}
    config = settings(encoder_mode="finetune", hyperparams=small, env_kwargs=kwargs, n_timesteps=96)
    run = train(config, run_dir=tmp_path / "run", progress=False)
    early, late = sorted(int(path.name) for path in (run / "checkpoints").iterdir())[-2:]
    first, last = (
        load_file(run / "checkpoints" / str(step) / "policy.safetensors") for step in (early, late)
    )
    moved = [name for name in last if ".encoder.words." in name]
    assert moved
    assert any(not th.equal(first[name], last[name]) for name in moved)


def test_expected_pg_in_plain_code_of_stable_baselines3() -> None:
    env = make_sb3_env("NER-CoNLL-v0", 4, seed=0, **SAMPLE)
    network = nlp_policy_kwargs(env, hidden=[8])
    model = ExpectedPG(
        "MultiInputPolicy",
        env,
        n_steps=4,
        batch_size=16,
        gamma=0.9,
        branches=2,
        device="cpu",
        policy_kwargs=network,
    )
    assert model.learn(32).num_timesteps == 32


def test_expected_pg_refuses_what_does_not_branch(ner: Task) -> None:
    env = DummyVecEnv([lambda: gym.make("NER-CoNLL-v0", obs_type="features", **SAMPLE)])
    model = ExpectedPG("MultiInputPolicy", env, n_steps=4, batch_size=4, device="cpu")
    with pytest.raises(InvalidArgumentError, match="use make_sb3_env"):
        model.learn(4)
    for name, value in (("branches", 0), ("temperature", 0.0), ("residual_coef", 2.0)):
        with pytest.raises(InvalidArgumentError, match=name):
            build(ner, f"{name}:{value}")
