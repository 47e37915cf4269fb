"""Tasks of other packages: found by entry point, known wherever `nlp_gym` is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import pytest

from nlp_gym import plugins
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.registration import ENVS, EnvRow, env_rows, register_envs

ROOT = Path(__file__).resolve().parent.parent
TASK = "nlp_gym.tasks.tagging.task:SequenceTagging"
ROW = f'EnvRow("Plugged-{{}}-v0", "{TASK}", "wnut17", {{{{"scheme": "BIO"}}}})'
START = "from nlp_gym.registration import EnvRow, register_envs\n"


def install(folder: Path, name: str, source: str, entry: str | None = None) -> None:
    """A package as an installer leaves it: a module, and metadata with an entry point."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nlp_gym.tasks]\n{name} = {entry or name}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    before = set(gym.registry)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "_seen", set())
    monkeypatch.setattr("nlp_gym.registration._others", {})
    yield tmp_path
    for env_id in set(gym.registry) - before:
        del gym.registry[env_id]
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def python(site: Path, code: str) -> str:
    """What a fresh process prints that has the packages of `site`."""
    path = os.pathsep.join([str(site), str(ROOT), str(ROOT / "agents")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        (f"{START}ENVS = ({ROW},)\n", "{name}"),
        (f"{START}ENVS = [{ROW}]\n", "{name}:ENVS"),
        (f"{START}row = {ROW}\n", "{name}:row"),
        (f"{START}\ndef rows():\n    yield {ROW}\n", "{name}:rows"),
        (f"{START}\ndef rows():\n    register_envs([{ROW}])\n", "{name}:rows"),
        (f"{START}register_envs([{ROW}])\n", "{name}"),
    ],
    ids=["module", "rows", "row", "generator", "function", "registers itself"],
)
def test_plugins_rows_are_registered(site: Path, source: str, entry: str) -> None:
    name = f"plugged_{abs(hash((source, entry)))}"
    install(site, name, source.format("One"), entry.format(name=name))
    register_envs()
    env = gym.make("Plugged-One-v0", corpus="sample", encoder="hashed")
    assert env.reset(seed=0)[0]["action_mask"].any()
    assert [row.id for row in env_rows()] == [*(row.id for row in ENVS), "Plugged-One-v0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_envs()  # once more changes nothing


BAD = {
    "raises": ("raise RuntimeError('no luck')\n", "{name}", "RuntimeError: no luck"),
    "exits": ("raise SystemExit(3)\n", "{name}", "SystemExit: 3"),
    "lacks": ("", "{name}:ROWS", "AttributeError: .*ROWS"),
    "no_rows": ("ROWS = ['a']\n", "{name}:ROWS", "must be a sequence of .*EnvRow"),
    "no_list": ("ROWS = 3\n", "{name}:ROWS", "must be a sequence of .*EnvRow"),
    "taken": (
        f'{START}ROWS = [EnvRow("NER-v0", "a:B", "wnut17")]\n',
        "{name}:ROWS",
        "'NER-v0': the id is registered for another environment",
    ),
    "no_id": (f'{START}ROWS = [EnvRow("no id!", "a:B", "x")]\n', "{name}:ROWS", "Malformed"),
}


@pytest.mark.parametrize("kind", BAD)
def test_plugins_that_are_broken_are_warned_of_once_by_name(site: Path, kind: str) -> None:
    source, entry, message = BAD[kind]
    name = f"broken_{kind}"
    install(site, name, source, entry.format(name=name))
    install(site, f"good_{kind}", f"{START}ENVS = ({ROW},)\n".format("Good"))
    with pytest.warns(UserWarning, match=f"package '{name}' are not registered.*{message}"):
        register_envs()
    assert "Plugged-Good-v0" in gym.registry
    assert gym.spec("NER-v0").kwargs["task"] == TASK
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_envs()


def test_plugins_are_known_to_a_process_that_only_imported_nlp_gym(site: Path) -> None:
    install(site, "plugged", f"{START}ENVS = ({ROW},)\n".format("Only"))
    install(site, "broken", "import no_such_module\n")
    make = 'gym.make("Plugged-Only-v0", corpus="sample", encoder="hashed")'
    said = python(
        site,
        "import sys, nlp_gym, gymnasium as gym, multiprocessing as mp\n"
        "from concurrent.futures import ProcessPoolExecutor as Pool\n"
        f"env = {make}\n"
        "print(env.reset(seed=3)[0]['context'].sum(), 'torch' in sys.modules)\n"
        "with Pool(1, mp_context=mp.get_context('spawn')) as pool:\n"
        "    print('worker', pool.submit(__import__('nlp_gym.tasks.core.make', "
        "fromlist=['x']).is_task_id, 'Plugged-Only-v0').result())\n",
    )
    assert " False\n" in said
    assert "worker True" in said
    assert said.count("broken' are not registered") >= 1


def test_plugins_module_that_imports_nlp_gym_first_registers_itself(site: Path) -> None:
    install(site, "circle", f"{START}ENVS = ({ROW},)\nregister_envs(ENVS)\n".format("Circle"))
    said = python(site, "import circle, gymnasium as gym; print(gym.spec('Plugged-Circle-v0').id)")
    assert said == "Plugged-Circle-v0\n"


def test_plugins_appear_in_the_commands_and_the_documentation(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from docs.generate import environments
    from nlp_gym.tasks.core import make
    from nlp_gym_agents.cli.environments.envs import env_rows as listed
    from nlp_gym_agents.evaluation.benchmark.plan import Plan

    install(site, "plugged", f"{START}ENVS = ({ROW},)\n".format("Shown"))
    register_envs()
    mine = [env_id for env_id in make.task_ids() if env_id.startswith("Plugged-")]
    monkeypatch.setattr(make, "task_ids", lambda: mine)  # the others take long
    assert [row[1] for row in listed() if row[0] == "Plugged-Shown-v0"] == ["tagging"]
    cells = Plan(["Plugged-Shown-v0"], ["random"]).cells()
    assert [cell.id for cell in cells] == ["Plugged-Shown-v0"]
    titles = environments._groups()
    assert "Plugged-Shown-v0" in [row.id for rows in titles.values() for row in rows]


def test_register_envs_refuses_what_are_no_rows(site: Path) -> None:
    row = EnvRow("Own-v0", TASK, "wnut17")
    for bad in ("Own-v0", 3, [row, None], {"Own-v0": row}):
        with pytest.raises(InvalidArgumentError, match="must be a sequence of"):
            register_envs(bad)  # type: ignore[arg-type]
    assert "Own-v0" not in gym.registry
    register_envs([row])
    register_envs([row])
    with pytest.raises(InvalidArgumentError, match="'Own-v0': the id is registered"):
        register_envs([EnvRow("Own-v0", "a:B", "wnut17")])
