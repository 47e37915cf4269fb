"""Averaged weights: by hand, through an optimizer's state, in evaluations, runs and hooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch as th
from safetensors.torch import load_file

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.algorithms.weight_average import averaged_weights, averaging, with_average
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.train import train

pytestmark = pytest.mark.usefixtures("one_thread")


class Policy(th.nn.Module):
    """One weight and its optimizer."""

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.weight = th.nn.Parameter(th.zeros(1))
        self.optimizer = averaging(th.optim.SGD)(
            self.parameters(),
            lr=1.0,
            weight_average=decay,
        )

    def step(self) -> None:
        self.weight.grad = th.tensor([-1.0])
        self.optimizer.step()


def test_averages_by_hand() -> None:
    policy, mean = Policy(0.25), 1.0  # the first average is the first weights
    for step in range(1, 6):
        policy.step()
        decay = min(0.25, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * step
    assert policy.weight.item() == 5.0
    with averaged_weights(policy):
        assert policy.weight.item() == pytest.approx(mean, abs=1e-6)
    assert policy.weight.item() == 5.0


def test_hooks_of_the_optimizer_run_once_a_step() -> None:
    policy, calls = Policy(0.9), list[int]()
    policy.optimizer.register_step_pre_hook(lambda *_: calls.append(1))
    th.optim.SGD([th.nn.Parameter(th.zeros(1))], lr=1.0)
    policy.step()
    assert len(calls) == 1


def test_averages_are_state_of_the_optimizer() -> None:
    one, two = Policy(0.9), Policy(0.9)
    for _ in range(3):
        one.step()
    two.load_state_dict(one.state_dict())
    two.optimizer.load_state_dict(one.optimizer.state_dict())
    for policy in (one, two):
        policy.step()
    with averaged_weights(one), averaged_weights(two):
        assert th.equal(one.weight, two.weight)


def test_without_averages_weights_stay_as_they_are() -> None:
    module = th.nn.Linear(2, 1)
    before = module.weight.clone()
    with averaged_weights(module):
        assert th.equal(module.weight, before)
    assert with_average({"net_arch": []}, None) == {"net_arch": []}


def test_decays_that_cannot_be() -> None:
    with pytest.raises(InvalidArgumentError, match="weight_average"):
        load_hyperparams("bc", "any", {"weight_average": 1.0})
    with pytest.raises(InvalidArgumentError, match="weight_average"):
        Policy(1.0)


def test_the_best_checkpoint_has_the_averages_and_its_score(tmp_path: Path) -> None:
    given: dict[str, Any] = {"weight_average": 0.9, "warmup": 0.2, "batch_size": 64}
    config = TrainConfig(
        env="POS-EWT-v0",
        algo="bc",
        n_timesteps=2000,
        encoder="hashed",
        env_kwargs={"corpus": "sample"},
        hyperparams=given,
        eval_freq=2000,
        save_freq=2000,
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    folder = newest(run / "checkpoints")[0]
    last, state = (load_file(folder / f"{n}.safetensors") for n in ("policy", "optimizer"))
    best = load_file(run / "best" / "policy.safetensors")
    means = [value for name, value in state.items() if name.endswith("/average")]
    for name in ("action_net.weight", "action_net.bias"):
        assert not th.equal(best[name], last[name])
        assert any(mean.shape == best[name].shape and th.equal(mean, best[name]) for mean in means)
    said = json.loads((run / "best" / "settings.json").read_text(encoding="utf-8"))
    assert evaluate(run, "dev", bootstrap=0).value == said["value"]


def test_a_rate_that_rises_first() -> None:
    task = make_task("POS-EWT-v0", corpus="sample", encoder="hashed")
    given = {"learning_rate": "lin_1e-2", "warmup": 0.5}
    model = build_model(resolve("bc"), task, load_hyperparams("bc", "any", given), device="cpu")
    rates = [model.lr_schedule(remaining) for remaining in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert rates == pytest.approx([0.0, 0.00375, 0.005, 0.0025, 0.0])


@pytest.mark.parametrize("algo", ["bc", "rloo"])
def test_mixed_precision_learns_much_the_same(algo: str) -> None:
    task = make_task("POS-EWT-v0", corpus="sample", encoder="hashed")
    weights = []
    for mixed in (False, True):
        given: dict[str, Any] = {"mixed_precision": mixed}
        given |= {"batch_size": 64} if algo == "bc" else {"texts": 2, "samples": 2}
        params = load_hyperparams(algo, "any", given)
        model = build_model(resolve(algo), task, params, seed=1, device="cpu")
        before = th.nn.utils.parameters_to_vector(model.policy.parameters()).detach().clone()
        model.learn(64)
        after = th.nn.utils.parameters_to_vector(model.policy.parameters()).detach()
        assert after.dtype == th.float32
        weights.append(after - before)
    assert not th.equal(*weights)
    if algo == "bc":  # a sample that is drawn otherwise leads elsewhere
        assert th.nn.functional.cosine_similarity(*weights, dim=0) > 0.95
