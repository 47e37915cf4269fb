"""Adversarial training of an encoder: embeddings move where the loss rises, and runs resume."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch as th

from nlp_gym_agents.algorithms.adversarial import AdversarialOptions, _Moves, adversarial_backward
from nlp_gym_agents.algorithms.imitation.bc import cloning_loss
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.start.setup import set_up
from nlp_gym_agents.training.train import resume, train

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def config(folder: Path, **changes: Any) -> TrainConfig:
    """Settings of a run of 96 decisions on questions, with a checkpoint every 32."""
    hidden = {"features_extractor_kwargs": {"hidden": [8], "pointer_dim": 8}}
    still = {"dropout": 0.0, "attention_dropout": 0.0, "hold": 0.0}
    options = {"batch_size": 16, "policy_kwargs": hidden, "tuning": {"lr": 3e-3, **still}}
    layers = {"layers": "1+3", "dtype": "float32"}
    values: dict[str, Any] = {
        "env": "Question-TREC-v0",
        "algo": "bc",
        "n_timesteps": 96,
        "encoder": str(folder),
        "encoder_mode": "finetune",
        "hyperparams": {**options, **changes.pop("hyperparams", {})},
        "env_kwargs": {"corpus": "sample", "encoder_kwargs": layers},
        "eval_freq": 96,
        "save_freq": 32,
        "adversarial": "fgm",
        **changes,
    }
    return TrainConfig(**values)


def gradients(model: Any, options: AdversarialOptions | None) -> tuple[float, list[th.Tensor]]:
    """The loss of a batch, and the gradients that an update would use."""
    policy = model.policy
    policy.set_training_mode(True)
    batch = model.data.take(model.data.order(0, whole_texts=True)[:8], model.device)
    policy.optimizer.zero_grad()

    def loss() -> th.Tensor:
        return cloning_loss(policy, batch)[0]

    if options is None:
        found = loss()
        found.backward()
    else:
        found = adversarial_backward(policy, loss, options)
    return found.item(), [p.grad.clone() for p in policy.parameters() if p.grad is not None]


def test_moves_leave_the_loss_and_mix_the_gradients(tiny_bert: Path) -> None:
    model = set_up(merge(config(tiny_bert))).model
    plain_loss, plain = gradients(model, None)
    loss, none = gradients(model, AdversarialOptions("fgm", weight=0.0))
    assert loss == pytest.approx(plain_loss, abs=1e-6)
    for own, other in zip(none, plain, strict=True):
        assert th.allclose(own, other, atol=1e-6)
    tiny = gradients(model, AdversarialOptions("pgd", size=1e-6, weight=1.0))[1]
    for own, other in zip(tiny, plain, strict=True):
        assert th.allclose(own, other, atol=1e-4)
    moved = gradients(model, AdversarialOptions("fgm", size=0.5, weight=1.0))[1]
    assert not all(
        th.allclose(own, other, atol=1e-5) for own, other in zip(moved, plain, strict=True)
    )


@pytest.mark.parametrize("method", ["fgm", "pgd"])
def test_moves_raise_the_loss_and_stay_inside_the_ball(
    method: str, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = set_up(merge(config(tiny_bert))).model
    policy, seen = model.policy, list[float]()
    policy.set_training_mode(True)
    batch = model.data.take(model.data.order(0, whole_texts=True)[:8], model.device)

    def loss() -> th.Tensor:
        found = cloning_loss(policy, batch)[0]
        seen.append(found.item())
        return found

    shares: list[float] = []
    step = _Moves.step

    def watched(self: _Moves, length: float, radius: float) -> None:
        step(self, length, radius)
        for move, embedded in zip(self._moves, self._embedded, strict=True):
            shares.extend((move.norm(dim=(1, 2)) / embedded.norm(dim=(1, 2))).tolist())

    monkeypatch.setattr(_Moves, "step", watched)
    adversarial_backward(policy, loss, AdversarialOptions(method, size=0.05, steps=3))
    assert len(seen) == (2 if method == "fgm" else 4)
    assert seen[-1] > seen[0]
    assert max(shares) <= 0.05 + 1e-6
    if method == "fgm":
        assert min(shares) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("method", ["fgm", "pgd"])
def test_adversarial_runs_learn_otherwise_and_resume_exactly(
    method: str, tiny_bert: Path, tmp_path: Path
) -> None:
    given = config(tiny_bert, adversarial=method)
    run = train(given, run_dir=tmp_path / "run", progress=False)
    half = tmp_path / "half"
    shutil.copytree(run, half)
    shutil.rmtree(newest(half / "checkpoints")[0])
    resume(half, progress=False)
    last = [newest(r / "checkpoints")[0] / "policy.safetensors" for r in (run, half)]
    assert last[0].read_bytes() == last[1].read_bytes()
    trained = load_trained(run)
    assert trained.settings["hyperparams"]["adversarial"] == method
    assert trainable_encoders(trained.model(trained.task("test")).policy)
    if method == "fgm":
        plain = train(
            config(tiny_bert, adversarial=None), run_dir=tmp_path / "plain", progress=False
        )
        other = newest(plain / "checkpoints")[0] / "policy.safetensors"
        assert other.read_bytes() != last[0].read_bytes()


def test_adversarial_waits_while_the_encoder_stands_still(tiny_bert: Path) -> None:
    model = set_up(merge(config(tiny_bert))).model
    (encoder,) = trainable_encoders(model.policy)
    encoder.on_hold = lambda: True
    plain = gradients(model, None)[1]
    held = gradients(model, AdversarialOptions("fgm", size=1.0))[1]
    assert all(th.equal(own, other) for own, other in zip(held, plain, strict=True))
