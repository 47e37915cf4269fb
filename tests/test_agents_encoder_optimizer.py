"""An encoder's own learning rate: groups, schedule, decay, and going on from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.encoder_optimizer import split_optimizer
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.schedule import EncoderRate
from nlp_gym_agents.runs.checkpoints.checkpoint import load_state, save_state

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS: dict[str, list[str]] = {
    "bc": ["batch_size:64"],
    "ppo": ["n_steps:8", "batch_size:64", "n_epochs:2"],
    "a2c": ["n_steps:8"],
    "maskable_ppo": ["n_steps:8", "batch_size:64", "n_epochs:2"],
    "dqn": ["buffer_size:2000", "learning_starts:64", "train_freq:4"],
    "masked_dqn": ["buffer_size:2000", "learning_starts:64", "train_freq:4"],
    "qrdqn": ["buffer_size:2000", "learning_starts:64", "train_freq:4"],
}


@pytest.fixture(scope="module")
def ner() -> Task:
    return make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 16})


def build(algo: str, task: Task, *overrides: str, seed: int = 0) -> Any:
    extractor = "policy_kwargs.features_extractor_kwargs"
    options = [*OPTIONS[algo], "learning_rate:1e-2", f"{extractor}.hidden:[16]"]
    params = load_hyperparams(algo, "any", [*options, f"{extractor}.layer_norm:true", *overrides])
    return build_model(resolve(algo), task, params, n_envs=8, seed=seed, device="cpu")


def trunk_of(model: Any) -> list[nn.Parameter]:
    """What plays the encoder: the trunk of the policy, or of its online network."""
    for name in ("q_net", "quantile_net"):
        if hasattr(model.policy, name):
            return list(getattr(model.policy, name).features_extractor.parameters())
    return list(model.policy.features_extractor.parameters())


class Watch(BaseCallback):
    """Wraps the optimizer's steps: (progress remaining, encoder rate, head rate) of each."""

    def __init__(self, encoder: list[nn.Parameter]) -> None:
        super().__init__()
        self.encoder, self.seen = set(encoder), list[tuple[float, float, float]]()

    def _on_training_start(self) -> None:
        self.model.policy.optimizer.register_step_post_hook(self._after)

    def _after(self, optimizer: Any, args: object, kwargs: object) -> None:
        rates: dict[bool, set[float]] = {True: set(), False: set()}
        for group in optimizer.param_groups:
            own = {parameter in self.encoder for parameter in group["params"]}
            rates[own.pop()].add(group["lr"])
            assert not own, "a group mixes encoder and head"
        progress = self.model._current_progress_remaining
        self.seen.append((progress, *rates[True], *rates[False]))

    def _on_step(self) -> bool:
        return True


# -- the rate ----------------------------------------------------------------------------------


def test_tuning_rate_by_progress() -> None:
    constant = EncoderRate.of(8.0, warmup=0.25, hold=0.25)
    done = (0.0, 0.2, 0.25, 0.375, 0.5, 0.75, 1.0)
    assert [constant(1 - share) for share in done] == [0, 0, 0, 4, 8, 8, 8]
    falling = EncoderRate.of("lin_8", warmup=0.25, hold=0.25)
    assert [falling(1 - share) for share in done] == [0, 0, 0, 4, 8, 4, 0]
    assert [falling.on_hold(1 - share) for share in done] == [True, True] + [False] * 5
    assert falling(-0.1) == 0, "the last rollout may go beyond the end"
    at_once = EncoderRate.of("lin_8", warmup=0.0)
    assert [at_once(p) for p in (1.0, 0.5, 0.0)] == [8, 4, 0]
    assert not at_once.on_hold(1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 0}, "encoder_lr=0 must be above 0"),
        ({"lr": "lin_-1"}, "must be above 0"),
        ({"lr": "fast"}, "lin_NUMBER"),
        ({"lr": float("nan")}, "must be above 0"),
        ({"lr": 1e-3, "warmup": 1.5}, "warmup=1.5"),
        ({"lr": 1e-3, "hold": -0.1}, "hold=-0.1"),
        ({"lr": 1e-3, "warmup": 0.5, "hold": 0.5}, "below 1"),
        ({"lr": 1e-3, "weight_decay": -1}, "weight_decay=-1"),
    ],
)
def test_tuning_split_refuses_values(ner: Task, options: dict[str, Any], words: str) -> None:
    model = build("ppo", ner)
    before = model.policy.optimizer
    with pytest.raises(InvalidArgumentError, match=words):
        split_optimizer(model, trunk_of(model), **options)
    assert model.policy.optimizer is before


def test_tuning_split_refuses_parameters(ner: Task) -> None:
    model = build("ppo", ner)
    with pytest.raises(InvalidArgumentError, match="has none"):
        split_optimizer(model, [], lr=1e-3)
    with pytest.raises(InvalidArgumentError, match="1 that are not the policy's"):
        split_optimizer(model, [nn.Parameter(th.zeros(2))], lr=1e-3)
    with pytest.raises(InvalidArgumentError, match="object has no"):
        split_optimizer(object(), trunk_of(model), lr=1e-3)
    split_optimizer(model, trunk_of(model), lr=1e-3)
    with pytest.raises(InvalidArgumentError, match="split already"):
        split_optimizer(model, trunk_of(model), lr=1e-3)


# -- groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", sorted(OPTIONS))
def test_tuning_split_partitions(ner: Task, algo: str) -> None:
    model = build(algo, ner)
    old = model.policy.optimizer
    trunk = trunk_of(model)
    frozen = trunk.pop().requires_grad_(False)
    split_optimizer(model, [frozen, *trunk, *trunk], lr=1e-4, weight_decay=0.1)
    new = model.policy.optimizer
    assert type(new) is type(old)
    assert new.defaults == {**old.defaults, "lr": new.defaults["lr"]}
    before = [p for group in old.param_groups for p in group["params"]]
    after = [p for group in new.param_groups for p in group["params"]]
    assert len(after) == len(set(after))
    assert set(after) == set(before) - {frozen}
    head, *encoder = new.param_groups
    assert set(head["params"]).isdisjoint(trunk)
    decays = {p: group["encoder_decay"] for group in encoder for p in group["params"]}
    assert decays == {p: 0.1 if p.ndim > 1 else 0.0 for p in trunk}
    assert 0.1 in decays.values()
    assert 0.0 in decays.values()


@pytest.mark.parametrize("algo", sorted(OPTIONS))
def test_tuning_split_learns_at_its_own_rate(ner: Task, algo: str) -> None:
    model = build(algo, ner, "learning_rate:lin_1e-2")
    encoder = trunk_of(model)
    rate = split_optimizer(model, encoder, lr="lin_1e-4", warmup=0.25, hold=0.25)
    first = [p.detach().clone() for p in encoder]
    head = model.policy.optimizer.param_groups[0]["params"]
    first_head = [p.detach().clone() for p in head]
    watch = Watch(encoder)
    model.learn(512, callback=watch)
    assert len(watch.seen) > 3
    for progress, own, other in watch.seen:
        assert own == rate(progress)
        assert other == pytest.approx(1e-2 * progress)
    assert max(own for _, own, _ in watch.seen) > 0
    assert not all(th.equal(p, q) for p, q in zip(first, encoder, strict=True))
    assert not all(th.equal(p, q) for p, q in zip(first_head, head, strict=True))


@pytest.mark.parametrize("algo", ["bc", "dqn", "ppo"])
def test_tuning_split_holds_the_encoder(ner: Task, algo: str) -> None:
    model = build(algo, ner)
    encoder = trunk_of(model)
    split_optimizer(model, encoder, lr=1e-3, hold=0.5, weight_decay=0.1)
    first = [p.detach().clone() for p in encoder]
    held: list[bool] = []

    def check(*_: object) -> bool:
        if model._current_progress_remaining > 0.5 and model._n_updates:
            held.append(all(th.equal(p, q) for p, q in zip(first, encoder, strict=True)))
            assert not any(p in model.policy.optimizer.state for p in encoder)
        return True

    model.learn(640, callback=check)
    assert held
    assert all(held)
    assert not all(th.equal(p, q) for p, q in zip(first, encoder, strict=True))


def test_tuning_split_decay_is_decoupled(ner: Task) -> None:
    # Gradients of zero: what moves is the decay alone, whatever the optimizer's class.
    for algo in ("ppo", "a2c"):
        model = build(algo, ner)
        encoder = trunk_of(model)
        split_optimizer(model, encoder, lr=0.5, warmup=0.0, weight_decay=0.1)
        first = [p.detach().clone() for p in encoder]
        for parameter in encoder:
            parameter.grad = th.zeros_like(parameter)
        model.policy.optimizer.step()
        for before, after in zip(first, encoder, strict=True):
            factor = 1 - 0.5 * 0.1 if before.ndim > 1 else 1.0
            assert th.allclose(after, before * factor, atol=1e-7)


def test_tuning_split_equals_one_group_where_rates_agree(ner: Task) -> None:
    weights = []
    for split in (False, True):
        model = build("ppo", ner)
        if split:
            split_optimizer(model, trunk_of(model), lr=1e-2, warmup=0.0, weight_decay=0.0)
        model.learn(256)
        weights.append([p.detach().clone() for p in model.policy.parameters()])
    for one, two in zip(*weights, strict=True):
        assert th.allclose(one, two, atol=1e-6)


def test_tuning_split_logs(ner: Task) -> None:
    model = build("bc", ner)
    rate = split_optimizer(model, trunk_of(model), lr=1e-4, warmup=0.5)
    seen: list[tuple[float, float]] = []

    def look(*_: object) -> bool:
        value = model.logger.name_to_value.get("train/encoder_lr", -1.0)
        seen.append((value, rate(model._current_progress_remaining)))
        return True

    model.learn(256, callback=look)
    assert seen
    assert all(logged == due for logged, due in seen)


# -- going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["bc", "masked_dqn", "ppo"])
@pytest.mark.parametrize("hold", [0.0, 0.6])
def test_tuning_split_resumes_exactly(ner: Task, algo: str, hold: float, tmp_path: Path) -> None:
    """A run stopped half-way, in which the encoder is held still or not, ends the same."""
    total = 1024

    def make() -> Any:
        model = build(algo, ner)
        split_optimizer(model, trunk_of(model), lr="lin_1e-3", warmup=0.2, hold=hold)
        return model

    class Half(BaseCallback):
        def _on_rollout_start(self) -> None:
            if self.model.num_timesteps * 2 >= total and not list(tmp_path.iterdir()):
                save_state(tmp_path, self.model, {})

        def _on_step(self) -> bool:
            if algo == "bc":  # its state is whole after any step
                self._on_rollout_start()
            return True

    whole, rest = make(), make()
    whole.learn(total, callback=Half())
    load_state(tmp_path, rest)
    assert 0 < rest.num_timesteps < total
    rest.learn(total - rest.num_timesteps, reset_num_timesteps=False)
    one, two = whole.policy.state_dict(), rest.policy.state_dict()
    assert all(th.equal(one[key], two[key]) for key in one)
    groups = [model.policy.optimizer.param_groups for model in (whole, rest)]
    assert [g["lr"] for g in groups[0]] == [g["lr"] for g in groups[1]]


def test_tuning_split_refuses_a_checkpoint_without(ner: Task, tmp_path: Path) -> None:
    save_state(tmp_path, build("bc", ner), {})
    model = build("bc", ner)
    split_optimizer(model, trunk_of(model), lr=1e-4)
    with pytest.raises(RunError):
        load_state(tmp_path, model)
