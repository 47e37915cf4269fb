"""The project as a whole: light imports, packaging, make targets, documentation of every id."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

import nlp_gym

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "stable_baselines3",
    "sb3_contrib",
    "nlp_gym_agents",
)

# Distributions that are not named like their module.
MODULES = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "rouge-score": "rouge_score",
    "scikit_learn": "sklearn",
}


def run_python(code: str) -> str:
    """Run `code` in a fresh interpreter from the repository root; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_roots(package: str) -> set[str]:
    """Top-level names of everything that `package`'s source files import, lazily or not."""
    roots: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                roots.add(node.module.split(".")[0])
    return roots


def requirement_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert match, requirement
    return match.group().lower().replace("-", "_")


def test_project_import_nlp_gym_is_light() -> None:
    code = f"import sys, nlp_gym; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_project_listing_ids_is_light() -> None:
    code = (
        "import sys, gymnasium, nlp_gym.tasks.core.make as r; ids = r.task_ids(); assert ids;"
        f"[gymnasium.spec(i) for i in ids]; print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_project_nlp_gym_never_imports_agents() -> None:
    assert not imported_roots("nlp_gym") & {"nlp_gym_agents", "stable_baselines3", "sb3_contrib"}


@pytest.mark.parametrize("package", ["nlp_gym", "agents/nlp_gym_agents"])
def test_project_imports_are_declared_dependencies(package: str) -> None:
    groups = PROJECT["project"]["optional-dependencies"]
    extras = ("agents", "optuna", "ray", "minari", "lora", "plot", "serve", "track")
    declared = [
        *PROJECT["project"]["dependencies"],
        *(r for extra in extras for r in groups[extra]),
    ]
    names = {requirement_name(r) for r in declared}
    modules = {MODULES.get(n, n) for n in names}
    own = {"nlp_gym", "nlp_gym_agents"}
    third_party = imported_roots(package) - set(sys.stdlib_module_names) - own
    assert sorted(third_party - modules) == []


_WITHOUT = """
import sys

ABSENT = ("stable_baselines3", "sb3_contrib", "tensorboard")


class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NotInstalled())
from nlp_gym_agents.cli.main import main

main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments",
    [["envs"], *(pytest.param(a, marks=pytest.mark.slow) for a in (["data", "list"], ["--help"]))],
)
def test_project_environments_need_no_agents(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_project_training_names_the_extra_that_is_missing() -> None:
    command = [sys.executable, "-c", _WITHOUT, "train", "--encoder", "hashed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "error: this command needs the package 'stable-baselines3', which is not installed. "
        "Install it with: pip install 'nlp-gymnasium[agents]'"
    )


def test_project_version_is_consistent() -> None:
    version = PROJECT["project"]["version"]
    assert nlp_gym.__version__ == version
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation()["version"] == version
    try:
        installed = importlib.metadata.version("nlp-gymnasium")
    except importlib.metadata.PackageNotFoundError:
        return  # run from a checkout that was not installed
    assert installed == version


def citation() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return read


def test_project_citation_is_that_of_the_project() -> None:
    told, project = citation(), PROJECT["project"]
    assert told["cff-version"] == "1.2.0"
    assert told["message"]
    assert told["title"].startswith("nlp_gym")
    assert [author["name"] for author in told["authors"]] == [a["name"] for a in project["authors"]]
    assert told["license"] == project["license"].partition(" AND ")[0]
    assert told["repository-code"] == project["urls"]["Source"]
    assert told["keywords"] == project["keywords"]


def test_project_ci_runs_every_python_that_the_classifiers_name() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    named = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if ":: 3." in c]
    assert matrix["python"] == named
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    (oldest,) = [s["with"] for s in jobs["oldest"]["steps"] if "with" in s]
    assert PROJECT["project"]["requires-python"] == f">={oldest['python-version']}"


def test_project_pins_satisfy_ranges() -> None:
    requirements = pytest.importorskip("packaging.requirements")
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = requirements.Requirement(line)
            pins[requirement_name(pin.name)] = str(pin.specifier).removeprefix("==")
    groups = PROJECT["project"]["optional-dependencies"].values()
    for text in [*PROJECT["project"]["dependencies"], *(r for group in groups for r in group)]:
        wanted = requirements.Requirement(text)
        name = requirement_name(wanted.name)
        assert name in pins, f"{name} has no pin in constraints.txt"
        assert wanted.specifier.contains(pins[name]), f"{text} excludes the pin {pins[name]}"


@pytest.mark.parametrize(
    "path",
    ["nlp_gym/py.typed", "nlp_gym/encode/calibration.txt", "LICENSE", "train.py", "README.md"],
)
def test_project_ships(path: str) -> None:
    assert (ROOT / path).is_file()


def test_project_console_script_exists() -> None:
    module, _, name = PROJECT["project"]["scripts"]["nlp-gym"].partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries the agents import
        function = getattr(__import__(module, fromlist=[name]), name)
    assert callable(function)


def test_project_outside_libraries_are_tested_with_the_pinned_versions_of_the_rest() -> None:
    """Except for what they contradict: RLlib pins Gymnasium, and Tianshou asks for pandas 2."""
    requirements = pytest.importorskip("packaging.requirements")

    def pins(path: str) -> dict[str, str]:
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        read = [requirements.Requirement(line) for line in lines if line and line[0] != "#"]
        assert all(str(pin.specifier).startswith("==") for pin in read), path
        return {requirement_name(pin.name): str(pin.specifier) for pin in read}

    ours, theirs = pins("constraints.txt"), pins("tests/outside/requirements.txt")
    differ = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert differ == {"gymnasium", "pandas"}
    assert pins("tests/outside/requirements-no-deps.txt").keys() == {"d3rlpy"}


@pytest.mark.parametrize("row", nlp_gym.ENVS, ids=lambda row: row.id)
def test_project_readme_has_a_row_for(row: nlp_gym.registration.EnvRow) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.lstrip().startswith("|")]
    assert any(row.id in line for line in rows), f"no table row of README.md names {row.id}"


@pytest.mark.parametrize(
    "target", ["train", "test", "test-outside", "check", "lint", "type", "format", "docs", "clean"]
)
def test_project_makefile_has_target(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)


def test_project_makefile_helps_with_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    told = set(re.findall(r"@echo 'make ([a-z-]+)  ", makefile)) | {"help", "install-dev"}
    assert told == set(phony.split())


@pytest.mark.corpus
def test_project_text_of_real_corpora_is_not_bundled(real_data: Path) -> None:
    """No sentence of six words or more of a bundled sample is one of the real corpus."""
    shared: list[str] = []
    for original in sorted(path for path in real_data.iterdir() if path.is_dir()):
        if original.name in ("wn18rr", "fb15k237"):  # names, no sentences
            continue
        folder = ROOT / "nlp_gym" / "data" / "samples" / original.name
        if folder.is_dir():
            bundled, real = sentences(folder), sentences(original)
            assert bundled, folder
            assert real, original
            shared += sorted(s for s in bundled & real if s.count(" ") >= 5)
    assert shared == []


WORD_A_LINE = {"conll2003": 0, "wnut17": 0, "ud_ewt": 1, "conll04": 1}
"""Corpora with one word a line, and the column it is in."""


def sentences(folder: Path) -> set[str]:
    """Texts of all files in a folder, lower-cased and without punctuation."""
    column, found = WORD_A_LINE.get(folder.name), set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md"):
        if path.name.startswith("label"):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if column is None:
            texts = [text for line in lines for text in re.split(r'[\t"]', line)]
        else:
            rows = [
                [*line.split("\t" if "\t" in line else None), "", ""]
                for line in ("" if line.startswith(("# ", "#doc")) else line for line in lines)
            ]
            texts = "\n".join(row[column] for row in rows).split("\n\n")
        found |= {" ".join(re.findall(r"\w+", text.lower())) for text in texts if text[:1] != "/"}
    return found
