"""Runs that write beside each other, and what they show at their end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.learning.writing import compare
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.generation.samples import source_text
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.evaluation.example import print_example
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.training.train import train

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(folder: Path, pair: str) -> Path:
    decoder = {"features_extractor_kwargs": {"width": 16, "layers": 1, "heads": 2}}
    config = TrainConfig(
        "Translation-Multi30k-v0",
        "bc",
        n_timesteps=96,
        hyperparams={"batch_size": 64, "policy_kwargs": decoder},
        env_kwargs={"corpus": "sample", "encoder": "hashed", "pair": pair},
        device="cpu",
    )
    return train(config, run_dir=folder, progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("compared") / "bc", "en-de")


def test_writing_runs_are_compared_on_the_same_texts(run: Path) -> None:
    found = compare([str(run), str(run)], "dev", 2)
    assert found["texts"] == 30
    assert found["runs"][str(run)]["bleu"] == evaluate(run, "dev", env_kwargs={"beam": 2}).value
    assert all(difference == (0, 0, 0) for difference in found["differences"].values())


def test_writing_runs_show_what_they_make_of_a_text_of_their_corpus(run: Path) -> None:
    shown = io.StringIO()
    print_example(run, Console(file=shown))
    head, source, gold, _, decided = shown.getvalue().splitlines()
    number = int(head.rpartition(":")[0].rpartition(":")[2])
    sample = load_trained(run).task("dev").corpus.samples[number - 1]
    assert source.strip()[1:40] in source_text(sample)
    assert gold.strip()[4:40] in sample.gold[0]
    assert decided.strip().startswith(("'", '"'))


def test_writing_runs_on_other_texts_are_not_compared(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="different texts"):
        compare([str(run), str(trained(tmp_path / "other", "de-en"))], "dev", 1)


def test_runs_that_do_not_write_are_not_compared(tmp_path: Path) -> None:
    config = TrainConfig(
        "POS-EWT-v0",
        "bc",
        n_timesteps=64,
        env_kwargs={"corpus": "sample", "encoder": "hashed"},
        device="cpu",
    )
    tagger = str(train(config, run_dir=tmp_path / "tagger", progress=False))
    with pytest.raises(InvalidArgumentError, match="no texts are written"):
        compare([tagger, tagger], "dev", 1)
