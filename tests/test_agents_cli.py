"""The command line: flags, output streams, exit codes and messages."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from nlp_gym.errors import RunError
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.cli.shared.errors import user_message
from nlp_gym_agents.cli.shared.options import spread
from nlp_gym_agents.cli.train import command as cli_train
from nlp_gym_agents.cli.train.command import config_of
from nlp_gym_agents.config.train_config import merge
from nlp_gym_agents.evaluation import evaluate as evaluating
from nlp_gym_agents.evaluation import example
from nlp_gym_agents.evaluation import test_report as reports
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.training import train as training
from nlp_gym_agents.training.signals import TrainingInterrupted

ROOT = Path(__file__).resolve().parent.parent
TRAIN = [
    "train",
    *("--algo", "ppo", "-n", "256", "--n-envs", "8", "--eval-freq", "128", "--encoder", "hashed"),
    *("--env-kwargs", "corpus:sample", "window:0"),
    *("--hyperparams", "n_steps:8", "batch_size:64"),
    *("--hyperparams", "policy_kwargs.features_extractor_kwargs.hidden:[16]"),
    "--no-progress",
]


FINETUNE = ["--encoder-mode", "finetune", "--env-kwargs", "corpus:sample"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run made by the command, and what it printed."""
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("cli") / "run"
    result = CliRunner().invoke(app, [*TRAIN, "--run-dir", str(run)])
    assert result.exit_code == 0, result.output
    return run, result.stdout


def message(*arguments: str, code: int = 1) -> str:
    """Stderr of a command that must fail without a traceback."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.split())


def test_cli_spread_is_the_zoos_form() -> None:
    given = ["--hyperparams", "a:1", "b:-2", "-n", "5", "--env-kwargs", "c:[1,2]", "--progress"]
    wanted = ["--hyperparams", "a:1", "--hyperparams", "b:-2", *given[3:]]
    assert spread(given) == wanted
    assert spread([*given, "--hyperparams", "d:4"]) == [*wanted, "--hyperparams", "d:4"]


def test_cli_train_prints_report_example_and_run_folder(trained: tuple[Path, str]) -> None:
    run, output = trained
    lines = output.splitlines()
    assert lines[-1] == str(run)
    assert lines[-3] == "what the agent decides on it:"
    assert "STORM/" in lines[-2]
    for name in ("ppo", "random", "majority", "oracle", "micro avg", "signature", "metric:"):
        assert name in output or name == "signature"
    report = json.loads((run / "report.json").read_text())
    assert report["baselines"]["oracle"]["value"] == 1.0
    assert {"id", "split", "metric", "value", "interval", "signature", "n"} <= set(report)
    config = yaml.safe_load((run / "config.yml").read_text())
    assert config["env_kwargs"] == {"corpus": "sample", "window": 0, "encoder": "hashed"}
    assert config["hyperparams"]["n_steps"] == 8


def test_cli_evaluate_writes_json(trained: tuple[Path, str], tmp_path: Path) -> None:
    run, _ = trained
    out = tmp_path / "score.json"
    result = CliRunner().invoke(
        app, ["evaluate", str(run), "--split", "dev", "--json", str(out), "--bootstrap", "50"]
    )
    assert result.exit_code == 0, result.output
    assert "micro avg" in result.stdout
    assert "95% interval" in result.stdout
    record = json.loads(out.read_text())
    assert (record["id"], record["split"]) == ("NER-CoNLL-v0", "dev")
    assert record["metric"] == "entity_f1"
    assert record["interval"][0] <= record["value"] <= record["interval"][1]


def test_cli_predict_forms(trained: tuple[Path, str], tmp_path: Path) -> None:
    run, _ = trained
    result = CliRunner().invoke(app, ["predict", str(run), "Ann lives in 北京."])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["text"] == "Ann lives in 北京."
    assert "北京" in result.stdout
    result = CliRunner().invoke(app, ["predict", str(run), "-"], input="one\ntwo words\n")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["one", "two words"]
    source, out = tmp_path / "in.conll", tmp_path / "out.conll"
    source.write_text("Ann\nsings\n\nBob\n")
    result = CliRunner().invoke(
        app, ["predict", str(run), "--input", str(source), "--output", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    words = [line.split("\t")[0] for line in out.read_text().splitlines()]
    assert words == ["Ann", "sings", "", "Bob", ""]
    result = CliRunner().invoke(app, ["predict", str(run), "Ann sings", "--format", "color"])
    assert "Ann" in result.stdout
    assert "\x1b" not in result.stdout
    assert "holds no word" in message("predict", str(run), "")


def test_cli_envs_lists_ids_with_metric(tmp_path: Path) -> None:
    environment = {"NLP_GYM_CACHE": str(tmp_path), "COLUMNS": "40"}
    result = CliRunner().invoke(app, ["envs"], env=environment)
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if "POS-EWT-v0" in line)
    assert "accuracy" in line
    assert "ud_ewt" in line
    assert "nlp-gym data download ud_ewt" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--env", "NER-Conll-v0"], "Did you mean 'NER-CoNLL-v0'"),
        (["--algo", "pop"], "Did you mean 'ppo'"),
        (["--hyperparams", "n_step:3"], "Did you mean 'n_steps'"),
        (["--hyperparams", "oops"], "key:value"),
        (["--env-kwargs", "obs_type:indx", "corpus:sample"], "Did you mean 'index'"),
        (
            ["--encoder", "hashed", "--env-kwargs", "reward:metrics", "corpus:sample"],
            "Did you mean 'metric'",
        ),
        (["--encoder", "hashd", "--env-kwargs", "corpus:sample"], "Did you mean 'hashed'"),
        (["--encoder-mode", "finetuned"], "Did you mean 'finetune'"),
        (["--encoder-lr", "1e-5"], "encoder_lr=1e-05 needs an encoder that learns"),
        (["--freeze-layers", "2"], "leave --freeze-layers out, or give --encoder-mode"),
        (["--hyperparams", "tuning.rank:4"], "needs an encoder that learns"),
        ([*FINETUNE, "--encoder", "hashed"], "encoder='hashed' has no weights to learn"),
        ([*FINETUNE, "--freeze-layers", "-1"], "freeze_layers=-1 must be a whole number from 0"),
        ([*FINETUNE, "--encoder-lr", "fast"], "encoder_lr='fast' must be a number, or lin_NUMBER"),
        ([*FINETUNE, "--encoder-lr", "0"], "encoder_lr=0 must be above 0"),
        ([*FINETUNE, "--env-kwargs", "obs_type:features", "corpus:sample"], "obs_type='index'"),
        ([*FINETUNE, "--hyperparams", "tuning.rank:0"], "rank=0 must be a whole number from 1"),
        ([*FINETUNE, "--hyperparams", "tuning.rnak:2"], "Did you mean 'rank'"),
        ([*FINETUNE, "--hyperparams", "tuning:3"], "tuning=3 is int, but dict is wanted"),
        (
            ["--hyperparams", "policy_kwargs.features_extractor_kwargs.live:1"],
            "features_extractor_kwargs='live' is not known",
        ),
        (["--resume", "nowhere"], "does not exist"),
        (["--resume", "nowhere", "--algo", "ppo"], "--algo cannot be given"),
        (["--conf-file", "nowhere.yml"], "nowhere.yml is missing"),
    ],
)
def test_cli_train_errors_are_one_message(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = message("train", *arguments)
    assert text.startswith("error: ")
    assert expected in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--freeze-layers", "3"], "freeze_layers=3 leaves nothing to learn"),
        (["--hyperparams", "tuning.hold:0.95"], "warmup=0.1 and hold=0.95 are shares"),
        (["--encoder-mode", "lora"], "encoder_mode='lora' needs the package 'peft'"),
    ],
)
def test_cli_train_errors_of_an_encoder_that_learns(
    arguments: list[str],
    expected: str,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "peft", None)
    given = [*FINETUNE, "encoder_kwargs.layers:last", "--encoder", str(tiny_bert), *arguments]
    text = message("train", *given)
    assert f"error: {expected}" in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.filterwarnings("always::UserWarning")  # the command shows them
def test_cli_train_counts_the_samples_that_bad_rows_leave_out(tmp_path: Path) -> None:
    data, run = tmp_path / "data.csv", tmp_path / "run"
    rows = [f"Text {i} is {'good' if i % 2 else 'bad'},{i % 2}" for i in range(30)]
    data.write_text("\n".join(["text,label", *rows, "No label,", ",1"]) + "\n")
    command = ["train", "--env", "Classification-v0", "--algo", "bc", "-n", "32", "--no-progress"]
    command += ["--encoder", "hashed", "--data", str(data), "--run-dir", str(run)]
    assert "data.csv:32: 'label' is empty" in message(*command)
    result = CliRunner().invoke(app, [*command, "--bad-rows", "skip"])
    assert result.exit_code == 0, result.output
    assert "2 sample(s) with bad rows are left out" in result.stderr
    assert "bad rows that were left out: 2 of the train file, 2 of the test file." in result.stdout
    report = json.loads((run / "report.json").read_text())
    assert report["n_skipped"] == {"train": 2, "test": 2}
    corpora = json.loads((run / "versions.json").read_text())["corpora"]
    assert {split: facts["n_skipped"] for split, facts in corpora.items()} == {"train": 2, "dev": 2}
    assert load_trained(run).task("test").corpus.n_skipped == 2


def test_cli_run_dir_is_never_overwritten(trained: tuple[Path, str]) -> None:
    run, _ = trained
    assert "not empty" in message(*TRAIN, "--run-dir", str(run))
    assert "does not exist" in message("evaluate", str(run / "no"))
    assert "is not a run folder" in message("predict", str(run / "best"), "x")


def test_cli_interrupted_training_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise TrainingInterrupted(Path("some/run"), signal.SIGINT)

    monkeypatch.setattr(training, "train", stopped)
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 130
    assert "--resume some/run" in result.stderr
    assert result.stdout.splitlines()[-1] == "some/run"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_cli_signal_saves_and_exits(tmp_path: Path) -> None:
    number = signal.SIGINT
    run = tmp_path / "run"
    command = [sys.executable, str(ROOT / "train.py"), *TRAIN[1:], "-n", "1000000000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--run-dir", str(run), "--eval-freq", "100000000", "--save-freq", "64"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            if any(path.name.isdigit() for path in run.glob("checkpoints/*")):
                break
            time.sleep(0.05)
        process.send_signal(number)
        output, errors = process.communicate()
    assert process.returncode == 128 + number, errors
    assert output.splitlines()[-1] == str(run)
    assert "--resume" in errors
    assert "Traceback" not in errors


def test_cli_typed_values_win_over_those_of_a_config_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    values = {"format_version": 1, "n_timesteps": 1000, "n_envs": 3, "encoder": "minilm"}
    file.write_text(yaml.safe_dump({**values, "data_dir": "a", "env_kwargs": {"window": 1}}))
    flags = {"hyperparams": ["n_timesteps:50"], "env_kwargs": ["encoder:hashed", "data_dir:b"]}
    config = merge(config_of(flags, file))
    assert (config.n_timesteps, config.n_envs) == (50, 3)
    assert config.env_kwargs["encoder"] == "hashed"
    assert config.env_kwargs["window"] == 1
    assert Path(config.env_kwargs["data_dir"]).name == "b"
    config = merge(config_of({**flags, "n_timesteps": 7, "encoder": "minilm"}, file))
    assert (config.n_timesteps, config.env_kwargs["encoder"]) == (7, "minilm")


def test_cli_reports_on_the_device_of_the_run(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained[0], tmp_path / "run"))
    config = yaml.safe_load((run / "config.yml").read_text())
    (run / "config.yml").write_text(yaml.safe_dump({**config, "device": "cpu"}))
    devices = []

    def load(*arguments: Any, device: str = "auto", **options: Any) -> Any:
        devices.append(device)
        return load_trained(*arguments, device=device, **options)

    monkeypatch.setattr(reports, "load_trained", load)
    monkeypatch.setattr(example, "load_trained", load)
    cli_train._report(run, with_bc=False, progress=False)
    assert devices == ["cpu", "cpu"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (MemoryError("Unable to allocate"), "memory ran out. Unable to allocate"),
        (RunError("two\nlines"), "two lines"),
    ],
)
def test_cli_errors_of_the_system_are_one_line(
    error: Exception, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(evaluating, "evaluate", fails)
    monkeypatch.setattr("nlp_gym.data.corpora.named.find_corpus", fails)
    for command in (["evaluate", "run"], ["data", "list"]):
        result = CliRunner().invoke(app, command)
        assert (result.exit_code, result.stderr) == (1, f"error: {expected}\n")


def test_cli_bugs_keep_their_traceback() -> None:
    assert user_message(KeyError("x")) is None
    assert user_message(BrokenPipeError()) is None  # click ends quietly


def test_cli_help_is_light() -> None:
    code = (
        "import sys; from nlp_gym_agents.cli.main import app; "
        "heavy = {'torch', 'stable_baselines3', 'transformers'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
