"""`nlp-gym new-task`: what it writes works as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.testing import Subject, find_checks
from nlp_gym.testing.new_task import FAMILIES, write_task
from nlp_gym_agents.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
LINT = ("--isolated", "--line-length", "100")
QUICK = ("oracle", "gymnasium_checker", "oracle_rewards", "gold_hidden", "docstring", "render")


@pytest.fixture
def unregistered(monkeypatch: pytest.MonkeyPatch):
    """Ids and modules that a test adds are gone after it."""
    before, modules = set(gym.registry), set(sys.modules)
    monkeypatch.setattr("nlp_gym.registration._others", {})
    yield
    for env_id in set(gym.registry) - before:
        del gym.registry[env_id]
    for name in set(sys.modules) - modules:
        if name.startswith("my_"):
            del sys.modules[name]


def lint(folder: Path) -> None:
    selected = "E,W,F,I,UP,B,D,C4,SIM,PT,NPY,RUF,PGH"
    convention = 'lint.pydocstyle.convention="google"'
    rules = ("--select", selected, "--ignore", "D105,D107", "--config", convention)
    for words in (("check", *rules), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *LINT, "."],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.usefixtures("unregistered")
def test_new_task_keeps_the_rules_and_is_formatted(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, env_id = write_task(f"my-{family}", family=family, output=tmp_path)
    package = f"my_{family}"
    assert folder == tmp_path / f"my-{family}"
    assert env_id == f"My{family.capitalize()}-v0"
    lint(folder)
    monkeypatch.syspath_prepend(str(folder))
    # Its oracle writes for seconds; the slow test runs that too.
    for check in find_checks(QUICK[family == "generation" :]):
        check.run(Subject(f"{package}:{env_id}", quick=True))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["blank", "generation"])
def test_new_task_passes_its_own_tests(family: str, tmp_path: Path) -> None:
    folder, _ = write_task("MySecondTask", family=family, output=tmp_path)
    lint(folder)
    code = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'agents')]!r};"
    code += "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.usefixtures("unregistered")
def test_new_task_command_prints_the_folder_and_never_overwrites(tmp_path: Path) -> None:
    def run(*arguments: str):
        return CliRunner().invoke(app, ["new-task", *arguments, "--output", str(tmp_path)])

    made = run("FirstWord", "--family", "tagging")
    assert made.exit_code == 0, made.output
    assert made.stdout.strip() == str(tmp_path / "first-word")
    assert "nlp-gym conformance first_word:FirstWord-v0" in made.stderr
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "first-word/README.md",
        "first-word/first_word/__init__.py",
        "first-word/first_word/task.py",
        "first-word/first_word/texts/dev.jsonl",
        "first-word/first_word/texts/test.jsonl",
        "first-word/first_word/texts/train.jsonl",
        "first-word/pyproject.toml",
        "first-word/tests/test_first_word.py",
    ]
    project = (tmp_path / "first-word" / "pyproject.toml").read_text()
    # `nlp-gym train` of the README needs the agents and the default encoder's weights.
    assert '\ndev = ["nlp-gymnasium[agents,minilm]", "pytest>=8.2"]\n' in project
    assert '[project.entry-points."nlp_gym.tasks"]\nfirst_word = "first_word"\n' in project
    (tmp_path / "first-word" / "pyproject.toml").write_text("mine")
    again = run("first_word")
    assert again.exit_code == 1
    assert "exists, and nothing is overwritten" in again.stderr
    assert (tmp_path / "first-word" / "pyproject.toml").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["", "1st", "a b!", "../up", "a/b", "Ä", "x" * 41, "-a", "a--b", None, 3]
)
def test_new_task_refuses_what_is_no_name(name: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"name=.* must begin with a letter"):
        write_task(name, output=tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["json", "class", "numpy", "nlp_gym"])
def test_new_task_refuses_names_of_installed_packages(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="a name that Python or an installed package"):
        write_task(name, output=tmp_path)


def test_new_task_refuses_unknown_families_and_files_as_folders(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tagging'"):
        write_task("FirstWord", family="taging", output=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgumentError, match="cannot be written to"):
        write_task("FirstWord", output=tmp_path / "file")


def test_new_task_takes_an_id_for_its_name_and_refuses_one_that_is_taken(tmp_path: Path) -> None:
    assert write_task("MyShelf-v0", output=tmp_path)[1] == "MyShelf-v0"
    for name in ("NER", "NER-v0"):
        with pytest.raises(InvalidArgumentError, match="the id 'NER-v0', which is registered"):
            write_task(name, output=tmp_path)
