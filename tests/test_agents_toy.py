"""A task of a third party, from training to predictions, whatever files it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_tasks_toy import TOY, registered
from typer.testing import CliRunner

from nlp_gym_agents.cli.main import app

__all__ = ["registered"]  # its row is in the table for every test here

SMALL = {
    "masked_dqn": ["buffer_size:500", "learning_starts:50"],
    "maskable_ppo": ["n_steps:8", "batch_size:64"],
}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    assert "warning: no" not in result.stderr  # how a report or an example that failed is told
    return result.stdout


@pytest.mark.parametrize("algo", list(SMALL))
def test_toy_task_of_tagged_texts_that_labels_no_words(algo: str, tmp_path: Path) -> None:
    """Its family says which files it reads, and nothing of what agents do with it."""
    folder, score, records = tmp_path / "run", tmp_path / "score.json", tmp_path / "out.jsonl"
    options = ["-n", "400", "--n-envs", "8", "--encoder", "hashed", "--no-progress"]
    printed = run(
        *("train", "--env", TOY, "--algo", algo, *options, "--run-dir", str(folder)),
        *("--env-kwargs", "corpus:sample", "--hyperparams", *SMALL[algo]),
    )
    assert printed.splitlines()[-1] == str(folder)
    report = json.loads((folder / "report.json").read_text())
    assert report["metric"] == "accuracy"
    assert report["baselines"]["oracle"]["value"] == 1.0
    assert set(report["baselines"]) == {"random", "majority", "oracle"}

    printed = run("evaluate", str(folder), "--json", str(score))
    assert f"accuracy {report['value']:.4f}" in printed
    assert json.loads(score.read_text())["value"] == report["value"]

    source = tmp_path / "in.conll"
    source.write_text("Ann\nsings\n\nElizabeth\nsleeps\n\nBob\n")
    run("predict", str(folder), "--input", str(source), "--output", str(records))
    found = [json.loads(line) for line in records.read_text().splitlines()]
    assert [record["id"] for record in found] == ["in.conll:1", "in.conll:4", "in.conll:7"]
    assert all(record["choice"] in range(3) for record in found)
