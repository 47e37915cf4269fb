"""Own classes: what is typed is imported, what a file asks for only where it is trusted."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig, config_from_file
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.runs.files.trust import (
    asked_modules,
    check_trusted,
    reach_typed,
    registered_modules,
)
from nlp_gym_agents.runs.folder import read_config
from nlp_gym_agents.training.train import resume, train

MODULE = "my_algorithms"
TINY = "policy_kwargs.features_extractor_kwargs.hidden:[8]"


def command(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an algorithm of one's own, in a package of one's own."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("own")
    (folder / MODULE).mkdir()
    (folder / MODULE / "__init__.py").write_text("")
    source = (
        "from nlp_gym_agents.algorithms.imitation.bc import BC\n\n\nclass Mine(BC):\n    pass\n"
    )
    (folder / MODULE / "clone.py").write_text(source)
    data = folder / "words.conll"
    data.write_text("".join(f"Ann{i} B-PER\nsings O\n\n" for i in range(12)))
    sys.path.insert(0, str(folder))
    options = ["--env", "NER-v0", "--data", str(data), "--encoder", "hashed", "--no-progress"]
    options += ["-n", "16", "--n-envs", "2", "--hyperparams", TINY]
    result = command(
        *("train", "--algo", f"{MODULE}.clone:Mine", "--run-dir", str(folder / "run"), *options)
    )
    sys.path.remove(str(folder))
    assert result.exit_code == 0, result.output
    # The report reads the run in the same command, by the name that was typed.
    assert (
        json.loads((folder / "run" / "report.json").read_text())["algo"] == f"{MODULE}.clone:Mine"
    )
    return folder / "run"


@pytest.fixture
def own(own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that run; its package can be imported, and is not."""
    monkeypatch.syspath_prepend(str(own_run.parent))
    for name in [name for name in sys.modules if name.partition(".")[0] == MODULE]:
        monkeypatch.delitem(sys.modules, name)
    return Path(shutil.copytree(own_run, tmp_path / "run"))


def test_trust_is_asked_for_by_name_on_the_command_line(own: Path) -> None:
    for words in (
        ["predict", str(own), "Ann1 sings."],
        ["evaluate", str(own), "--split", "dev"],
        ["train", "--resume", str(own)],
        ["train", "--conf-file", str(own / "config.yml"), "--run-dir", str(own / "again")],
    ):
        result = command(*words)
        assert result.exit_code == 1
        assert f"--trust {MODULE}.clone" in result.stderr
        assert f"algo='{MODULE}.clone:Mine'" in result.stderr
        assert str(own) in result.stderr
        assert MODULE not in sys.modules
    result = command("predict", str(own), "Ann1 sings.", "--trust", "other", "--trust", MODULE)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["tokens"][1]["text"] == "sings"


def test_trust_in_python_covers_the_modules_of_a_package(own: Path) -> None:
    for call in (load_trained, Agent, evaluate, resume):
        with pytest.raises(RunError, match=rf"trust=\('{MODULE}.clone',\)"):
            call(own)  # type: ignore[operator]
    for wrong in ("my_algorithm", "my_algorithms.clo", "clone"):
        with pytest.raises(RunError, match="--trust"):
            load_trained(own, trust=(wrong,))
    assert MODULE not in sys.modules
    assert load_trained(own, trust=MODULE).env_id == "NER-v0"
    assert evaluate(own, "dev", trust=[f"{MODULE}.clone"], bootstrap=0).n > 0
    assert resume(own, n_timesteps=20, progress=False, command=["x"], trust=(MODULE,)) == own
    assert config_from_file(own / "config.yml", trust=MODULE).algo == f"{MODULE}.clone:Mine"


def test_trust_of_a_run_to_start_from(own: Path, tmp_path: Path) -> None:
    data = read_config(own, trust=MODULE)["data"]
    config = TrainConfig(
        env="NER-v0",
        algo="bc",
        n_timesteps=8,
        hyperparams={"policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}}},
        data=data,
        encoder="hashed",
        warm_start=str(own),
    )
    with pytest.raises(RunError, match=f"--trust {MODULE}.clone"):
        train(config, run_dir=tmp_path / "a", progress=False)
    assert MODULE not in sys.modules
    train(config, run_dir=tmp_path / "b", progress=False, trust=(MODULE,))


@pytest.mark.parametrize("trust", ["a b", "", "a/b", "mod:Class", ["a", 3], 5, ".a", "a."])
def test_trust_that_names_no_module(trust: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be the name of a module"):
        check_trusted({}, "config.yml", trust)


def test_trust_asked_modules_are_found_at_any_depth() -> None:
    settings = {
        "env": "a.b:My-v0",
        "algo": "c:D",
        "perturb": "typos:0.2",
        "device": "cuda:1",
        "env_kwargs": {
            "tasks": ["NER-v0", "e:F-v0"],
            "task_kwargs": {"g:H-v0": {"task": "i:J"}},
            "encoder_kwargs": {"layers": "mean:1-2"},
        },
        "hyperparams": {"env_kwargs": {"task": "k:L"}},
        "learnt": [{"task": "m:N"}],
    }
    found = [module for _, _, module in asked_modules(settings)]
    assert sorted(found) == ["a.b", "c", "e", "g", "i", "k", "m"]


def test_trust_is_not_needed_for_what_is_registered() -> None:
    for algo in ("bc", "sb3_contrib:TRPO", "stable_baselines3:A2C"):
        check_trusted({"algo": algo, "env": "nlp_gym:NER-v0"}, "x")
    task = "nlp_gym.tasks.labels.classification:Classification"
    check_trusted({"env_kwargs": {"task": task}}, "x")
    assert "nlp_gym.tasks.tagging.task" in registered_modules()
    with pytest.raises(RunError, match="os"):
        check_trusted({"algo": "os:system"}, "x")


@pytest.fixture
def logged(own: Path, tmp_path: Path) -> Path:
    """A run whose settings name a folder of logs elsewhere."""
    settings = yaml.safe_load((own / "config.yml").read_text())
    settings |= {"algo": "bc", "tensorboard_log": str(tmp_path / "logs")}
    (own / "config.yml").write_text(yaml.safe_dump(settings))
    for file in own.rglob("settings.json"):
        file.write_text(file.read_text().replace(f"{MODULE}.clone:Mine", "bc"))
        manifest = json.loads(file.with_name("manifest.json").read_text())
        manifest["files"]["settings.json"] = hashlib.sha256(file.read_bytes()).hexdigest()
        file.with_name("manifest.json").write_text(json.dumps(manifest))
    return own


def test_resume_logs_elsewhere_only_where_it_is_said(logged: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for words in (["--resume", str(logged)], ["--conf-file", str(logged / "config.yml")]):
        result = command("train", *words, "--no-progress", "--no-report")
        assert result.exit_code == 1
        assert "--tensorboard-log" in result.stderr
    assert not logs.exists()
    words = ["--resume", str(logged), "--tensorboard-log", str(logs)]
    result = command("train", *words, "-n", "24", "--no-progress", "--no-report")
    assert result.exit_code == 0, result.output
    assert list(logs.glob("events*"))
    inside = logged / "tensorboard"
    before = len(list(inside.glob("events*")))
    resume(logged, n_timesteps=32, progress=False, command=["x"], tensorboard_log=inside)
    assert len(list(inside.glob("events*"))) == before + 1
    resume(logged, progress=False)  # what was said stays on record, and lies inside


def test_resume_follows_links_that_stay_inside(logged: Path, tmp_path: Path) -> None:
    inside, logs = logged / "tensorboard", tmp_path / "elsewhere"
    (logged / "newest").symlink_to("checkpoints")
    resume(logged, progress=False, command=["x"], tensorboard_log=inside)
    inside.rename(logs)
    inside.symlink_to(logs)
    with pytest.raises(RunError, match="symbolic link"):
        resume(logged, progress=False)
    resume(logged, progress=False, command=["x"], tensorboard_log=logs)


def test_predict_reads_a_run_of_links(own: Path, tmp_path: Path) -> None:
    """As the Hub's cache lays out a folder that was downloaded."""
    folder = tmp_path / "linked" / "best"
    folder.mkdir(parents=True)
    for file in (own / "best").iterdir():
        (folder / file.name).symlink_to(file)
    record = Agent(folder.parent, trust=MODULE).predict(["Ann1 sings."])[0].to_dict()
    assert [token["text"] for token in record["tokens"]] == ["Ann1", "sings", "."]


def test_trust_typed_module_may_lie_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does for `python -m`; a console script has no current folder on its path."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_clone.py").write_text(
        "import my_helper\nfrom nlp_gym_agents.algorithms.imitation.bc import BC\n\n\n"
        "class Mine(BC):\n    pass\n"
    )
    (tmp_path / "my_helper.py").write_text("")
    (tmp_path / "json.py").write_text("raise SystemExit")  # an installed name comes first
    before = list(sys.path)
    options = ["--env", "NER-v0", "--encoder", "hashed", "--no-progress", "--no-report", "-n", "16"]
    options += ["--env-kwargs", "corpus:sample", "--n-envs", "2", "--hyperparams", TINY]
    missing = command("train", "--algo", "my_missing:Mine", *options)
    assert "cannot be imported" in missing.stderr
    command("train", "--algo", "json:Mine", *options)
    command("train", "--algo", "ppoo", *options)
    assert sys.path == before  # nothing was typed that lies here and only here
    done = command("train", "--algo", "my_clone:Mine", "--run-dir", "run", *options)
    assert done.exit_code == 0, done.output
    assert sys.path == [*before, str(tmp_path)]
    # What a run asks for is not typed.
    monkeypatch.setattr(sys, "path", before)
    for name in ("my_clone", "my_helper"):
        monkeypatch.delitem(sys.modules, name)
    refused = command("evaluate", "run", "--split", "dev")
    assert "--trust my_clone" in refused.stderr
    assert "my_clone" not in sys.modules
    assert command("evaluate", "run", "--split", "dev", "--trust", "my_clone").exit_code == 0


def test_trust_a_folder_elsewhere_is_not_taken_for_a_typed_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where `nlp-gym new-task` was called in a folder that is on the path."""
    inside = tmp_path / "my_shelf_of_tests"
    (inside / "my_shelf_of_tests").mkdir(parents=True)
    (inside / "my_shelf_of_tests" / "__init__.py").write_text("FOUND = True\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.chdir(inside)
    reach_typed(["my_shelf_of_tests"])
    try:
        assert importlib.import_module("my_shelf_of_tests").FOUND
    finally:
        sys.modules.pop("my_shelf_of_tests", None)
