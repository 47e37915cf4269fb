"""What programs say on stderr: errors in one line, each warning once."""

from __future__ import annotations

import ast
import runpy
import sys
import warnings
from pathlib import Path

import gymnasium
import pytest
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.messages import one_line_errors, show_warnings_once, user_message
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.training.search import workers
from nlp_gym_agents.training.signals import TrainingInterrupted

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted([*ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("examples/*.py")])
BY_SUBPROCESS = ("data_parallel", "outside")
"""Scripts that start commands, and hand on what these say."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidArgumentError("n=0\n  is too few."), "n=0 is too few."),
        (gymnasium.error.NameNotFound("no such id"), "no such id"),
        (PermissionError(13, "Permission denied", "there"), "there: Permission denied"),
        (MemoryError(), "memory ran out."),
        (BrokenPipeError(), None),
        (KeyError("a bug"), None),
    ],
)
def test_messages_of_errors(error: Exception, message: str | None) -> None:
    assert user_message(error) == message


def test_messages_of_bugs_keep_their_traceback() -> None:
    with pytest.raises(KeyError), one_line_errors():
        raise KeyError("a bug")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_messages_of_every_script_are_one_line(script: Path) -> None:
    last = ast.parse(script.read_text(encoding="utf-8")).body[-1]
    if not isinstance(last, ast.If | ast.With) or script.stem in BY_SUBPROCESS:
        return  # imported by others, or see above
    with_errors = last.body[-1] if isinstance(last, ast.If) else last
    assert isinstance(with_errors, ast.With)
    assert ast.unparse(with_errors.items[0]) == "one_line_errors()"


@pytest.mark.parametrize("script", ["examples/cleanrl_dqn.py", "benchmarks/memory/resident.py"])
def test_messages_of_a_script_with_a_wrong_id(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [script, "--env", "NER-Conl-v0", "--encoder", "hashed"])
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "NER-Conl" in line
    assert "NER-CoNLL" in line  # what was meant


def test_messages_of_warnings_come_once_and_inert(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show_warnings_once()
        for text in ("one\nerror: two", "one\nerror: two", "three\x1b[2J"):
            warnings.warn(text, UserWarning, stacklevel=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["warning: one error: two", "warning: three\\x1b[2J"]


@pytest.mark.slow
def test_messages_of_a_benchmark_say_once_that_the_sample_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLP_GYM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ["benchmark", "--ids", "POS-EWT-v0", "--algos", "random,majority,bc", "-n", "64"]
    command += ["--env-kwargs", "encoder:hashed", "--out", str(tmp_path / "out"), "--device", "cpu"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    told = [line for line in result.stderr.splitlines() if line.startswith("warning: ud_ewt")]
    assert len(told) == 1
    assert "nlp-gym data download ud_ewt" in told[0]


def test_messages_of_a_search_that_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = iter([0.5, None])

    def run(base: object, drawn: object, place: Path, **options: object) -> float:
        value = next(trials)
        if value is None:
            raise TrainingInterrupted(place, 15)
        return value

    monkeypatch.setattr(workers, "run_trial", run)
    folder = tmp_path / "study"
    command = ["train", "--algo", "bc", "-n", "64", "--optimize", "--run-dir", str(folder)]
    command += ["--env-kwargs", "corpus:sample", "encoder:hashed"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 128 + 15
    assert (folder / "best.yml").exists()
    assert "completed trials, which are kept: 1." in result.stderr
    assert f"--conf-file {folder / 'best.yml'}" in result.stderr
    assert result.stdout.splitlines()[-1] == str(folder)
