"""The search of hyperparameters: spaces, studies, pruning, storages, parallel trials."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_gym.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    RunError,
    UnknownNameError,
)
from nlp_gym_agents.algorithms.registry import ALGORITHMS, resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams, nested_merge
from nlp_gym_agents.config.train_config import TrainConfig, config_from_file, merge
from nlp_gym_agents.config.validation import check_params
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.training.search import optimize as optimizing
from nlp_gym_agents.training.search import trial, workers
from nlp_gym_agents.training.search.optimize import SearchOptions, optimize, run_trial, suggest
from nlp_gym_agents.training.search.spaces import suggest_for
from nlp_gym_agents.training.search.study import Study
from nlp_gym_agents.training.signals import SearchInterrupted, TrainingInterrupted

optuna = pytest.importorskip("optuna")

ROOT = Path(__file__).resolve().parent.parent
TINY = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}}}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny networks on a busy machine: threads only wait for each other."""
    torch.set_num_threads(1)


def small(algo: str = "bc", **changes: Any) -> TrainConfig:
    """A trial of about a second."""
    values: dict[str, Any] = {
        "algo": algo,
        "n_timesteps": 64,
        "n_envs": 4,
        "env_kwargs": {"corpus": "sample", "encoder": "hashed", "window": 0},
        "eval_freq": 16,
        **changes,
    }
    return TrainConfig(**values)


def trials(folder: Path) -> list[dict[str, Any]]:
    """Rows of a study's ``study.json``."""
    rows: list[dict[str, Any]] = json.loads((folder / "study.json").read_text())["trials"]
    return rows


def rate_of(drawn: Mapping[str, Any]) -> float:
    """The learning rate, whether or not it falls."""
    return float(str(drawn["learning_rate"]).removeprefix("lin_"))


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Trials that train nothing: the value is the learning rate. Gives the values so far."""
    values: list[float] = []

    def run(base: TrainConfig, drawn: Mapping[str, Any], place: Path, **options: Any) -> float:
        values.append(rate_of(drawn))
        return values[-1]

    monkeypatch.setattr(workers, "run_trial", run)
    return values


# Spaces


@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("algo", [*ALGORITHMS, "sb3_contrib:TRPO"])
def test_optimize_draws_what_the_algorithm_takes(algo: str, writes: bool) -> None:
    env = "Translation-Multi30k-v0" if writes else "NER-CoNLL-v0"
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    base = load_hyperparams(algo, env)
    for _ in range(5):
        trial = study.ask()
        drawn = suggest(trial, algo, writes=writes, n_envs=4)
        checked = check_params(resolve(algo), nested_merge(base, drawn), writes=writes)
        network = checked["policy_kwargs"]["features_extractor_kwargs"]
        assert set(drawn["policy_kwargs"]["features_extractor_kwargs"]) <= set(network)
        assert len(trial.params) >= 6
        if "n_steps" in drawn and "batch_size" in drawn:
            assert drawn["batch_size"] <= 4 * drawn["n_steps"]
        again = suggest(optuna.trial.FixedTrial(trial.params), algo, writes=writes, n_envs=4)
        assert again == drawn


def test_optimize_draws_by_what_a_class_derives_from() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = {algo: suggest(study.ask(), algo) for algo in ("ppo", "maskable_ppo", "dqn", "bc")}
    assert set(drawn["ppo"]) == set(drawn["maskable_ppo"])
    assert "clip_range" in drawn["ppo"]
    assert "exploration_fraction" in drawn["dqn"]
    assert not {"n_steps", "buffer_size"} & set(drawn["bc"])
    own = suggest(study.ask(), "nlp_gym_agents.algorithms.q_learning.masked_dqn:MaskedDQN")
    assert set(own) == set(drawn["dqn"])
    assert "n_quantiles" in suggest(study.ask(), "qrdqn")["policy_kwargs"]
    assert "lstm_hidden_size" in suggest(study.ask(), "recurrent_ppo")["policy_kwargs"]


def test_optimize_leaves_the_network_of_a_run_to_start_from(tmp_path: Path) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for warm, drawn in ((str(tmp_path), False), ("bc:2", True), (None, True)):
        base = merge(small("ppo", warm_start=warm))
        assert ("policy_kwargs" in suggest_for(study.ask(), base)) == drawn
    base = merge(small("ppo", encoder_mode="lora"))
    assert 1e-6 <= suggest_for(study.ask(), base)["tuning"]["lr"] <= 3e-4


# Whole searches


def test_optimize_without_optuna_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"nlp-gymnasium\[optuna\]"):
        optimize(small(), run_dir=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_optimize_writes_a_config_of_the_best_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = optimize(small("ppo"), n_trials=2, run_dir=tmp_path / "study", progress=True)
    rows = trials(study)
    assert [row["state"] for row in rows] == ["complete", "complete"]
    best = max(rows, key=lambda row: row["value"])
    config = config_from_file(study / "best.yml")
    assert merge(config).hyperparams == nested_merge(
        merge(small("ppo")).hyperparams, best["hyperparams"]
    )
    for row in rows:
        learned = [r for r in read_metrics(study / f"trial_{row['number']}") if r["timesteps"]]
        assert row["value"] == max(r["value"] for r in learned)
        assert not (study / f"trial_{row['number']}" / "checkpoints").exists()
    assert f"trial 0: complete, dev {rows[0]['value']:.4f}" in capsys.readouterr().err


def test_optimize_writes_its_config_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap: list[float]
) -> None:
    def refuse(path: Path, config: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(optimizing, "write_settings", refuse)
    with pytest.raises(RunError, match=r"best\.yml: No space left"):
        optimize(small(), n_trials=1, run_dir=tmp_path / "study", progress=False)
    assert not (tmp_path / "study" / "best.yml").exists()


def test_optimize_seeds_decide_everything(tmp_path: Path, cheap: list[float]) -> None:
    for place, seed in (("a", 3), ("b", 3), ("c", 4)):
        optimize(
            small(seed=seed),
            options=SearchOptions(n_trials=6, n_startup_trials=2),
            run_dir=tmp_path / place,
            progress=False,
        )
    a, b, c = (trials(tmp_path / place) for place in "abc")
    assert a == b
    assert [row["params"] for row in a] != [row["params"] for row in c]
    assert len({row["params"]["learning_rate"] for row in a}) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "sampler"),
    [("sqlite:///{}/study.db", "tpe"), ("{}/deep/study.log", "random")],
    ids=["database", "journal"],
)
def test_optimize_goes_on_with_a_study_as_if_it_had_never_stopped(
    tmp_path: Path, storage: str, sampler: str, cheap: list[float]
) -> None:
    options = {"n_startup_trials": 2, "sampler": sampler}
    whole = optimize(
        small(), options=SearchOptions(**options, n_trials=5), run_dir=tmp_path / "whole"
    )
    kept = {**options, "storage": storage.format(tmp_path), "study_name": "mine"}
    for n_trials in (3, 2):
        folder = optimize(
            small(), options=SearchOptions(**kept, n_trials=n_trials), run_dir=tmp_path / "parts"
        )
    assert folder == tmp_path / "parts"
    assert trials(folder) == trials(whole)
    assert config_from_file(folder / "best.yml") == config_from_file(whole / "best.yml")
    full = SearchOptions(**kept, n_trials=9, max_total_trials=6)
    assert len(trials(optimize(small(), options=full, run_dir=folder))) == 6
    # Another folder lists what the study has, and is no reason to begin anew.
    optimize(small(), options=SearchOptions(**kept, n_trials=1), run_dir=tmp_path / "other")
    assert [row["number"] for row in trials(tmp_path / "other")] == list(range(7))


def test_optimize_refuses_a_study_of_something_else(tmp_path: Path, cheap: list[float]) -> None:
    storage = f"{tmp_path}/study.log"
    options = SearchOptions(n_trials=1, storage=storage, study_name="mine")
    optimize(small(), options=options, run_dir=tmp_path / "one", progress=False)
    with pytest.raises(InvalidArgumentError, match="of bc on NER-CoNLL-v0, and this one is of ppo"):
        optimize(small("ppo"), options=options, run_dir=tmp_path / "two", progress=False)


def test_optimize_ctrl_c_keeps_what_was_found(
    tmp_path: Path, cheap: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Callable[..., float] = workers.run_trial

    def stopped(base: TrainConfig, drawn: Any, place: Path, **options: Any) -> float:
        if len(cheap) == 2:
            raise TrainingInterrupted(place, signal.SIGINT)
        return run(base, drawn, place, **options)

    monkeypatch.setattr(workers, "run_trial", stopped)
    with pytest.raises(SearchInterrupted) as stop:
        optimize(small(), n_trials=9, run_dir=tmp_path / "study", progress=False)
    folder = stop.value.folder
    assert (stop.value.trials, stop.value.signal_number) == (2, signal.SIGINT)
    assert [row["state"] for row in trials(folder)] == ["complete", "complete", "fail"]
    assert rate_of(config_from_file(folder / "best.yml").hyperparams) == max(cheap)
    cheap.extend([0.0, 0.0])

    def at_once(*args: Any, **options: Any) -> float:
        raise TrainingInterrupted(tmp_path, signal.SIGINT)

    monkeypatch.setattr(workers, "run_trial", at_once)
    with pytest.raises(TrainingInterrupted):
        optimize(small(), run_dir=tmp_path / "nothing", progress=False)
    assert not (tmp_path / "nothing" / "best.yml").exists()


def test_optimize_under_torchrun_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap: list[float]
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError, match=r"with 2 processes of torchrun.*--n-jobs"):
        optimize(small(), run_dir=tmp_path / "study", progress=False)
    assert not cheap
    assert not (tmp_path / "study").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")  # which trains as without torchrun
    assert len(trials(optimize(small(), n_trials=1, run_dir=tmp_path / "study"))) == 1


def test_optimize_a_trial_that_nothing_evaluated_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "train", lambda *args, **options: None)
    with pytest.raises(RunError, match="trial ended without an evaluation on dev"):
        run_trial(merge(small()), {}, tmp_path / "trial")


# Pruning


def test_optimize_a_trial_that_is_told_to_end_stops(tmp_path: Path) -> None:
    base = merge(small("ppo", hyperparams={"n_steps": 4, "batch_size": 16, **TINY}))
    seen: list[tuple[int, float]] = []

    def report(period: int, value: float) -> bool:
        seen.append((period, value))
        return period == 2

    value = run_trial(base, {}, tmp_path / "trial", report=report)
    rows = read_metrics(tmp_path / "trial")
    assert [row["timesteps"] for row in rows] == [0, 16, 32]  # of 64
    assert seen == [(1, rows[1]["value"]), (2, rows[2]["value"])]
    assert value == max(rows[1]["value"], rows[2]["value"])


@pytest.mark.parametrize("pruner", ["median", "none"])
def test_optimize_prunes_what_falls_behind(tmp_path: Path, pruner: str) -> None:
    options = SearchOptions(
        n_trials=1, pruner=pruner, n_startup_trials=1, storage=f"{tmp_path}/study.log"
    )
    config = small("ppo", n_envs=1, n_timesteps=192, eval_freq=32)  # rollouts are at most 64
    study = Study(merge(config), options)
    study._study.add_trial(  # a trial that nothing reaches
        optuna.trial.create_trial(
            value=1.0,
            intermediate_values=dict.fromkeys(range(1, 7), 1.0),
            user_attrs={"hyperparams": {"learning_rate": 0.5}},
        )
    )
    folder = optimize(config, options=options, run_dir=tmp_path / "study", progress=False)
    row = trials(folder)[1]
    steps = read_metrics(folder / "trial_1")[-1]["timesteps"]
    assert row["value"] < 1.0
    assert (row["state"], steps < 192) == (
        ("pruned", True) if pruner == "median" else ("complete", False)
    )
    assert config_from_file(folder / "best.yml").hyperparams["learning_rate"] == 0.5


@pytest.mark.parametrize("pruner", ["halving", "hyperband"])
def test_optimize_pruners_are_optunas(tmp_path: Path, pruner: str) -> None:
    study = Study(merge(small()), SearchOptions(pruner=pruner))
    wanted = {"halving": "SuccessiveHalvingPruner", "hyperband": "HyperbandPruner"}
    assert type(study._study.pruner).__name__ == wanted[pruner]
    trial = study.ask()
    trial.report(0.1, 1)
    assert trial.should_prune() in (False, True)


# Options and processes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sampler": "auto"}, UnknownNameError, "tpe"),
        ({"pruner": "medium"}, UnknownNameError, "median"),
        ({"n_trials": 0}, InvalidArgumentError, "n_trials"),
        ({"n_jobs": "2"}, InvalidArgumentError, "n_jobs"),
        ({"max_total_trials": -1}, InvalidArgumentError, "max_total_trials"),
        ({"study_name": "mine"}, InvalidArgumentError, "--storage"),
        ({"storage": ""}, InvalidArgumentError, "storage"),
        ({"storage": "study.db"}, InvalidArgumentError, "sqlite:///study.db"),
    ],
)
def test_optimize_options_are_checked(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SearchOptions(**options)


@pytest.mark.parametrize("storage", ["nothing://here", "sqlite:////no/such/folder/study.db"])
def test_optimize_names_a_storage_that_cannot_be_used(tmp_path: Path, storage: str) -> None:
    options = SearchOptions(storage=storage)
    with pytest.raises(InvalidArgumentError, match=f"storage='{storage}' cannot be used"):
        optimize(small(), options=options, run_dir=tmp_path / "study", progress=False)


def test_optimize_ends_trials_of_processes_that_died(tmp_path: Path) -> None:
    options = SearchOptions(storage=f"{tmp_path}/study.log")
    study = Study(merge(small()), options)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    owners = {
        process.pid: "FAIL",  # is no more
        os.getppid(): "RUNNING",
        -1: "RUNNING",  # of another machine
    }
    for owner in owners:
        trial = study.ask()
        host = "elsewhere" if owner == -1 else socket.gethostname()
        trial.set_user_attr("owner", [host, owner])
    study.bury()
    assert [t.state.name for t in study._study.get_trials()] == list(owners.values())


@pytest.mark.slow
def test_optimize_runs_trials_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = optimize(
        small("ppo"), options=SearchOptions(n_trials=3, n_jobs=2), run_dir=tmp_path / "study"
    )
    rows = trials(folder)
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    assert len({row["params"]["learning_rate"] for row in rows}) == 3
    assert (folder / "study.log").is_file()
    assert (folder / "best.yml").is_file()
    assert "trial 2: " in capsys.readouterr().err


@pytest.mark.slow
def test_optimize_processes_report_an_error_once(tmp_path: Path) -> None:
    config = small("ppo", data=str(tmp_path / "missing.conll"))
    with pytest.raises(RunError, match=r"missing\.conll"):
        optimize(config, options=SearchOptions(n_jobs=2), run_dir=tmp_path / "s", progress=False)
