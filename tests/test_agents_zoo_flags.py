"""Flags of RL Zoo's trainer mean the same at ``nlp-gym train``, or are answered in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.algorithms.registry import ALGORITHMS
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.cli.train import zoo_flags
from nlp_gym_agents.cli.train.zoo_flags import rewritten
from nlp_gym_agents.config.train_config import merge
from nlp_gym_agents.training import train as training
from nlp_gym_agents.training.search import optimize as optimizing
from nlp_gym_agents.training.tracking.tracker import Tracking

# Of rl_zoo3 2.9.2; tests/outside/test_rl_zoo.py compares it with the package that is installed.
ZOO_FLAGS: dict[str, tuple[str, ...]] = {
    "--algo": ("ppo",),
    "--env": ("POS-EWT-v0",),
    "-tb": ("logs",),
    "--tensorboard-log": ("logs",),
    "-i": ("model.zip",),
    "--trained-agent": ("model.zip",),
    "--truncate-last-trajectory": ("True",),
    "-n": ("100",),
    "--n-timesteps": ("100",),
    "--num-threads": ("1",),
    "--log-interval": ("10",),
    "--eval-freq": ("10",),
    "--optimization-log-path": ("logs",),
    "--eval-episodes": ("5",),
    "--n-eval-envs": ("2",),
    "--save-freq": ("10",),
    "--save-replay-buffer": (),
    "-f": ("logs",),
    "--log-folder": ("logs",),
    "--seed": ("3",),
    "--vec-env": ("subproc",),
    "--device": ("cpu",),
    "--n-trials": ("4",),
    "--max-total-trials": ("9",),
    "-optimize": (),
    "--optimize-hyperparameters": (),
    "--no-optim-plots": (),
    "--n-jobs": ("2",),
    "--sampler": ("random",),
    "--pruner": ("halving",),
    "--n-startup-trials": ("3",),
    "--n-evaluations": ("4",),
    "--storage": ("sqlite:///study.db",),
    "--study-name": ("mine",),
    "--trial-id": ("3",),
    "--verbose": ("0",),
    "--gym-packages": ("json", "csv"),
    "--env-kwargs": ("window:0", "reward:metric"),
    "--eval-env-kwargs": ("window:0",),
    "-params": ("learning_rate:0.01", "batch_size:32"),
    "--hyperparams": ("learning_rate:0.01", "batch_size:32"),
    "-conf": ("FILE",),
    "--conf-file": ("FILE",),
    "-uuid": (),
    "--uuid": (),
    "--track": (),
    "--wandb-project-name": ("sb3",),
    "--wandb-entity": ("team",),
    "--wandb-group": ("group",),
    "-P": (),
    "--progress": (),
    "-tags": ("one", "two"),
    "--wandb-tags": ("one", "two"),
}
SEARCHING: dict[str, tuple[str, ...]] = {
    "--n-trials": ("10",),  # the default, but typed
    "--max-total-trials": ("9",),
    "--n-jobs": ("2",),
    "--sampler": ("random",),
    "--pruner": ("halving",),
    "--n-startup-trials": ("3",),
    "--n-evaluations": ("4",),
    "--storage": ("sqlite:///study.db",),
    "--study-name": ("mine",),
    "--ray": ("local",),
    "--ray-cpus": ("2",),
}
"""Flags that need ``--optimize``; the last two are not RL Zoo's."""
ANSWERED = [
    "-i",
    "--trained-agent",
    "--truncate-last-trajectory",
    "--num-threads",
    "--log-interval",
    "--optimization-log-path",
    "--eval-episodes",
    "--n-eval-envs",
    "--vec-env",
    "--trial-id",
    "--eval-env-kwargs",
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What training, or a search, would be called with; nothing is trained."""
    given: dict[str, Any] = {}
    (tmp_path / "best.yml").write_text("found: true\n")

    def called(name: str) -> Any:
        def call(config: Any, **options: Any) -> Path:
            given.update(call=name, config=config, **options)
            return tmp_path

        return call

    monkeypatch.setattr(training, "train", called("train"))
    monkeypatch.setattr(optimizing, "optimize", called("optimize"))
    return given


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", "--no-report", *arguments])


@pytest.mark.parametrize("flag", ZOO_FLAGS)
def test_zoo_flag_works_or_is_answered_in_one_line(
    flag: str, asked: dict[str, Any], tmp_path: Path
) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text("format_version: 1\nalgo: ppo\n")
    values = [str(conf) if value == "FILE" else value for value in ZOO_FLAGS[flag]]
    others = ["--optimize"] if flag in SEARCHING else []
    if flag == "-tags" or flag.startswith("--wandb"):
        others = ["--track"]
    if flag == "--study-name":  # of a study in a storage
        others += ["--storage", "study.log"]
    result = run(*others, flag, *values)
    if flag in ANSWERED:
        assert result.exit_code == 2
        assert not asked
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"error: {flag} of RL Zoo has no counterpart: ")
        assert set(re.findall(r"--[a-z-]+", line.partition(":")[2])) & options()
    else:
        assert result.exit_code == 0, result.output
        searches = flag in SEARCHING or "optimize" in flag
        assert asked["call"] == ("optimize" if searches else "train")


def test_zoo_flags_of_tracking_mean_the_same(asked: dict[str, Any]) -> None:
    words = "--track --wandb-project-name sb3 --wandb-entity team --wandb-group g -tags one two"
    assert run(*words.split()).exit_code == 0
    assert asked["track"] == Tracking("sb3", "team", "g", ("one", "two"))
    asked.clear()
    for words, wanted in (("-tags one", "--track"), ("--track -optimize", "--conf-file")):
        result = run(*words.split())
        assert result.exit_code == 1
        assert not asked
        assert wanted in result.stderr


@pytest.mark.parametrize("flag", SEARCHING)
def test_zoo_flag_of_a_search_without_a_search_is_refused(flag: str, asked: dict[str, Any]) -> None:
    result = run(flag, *SEARCHING[flag])
    assert result.exit_code == 2
    assert not asked
    words = " ".join(re.sub(r"[^\w: .-]", " ", result.stderr).split())  # without the box
    assert f"{flag}: is for searches: give --optimize too." in words


def options() -> set[str]:
    """The flags of ``train``."""
    command: Any = typer.main.get_command(app)
    return {name for parameter in command.commands["train"].params for name in parameter.opts}


def test_zoo_flags_mean_the_same(asked: dict[str, Any], tmp_path: Path) -> None:
    words = "--algo ppo_lstm --env POS-EWT-v0 -n 300 --seed 7 --eval-freq 50 --save-freq 60"
    words += " --verbose 0 -uuid --save-replay-buffer --device cpu"
    words += f" -f {tmp_path}/logs -tb {tmp_path}/tb -params n_steps:8 batch_size:32"
    result = run(*words.split(), "--env-kwargs", "encoder:'hashed'", "window:0")
    assert result.exit_code == 0, result.output
    config = asked["config"]
    assert (config.algo, config.env) == ("recurrent_ppo", "POS-EWT-v0")
    assert (config.n_timesteps, config.seed, config.eval_freq, config.save_freq) == (300, 7, 50, 60)
    assert config.hyperparams == {"n_steps": 8, "batch_size": 32}
    assert config.env_kwargs == {"encoder": "hashed", "window": 0}
    assert config.tensorboard_log == f"{tmp_path}/tb"
    assert asked["log_folder"] == tmp_path / "logs"
    assert asked["progress"] is False
    assert run("-P").exit_code == 0
    assert asked["progress"] is True


def test_zoo_flags_of_a_search_mean_the_same(asked: dict[str, Any]) -> None:
    words = "-optimize --n-trials 5 --max-total-trials 9 --n-jobs 2 --sampler random --pruner none"
    words += " --n-startup-trials 3 --n-evaluations 4 --storage study.log --study-name mine"
    result = run(*words.split(), "--no-optim-plots")
    assert result.exit_code == 0, result.output
    assert asked["options"].as_dict() == {
        "n_trials": 5,
        "max_total_trials": 9,
        "n_jobs": 2,
        "sampler": "random",
        "pruner": "none",
        "n_startup_trials": 3,
        "n_evaluations": 4,
        "storage": "study.log",
        "study_name": "mine",
    }


def test_zoo_packages_are_imported_and_trusted(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "registering.py").write_text("import builtins\nbuiltins.imported = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    import builtins

    monkeypatch.setattr(builtins, "imported", False, raising=False)
    assert run("--gym-packages", "registering").exit_code == 0
    assert builtins.imported  # type: ignore[attr-defined]
    assert asked["trust"] == ("registering",)
    result = run("--gym-packages", "no_such_package")
    assert result.exit_code == 1
    assert "--gym-packages='no_such_package' cannot be imported" in result.stderr


def test_zoo_log_folder_is_one_of_two_ways_to_name_a_place(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    result = run("-f", "logs", "--run-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "--log-folder='logs' is where runs are counted up" in result.stderr
    for extra, name in ((["-f", "logs"], "log-folder"), (["-optimize"], "optimize")):
        result = run("--resume", str(tmp_path), *extra)
        assert result.exit_code == 1
        assert f"--{name} cannot be given with --resume" in result.stderr
    assert not asked


def test_zoo_log_folder_is_where_runs_are_counted_up(tmp_path: Path) -> None:
    words = "--algo bc -n 32 --encoder hashed --env-kwargs corpus:sample window:0 --no-progress"
    (tmp_path / "logs" / "bc" / "NER-CoNLL-v0_1").mkdir(parents=True)
    result = run(*words.split(), "-f", str(tmp_path / "logs"))
    assert result.stdout.strip() == str(tmp_path / "logs" / "bc" / "NER-CoNLL-v0_2")


def test_zoo_flags_leave_other_arguments_alone() -> None:
    ours = ["--env", "NER-v0", "--hyperparams", "a:1", "b:-2", "-n", "5", "--input=-i"]
    assert rewritten(ours) == ours
    assert rewritten(["--verbose=0", "-conf=x.yml"]) == ["--no-progress", "--conf-file=x.yml"]
    assert rewritten(["--verbose", "2"]) == ["--progress"]
    assert not set(zoo_flags.ALGORITHMS) & set(ALGORITHMS)


def test_zoo_file_of_hyperparameters_is_read_as_one(asked: dict[str, Any], tmp_path: Path) -> None:
    conf = tmp_path / "ppo.yml"
    conf.write_text(
        "default:\n  n_timesteps: !!float 1e3\n  n_steps: 16\n"
        "POS-EWT-v0:\n  n_timesteps: 500\n  learning_rate: lin_1e-3\n"
    )
    words = ["--algo", "ppo", "-conf", str(conf), "-params", "n_epochs:2"]
    assert run(*words, "--env", "POS-EWT-v0").exit_code == 0
    assert asked["config"].hyperparams == {
        "n_timesteps": 500,
        "learning_rate": "lin_1e-3",
        "n_epochs": 2,
    }
    assert run(*words).exit_code == 0  # NER-CoNLL-v0 has none of its own
    assert merge(asked["config"]).n_timesteps == 1000
    conf.write_text("CartPole-v1:\n  n_steps: 8\n")
    result = run(*words)
    assert result.exit_code == 1
    assert "has no section NER-CoNLL-v0 and no default" in result.stderr
    conf.write_text("default:\n  policy_kwargs: dict(net_arch=[64])\n")
    run(*words)
    with pytest.raises(InvalidArgumentError, match="policy_kwargs='dict"):
        merge(asked["config"])


@pytest.mark.parametrize("name", ["nlp_gym_agents.rl_zoo.ppo", "mine/ppo.py"])
def test_zoo_module_as_a_file_is_answered(name: str, asked: dict[str, Any]) -> None:
    result = run("--conf-file", name)
    assert result.exit_code == 1
    assert not asked
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: conf_file='{name}' is Python, which is for `python -m rl_zoo3")
    assert "are used here without it: leave --conf-file out" in line
