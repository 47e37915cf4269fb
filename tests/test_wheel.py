"""The wheel: what is in it, what it says of itself, and that it trains without this checkout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Runs a module as `python -m` does, then looks where everything was imported from.
RUNNER = """
import runpy, sys
from pathlib import Path
checkout, installed, module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as stop:
    assert not stop.code, stop.code
for name, found in list(sys.modules.items()):
    file = Path(getattr(found, "__file__", None) or "/")
    for folder in (Path(checkout, "nlp_gym"), Path(checkout, "agents")):
        assert not file.is_relative_to(folder), (name, file)
    if name.partition(".")[0] in ("nlp_gym", "nlp_gym_agents"):
        assert file.is_relative_to(installed), (name, file)
import agents.models
assert agents.models.OWNER == "somebody else"
"""

TRAIN = [
    "train",
    *("--algo", "masked_dqn", "-n", "256", "--n-envs", "8", "--eval-freq", "128"),
    *("--encoder", "hashed", "--env-kwargs", "corpus:sample", "window:0"),
    *("--hyperparams", "buffer_size:512", "learning_starts:32", "batch_size:16"),
    *("--run-dir", "run", "--no-progress", "--no-report"),
]


def run(*command: object, cwd: Path, **environment: str) -> str:
    """What a command printed; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built offline."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: make install-dev")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed beside another distribution's top-level `agents`."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "agents").mkdir()
    (folder / "agents" / "__init__.py").write_text("")
    (folder / "agents" / "models.py").write_text('OWNER = "somebody else"\n')
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip") is not None:
        installer = [sys.executable, "-m", "pip"]
    elif uv is not None:
        installer = [uv, "pip"]
    else:
        pytest.skip("neither pip nor uv is here")
    run(
        *(*installer, "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel),
        cwd=folder,
    )
    return folder


def test_wheel_holds_both_packages_and_all_of_their_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in held} == {"nlp_gym", "nlp_gym_agents"}
    wanted = {
        path.relative_to(folder).as_posix()
        for folder, package in ((ROOT, "nlp_gym"), (ROOT / "agents", "nlp_gym_agents"))
        for path in (folder / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == wanted
    texts = {"nlp_gym/encode/calibration.txt", "nlp_gym/encode/projection.txt"}
    assert {"nlp_gym/py.typed", *texts} <= held
    assert "nlp_gym_agents/hyperparams/ppo.yml" in held
    assert any(name.startswith("nlp_gym/data/samples/conll2003/") for name in held)


def test_wheel_metadata(site: Path) -> None:
    (found,) = importlib.metadata.distributions(path=[str(site)])
    about = found.metadata
    assert about["Name"] == "nlp-gymnasium"
    assert about["License-Expression"].startswith("MIT AND ")
    urls = dict(line.split(", ", 1) for line in about.get_all("Project-URL") or [])
    assert set(urls) == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    assert all(url.startswith(urls["Homepage"]) for url in urls.values())
    classifiers = set(about.get_all("Classifier") or [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)} < classifiers
    known = pytest.importorskip("trove_classifiers").classifiers
    assert sorted(classifiers - known) == []
    (script,) = found.entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("nlp-gym", "nlp_gym_agents.cli.main:main")


def test_wheel_answers_from_where_it_is_installed(site: Path, tmp_path: Path) -> None:
    runner = [sys.executable, "-c", RUNNER, ROOT, site, "nlp_gym"]
    version = run(*runner, "--version", cwd=tmp_path, PYTHONPATH=str(site))
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert version.split() == ["nlp-gym", found.version]


@pytest.mark.slow
def test_wheel_trains_beside_another_agents_package(site: Path, tmp_path: Path) -> None:
    runner = [sys.executable, "-c", RUNNER, ROOT, site, "nlp_gym"]
    printed = run(*runner, *TRAIN, cwd=tmp_path, PYTHONPATH=str(site))
    assert printed.splitlines()[-1] == "run"
    assert (tmp_path / "run" / "best").is_dir()
