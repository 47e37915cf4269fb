"""Run folders of strangers: a typed error or the same result, soon, and nothing is executed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from fuzz.conftest import fuzz
from fuzz.hostile import ALL, EVALUATE, EVIL, HOSTILE, PREDICT, RESUME, TRAIN, RunFolder
from nlp_gym.errors import NLPGymError
from nlp_gym_agents.config.train_config import TrainConfig, config_from_file, merge
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.slow

SECONDS = 10.0
MEMORY = 500 * 1024**2
TEXT = "Ann3 sings."
SIZES = {
    "buffer_size": 64,
    "learning_starts": 8,
    "batch_size": 4,
    "policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}},
}


_FORBIDDEN = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pickle.find_class",
        "socket.connect",
        "subprocess.Popen",
    }
)
"""What Python says before it unpickles a class, begins a process or connects to another machine."""


class Watch:
    """What the process did that loading a run must not do; an audit hook cannot be removed."""

    def __init__(self) -> None:
        self.active = False
        self.found: list[str] = []
        self.inside: tuple[str, ...] = ()
        self.known = set(sys.stdlib_module_names) - {"antigravity", "this"}
        self.known |= {*importlib.metadata.packages_distributions(), "nlp_gym", "nlp_gym_agents"}
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by Python for every event of interest."""
        if not self.active:
            return
        if event == "import":
            if str(arguments[0]).partition(".")[0] not in self.known:
                self.found.append(f"imports {arguments[0]}")
        elif event in _FORBIDDEN:
            self.found.append(f"{event} {arguments}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            self.written(event, arguments[0], bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            if arguments[-1] == -1:  # else it is relative to a folder that was named before
                self.written(event, arguments[0], True)
        elif event == "shutil.rmtree":
            self.written(event, arguments[0], True)

    def written(self, event: str, path: Any, writes: bool) -> None:
        """Note a change outside of the run and the cache."""
        if writes and isinstance(path, str | bytes | os.PathLike):
            place = os.path.realpath(os.fsdecode(path))
            if not place.startswith((*self.inside, os.devnull)):
                self.found.append(f"{event} {place}")

    @contextmanager
    def watching(self, *inside: Path) -> Iterator[None]:
        """Note what happens within the block; it may write to `inside`."""
        self.found, self.active = [], True
        self.inside = tuple(os.path.realpath(path) for path in inside)
        try:
            yield
        finally:
            self.active = False


@pytest.fixture(scope="session")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run that has been stopped half way: of two texts, and made in a second."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    data = folder / "words.conll"
    data.write_text("".join(f"Ann{i} B-PER\nsings O\n\n" for i in range(12)))
    kwargs = {"data": str(data), "encoder": "hashed", "encoder_kwargs": {"dim": 8}, "window": 0}
    config = TrainConfig(
        env="NER-v0",
        algo="dqn",
        n_timesteps=16,
        n_envs=2,
        hyperparams=SIZES,
        env_kwargs=kwargs,
        eval_freq=8,
        save_freq=16,
    )
    run = train(config, run_dir=folder / "run", progress=False, command=["nlp-gym"])
    RunFolder(run, folder).config(lambda settings: settings.update(n_timesteps=20))
    return run


@pytest.fixture(scope="session")
def results(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each operation gives with the run as it is."""
    return {name: operate(name, trained, tmp_path_factory.mktemp(name)) for name in (*ALL, TRAIN)}


def operate(name: str, original: Path, folder: Path) -> Any:
    """Do with a run what a user does with it; one that goes on is a copy."""
    run = original
    if name == RESUME:
        run = folder / "resumed"
        shutil.copytree(original, run, symlinks=True, copy_function=_copy)
    if name == PREDICT:
        return Agent(run).predict([TEXT])
    if name == EVALUATE:
        return evaluate(run, "dev", checkpoint="last", bootstrap=0).value
    if name == RESUME:
        resume(run, progress=False, command=["nlp-gym"], time_limit=SECONDS)
        policy = newest(run / "checkpoints")[0] / "policy.safetensors"
        return {name: tensor.tolist() for name, tensor in load(policy.read_bytes()).items()}
    config = config_from_file(run / "config.yml")
    if config.warm_start is None:
        return merge(config).as_dict()
    return train(config, run_dir=folder / "trained", progress=False, command=["nlp-gym"])


def _copy(source: str, target: str) -> object:
    """Pipes are made anew, and holes stay holes."""
    size = os.stat(source).st_size if os.path.isfile(source) else 0
    if not os.path.isfile(source):
        return os.mkfifo(target)
    if size < 10**9:
        return shutil.copy2(source, target)
    with open(target, "wb") as file:
        return file.truncate(size)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module in it that must not be imported."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / f"{EVIL}.py").write_text("open('was_here', 'w').write('x')\nclass Boom: ...\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend("")
    return folder


def memory() -> int:
    """The most bytes this process has had."""
    resource = pytest.importorskip("resource")
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes and devices among files")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_run_is_refused_or_works_unchanged(
    name: str,
    trained: Path,
    results: dict[str, Any],
    watch: Watch,
    outside: Path,
    tmp_path: Path,
) -> None:
    hostile, run, work = HOSTILE[name], tmp_path / "run", tmp_path / "work"
    shutil.copytree(trained, run)
    work.mkdir()
    hostile.change(RunFolder(run, outside))
    before = sorted(path.name for path in outside.rglob("*"))
    cache = Path(os.environ["NLP_GYM_CACHE"])
    for operation in (*ALL, TRAIN) if TRAIN in hostile.refused else ALL:
        started, most, error = time.process_time(), memory(), None
        with watch.watching(work, cache), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = operate(operation, run, work)
            except NLPGymError as caught:
                error = caught
        assert watch.found == []
        assert time.process_time() - started < SECONDS
        assert memory() - most < MEMORY
        if error is None:
            assert operation not in hostile.refused, operation
            assert result == results[operation]
        elif operation in hostile.refused:
            assert any(part in str(error) for part in hostile.message.split("|")), str(error)
            assert len(str(error)) < 1500
    assert sorted(path.name for path in outside.rglob("*")) == before


VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 3, 10**7, 10**18, 2**70, 0.5, -0.0, 1e-300, 1e308, "", "x", "1", "bc"),
    *("x" * 5000, "../../x", f"{EVIL}:Boom", "nlp_gym:NER-v0", "\u202e", "lin_1e3", "/dev/zero"),
    *([], {}, [1], ["a", "b"], {"task": f"{EVIL}:Boom"}, [[[[]]]], {"a": {"b": 1}}, [10**5] * 3),
]
NUMBERS = (float("nan"), float("inf"), -1.0, 1e30, 10.0**9, 0.0)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with every key or index in it."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


def change_tree(tree: Any, draw: Any) -> Any:
    """Replace, remove or add something anywhere in a tree."""
    found = list(places(tree))
    if not found:
        return draw(st.sampled_from(VALUES))
    inside, key = found[draw(st.integers(0, len(found) - 1))]
    kind = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if kind == "remove":
        del inside[key]
    elif isinstance(inside, dict):
        inside[key if kind == "replace" else f"{key}x"] = draw(st.sampled_from(VALUES))
    else:
        inside[key] = draw(st.sampled_from(VALUES))
    return tree


def change_bytes(data: bytes, draw: Any) -> bytes:
    """Cut, insert or replace some bytes."""
    start = draw(st.integers(0, len(data)))
    stop = draw(st.sampled_from([start, start + 1, start + 7, len(data)]))
    return data[:start] + draw(st.binary(max_size=8)) + data[stop:]


def change_tensors(tensors: dict[str, Any], draw: Any) -> None:
    """Change one tensor, its name or its format."""
    name = draw(st.sampled_from(sorted(tensors)))
    tensor, kind = tensors[name], draw(st.sampled_from(["value", "shape", "dtype", "name", "lack"]))
    if kind == "value" and tensor.numel():
        place, value = draw(st.integers(0, tensor.numel() - 1)), draw(st.sampled_from(NUMBERS))
        if not tensor.is_floating_point():
            value = 100.0 if tensor.dtype == torch.uint8 or not -9 < value < 9 else value
        tensor.view(-1)[place] = value
    elif kind == "shape":
        tensors[name] = tensor.reshape(-1)[:3].clone()
    elif kind == "dtype":
        tensors[name] = tensor.to(draw(st.sampled_from([torch.float64, torch.int32, torch.uint8])))
    elif kind == "name":
        tensors[f"{name}/0/x"] = tensors.pop(name)
    else:
        del tensors[name]


@st.composite
def mutated(draw: Any, run: RunFolder) -> None:
    """Change a file of a run in a random way, with its checksum or without."""
    files = sorted(
        path.relative_to(run.path)
        for path in run.path.rglob("*")
        if path.suffix in (".yml", ".json", ".jsonl", ".safetensors", ".txt")
    )
    file = run.path / draw(st.sampled_from(files))
    whole = draw(st.integers(0, 3)) > 0
    if whole and file.suffix == ".safetensors":
        tensors = load(file.read_bytes())
        if tensors:
            change_tensors(tensors, draw)
            file.write_bytes(save(tensors))
    elif whole and file.suffix == ".json":
        file.write_text(json.dumps(change_tree(json.loads(file.read_text()), draw)))
    elif whole and file.suffix == ".yml":
        file.write_text(yaml.safe_dump(change_tree(yaml.safe_load(file.read_text()), draw)))
    else:
        file.write_bytes(change_bytes(file.read_bytes(), draw))
    if file.name != "manifest.json" and draw(st.integers(0, 4)) > 0:
        run.seal()


@fuzz(25)
@given(data=st.data(), operation=st.sampled_from((*ALL, TRAIN)))
def test_changed_run_is_refused_or_used(
    trained: Path, watch: Watch, outside: Path, tmp_path: Path, data: Any, operation: str
) -> None:
    run, work = tmp_path / "run", tmp_path / "work"
    for folder in (run, work):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trained, run)
    work.mkdir()
    data.draw(mutated(RunFolder(run, outside)))
    started, most = time.process_time(), memory()
    before = sorted(path.name for path in outside.rglob("*"))
    with watch.watching(work, Path(os.environ["NLP_GYM_CACHE"])), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(NLPGymError):
            operate(operation, run, work)
    assert watch.found == []
    assert time.process_time() - started < 2 * SECONDS
    assert memory() - most < MEMORY
    assert sorted(path.name for path in outside.rglob("*")) == before
