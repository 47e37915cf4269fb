"""Agents that compress: what a run stores, predictions on any text, baselines of the report."""

from pathlib import Path

import pytest

from nlp_gym_agents import load_agent
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.test_report import final_report
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.training.train import train

CHINESE = "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """A barely trained agent."""
    config = TrainConfig(
        env="Compression-v0",
        algo="bc",
        n_timesteps=64,
        env_kwargs={"corpus": "sample", "encoder": "hashed", "max_words": 9},
        hyperparams={"policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}}},
        device="cpu",
    )
    run = train(config, run_dir=tmp_path_factory.mktemp("compression") / "run", progress=False)
    return load_agent(run, device="cpu")


@pytest.mark.parametrize("text", ["The old ferry came late.", CHINESE, "word " * 300, "Yes", "!"])
def test_compression_predicts_on_any_text(agent: Agent, text: str) -> None:
    (result,) = agent.predict([text])
    words = [token.text for token in result.tokens]
    assert 1 <= len(result.kept) <= min(9, len(words))
    assert result.compression
    assert len(result.compression) <= len(text.strip())
    assert "".join(words) == "".join(text.split())
    assert result.ratio == round(len(result.kept) / len(words), 4)


def test_compression_of_nothing_is_nothing(agent: Agent) -> None:
    assert [one.compression for one in agent.predict(["", "  "])] == ["", ""]


def test_compression_runs_keep_their_language_model(agent: Agent) -> None:
    own = agent.trained.task("train")
    assert agent.trained.settings["learnt"] == own.learnt
    other = agent.trained.task("test", data=[own.sample(3)])
    assert other.model.words == own.model.words


def test_compression_report_has_its_own_baselines(agent: Agent) -> None:
    task = agent.trained.task("test")
    found = run_baselines(task, task, ["oracle", *task.own_baselines], bootstrap=0, report=False)
    assert found["oracle"].value >= max(score.value for score in found.values())
    report = final_report(Path(agent.trained.run), device="cpu")
    assert set(task.own_baselines) <= set(report["baselines"])
