"""Manners of the command: its version, `python -m nlp_gym`, completion, flags named as typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nlp_gym
from nlp_gym_agents.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
PATH = os.pathsep.join([str(ROOT), str(ROOT / "agents")])
HEAVY = ("torch", "transformers", "stable_baselines3", "sb3_contrib")


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PATH, **environment},
        capture_output=True,
        text=True,
    )


def message(*arguments: str) -> str:
    """What stands on stderr after a command that fails without a traceback."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def test_cli_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"nlp-gym {nlp_gym.__version__}\n")


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_cli_python_m_nlp_gym_is_the_command(argument: str) -> None:
    done = python("-m", "nlp_gym", argument)
    assert done.returncode == 0, done.stderr
    result = CliRunner().invoke(app, [argument], prog_name="nlp-gym")
    assert done.stdout.split() == result.stdout.split()


def test_cli_python_m_nlp_gym_is_light_and_fails_like_the_command() -> None:
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_module('nlp_gym', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        f"    print(stop.code, [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    for argument, status in (("--version", "0"), ("envs --no-such", "2")):
        done = python("-c", code, *argument.split())
        assert done.stdout.splitlines()[-1] == f"{status} []", done.stderr


@pytest.mark.parametrize("absent", ["nlp_gym_agents", "typer"])
def test_cli_python_m_nlp_gym_without_a_package(absent: str) -> None:
    code = (
        f"import runpy, sys; sys.modules[{absent!r}] = None; sys.argv[1:] = ['envs'];"
        "runpy.run_module('nlp_gym', run_name='__main__')"
    )
    done = python("-c", code)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"error: python -m nlp_gym needs the package {absent!r}, which is not installed. "
        "Install it with: pip install nlp-gymnasium\n"
    )


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("nlp-gym tr", {"train"}),
        ("nlp-gym train --env-", {"--env-kwargs"}),
        ("nlp-gym train --env NER", {"NER-CoNLL-v0", "NER-WNUT-v0", "NER-v0"}),
        ("nlp-gym train --algo masked", {"masked_dqn"}),
        ("nlp-gym data download conll", {"conll2003", "conll04"}),
        ("nlp-gym data check x --env POS", {"POS-EWT-v0", "POS-v0"}),
        ("nlp-gym export-minari POS", {"POS-EWT-v0", "POS-v0"}),
    ],
)
def test_cli_completes(typed: str, offered: set[str]) -> None:
    done = python(
        *("-m", "nlp_gym"),
        _NLP_GYM_COMPLETE="complete_bash",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(typed.split()) - 1),
    )
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_cli_shows_a_completion_script(shell: str) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the shell is an argument then
    done = python("-m", "nlp_gym", "--show-completion", shell, **named)
    assert done.returncode == 0, done.stderr
    assert f"_NLP_GYM_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("train",),
        ("evaluate", "no-run"),
        ("predict", "no-run", "text"),
        ("benchmark", "--ids", "POS-v0"),
        ("export-minari", "POS-v0"),
    ],
    ids=lambda command: command[0],
)
def test_cli_wrong_pair_of_env_kwargs_names_its_flag(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = "error: --env-kwargs='window=2' is not of the form key:value; write window:2."
    assert message(*command, "--env-kwargs", "window=2") == wanted
    text = message(*command, "--env-kwargs", "window:1", "reward")
    assert text.startswith("error: --env-kwargs='reward' is not of the form key:value")
    assert "window:2 or reward:metric" in text
    text = message(*command, "--env-kwargs", "window:[2")
    assert text.startswith("error: --env-kwargs='window:[2': the value is not YAML")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--hyperparams", "gamma=1"], "--hyperparams='gamma=1' is not of .* write gamma:1"),
        (["--hyperparams", "gamma"], "--hyperparams='gamma' is not .*such as learning_rate:3e-4"),
        (["--hyperparams", "gamma:]"], r"--hyperparams='gamma:\]': the value is not YAML"),
        (["--encoder-lr", "["], r"--encoder-lr='\[': the value is not YAML"),
        (["--env", "ner-conll-v0"], "env='ner-conll-v0' .*Did you mean 'NER-CoNLL-v0'"),
        (["--algo", "PPO"], "algo='PPO' .*Did you mean 'ppo'"),
        (["--algo", "Maskable-PPO"], "Did you mean 'maskable_ppo'"),
        (["--encoder-mode", "LORA"], "Did you mean 'lora'"),
        (["--env-kwargs", "Window:2", "corpus:sample"], "argument='Window' .*'window'"),
    ],
)
def test_cli_train_names_what_is_wrong(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = message("train", "--encoder", "hashed", *arguments)
    assert re.match(f"error: .*{expected}", text), text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["benchmark", "--ids", "ner-conll-v0"], "ids='ner-conll-v0'.* 'NER-CoNLL-v0'"),
        (["benchmark", "--ids", "POS-v0", "--algos", "PPO"], "algos='PPO'.* 'ppo'"),
        (["benchmark", "--ids", "POS-v0", "--algos", "Random"], "algos='Random'.* 'random'"),
        (["export-minari", "pos-ewt-v0"], "env='pos-ewt-v0'.* 'POS-EWT-v0'"),
        (["export-minari"], "env=None and run=None"),
        (["data", "download", "CoNLL2003"], "corpus name='CoNLL2003'.* 'conll2003'"),
        (["data", "check", __file__, "--env", "squad-v0"], "env='squad-v0'.* 'SpanQA-SQuAD-v0'"),
        (["data", "check", __file__, "--format", "CoNLL"], "format='CoNLL'.* 'conll'"),
    ],
)
def test_cli_unknown_names_are_suggested_by_letters(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert re.match(f"error: {expected}", message(*arguments)), message(*arguments)


def test_an_interruption_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come while torch is being imported, which cannot be begun again."""
    from nlp_gym_agents.cli.shared import errors

    monkeypatch.delitem(sys.modules, "nlp_gym_agents.training.signals", raising=False)
    before = set(sys.modules)
    assert errors._interrupted(KeyboardInterrupt()) == 130
    assert set(sys.modules) == before
