"""The penalty for leaving the start policy: its numbers, its controller, its state."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.training.callbacks import rollout_parts as rollouts
from nlp_gym_agents.training.callbacks.kl_penalty import KLToStart, frozen_copy

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS: dict[str, list[str]] = {
    "ppo": ["n_steps:8", "batch_size:64", "n_epochs:2", "gamma:0.9"],
    "a2c": ["n_steps:8", "gamma:0.9"],
    "maskable_ppo": ["n_steps:8", "batch_size:64", "n_epochs:2", "gamma:0.9"],
    "recurrent_ppo": ["n_steps:8", "batch_size:64", "policy_kwargs.lstm_hidden_size:8"],
    "dqn": ["buffer_size:500"],
    "bc": [],
}
LEARNS = ["ppo", "a2c", "maskable_ppo"]
ROLLOUT = 64


@pytest.fixture(scope="module")
def ner() -> Task:
    return make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 16})


@pytest.fixture(scope="module")
def choice() -> Task:
    return make_task("ChoiceQA-ARC-v0", corpus="sample", encoder="hashed")


def build(algo: str, task: Task, *overrides: str, seed: int = 0) -> Any:
    hidden = "policy_kwargs.features_extractor_kwargs.hidden:[16]"
    options = [*OPTIONS[algo], "learning_rate:3e-2", hidden, *overrides]
    params = load_hyperparams(algo, "any", options)
    return build_model(resolve(algo), task, params, n_envs=8, seed=seed, device="cpu")


class Copies(BaseCallback):
    """Copies of the rollout buffer, made when a rollout ends."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers: list[Any] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        self.buffers.append(copy.deepcopy(model.rollout_buffer))


class Distances(BaseCallback):
    """What each rollout logged as its distance from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.seen.append(self.logger.name_to_value["train/kl_to_start"])


def collect(model: Any, kl: KLToStart, change: Any = None) -> tuple[Any, Any]:
    """One rollout by a policy changed after the start: the buffer without and with the penalty."""
    before, after = Copies(), Copies()
    _, calls = model._setup_learn(ROLLOUT, CallbackList([before, kl, after]))
    calls.on_training_start({}, {})
    if change is not None:
        with th.no_grad():
            change(model.policy)
    model.collect_rollouts(model.env, calls, model.rollout_buffer, n_rollout_steps=model.n_steps)
    return before.buffers[0], after.buffers[0]


# -- the penalty -------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["ppo", "a2c"])
def test_tuning_kl_penalty_by_hand(ner: Task, algo: str) -> None:
    model, n_actions = build(algo, ner), 9
    with th.no_grad():  # starts uniform
        for parameter in model.policy.action_net.parameters():
            parameter.zero_()
    bias = th.linspace(-1, 1, n_actions)
    without, penalised = collect(
        model, KLToStart(0.5), lambda policy: policy.action_net.bias.copy_(bias)
    )
    # Whatever is seen, action a has probability exp(bias[a]) / sum against 1 / 9.
    logs = np.log(np.exp(bias.numpy()) / np.exp(bias.numpy()).sum())
    ratio = logs[without.actions[..., 0]] + np.log(n_actions)
    assert np.allclose(penalised.rewards, without.rewards - 0.5 * ratio, atol=1e-6)
    assert np.abs(ratio).min() > 0.01
    assert model.logger.name_to_value["train/kl_to_start"] == pytest.approx(ratio.mean(), abs=1e-6)
    assert model.logger.name_to_value["train/kl_coef"] == 0.5


@pytest.mark.parametrize("algo", LEARNS)
def test_tuning_kl_returns_are_computed_again(ner: Task, algo: str) -> None:
    model = build(algo, ner)

    def change(policy: Any) -> None:
        for parameter in policy.parameters():
            parameter.add_(0.3 * th.randn_like(parameter))

    without, penalised = collect(model, KLToStart(0.5), change)
    assert not np.allclose(without.rewards, penalised.rewards)
    last = model.policy.predict_values(obs_as_tensor(model._last_obs, model.device)).detach()
    for buffer, wanted in ((without, without), (without, penalised)):
        buffer.rewards = wanted.rewards
        again = copy.deepcopy(buffer)
        again.compute_returns_and_advantage(last, model._last_episode_starts)
        assert np.allclose(again.returns, wanted.returns, atol=1e-6)
        assert np.allclose(again.advantages, wanted.advantages, atol=1e-6)
    for name in ("values", "log_probs", "actions", "episode_starts"):
        assert (getattr(without, name) == getattr(penalised, name)).all()


@pytest.mark.parametrize("algo", LEARNS)
def test_tuning_kl_is_nothing_at_the_start(
    ner: Task, algo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "_BATCH", 24)  # a rollout takes several, the last one smaller
    model = build(algo, ner)
    without, penalised = collect(model, KLToStart(5.0))
    for name in ("rewards", "returns", "advantages"):
        assert np.allclose(getattr(without, name), getattr(penalised, name), atol=1e-4), name
    assert model.logger.name_to_value["train/kl_to_start"] == pytest.approx(0, abs=1e-6)


def test_tuning_kl_honours_masks(choice: Task) -> None:
    model = build("maskable_ppo", choice)
    kl = KLToStart(1.0)

    def change(policy: Any) -> None:
        for parameter in policy.parameters():
            parameter.add_(0.3 * th.randn_like(parameter))

    without, penalised = collect(model, kl, change)
    masks = without.action_masks.astype(bool)
    assert not masks.all()
    ratio = without.rewards - penalised.rewards
    start = kl._start
    for step in range(model.n_steps):
        obs = obs_as_tensor({k: v[step] for k, v in without.observations.items()}, "cpu")
        one, two = (
            policy.get_distribution(obs, action_masks=masks[step]).distribution.logits
            for policy in (model.policy, start)
        )
        chosen = th.as_tensor(without.actions[step])
        expected = (one - two).gather(1, chosen).flatten().detach().numpy()
        assert np.allclose(ratio[step], expected, atol=1e-5)


def test_tuning_kl_keeps_a_policy_near_its_start(ner: Task) -> None:
    distances = []
    for coef in (0.0, 3.0):
        model = build("ppo", ner)
        log = Distances()
        model.learn(40 * ROLLOUT, callback=[KLToStart(coef), log], log_interval=10**9)
        assert log.seen[0] == pytest.approx(0, abs=1e-6)
        distances.append(np.mean(log.seen[-10:]))
    assert distances[0] > 0.1
    assert distances[1] < 0.5 * distances[0]


# -- the controller ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "factor"), [(0.0, 0.8), (0.5, 0.9), (1.0, 1.0), (1.5, 1.1), (2.0, 1.2), (9.0, 1.2)]
)
def test_tuning_kl_coefficient_follows_its_target(
    ner: Task, share: float, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, target = build("ppo", ner), 0.25
    kl = KLToStart(0.1, target=target)

    def start_log_probs(self: KLToStart) -> Any:
        return model.rollout_buffer.log_probs - np.float32(share * target), None

    monkeypatch.setattr(KLToStart, "_start_log_probs", start_log_probs)
    without, penalised = collect(model, kl)
    # This rollout's penalty is that of the coefficient before.
    assert np.allclose(without.rewards - penalised.rewards, 0.1 * share * target, atol=1e-6)
    assert model.logger.name_to_value["train/kl_coef"] == 0.1
    assert kl.coef == pytest.approx(0.1 * factor, rel=1e-4)
    fixed = KLToStart(0.1)
    collect(model, fixed)
    assert fixed.coef == 0.1


# -- state -------------------------------------------------------------------------------------


def test_tuning_kl_start_survives_a_resume(ner: Task) -> None:
    model = build("ppo", ner)
    kl = KLToStart(0.3, target=0.1)
    first = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(4 * ROLLOUT, callback=kl)
    weights = {name: w.clone() for name, w in kl.start_weights().items()}
    names = dict(model.policy.named_parameters())
    assert set(weights) == set(names)
    assert all(th.equal(w, old) for w, old in zip(weights.values(), first, strict=True))
    assert not all(th.equal(weights[name], names[name]) for name in names)

    other = KLToStart(0.9, target=0.1)
    other.load_state_dict(kl.state_dict())
    other.load_start(weights)
    assert other.coef == kl.coef != 0.3
    again = build("ppo", ner, seed=1)
    again.policy.load_state_dict(model.policy.state_dict())
    _, _ = collect(again, other)
    assert all(th.equal(other.start_weights()[name], weights[name]) for name in weights)
    assert again.logger.name_to_value["train/kl_to_start"] > 1e-3
    assert all(th.equal(p, names[name]) for name, p in again.policy.named_parameters())


def test_tuning_kl_start_is_not_replaced(ner: Task) -> None:
    model, kl = build("ppo", ner), KLToStart(0.1)
    model.learn(2 * ROLLOUT, callback=kl)
    start = kl._start
    model.learn(2 * ROLLOUT, callback=kl)
    assert kl._start is start


def test_tuning_kl_refuses_other_weights(ner: Task) -> None:
    model, kl = build("ppo", ner), KLToStart(0.1)
    kl.load_start({"action_net.weight": th.zeros(9, 16)})
    with pytest.raises(RunError, match=r"action_net\.bias is absent"):
        model.learn(ROLLOUT, callback=kl)
    kl = KLToStart(0.1)
    kl.load_start({name: th.zeros(1) for name, _ in model.policy.named_parameters()})
    with pytest.raises(RunError, match=r"is \(1,\), and \(9,\)"):
        model.learn(ROLLOUT, callback=kl)


def test_tuning_kl_copies_only_what_moves(ner: Task) -> None:
    model = build("ppo", ner)
    model.learn(ROLLOUT)  # leaves tensors of a graph behind
    frozen = model.policy.features_extractor.trunk[0].weight.requires_grad_(False)
    optimizer = model.policy.optimizer
    start = frozen_copy(model.policy)
    assert model.policy.optimizer is optimizer
    assert start.optimizer is None
    assert not any(p.requires_grad for p in start.parameters())
    assert start.features_extractor.trunk[0].weight is frozen
    own, theirs = (dict(p.named_parameters()) for p in (model.policy, start))
    assert [name for name in own if own[name] is theirs[name]] == [
        name for name in own if own[name] is frozen
    ]
    extractors = [
        next(m for m in p.modules() if isinstance(m, NLPExtractor)) for p in (model.policy, start)
    ]
    assert extractors[0] is not extractors[1]
    assert extractors[0].source is extractors[1].source
    assert not start.training
    kl = KLToStart(0.1)
    model.learn(ROLLOUT, callback=kl)
    assert set(kl.start_weights()) == {name for name in own if own[name] is not frozen}


def test_tuning_kl_shares_what_it_is_told(ner: Task) -> None:
    model = build("ppo", ner)
    table = np.zeros(3)
    model.policy.features_extractor.table = table
    assert frozen_copy(model.policy).features_extractor.table is not table
    assert frozen_copy(model.policy, [table]).features_extractor.table is table


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coef": -0.1}, "coef=-0.1"),
        ({"coef": float("nan")}, "coef=nan"),
        ({"coef": "much"}, "coef='much'"),
        ({"target": 0.0}, "target=0.0"),
        ({"target": -1}, "target=-1"),
        ({"coef": 0.0, "target": 0.1}, "begin above 0"),
    ],
)
def test_tuning_kl_refuses_values(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        KLToStart(**options)


@pytest.mark.parametrize("algo", ["dqn", "bc", "recurrent_ppo"])
def test_tuning_kl_refuses_algorithms(ner: Task, algo: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"learns from rollouts.*maskable_ppo"):
        build(algo, ner).learn(ROLLOUT, callback=KLToStart(0.1))
