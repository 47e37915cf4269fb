"""Perturbed texts and sets of pairs, through trained runs."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.base import Score
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.robustness import (
    CHALLENGES,
    evaluate_challenge,
    evaluate_perturbed,
    perturbation_table,
    suitable_perturbations,
)
from nlp_gym_agents.training.train import train

SMALL = {"encoder": "hashed", "corpus": "sample"}


def trained(env, folder):
    config = TrainConfig(env=env, algo="bc", n_timesteps=400, env_kwargs=SMALL)
    return train(config, run_dir=folder, progress=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    ids = ("NER-CoNLL-v0", "Sentiment-SST2-v0", "SpanQA-SQuAD-v0", "KnowledgeGraph-WN18RR-v0")
    return {env: trained(env, base / env) for env in ids}


def test_robustness_scores_clean_and_perturbed_texts(runs):
    scores = evaluate_perturbed(runs["NER-CoNLL-v0"], ["upper", "entity-swap"], "dev", bootstrap=0)
    assert list(scores) == ["clean", "upper", "entity-swap"]
    hashes = [score.report["corpus"]["text_sha256"] for score in scores.values()]
    assert len(set(hashes)) == 3
    shown = perturbation_table(scores)
    assert f"{scores['upper'].value:.4f}" in shown


def test_robustness_table_has_no_share_of_nothing():
    scores = {
        "clean": Score("accuracy", 0.0, None, 1, ""),
        "typos": Score("accuracy", 0.5, None, 1, ""),
    }
    assert [line.split()[-1] for line in perturbation_table(scores).splitlines()[1:]] == ["-", "-"]


def test_robustness_all_is_what_suits_the_family(runs):
    assert "entity-swap" in suitable_perturbations(runs["NER-CoNLL-v0"])
    assert set(suitable_perturbations(runs["Sentiment-SST2-v0"])) >= {"typos", "lower"}
    assert "entity-swap" not in suitable_perturbations(runs["Sentiment-SST2-v0"])
    with pytest.raises(InvalidArgumentError, match="suits"):
        evaluate_perturbed(runs["KnowledgeGraph-WN18RR-v0"], ["all"])
    with pytest.raises(InvalidArgumentError, match="does not suit"):
        evaluate_perturbed(runs["KnowledgeGraph-WN18RR-v0"], ["typos"])
    with pytest.raises(UnknownNameError, match="typos"):
        evaluate_perturbed(runs["NER-CoNLL-v0"], ["typo"])


@pytest.mark.parametrize(
    ("name", "env"), [("counterfactual", "Sentiment-SST2-v0"), ("paraphrase", "SpanQA-SQuAD-v0")]
)
def test_robustness_challenge_counts_pairs(runs, name, env):
    score = evaluate_challenge(runs[env], name, bootstrap=50)
    facts = score.report["challenge"]
    assert facts["pairs"] == score.n // 2
    assert score.report["corpus"]["bundled"]
    assert score.report["corpus"]["name"] == CHALLENGES[name].dataset
    first, second = facts[CHALLENGES[name].first], facts[CHALLENGES[name].second]
    assert 0.0 <= facts["both"] <= 1.0
    if name == "counterfactual":  # accuracy: the whole is the mean of the halves
        assert score.value == pytest.approx((first + second) / 2)
        assert facts["both"] <= min(first, second)


def test_robustness_challenge_misuse(runs):
    with pytest.raises(UnknownNameError, match="counterfactual"):
        evaluate_challenge(runs["Sentiment-SST2-v0"], "counter")
    with pytest.raises(InvalidArgumentError, match="family 'spanqa'"):
        evaluate_challenge(runs["Sentiment-SST2-v0"], "paraphrase")


def test_robustness_command_line(runs, tmp_path):
    file = tmp_path / "score.json"
    arguments = [
        "evaluate",
        str(runs["Sentiment-SST2-v0"]),
        "--bootstrap",
        "0",
        "--json",
        str(file),
    ]
    result = CliRunner().invoke(app, [*arguments, "--perturb", "typos", "--perturb", "lower:0.5"])
    assert result.exit_code == 0, result.output
    assert "lower:0.5" in result.output
    assert set(json.loads(file.read_text())["perturbed"]) == {"typos", "lower:0.5"}
    result = CliRunner().invoke(app, [*arguments, "--challenge", "counterfactual"])
    assert result.exit_code == 0, result.output
    assert json.loads(file.read_text())["challenge"]["pairs"] == 4


@pytest.mark.parametrize(
    "options",
    [
        ["--perturb", "typos"],
        ["--data", "x"],
        ["--env-kwargs", "chunk:2"],
        ["--searches", "3"],
        ["--split", "dev"],
    ],
)
def test_robustness_challenge_takes_no_other_texts(runs, options):
    run = str(runs["Sentiment-SST2-v0"])
    result = CliRunner().invoke(app, ["evaluate", run, "--challenge", "counterfactual", *options])
    assert result.exit_code == 1
    assert f"challenge='counterfactual' cannot be combined with {options[0]}:" in result.stderr


def test_robustness_evaluate_takes_the_split_by_its_name(runs):
    run = str(runs["Sentiment-SST2-v0"])
    result = CliRunner().invoke(app, ["evaluate", run, "--env-kwargs", "split:dev"])
    assert result.exit_code == 1
    assert "env_kwargs='split'" in result.stderr
