"""Everything of an agent is on its device: on a GPU that is pretended, so that CI needs none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import assert_same_results, save_bert, word_piece
from pretend_gpu import CPU, GPU, WrongDeviceError, pretend_gpu

from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.networks.encoder.placement import home
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.training.train import resume, train


def test_the_pretended_gpu_refuses_what_cuda_refuses() -> None:
    with pretend_gpu() as places:
        here, there = torch.ones(3, 3), torch.ones(3, 3, device="cuda")
        assert (here.device, there.device, there.t()[0].device) == (CPU, GPU, GPU)
        assert (there @ there + 1).is_cuda
        assert there.sum().item() == 9
        with pytest.raises(WrongDeviceError, match="mm"):
            here @ there
        with pytest.raises(WrongDeviceError, match="index_select"):
            there.index_select(0, torch.tensor([0]))
        with pytest.raises(WrongDeviceError, match="indices on the GPU"):
            here[torch.tensor([0], device="cuda")]
        assert there[torch.tensor([0])].is_cuda
        with pytest.raises(WrongDeviceError, match="numpy"):
            there.numpy()
        assert there.cpu().numpy().sum() == 9
        assert not here.to(there.cpu().device).is_cuda
        layer = torch.nn.Linear(3, 2).to("cuda")
        optimizer = torch.optim.Adam(layer.parameters())
        layer(there).sum().backward()
        optimizer.step()
        assert layer.weight.grad is not None
        assert layer.weight.is_cuda
        assert layer.weight.grad.is_cuda
        with pytest.raises(WrongDeviceError):
            layer(here)
        assert places.calls > 10


ROLLOUTS = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}
REPLAY = {"buffer_size": 256, "learning_starts": 16, "batch_size": 16, "train_freq": 4}
CASES: dict[str, dict[str, Any]] = {
    "ppo": {"algo": "ppo", "hyperparams": ROLLOUTS},
    "recurrent_ppo": {"algo": "recurrent_ppo", "hyperparams": ROLLOUTS},
    "a2c": {"algo": "a2c", "hyperparams": {"n_steps": 8}},
    "bc": {"algo": "bc", "hyperparams": {"batch_size": 32}},
    "masked_dqn": {"algo": "masked_dqn", "hyperparams": REPLAY},
    "qrdqn": {"algo": "qrdqn", "hyperparams": REPLAY},
    "warm start": {"algo": "dqn", "hyperparams": REPLAY, "warm_start": "bc:1"},
    "candidates": {"env": "SpanQA-v0", "algo": "maskable_ppo", "hyperparams": ROLLOUTS},
    "candidates, values": {"env": "SpanQA-v0", "algo": "masked_dqn", "hyperparams": REPLAY},
    "writing": {"env": "Translation-v0", "algo": "maskable_ppo", "hyperparams": ROLLOUTS},
    "graph": {"env": "KnowledgeGraph-v0", "algo": "maskable_ppo", "hyperparams": ROLLOUTS},
    "finetune": {"algo": "ppo", "encoder_mode": "finetune", "hyperparams": ROLLOUTS},
    "lora, values": {"algo": "masked_dqn", "encoder_mode": "lora", "hyperparams": REPLAY},
    "adapter": {"algo": "bc", "encoder_mode": "adapter", "hyperparams": {"batch_size": 32}},
}
FAST = ("ppo", "candidates, values", "finetune")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert"), word_piece())


def settings(name: str, bert: Path) -> TrainConfig:
    """A run of 64 steps that learns on the pretended GPU."""
    changes = {"env": "POS-v0", **CASES[name]}
    learns = "encoder_mode" in changes
    kwargs: dict[str, Any] = {"corpus": "sample"}
    if learns:
        kwargs["encoder_kwargs"] = {"layers": "1+3", "dtype": "float32"}
        changes["hyperparams"] = {**changes["hyperparams"], "tuning": {"rank": 2, "bottleneck": 4}}
    return TrainConfig(
        **changes,
        n_timesteps=64,
        n_envs=4,
        encoder=str(bert) if learns else "hashed",
        env_kwargs=kwargs,
        eval_freq=64,
        save_freq=32,
        device="cuda",
    )


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FAST else [pytest.mark.slow]) for n in CASES]
)
def test_agents_act_learn_resume_and_are_scored_on_a_gpu(
    name: str, bert: Path, tmp_path: Path
) -> None:
    with pretend_gpu() as places:
        run = train(settings(name, bert), run_dir=tmp_path / "run", progress=False)
        learned = places.calls
        assert learned > 200
        resume(run, n_timesteps=96, progress=False)
        assert places.calls > learned + 100
        played = places.calls
        scored = evaluate(run, "dev", device="cuda", bootstrap=0)
        assert places.calls > played
    again = evaluate(run, "dev", device="cpu", bootstrap=0)
    assert again.value == pytest.approx(scored.value, abs=1e-6)


def test_a_prediction_is_made_on_a_gpu(bert: Path, tmp_path: Path) -> None:
    with pretend_gpu() as places:
        run = train(settings("ppo", bert), run_dir=tmp_path / "run", progress=False)
        before = places.calls
        found = Agent(run, device="cuda").predict(["They went to the sea ."])
        assert places.calls > before
    assert_same_results(Agent(run, device="cpu").predict(["They went to the sea ."]), found)


@pytest.mark.slow
def test_vectors_that_a_gpu_has_no_room_for_are_kept_in_the_main_memory(
    bert: Path, tmp_path: Path
) -> None:
    with pretend_gpu(memory=1000):
        assert home(800, GPU) == GPU
        assert home(801, GPU) == CPU
        run = train(settings("finetune", bert), run_dir=tmp_path / "small", progress=False)
        small = evaluate(run, "dev", device="cuda", bootstrap=0)
    with pretend_gpu():
        run = train(settings("finetune", bert), run_dir=tmp_path / "large", progress=False)
        assert evaluate(run, "dev", device="cuda", bootstrap=0).value == small.value
