"""`training.tracking` and `training.dev_samples`: what is shown of a run never changes the run."""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, RunError
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.runs.folder import TRACKING, resume_command
from nlp_gym_agents.runs.places import check_links
from nlp_gym_agents.training.tracking import tracker as tracking
from nlp_gym_agents.training.tracking.tracker import Tracker, Tracking
from nlp_gym_agents.training.train import resume, train

wandb = pytest.importorskip("wandb")

ROWS = [
    ["<script>alert(1)</script>", "\u202eworks", "in", "\x1b[31mRome"],
    ["Ann", "Lee", "lives", "there"],
]


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is logged in, and no file of this machine says otherwise."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb_config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb_cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb_data"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    torch.set_num_threads(1)


def config(tmp_path: Path, n_timesteps: int = 128, **changes: Any) -> TrainConfig:
    lines = [f"{word}\t{'B-PER' if i == 0 else 'O'}" for row in ROWS for i, word in enumerate(row)]
    sentences = ["\n".join(lines[:4]), "\n".join(lines[4:])]
    file = tmp_path / "mine.conll"
    file.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    given: dict[str, Any] = {
        "env": "NER-v0",
        "algo": "ppo",
        "n_timesteps": n_timesteps,
        "n_envs": 4,
        "eval_freq": 32,
        "hyperparams": {"n_steps": 8, "batch_size": 32},
        "env_kwargs": {
            "encoder": "hashed",
            "window": 0,
            "data": dict.fromkeys(("train", "dev", "test"), str(file)),
        },
    }
    return TrainConfig(**{**given, **changes})


def logged_texts(run: Path) -> dict[int, str]:
    """Samples of dev in the TensorBoard files, by timesteps."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("dev/samples")]
    return {
        event.step: event.tensor_proto.string_val[0].decode()
        for tag in tags
        for event in events.Tensors(tag)
    }


@pytest.mark.slow
def test_tracking_offline_logs_evaluations_and_samples_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(tmp_path), run_dir=run, progress=False, track=Tracking("p"), samples_every=2)
    wandb.teardown()  # as a process does at its end: what is left is written
    record = json.loads((run / TRACKING).read_text())
    assert record == {**record, "project": "p", "entity": None, "tags": []}
    (folder,) = (run / "wandb").glob("offline-run-*")
    assert folder.name.endswith(record["id"])
    data = (folder / f"run-{record['id']}.wandb").read_bytes()
    for name in (b"dev/entity_f1", b"train/steps_per_second", b"dev/samples", b"dev/traces"):
        assert name in data
    pages = sorted((folder / "files").rglob("*.html"))
    assert len(pages) == 2  # of the second and the fourth evaluation
    page = pages[0].read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    for text in (page, *logged_texts(run).values()):
        assert "<script>alert" not in page
        assert not any(sign in text for sign in "\x1b\u202e")
    (first, *_) = sorted((folder / "files").rglob("*.table.json"))
    table = json.loads(first.read_text())
    assert table["columns"] == ["text", "output", "score", "decisions"]
    assert "\x1b" not in first.read_text()
    assert "--track" in resume_command(run)
    time.sleep(1.1)  # W&B names the folder of a process by the second
    resume(run, n_timesteps=160, progress=False, track=Tracking("another"))
    assert json.loads((run / TRACKING).read_text()) == record
    assert len(list((run / "wandb").glob(f"offline-run-*-{record['id']}"))) == 2


def test_tracking_samples_change_nothing(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("with", "without")]
    for run, every in zip(runs, (1, 0), strict=True):
        train(config(tmp_path), run_dir=run, progress=False, samples_every=every)
    first, second = (run / "checkpoints" / "128" / "policy.safetensors" for run in runs)
    assert first.read_bytes() == second.read_bytes()
    texts = logged_texts(runs[0])
    assert sorted(texts) == [0, 32, 64, 96, 128]
    assert all(line.startswith("    ") for text in texts.values() for line in text.split("\n"))
    assert logged_texts(runs[1]) == {}


def test_tracking_that_fails_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError("the server\x1b[31m is gone")

    monkeypatch.setattr(Tracker, "_started", lambda self: Broken())
    with pytest.warns(UserWarning, match="Weights & Biases failed") as found:
        train(config(tmp_path), run_dir=tmp_path / "run", progress=False, track=Tracking())
    assert len(found) == 1
    assert "\x1b" not in str(found[0].message)
    assert (tmp_path / "run" / "best").is_dir()


@pytest.mark.slow
def test_tracking_goes_offline_where_the_server_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_has_key", lambda wandb: True)
    modes: list[Any] = []
    init = wandb.init

    def first_fails(**options: Any) -> Any:
        modes.append(options["mode"])
        if options["mode"] != "offline":
            raise wandb.errors.CommError("no route")
        return init(**options)

    monkeypatch.setattr(wandb, "init", first_fails)
    notes: list[str] = []
    tracker = Tracker(tmp_path, Tracking(), {}, notes.append)
    tracker.end(failed=False)
    assert modes == [None, "offline"]
    assert "no route" in notes[0]
    assert "wandb sync" in notes[1]


def test_tracking_wants_its_library_and_names_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidArgumentError, match="characters"):
        Tracking(project="")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"nlp-gymnasium\[track\]"):
        train(config(tmp_path), run_dir=tmp_path / "run", progress=False, track=Tracking())
    assert not (tmp_path / "run").exists()
    # A folder of that name on the path is a namespace to Python, and not the library.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    with pytest.raises(MissingDependencyError):
        tracking.check_tracking(Tracking())
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingDependencyError):
        tracking.check_tracking(Tracking())


def test_tracking_writes_through_no_link(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    old = run / "wandb" / "offline-run-1"
    for folder in (old, elsewhere):
        folder.mkdir(parents=True)
    (old / "debug-core.log").symlink_to(elsewhere)  # as the library leaves it
    check_links(run)
    (run / "wandb" / "latest-run").symlink_to(elsewhere)
    with pytest.raises(RunError, match="latest-run is a symbolic link"):
        check_links(run)


def test_tracking_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *given: pytest.fail("asked"))
    monkeypatch.setattr("getpass.getpass", lambda *given: pytest.fail("asked"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert tracking._has_key(wandb) is False
