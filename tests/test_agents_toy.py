"""Tasks of a third party, from training to predictions, whatever files they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_tasks_toy import IDS, registered
from typer.testing import CliRunner

from nlp_gym.tasks.core.make import task_class
from nlp_gym_agents.cli.main import app

__all__ = ["registered"]  # an automatic fixture: their rows are in the table for every test here

SMALL = {
    "bc": [f"policy_kwargs.features_extractor_kwargs.{size}" for size in ("width:32", "layers:1")],
    "dqn": ["buffer_size:500", "learning_starts:50"],
    "maskable_ppo": ["n_steps:8", "batch_size:64"],
}
WORDS = [["Ann", "sings"], ["Elizabeth", "sleeps", "again"], ["Bob"]]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    assert "warning: no" not in result.stderr  # how a report or an example that failed is told
    return result.stdout


@pytest.mark.parametrize(
    ("toy", "algo"),
    [(toy, "bc" if toy == "Shout" else "maskable_ppo") for toy in IDS] + [("FirstWord", "dqn")],
)
def test_toy_task_is_trained_scored_and_predicts(toy: str, algo: str, tmp_path: Path) -> None:
    """All read tagged texts, and only one of them labels their words."""
    folder, score, records = tmp_path / "run", tmp_path / "score.json", tmp_path / "out.jsonl"
    options = ["-n", "400", "--n-envs", "8", "--encoder", "hashed", "--no-progress"]
    printed = run(
        *("train", "--env", IDS[toy], "--algo", algo, *options, "--run-dir", str(folder)),
        *("--env-kwargs", "corpus:sample", "--hyperparams", *SMALL[algo]),
    )
    assert printed.splitlines()[-1] == str(folder)
    report = json.loads((folder / "report.json").read_text())
    cls = task_class(IDS[toy])
    assert set(report["baselines"]) == {"random", "majority", "oracle", *cls.baselines}
    assert report["baselines"]["oracle"]["value"] == 1.0

    printed = run("evaluate", str(folder), "--json", str(score))
    assert f"{report['metric']} {report['value']:.4f}" in printed
    assert json.loads(score.read_text())["value"] == report["value"]

    source = tmp_path / "in.conll"
    source.write_text("\n\n".join("\n".join(words) for words in WORDS))
    run("predict", str(folder), "--input", str(source), "--output", str(records))
    found = [json.loads(line) for line in records.read_text().splitlines()]
    assert [record["id"] for record in found] == ["in.conll:1", "in.conll:4", "in.conll:8"]
    if cls.labels_words:
        assert [[token["text"] for token in record["tokens"]] for record in found] == WORDS
