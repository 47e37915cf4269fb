"""Tasks of a third party, from training to predictions, whatever files they read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_tasks_toy import IDS, registered
from typer.testing import CliRunner

from nlp_gym.tasks.core.make import task_class
from nlp_gym_agents.cli.main import app

__all__ = ["registered"]  # an automatic fixture: their rows are in the table for every test here

ROOT = Path(__file__).resolve().parent.parent
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
    [
        pytest.param("FirstWord", "dqn", marks=pytest.mark.slow),
        *(
            pytest.param(
                toy,
                "bc" if toy == "Shout" else "maskable_ppo",
                marks=[pytest.mark.slow] if place else [],
            )
            for place, toy in enumerate(IDS)
        ),
    ],
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
    if toy == "CapitalWords":
        record = json.loads(run("predict", str(folder), "Ann sings again."))
        assert record["candidates"] == ["Ann", "sings", "again", "Capital"]
    if cls.labels_words:
        assert [[token["text"] for token in record["tokens"]] for record in found] == WORDS


PLUGIN = """
import gymnasium as gym

from nlp_gym.tasks import LabelText


class Length(LabelText):
    family = "tagging"

    def right(self, row):
        return "long" if len(self.sample(row).words) > 10 else "short"


gym.register(
    id="My-Length-v0",
    entry_point="nlp_gym.envs.single:TaskEnv",
    vector_entry_point="nlp_gym.envs.vector:TaskVectorEnv",
    kwargs={"task": "my_package:Length", "dataset": "conll2003"},
)
"""


@pytest.mark.slow
def test_toy_package_of_ones_own_is_named_in_front_of_the_id(tmp_path: Path) -> None:
    """Each command is a process of its own, which knows the id by the module alone."""
    (tmp_path / "my_package.py").write_text(PLUGIN)
    paths = [str(tmp_path), str(ROOT), str(ROOT / "agents")]

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nlp_gym", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
        )

    train = ["train", "--algo", "bc", "-n", "200", "--encoder", "hashed", "--no-report"]
    done = command(*train, "--env", "my_package:My-Length-v0")
    assert done.returncode == 0, done.stderr
    run = done.stdout.splitlines()[-1]
    assert Path(tmp_path, run).name == "my_package_My-Length-v0_1"
    refused = command("evaluate", run)
    assert refused.returncode == 1
    assert "--trust my_package" in refused.stderr
    assert command("evaluate", run, "--trust", "my_package").returncode == 0
    predicted = command("predict", run, "Short text.", "--trust", "my_package")
    assert json.loads(predicted.stdout)["label"] in ("long", "short")

    missing = command(*train, "--env", "no_such_package:My-Length-v0")
    assert missing.returncode == 1
    assert "'no_such_package' cannot be imported" in missing.stderr
