"""Training: run folder, resume, interruption, early stopping. Hashed encoder, bundled sample."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from nlp_gym.encode import load_encoder
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.errors import InvalidArgumentError, RunError, UnknownNameError
from nlp_gym.metrics.base import Score
from nlp_gym_agents.config.train_config import TrainConfig, config_from_file, merge
from nlp_gym_agents.evaluation import test_report as reports
from nlp_gym_agents.runs import folder as runs
from nlp_gym_agents.runs import metrics_log as history
from nlp_gym_agents.runs.checkpoints import checkpoint as checkpoints
from nlp_gym_agents.runs.folder import LOCK, claim_run, locked, read_config
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.signals import TrainingInterrupted
from nlp_gym_agents.training.start.setup import Setup, with_dtype, with_saved_dtype
from nlp_gym_agents.training.train import resume, train

ROOT = Path(__file__).resolve().parent.parent
TINY = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}}}
SMALL: dict[str, dict[str, Any]] = {
    # Of these it alone explores with the generator of the action space.
    "dqn": {"buffer_size": 512, "learning_starts": 32, "batch_size": 16, **TINY},
    "masked_dqn": {"buffer_size": 512, "learning_starts": 32, "batch_size": 16, **TINY},
    "ppo": {"n_steps": 8, "batch_size": 32, "n_epochs": 1, **TINY},
    "bc": {"batch_size": 64, **TINY},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny networks on a busy machine: threads only wait for each other."""
    torch.set_num_threads(1)


def small(algo: str = "masked_dqn", **changes: Any) -> TrainConfig:
    """A config that trains in about a second."""
    values: dict[str, Any] = {
        "algo": algo,
        "n_timesteps": 256,
        "n_envs": 4,
        "hyperparams": SMALL.get(algo, {}),
        "env_kwargs": {"corpus": "sample", "encoder": "hashed", "window": 0},
        "eval_freq": 64,
        "save_freq": 64,
        **changes,
    }
    return TrainConfig(**values)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The newest checkpoint's policy."""
    return load_file(newest(run / "checkpoints")[0] / "policy.safetensors")


def test_train_run_folder_holds_what_reproduces_it(tmp_path: Path) -> None:
    run = train(small(), run_dir=tmp_path / "run", progress=False, command=["nlp-gym", "train"])
    assert run == tmp_path / "run"
    names = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert names == {
        "config.yml",
        "command.txt",
        "versions.json",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
        "best",
    }
    assert any((run / "tensorboard").iterdir())
    steps = sorted(int(path.name) for path in (run / "checkpoints").iterdir())
    assert steps == [192, 256]
    rows = read_metrics(run)
    assert [row["timesteps"] for row in rows] == [0, 64, 128, 192, 256]
    assert {"seconds", "metric", "value", "train_reward", "steps_per_second"} <= set(rows[0])
    chosen = json.loads((run / "best" / "settings.json").read_text())
    best = max(rows, key=lambda row: row["value"])
    assert (chosen["timesteps"], chosen["value"]) == (best["timesteps"], best["value"])
    versions = json.loads((run / "versions.json").read_text())
    assert len(versions["corpora"]["train"]["text_sha256"]) == 64
    # config.yml alone repeats the run, bit for bit
    again = train(config_from_file(run / "config.yml"), run_dir=tmp_path / "again", progress=False)
    assert [row["value"] for row in read_metrics(again)] == [row["value"] for row in rows]
    one, two = weights(run), weights(again)
    assert all(torch.equal(one[key], two[key]) for key in one)
    suffixes = {path.suffix for path in run.rglob("*") if path.is_file()}
    assert not suffixes & {".zip", ".pkl", ".pt", ".pth", ".npy"}


@pytest.mark.parametrize("algo", sorted(SMALL))
def test_train_resume_continues_exactly(tmp_path: Path, algo: str) -> None:
    whole = train(small(algo), run_dir=tmp_path / "whole", progress=False)
    config = small(algo)
    half = tmp_path / "half"

    def stop(self: Setup, scores: list[Score] = []) -> Score:  # noqa: B006 - kept between calls
        scores.append(score(self))
        if len(scores) == 3:
            signal.raise_signal(signal.SIGINT)
        return scores[-1]

    score = Setup.score
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Setup, "score", stop)
        with pytest.raises(TrainingInterrupted) as caught:
            train(config, run_dir=half, progress=False)
    assert (caught.value.run, caught.value.signal_number) == (half, signal.SIGINT)
    stopped = int(newest(half / "checkpoints")[0].name)
    assert 128 <= stopped < 256
    resume(half, progress=False)
    values = [[(r["timesteps"], r["value"]) for r in read_metrics(run)] for run in (whole, half)]
    assert values[0] == values[1]
    one, two = weights(whole), weights(half)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_train_killed_run_resumes_from_its_last_complete_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "train.py", "--run-dir", str(run), "--algo", "masked_dqn"]
    command += ["-n", "10000000", "--n-envs", "4", "--eval-freq", "1000000", "--save-freq", "64"]
    command += ["--encoder", "hashed", "--env-kwargs", "corpus:sample", "window:0"]
    command += ["--hyperparams", "buffer_size:512", "learning_starts:32", "batch_size:16"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:  # the limit of the test ends what hangs
            if any(p.name.isdigit() and int(p.name) >= 192 for p in run.glob("checkpoints/*")):
                break
            time.sleep(0.05)
        process.kill()
        _, errors = process.communicate()
    killed = 1 if sys.platform == "win32" else -signal.SIGKILL
    assert process.returncode == killed, errors.decode()
    kept = newest(run / "checkpoints")[0]
    damaged = kept / "buffer.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    older = newest(run / "checkpoints")[0]
    assert int(older.name) < int(kept.name)
    total = int(older.name) + 64
    with pytest.warns(UserWarning, match=f"skipped checkpoint {kept.name}"):
        resume(run, n_timesteps=total, progress=False)
    rows = read_metrics(run)
    assert [row["timesteps"] for row in rows] == [0, total]
    assert newest(run / "checkpoints")[0].name == str(total) or int(kept.name) >= total


def test_train_second_signal_aborts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(self: Setup) -> Score:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Setup, "score", twice)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(small(), run_dir=tmp_path / "run", progress=False)
    assert not isinstance(caught.value, TrainingInterrupted)
    assert signal.getsignal(signal.SIGTERM) is before


def constant_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Make the dev metric follow a script; its last value goes on."""

    def score(self: Setup) -> Score:
        value = values.pop(0) if len(values) > 1 else values[0]
        return Score("entity_f1", value, None, 1, "")

    monkeypatch.setattr(Setup, "score", score)


def test_train_early_stopping_counts_across_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_scores(monkeypatch, [0.1, 0.5, 0.2])
    config = small(n_timesteps=128, early_stopping=3)
    run = train(config, run_dir=tmp_path / "run", progress=False)
    assert [row["value"] for row in read_metrics(run)] == [0.1, 0.5, 0.2]
    resume(run, n_timesteps=10_000, progress=False)
    assert [row["timesteps"] for row in read_metrics(run)] == [0, 64, 128, 192, 256]
    assert json.loads((run / "best" / "settings.json").read_text())["timesteps"] == 64
    resume(run, n_timesteps=10_000, progress=False)  # it had its chance
    assert len(read_metrics(run)) == 5


def test_train_full_disk_is_a_run_error_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(small(n_timesteps=64), run_dir=tmp_path / "run", progress=False)
    before = newest(run / "checkpoints")[0]

    def full(path: Path, tensors: Any) -> dict[str, str]:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_tensors", full)
        with pytest.raises(RunError, match="No space left"):
            resume(run, n_timesteps=256, progress=False)
    assert newest(run / "checkpoints")[0] == before
    resume(run, n_timesteps=128, progress=False)


def test_train_resume_executes_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(small(n_timesteps=64), run_dir=tmp_path / "run", progress=False)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("pickle was used")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    resume(run, n_timesteps=128, progress=False)


def test_train_resume_refuses_a_changed_corpus(tmp_path: Path) -> None:
    lines = "\n\n".join(f"Ann{i} B-PER\nsings O" for i in range(30))
    data = tmp_path / "data.conll"
    data.write_text(lines)
    kwargs = {"encoder": "hashed", "window": 0}
    config = small(env="NER-v0", n_timesteps=16, env_kwargs=kwargs, data=str(data))
    run = train(config, run_dir=tmp_path / "run", progress=False)
    data.write_text(lines.replace("sings", "sang"))
    with pytest.raises(RunError, match="corpora"):
        resume(run, n_timesteps=32, progress=False)


@pytest.mark.parametrize("start", ["bc:2", "run"])
def test_train_warm_start_helps_from_the_first_evaluation(tmp_path: Path, start: str) -> None:
    shared: dict[str, Any] = {"env": "POS-EWT-v0", "n_timesteps": 32}
    if start == "run":
        rate = {**SMALL["bc"], "learning_rate": 0.01}
        teacher = small("bc", env="POS-EWT-v0", hyperparams=rate, n_timesteps=4000, eval_freq=4000)
        start = str(train(teacher, run_dir=tmp_path / "bc", progress=False))
    cold = train(small("ppo", **shared), run_dir=tmp_path / "cold", progress=False)
    warmed = small("ppo", warm_start=start, **shared)
    warm = train(warmed, run_dir=tmp_path / "warm", progress=False)
    assert read_metrics(warm)[0]["value"] > read_metrics(cold)[0]["value"] + 0.05
    resume(warm, n_timesteps=64, progress=False)


def test_train_merge_precedence_and_idempotence() -> None:
    config = merge(
        small(
            n_timesteps=None,
            n_envs=None,
            eval_freq=None,
            save_freq=None,
            encoder="hashed",
            env_kwargs={"encoder": "minilm", "window": 2},
            hyperparams={"n_envs": 3, "n_timesteps": 40, "gamma": 0.5},
        )
    )
    assert (config.n_envs, config.n_timesteps, config.eval_freq, config.save_freq) == (3, 40, 2, 2)
    assert config.env_kwargs == {"encoder": "hashed", "window": 2}
    assert config.hyperparams["gamma"] == 0.5
    assert config.hyperparams["batch_size"] > 1  # from hyperparams/masked_dqn.yml
    assert merge(config) == config
    assert merge(small(n_envs=2, hyperparams={"n_envs": 3})).n_envs == 2
    plain = config.as_dict()
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"env": "NER-Conll-v0"}, UnknownNameError, "Did you mean 'NER-CoNLL-v0'"),
        ({"algo": "masked_dqm"}, UnknownNameError, "Did you mean 'masked_dqn'"),
        ({"freeze_layers": 1}, InvalidArgumentError, "needs an encoder that learns"),
        ({"encoder_mode": "frosen"}, UnknownNameError, "Did you mean 'frozen'"),
        ({"encoder_lr": 1e-4}, InvalidArgumentError, "needs an encoder that learns"),
        ({"hyperparams": {"gama": 1}}, UnknownNameError, "Did you mean 'gamma'"),
        ({"n_timesteps": 0}, InvalidArgumentError, "n_timesteps=0"),
        ({"seed": -1}, InvalidArgumentError, "seed=-1"),
        ({"device": "gpu"}, UnknownNameError, "device='gpu'"),
        ({"device": "cuda:x"}, UnknownNameError, "device='cuda:x'"),
        ({"device": "cpu:x"}, UnknownNameError, "device='cpu:x'"),
        ({"device": "cuda:99"}, InvalidArgumentError, "device='cuda:99' is not on this machine"),
        ({"device": None}, InvalidArgumentError, "device=None is NoneType, but text"),
        ({"algo": 3}, InvalidArgumentError, "algo=3 is int, but text"),
        ({"env": ["NER-v0"]}, InvalidArgumentError, "env=.* is list, but text"),
        ({"data": 3}, InvalidArgumentError, "data=3 is int, but text or null"),
        ({"hyperparams": "x"}, InvalidArgumentError, "hyperparams='x' is str, but a mapping"),
        ({"env_kwargs": None}, InvalidArgumentError, "env_kwargs=None .* but a mapping"),
        ({"env_kwargs": {"split": "dev"}}, InvalidArgumentError, "evaluate --split"),
        ({"env_kwargs": {"num_envs": 2}}, InvalidArgumentError, "use --n-envs"),
        ({"env_kwargs": {"render_mode": "ansi"}}, InvalidArgumentError, "gymnasium.make"),
        (
            {"hyperparams": {"env_kwargs": {"num_envs": 2}}},
            InvalidArgumentError,
            "use --n-envs",
        ),
        (
            {"env_kwargs": {"reward": "sprase", "encoder": "hashed"}},
            UnknownNameError,
            "Did you mean 'sparse'",
        ),
        (
            {"env_kwargs": {"encoder": "hashd", "corpus": "sample"}},
            UnknownNameError,
            "Did you mean 'hashed'",
        ),
        ({"env_kwargs": {"windw": 1, "encoder": "hashed"}}, UnknownNameError, "window"),
        (
            {"env_kwargs": {"corpus": "sample", "encoder": "hashed", "obs_type": "tokens"}},
            InvalidArgumentError,
            "obs_type='tokens'",
        ),
        ({"warm_start": "bc:x"}, InvalidArgumentError, "EPOCHS"),
        ({"warm_start": "nowhere"}, InvalidArgumentError, "neither 'bc'"),
    ],
)
def test_train_errors_name_the_fix(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(small(**changes), run_dir=tmp_path / "run", progress=False)
    assert {path.name for path in tmp_path.glob("run/*")} <= {LOCK}
    claim_run(tmp_path / "run")  # still free


def files(run: Path) -> dict[Path, bytes]:
    """Everything in a run folder but the lock."""
    return {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != LOCK}


HOLD = (
    "import sys\nfrom pathlib import Path\nfrom nlp_gym_agents.runs.folder import locked\n"
    "with locked(Path(sys.argv[1])):\n    print('in', flush=True)\n    sys.stdin.read()\n"
)


@pytest.mark.slow
def test_train_in_a_folder_that_is_held_changes_nothing(tmp_path: Path) -> None:
    run = train(small(n_timesteps=128), run_dir=tmp_path / "run", progress=False)
    (tmp_path / "new").mkdir()
    with (run / "metrics.jsonl").open("a") as file:  # what a live run is ahead of its checkpoint
        file.write('{"timesteps": 999}\n')
    before = files(run)
    starts: dict[Path, Callable[[Path], Path]] = {
        run: lambda place: resume(place, n_timesteps=256, progress=False),
        tmp_path / "new": lambda place: train(small(), run_dir=place, progress=False),
    }
    for place, start in starts.items():
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(place)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
            with pytest.raises(RunError, match="Another process is training"):
                start(place)
            process.communicate("")
    assert files(run) == before
    assert not files(tmp_path / "new")


def test_train_resume_keeps_the_new_total(tmp_path: Path) -> None:
    run = train(small(n_timesteps=64), run_dir=tmp_path / "run", progress=False, command=["one"])
    before = read_config(run)
    resume(run, progress=False, command=["plain"])
    assert (run / "command.txt").read_text() == "one\n"
    resume(run, n_timesteps=128, progress=False, command=["two", "a b"])
    assert read_config(run) == {**before, "n_timesteps": 128}
    assert (run / "command.txt").read_text() == "one\ntwo 'a b'\n"
    resume(run, progress=False)
    assert read_metrics(run)[-1]["timesteps"] == 128


def test_train_settings_hold_the_number_format() -> None:
    encoder = object.__new__(TransformerEncoder)
    encoder.dtype = "bfloat16"
    kwargs = {"encoder": "minilm", "encoder_kwargs": {"layers": "last"}}
    wanted = {"layers": "last", "dtype": "bfloat16"}
    assert with_dtype(kwargs, encoder) == {**kwargs, "encoder_kwargs": wanted}
    assert with_dtype({}, encoder) == {"encoder_kwargs": {"dtype": "bfloat16"}}
    assert with_dtype({"encoder": encoder}, encoder) == {"encoder": encoder}
    hashed = load_encoder("hashed")
    assert with_dtype({"encoder": "hashed"}, hashed) == {"encoder": "hashed"}
    config = small(env_kwargs=kwargs)
    again = with_saved_dtype(config, {"env_kwargs": {"encoder_kwargs": wanted}})
    assert again.env_kwargs == {**kwargs, "encoder_kwargs": wanted}
    assert with_saved_dtype(config, {"env_kwargs": kwargs}) == config
    assert with_saved_dtype(config, {"env_kwargs": {}}) == config


def test_train_merge_makes_places_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "teacher", "minilm"):
        (tmp_path / name).mkdir()
    config = merge(small(encoder="mine", warm_start="teacher", tensorboard_log="tb"))
    assert config.encoder == config.env_kwargs["encoder"] == str(tmp_path / "mine")
    assert config.warm_start == str(tmp_path / "teacher")
    assert config.tensorboard_log == str(tmp_path / "tb")
    assert merge(config) == config
    kwargs = {"data": {"train": "a.conll"}, "data_dir": "corpora", "encoder": "mine"}
    config = merge(small(env_kwargs=kwargs, warm_start="bc:2"))
    assert config.env_kwargs["data"] == {"train": str(tmp_path / "a.conll")}
    assert config.env_kwargs["data_dir"] == str(tmp_path / "corpora")
    assert config.env_kwargs["encoder"] == str(tmp_path / "mine")
    assert config.warm_start == "bc:2"
    for name in ("minilm", "some/model"):  # names, not folders of this place
        assert merge(small(encoder=name)).env_kwargs["encoder"] == name


def test_train_unwritable_places_are_run_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    config = small(n_timesteps=64, tensorboard_log=str(tmp_path / "file" / "tb"))
    with pytest.raises(RunError, match="--tensorboard-log"):
        train(config, run_dir=tmp_path / "one", progress=False)

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(runs, "file_lock", refuse)
        with pytest.raises(RunError, match="Read-only"):
            train(small(), run_dir=tmp_path / "two", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "atomic_path", refuse)
        with pytest.raises(RunError, match=r"config\.yml: Read-only"):
            train(small(), run_dir=tmp_path / "two", progress=False)
    run = train(small(n_timesteps=64), run_dir=tmp_path / "three", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(history, "atomic_path", refuse)
        with pytest.raises(RunError, match=r"metrics\.jsonl: Read-only"):
            resume(run, progress=False)
    monkeypatch.setattr(reports, "write_json", refuse)
    with pytest.raises(RunError, match=r"report\.json: Read-only"):
        reports.final_report(run)


def test_train_errors_inside_a_held_folder_are_their_own(tmp_path: Path) -> None:
    for error in (TimeoutError("mine"), OSError("mine")):
        with pytest.raises(type(error), match="mine"), locked(tmp_path):
            raise error


def test_train_buffer_that_does_not_fit_is_an_invalid_argument(tmp_path: Path) -> None:
    huge = {**SMALL["masked_dqn"], "buffer_size": 10**12}
    warnings.simplefilter("ignore")  # Stable-Baselines3 says that memory is short
    with pytest.raises(InvalidArgumentError, match=r"need 42\.0 TB.*Give a smaller buffer_size"):
        train(small(hyperparams=huge), run_dir=tmp_path / "run", progress=False)
