"""Runs that are stopped, killed or without space anywhere go on as if nothing had happened."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from nlp_gym import make_task
from nlp_gym.errors import DivergenceError, InvalidArgumentError, RunError
from nlp_gym.metrics.base import Score
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.runs import metrics_log
from nlp_gym_agents.runs.checkpoints import checkpoint as checkpoints
from nlp_gym_agents.runs.folder import LOCK, claim_run, find_snapshot
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training import signals
from nlp_gym_agents.training import train as training
from nlp_gym_agents.training.callbacks import loop
from nlp_gym_agents.training.signals import TrainingInterrupted
from nlp_gym_agents.training.start import saved_start
from nlp_gym_agents.training.start.setup import Setup
from nlp_gym_agents.training.tracking import tensorboard
from nlp_gym_agents.training.train import resume, train

HIDDEN = {"features_extractor_kwargs": {"hidden": [8]}}
MEMORY = {**HIDDEN, "lstm_hidden_size": 8}
SMALL: dict[str, dict[str, Any]] = {
    "bc": {"batch_size": 48, "policy_kwargs": HIDDEN},
    "maskable_ppo": {"n_steps": 8, "batch_size": 31, "n_epochs": 1, "policy_kwargs": HIDDEN},
    "masked_dqn": {
        "buffer_size": 128,
        "learning_starts": 32,
        "batch_size": 16,
        "policy_kwargs": HIDDEN,
    },
    "ppo": {"n_steps": 8, "batch_size": 31, "n_epochs": 1, "policy_kwargs": HIDDEN},
    "recurrent_ppo": {"n_steps": 8, "batch_size": 31, "n_epochs": 1, "policy_kwargs": MEMORY},
}
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:You have specified a mini-batch size"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP"),
]


def small(algo: str, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "algo": algo,
        "n_timesteps": 128,
        "n_envs": 4,
        "hyperparams": SMALL[algo],
        "env_kwargs": {"corpus": "sample", "encoder": "hashed", "window": 0},
        "eval_freq": 64,
        "save_freq": 64,
        **changes,
    }
    return TrainConfig(**values)


def outcome(run: Path) -> dict[str, Any]:
    """Everything that a run came to, without times."""
    last = newest(run / "checkpoints")[0]
    found: dict[str, Any] = {
        "metrics": [(r["timesteps"], r["value"], r["train_reward"]) for r in read_metrics(run)],
        "steps": last.name,
    }
    for path in (*last.glob("*.safetensors"), *(run / "best").glob("*.safetensors")):
        tensors = load_file(path)
        found |= {f"{path.parent.name}/{path.name}/{k}": v.numpy() for k, v in tensors.items()}
    return found


def assert_same(run: Path, other: Path) -> None:
    one, two = outcome(run), outcome(other)
    assert one["metrics"] == two["metrics"]
    assert one.keys() == two.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key], err_msg=key)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrainConfig], Path]:
    """Runs that were left alone, each trained once."""
    base, known = tmp_path_factory.mktemp("whole"), {}

    def trained(config: TrainConfig) -> Path:
        key = repr(config)
        if key not in known:
            known[key] = train(config, run_dir=base / str(len(known)), progress=False)
        return known[key]

    return trained


Whole = Callable[[TrainConfig], Path]


class Stopper:
    """Lets a function do something before its n-th call."""

    def __init__(self, function: Any, number: int, act: Callable[[], object]) -> None:
        self.function, self.number, self.act, self.calls = function, number, act, 0

    def __get__(self, owner: Any, kind: Any) -> Any:
        return lambda *args, **kwargs: self(owner, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls == self.number:
            self.act()
        return self.function(*args, **kwargs)


def send(name: str) -> Callable[[], object]:
    return lambda: signal.raise_signal(getattr(signal, name))


@pytest.mark.parametrize(
    ("algo", "step"), [("maskable_ppo", 24), ("masked_dqn", 13), ("recurrent_ppo", 13)]
)
def test_stops_inside_a_rollout_are_exact(
    algo: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "GRACE", 0.0)
        patch.setattr(loop, "SHORT", 0.0)
        patch.setattr(SB3VecEnv, "step", Stopper(SB3VecEnv.step, step, send("SIGTERM")))
        with pytest.raises(TrainingInterrupted):
            train(small(algo), run_dir=tmp_path / "run", progress=False)
    last = newest(tmp_path / "run" / "checkpoints")[0]
    # 4 environments, 8 steps a rollout; a replay buffer's rollout is one step.
    assert int(last.name) == (4 * step if algo == "masked_dqn" else (step - 1) // 8 * 32)
    resume(tmp_path / "run", progress=False)
    assert_same(tmp_path / "run", whole(small(algo)))


def test_stops_of_cloning_before_an_evaluation_that_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    start = loop.TrainingLoop._on_rollout_start
    with monkeypatch.context() as patch:
        stopper = Stopper(start, 1, send("SIGTERM"))
        patch.setattr(loop.TrainingLoop, "_on_rollout_start", stopper)
        with pytest.raises(TrainingInterrupted):
            train(small("bc"), run_dir=tmp_path / "run", progress=False)
    resume(tmp_path / "run", progress=False)
    assert_same(tmp_path / "run", whole(small("bc")))


def test_stops_a_checkpoint_holds_a_recurrent_policys_memory(tmp_path: Path, whole: Whole) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole(small("recurrent_ppo")), run)
    shutil.rmtree(run / "checkpoints" / "128")
    memory = load_file(run / "checkpoints" / "64" / "memory.safetensors")
    assert {key: tuple(value.shape) for key, value in memory.items()} == dict.fromkeys(
        ("pi/0", "pi/1", "vf/0", "vf/1"), (1, 4, 8)
    )
    assert all(value.abs().sum() > 0 for value in memory.values())
    resume(run, progress=False)
    assert_same(run, whole(small("recurrent_ppo")))


class Killed(BaseException):
    """In place of SIGKILL: nothing is done about it."""


def kill() -> None:
    raise Killed


def test_stops_before_the_first_evaluation_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Setup, "score", Stopper(Setup.score, 1, kill))
        with pytest.raises(Killed):
            train(small("ppo"), run_dir=run, progress=False)
    assert newest(run / "checkpoints")[0].name == "0"
    with monkeypatch.context() as patch:  # after it, and before the next checkpoint
        patch.setattr(Setup, "score", Stopper(Setup.score, 2, kill))
        with pytest.raises(Killed):
            resume(run, progress=False)
    assert [row["timesteps"] for row in read_metrics(run)] == [0]
    resume(run, progress=False)
    assert_same(run, whole(small("ppo")))


@pytest.mark.parametrize("how", [send("SIGTERM"), kill])
def test_stops_before_the_model_is_built_start_over(
    how: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "set_up", Stopper(training.set_up, 1, how))
        with pytest.raises((TrainingInterrupted, Killed)):
            train(small("ppo"), run_dir=run, progress=False)
    with pytest.raises(RunError, match="--resume"):
        claim_run(run)
    with pytest.raises(RunError, match=r"no complete checkpoint.*--resume"):
        find_snapshot(run, "last")
    resume(run, progress=False)
    assert_same(run, whole(small("ppo")))
    assert json.loads((run / "versions.json").read_text())["corpora"]
    shutil.rmtree(run / "checkpoints")  # it was trained: nothing is overwritten
    with pytest.raises(RunError, match="no complete checkpoint"):
        resume(run, progress=False)


def test_stops_of_a_killed_process_leave_a_folder_free(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    leftover = tmp_path / ".config.yml.12-ab.part"
    leftover.write_text("half")
    run = train(small("bc", n_timesteps=48), run_dir=tmp_path, progress=False)
    assert read_metrics(run)
    leftover.write_text("half")
    resume(run, progress=False)
    assert not leftover.exists()


def test_stops_settings_that_do_not_work_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgumentError, match="neither 'bc'"):
        train(small("ppo", warm_start="nowhere"), progress=False)
    with pytest.raises(InvalidArgumentError, match="cannot be warm started"):
        train(small("recurrent_ppo", warm_start="bc"), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("algo", "how"), [("ppo", kill), ("masked_dqn", send("SIGHUP"))])
def test_stops_during_a_warm_start(
    algo: str,
    how: Callable[[], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: Whole,
) -> None:
    config = small(algo, warm_start="bc:3", env="POS-EWT-v0")
    run = tmp_path / "run"
    monkeypatch.setattr(saved_start, "SAVE_EVERY", 0.0)
    update = saved_start.SavedStart.update
    with monkeypatch.context() as patch:
        patch.setattr(saved_start.SavedStart, "update", Stopper(update, 4, how))
        with pytest.raises((TrainingInterrupted, Killed)):
            train(config, run_dir=run, progress=False)
    state = json.loads((run / "checkpoints" / "0" / "state.json").read_text())
    assert state["extra"]["start_updates"] == (3 if how is kill else 4)
    resume(run, progress=False)
    assert_same(run, whole(config))


def test_stops_by_any_signal_have_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", "--env", "POS-EWT-v0", "--algo", "bc", "--encoder", "hashed"]
    arguments += ["--env-kwargs", "corpus:sample", "-n", "500"]
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        run = tmp_path / name
        with monkeypatch.context() as patch:
            patch.setattr(Setup, "score", Stopper(Setup.score, 1, send(name)))
            result = CliRunner().invoke(app, [*arguments, "--run-dir", str(run)])
        assert result.exit_code == 128 + getattr(signal, name)
        assert f"nlp-gym train --resume {run}" in result.stderr
        assert newest(run / "checkpoints")


def test_stops_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with signals.stop_requests(tmp_path) as request:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) == request.handle
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class Gone:
    """Standard error of a terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def flush(self) -> None:
        self.write("")

    def isatty(self) -> bool:
        return True


def test_stops_without_a_terminal_save_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Setup, "score", Stopper(Setup.score, 2, send("SIGHUP")))
    monkeypatch.setattr(sys, "stderr", Gone())
    with pytest.raises(TrainingInterrupted):
        train(small("ppo"), run_dir=tmp_path / "run")
    # It came while 64 was scored; the next boundary is the end of the next rollout.
    assert newest(tmp_path / "run" / "checkpoints")[0].name == "96"


def full(path: Any, *args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def scalars(folder: Path) -> dict[str, list[int]]:
    """Steps of the figures in TensorBoard files, by name."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [e.step for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_logs_tensorboard_on_a_full_disk_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(tensorboard, "append_whole", full)
        with pytest.warns(UserWarning, match="No space left.*Training goes on") as caught:
            train(small("ppo"), run_dir=run, progress=False)
    assert len([w for w in caught if "TensorBoard" in str(w.message)]) == 1
    assert_same(run, whole(small("ppo")))
    assert scalars(run / "tensorboard") == {}
    figures = scalars(whole(small("ppo")) / "tensorboard")
    assert figures["dev/entity_f1"] == [0, 64, 128]
    assert figures["train/loss"][-1] > 64


def test_logs_tensorboard_goes_on_when_there_is_space(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="TensorBoard.*Not a directory"):
        log = tensorboard.TensorBoardLog(str(tmp_path / "file" / "tb"))
    log.write({"a": 1.0}, {"a": ()}, 1)
    log.write({"a": 1.0}, {"a": ()}, 2)  # one warning is enough
    (tmp_path / "file").unlink()
    log.write({"a": 1.0}, {"a": ()}, 3)
    log.close()
    assert scalars(tmp_path / "file" / "tb") == {"a": [3]}


def test_logs_figures_that_are_no_numbers_do_not_end_a_run(tmp_path: Path) -> None:
    log = tensorboard.TensorBoardLog(str(tmp_path))
    with pytest.warns(UserWarning, match="TensorBoard"):
        log.write({"a": np.array(["x", None])}, {"a": ()}, 1)
    log.write({"b": 2.0}, {"b": ()}, 1)
    assert scalars(tmp_path) == {"b": [1]}


def test_logs_evaluations_that_do_not_fit_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(metrics_log, "append_whole", full)
        patch.setattr(Setup, "score", Stopper(Setup.score, 2, send("SIGTERM")))
        with (
            pytest.warns(UserWarning, match=r"metrics\.jsonl.*No space left.*written there later"),
            pytest.raises(TrainingInterrupted),
        ):
            train(small("ppo"), run_dir=run, progress=False)
    assert read_metrics(run) == []
    resume(run, progress=False)
    assert_same(run, whole(small("ppo")))


def test_logs_a_part_of_a_line_is_taken_back(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    metrics_log.append_metrics(tmp_path, {"timesteps": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))
    try:
        with pytest.raises(RunError, match=r"metrics\.jsonl: File too large"):
            metrics_log.append_metrics(tmp_path, {"timesteps": 2, "metric": "entity_f1"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "metrics.jsonl").read_text() == '{"timesteps": 1}\n'


def test_full_disk_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    run = tmp_path / "a run"
    for name, number in (("first", 1), ("later", 9)):
        with monkeypatch.context() as patch:
            # Of a checkpoint: weights, optimizer, generators, episodes; of best/: weights.
            stopper = Stopper(checkpoints.save_tensors, number, lambda: full("file"))
            patch.setattr(checkpoints, "save_tensors", stopper)
            with pytest.raises(RunError) as caught:
                resume(run, progress=False) if name == "later" else train(
                    small("ppo"), run_dir=run, progress=False
                )
        assert "No space left" in str(caught.value)
        assert f"continue with: nlp-gym train --resume '{run}'" in str(caught.value)
    resume(run, progress=False)
    assert_same(run, whole(small("ppo")))


@pytest.mark.parametrize("algo", ["masked_dqn", "recurrent_ppo"])
def test_divergence_is_an_error_that_keeps_the_last_good_state(algo: str, tmp_path: Path) -> None:
    config = small(algo, hyperparams={**SMALL[algo], "learning_rate": 1e30})
    with pytest.raises(DivergenceError, match=r"checkpoints.*smaller learning_rate \(it is 1e\+30"):
        train(config, run_dir=tmp_path / "run", progress=False)
    last = newest(tmp_path / "run" / "checkpoints")[0]
    weights = load_file(last / "policy.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_divergence_is_noticed_before_it_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(self: Setup) -> Score:
        with torch.no_grad():
            next(iter(self.model.policy.parameters())).fill_(float("nan"))
        return Score("entity_f1", 0.5, None, 1, "")

    monkeypatch.setattr(Setup, "score", score)
    with pytest.raises(DivergenceError, match="of 12 weights"):
        train(small("masked_dqn"), run_dir=tmp_path / "run", progress=False)
    assert newest(tmp_path / "run" / "checkpoints")[0].name == "0"
    assert [row["timesteps"] for row in read_metrics(tmp_path / "run")] == [0]


ONE = ["ppo", "maskable_ppo", "recurrent_ppo", "a2c", "sb3_contrib:TRPO"]


@pytest.mark.parametrize("algo", ONE)
def test_advantages_of_one_transition_are_not_normalised(algo: str) -> None:
    task = make_task("POS-EWT-v0", "train", corpus="sample", encoder="hashed")
    changes: dict[str, Any] = {"n_steps": 17, "policy_kwargs": HIDDEN}
    if algo == "a2c":
        changes |= {"normalize_advantage": True, "n_steps": 1}
    else:
        changes |= {"batch_size": 8}
    params = load_hyperparams(algo, "POS-EWT-v0", changes)
    for key in ("n_timesteps", "n_envs", "env_kwargs"):
        params.pop(key, None)
    model: Any = build_model(resolve(algo), task, params, n_envs=1, device="cpu")
    assert isinstance(model, OnPolicyAlgorithm)
    seen = []
    minibatches = model.rollout_buffer.get

    def look(batch_size: int | None = None) -> Any:
        for batch in minibatches(batch_size):
            yield batch
            seen.append((len(batch.advantages), model.normalize_advantage))

    model.rollout_buffer.get = look
    model.learn(changes["n_steps"])
    assert (1, False) in seen
    assert all(normalised is (size > 1) for size, normalised in seen)
    assert model.normalize_advantage is True
    assert all(torch.isfinite(p).all() for p in model.policy.parameters())
