"""RLOO: baselines by hand, groups of one text, what is learned from, exact resumption, learning."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import tiny_task
from safetensors.torch import load_file
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import play, rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.policy_gradient.rloo import RLOO, drawn
from nlp_gym_agents.algorithms.policy_gradient.sampled_texts import SampledTexts, leave_one_out
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.usefixtures("one_thread")


class _Silent(BaseCallback):
    """A callback that lets a rollout be collected by itself."""

    def _on_step(self) -> bool:
        return True


def build(task: Task, seed: int = 0, **options: Any) -> RLOO:
    given = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [32]}}, **options}
    params = load_hyperparams("rloo", "any", given)
    model = build_model(resolve("rloo"), task, params, seed=seed, device="cpu")
    assert isinstance(model, RLOO)
    model.set_logger(Logger(None, []))
    return model


def collected(model: RLOO) -> SampledTexts:
    """The buffer after one rollout."""
    callback = _Silent()
    callback.init_callback(model)
    model._setup_learn(10**6, None)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, 1)
    return model.rollout_buffer


@pytest.fixture(scope="module")
def ner() -> Task:
    return make_task(
        "NER-CoNLL-v0",
        corpus="sample",
        encoder="hashed",
        encoder_kwargs={"dim": 32},
        reward="correctness",
    )


def test_leave_one_out_by_hand() -> None:
    found = leave_one_out(np.array([[1.0, 0.0, 0.5], [2.0, 2.0, 2.0]]))
    assert np.allclose(found, [[0.75, -0.75, 0.0], [0.0, 0.0, 0.0]])


def buffer_of(rewards: list[list[float]], **options: Any) -> SampledTexts:
    """One text, whose samples earned these rewards step by step."""
    buffer = SampledTexts(len(rewards), th.device("cpu"), **options)
    for step in range(max(map(len, rewards))):
        place = np.array([i for i, own in enumerate(rewards) if len(own) > step])
        buffer.add(
            place,
            {"row": np.zeros((len(place), 1), np.int32)},
            np.ones((len(place), 3), bool),
            np.zeros(len(place), np.int64),
            np.zeros(len(place), np.float32),
            np.array([rewards[i][step] for i in place]),
        )
    return buffer


def test_advantages_of_whole_texts_by_hand() -> None:
    buffer = buffer_of([[0.0, 1.0], [0.5], [0.0, 0.0, 0.5]])
    buffer.complete(1)
    assert buffer.returns.tolist() == [[1.0, 0.5, 0.5]]
    assert np.allclose(buffer.advantages, [0.5, 0.5, -0.25, -0.25, -0.25, -0.25])
    buffer = buffer_of([[0.0, 1.0], [0.5]])
    buffer.complete(1, np.array([[0.25, 0.0, 0.5]]))
    assert np.allclose(buffer.advantages, [0.25, 0.25, -0.25])


def test_advantages_by_decision_by_hand() -> None:
    buffer = buffer_of([[1.0, 2.0], [4.0]], gamma=0.5, by_decision=True)
    buffer.complete(1)
    # Rewards from there on: 1 + .5 * 2 and 2 of the first, 4 and nothing of the other.
    assert np.allclose(buffer.advantages, [-2.0, 2.0, 2.0])


def test_a_penalty_in_the_rewards_counts() -> None:
    buffer = buffer_of([[1.0], [1.0]])
    buffer.complete(1)
    assert list(buffer.batches(None)) == []  # as good as each other: nothing to learn
    buffer.rewards -= np.array([[0.0], [0.5]], np.float32)
    buffer.compute_returns_and_advantage()
    assert np.allclose(buffer.advantages, [0.5, -0.5])


def test_samples_of_a_group_share_their_text(ner: Task) -> None:
    buffer = collected(build(ner, texts=5, samples=3))
    rows = buffer.observations["row"][:, 0, 0]
    of_episode = [set(rows[buffer.episode == i].tolist()) for i in range(15)]
    assert all(len(own) == 1 for own in of_episode)
    groups = [of_episode[i : i + 3] for i in range(0, 15, 3)]
    assert all(group[0] == group[1] == group[2] for group in groups)
    assert len({min(group[0]) for group in groups}) == 5
    lengths = ner.lengths[[min(own) for own in of_episode]]
    assert np.bincount(buffer.episode).tolist() == lengths.tolist()


def test_every_text_is_played_before_any_comes_again(ner: Task) -> None:
    model, size = build(ner, texts=7, samples=2), len(ner.corpus)
    rows: list[int] = []
    while len(rows) < 2 * size:
        rows += model.next_texts()[0].tolist()
        model.texts_begun += 7
    assert sorted(rows[:size]) == sorted(rows[size : 2 * size]) == list(range(size))
    assert rows[:size] != rows[size : 2 * size]


def test_texts_and_prices_are_those_that_environments_draw() -> None:
    task = make_task(
        "Sentiment-SST2-v0",
        corpus="sample",
        encoder="hashed",
        encoder_kwargs={"dim": 32},
        reading=True,
        read_cost=[0.0, 0.125, 0.25],
        holdout=0.3,
    )
    assert task.drawn is not None
    held = len(task.drawn)
    model = build(task, texts=3 * held, samples=2)
    rows, dial = model.next_texts()
    assert sorted(rows[:held]) == task.drawn.tolist()
    for row in task.drawn:  # in three passes each text has each price
        assert sorted(dial[rows == row]) == [0, 1, 2]
    buffer = collected(model)
    assert set(buffer.observations["row"].flatten().tolist()) == set(task.drawn.tolist())
    first = buffer.step == 0
    seen = buffer.observations["cost"][first, 0].sum(axis=1)
    assert seen.tolist() == np.repeat(dial, 2).tolist()


def test_only_legal_actions_are_sampled_and_masks_are_kept(ner: Task) -> None:
    buffer = collected(build(ner, texts=16, samples=4))
    masks = buffer.action_masks[np.arange(len(buffer)), 0]
    assert masks.shape == (len(buffer), ner.n_actions)
    assert masks[np.arange(len(buffer)), buffer.actions[:, 0, 0]].all()
    assert not masks.all()  # BIO: no I- tag begins a sentence
    assert (buffer.log_probs <= 0).all()


def test_drawing_follows_the_shares() -> None:
    th.manual_seed(0)
    shares = th.tensor([[0.0, 0.25, 0.0, 0.75, 0.0]]).repeat(20_000, 1)
    counts = th.bincount(drawn(shares)[:, 0], minlength=5)
    assert counts[[0, 2, 4]].tolist() == [0, 0, 0]
    assert abs(counts[1] / 20_000 - 0.25) < 0.01


def test_the_gradient_is_that_of_advantage_times_log_probability(ner: Task) -> None:
    model = build(ner, texts=3, samples=3)
    buffer = collected(model)
    model.policy.set_training_mode(True)
    (index,) = [part for parts in buffer.batches(None) for part in parts]
    model._loss(buffer, index, 1.0).backward()
    found = [p.grad.clone() for p in model.policy.action_net.parameters() if p.grad is not None]
    model.policy.zero_grad()
    observations = {key: th.as_tensor(value[:, 0]) for key, value in buffer.observations.items()}
    actions = th.as_tensor(buffer.actions[:, 0, 0])
    masks = th.as_tensor(buffer.action_masks[np.arange(len(buffer)), 0])
    _, logs, _ = model.policy.evaluate_actions(observations, actions, masks)
    assert np.allclose(logs.detach(), buffer.log_probs[:, 0], atol=1e-5)
    earned = buffer.returns.reshape(-1)
    for i in range(9):
        others = [j for j in range(i // 3 * 3, i // 3 * 3 + 3) if j != i]
        advantage = float(earned[i] - earned[others].mean())
        (-advantage * logs[th.as_tensor(buffer.episode == i)].sum()).backward(retain_graph=True)
    wanted = [p.grad for p in model.policy.action_net.parameters()]
    for one, two in zip(found, wanted, strict=True):
        assert two is not None
        assert th.allclose(one, two, atol=1e-4)


def test_a_greedy_baseline_is_what_greedy_actions_earn(ner: Task) -> None:
    model = build(ner, texts=4, samples=1, baseline="greedy")
    act, rows = make_act(model, masked=True), model.next_texts()[0]
    earned = np.zeros(len(rows))
    for step in play(ner, rows, lambda state, _: act(ner.observe(state, "index"), ner.mask(state))):
        earned[step.place] += step.rewards
    buffer = collected(model)
    assert buffer.baseline is not None
    assert np.allclose(buffer.baseline.sum(axis=1), earned)
    assert np.allclose(buffer.advantages, (buffer.returns[:, 0] - earned)[buffer.episode])
    assert model.num_timesteps == len(buffer) + int(ner.lengths[rows].sum())


def test_settings_that_cannot_be(ner: Task) -> None:
    with pytest.raises(InvalidArgumentError, match="samples"):
        build(ner, samples=1)
    with pytest.raises(InvalidArgumentError, match="baseline"):
        build(ner, baseline="mean")
    with pytest.raises(InvalidArgumentError, match="batch_size=0"):
        build(ner, batch_size=0)


def test_an_encoder_that_learns_encodes_a_text_once_for_all_samples(tiny_bert: Path) -> None:
    task = tiny_task("NER-CoNLL-v0", tiny_bert)
    params = load_hyperparams("rloo", "any", {"texts": 4, "samples": 4, "batch_size": None})
    model: Any = build_model(
        resolve("rloo"), task, params, seed=0, device="cpu", tuning=Tuning(lr=1e-4)
    )
    model.set_logger(Logger(None, []))
    (encoder,) = trainable_encoders(model.policy)
    before = dict(encoder.encoded_texts)
    model.learn(1)
    made = {key: value - before[key] for key, value in encoder.encoded_texts.items()}
    assert made["acting"] <= 4
    assert 0 < made["learning"] <= 4


def test_runs_resume_exactly(tmp_path: Path) -> None:
    config = TrainConfig(
        env="NER-CoNLL-v0",
        algo="rloo",
        n_timesteps=400,
        encoder="hashed",
        env_kwargs={"corpus": "sample"},
        hyperparams={"texts": 3, "samples": 2, "weight_average": 0.9, "kl": {"coef": 0.1}},
        eval_freq=200,
        save_freq=100,
    )
    whole = train(config, run_dir=tmp_path / "whole", progress=False)
    half = tmp_path / "half"
    shutil.copytree(whole, half)
    shutil.rmtree(newest(half / "checkpoints")[0])
    resume(half, progress=False)
    one, two = _saved(whole), _saved(half)
    assert one.keys() == two.keys()
    assert any(name.endswith("/average") for name in one)
    assert all(th.equal(one[name], two[name]) for name in one)


def _saved(run: Path) -> dict[str, th.Tensor]:
    folder = newest(run / "checkpoints")[0]
    return load_file(folder / "policy.safetensors") | load_file(folder / "optimizer.safetensors")


def test_it_learns_from_the_metric_of_whole_texts() -> None:
    task = make_task(
        "MultiLabel-GoEmotions-v0",
        corpus="sample",
        encoder="hashed",
        encoder_kwargs={"dim": 64},
        reward="sparse",
    )
    model = build(task, texts=16, samples=8, learning_rate=1e-2)

    def value() -> float:
        return task.score(rollout(task, make_act(model, masked=True)), bootstrap=0).value

    before = value()
    model.learn(30_000)
    assert value() > before + 0.2
