"""Networks that are too large are refused before a weight of them is made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models import size_limit
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.size_limit import SizeLimit, check_width


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file({"w": torch.zeros(10, 10)}, tmp_path / "policy.safetensors")
    return tmp_path / "policy.safetensors"


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(10**5, 10**5),
        lambda: nn.Embedding(10**6, 10**3),
        lambda: nn.LSTM(10, 10**5),
        lambda: torch.eye(10**5),
        lambda: torch.zeros(10**5, 10**5),
        lambda: torch.ones(size=(10**5, 10**5)),
        lambda: nn.Sequential(*(nn.Linear(1, 1) for _ in range(3000))),
    ],
)
def test_size_limit_of_weights(make: object, weights: Path) -> None:
    with SizeLimit.of_weights(weights, pretrained=False):
        nn.Sequential(nn.Linear(10, 10), nn.LSTM(10, 10), nn.Embedding(10, 10))
        with pytest.raises(RunError, match="more weights than this file holds"):
            make()  # type: ignore[operator]


def test_size_limit_counts_no_tensors_without_storage(weights: Path) -> None:
    with SizeLimit.of_weights(weights, pretrained=False):
        assert nn.Linear(10**5, 10**5, device="meta").weight.shape == (10**5, 10**5)
        with torch.device("meta"):
            assert nn.Linear(10**5, 10**5).weight.shape == (10**5, 10**5)


@pytest.mark.parametrize("algo", ["bc", "dqn", "recurrent_ppo"])
def test_size_limit_of_memory_names_the_hyperparameters(
    algo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size_limit, "memory_limit", lambda: 2**30)
    task = make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 8})
    kwargs = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [2**16, 2**16]}}}
    with pytest.raises(InvalidArgumentError, match=r"hyperparams=.*does not fit into"):
        build_model(resolve(algo), task, load_hyperparams(algo, "NER-CoNLL-v0", kwargs))


def test_size_limit_of_memory_is_for_what_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_limit, "memory_limit", lambda: 1600)
    with SizeLimit.of_memory({}):
        nn.Linear(10, 9)
    with SizeLimit.of_memory({}), pytest.raises(InvalidArgumentError):
        nn.Linear(10, 10)


def test_size_limit_of_vectors(weights: Path) -> None:
    task = make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 8})
    check_width(task.encoder, weights)
    wide = make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 512})
    with pytest.raises(RunError, match="vectors of 512 numbers"):
        check_width(wide.encoder, weights)
