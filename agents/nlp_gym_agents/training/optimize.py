"""``nlp-gym train --optimize``: a small hyperparameter search with optuna."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlp_gym.errors import MissingDependencyError
from nlp_gym.files import write_json
from nlp_gym_agents.config.hyperparams import nested_merge
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.runs.folder import claim_run, new_run, write_settings, writing
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.training.signals import TrainingInterrupted
from nlp_gym_agents.training.train import train

BATCH_SIZES = (128, 256, 512, 1024, 2048)
WIDTHS = (64, 128, 256, 512)


def _load_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError("optuna", "optuna", "--optimize") from error
    return optuna


def suggest(trial: Any, algo: str) -> dict[str, Any]:
    """Draw hyperparameters: learning rate, batch size, discount and the trunk's width."""
    width = trial.suggest_categorical("hidden", WIDTHS)
    found: dict[str, Any] = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "gamma": trial.suggest_float("gamma", 0.0, 0.95),
        "policy_kwargs": {"features_extractor_kwargs": {"hidden": [width]}},
    }
    if algo != "a2c":  # it learns from the whole rollout at once
        found["batch_size"] = trial.suggest_categorical("batch_size", BATCH_SIZES)
    return found


def optimize(
    config: TrainConfig,
    *,
    n_trials: int = 10,
    run_dir: str | Path | None = None,
    progress: bool = True,
    trust: Sequence[str] | str = (),
) -> Path:
    """Search hyperparameters by the best dev metric of short runs.

    Args:
        config: As for `training.train.train`; its `n_timesteps` is the length of one trial.
        n_trials: Number of trials, from 1. Ctrl-C ends the search with what was found.
        run_dir: Where ``study.json`` and ``best.yml`` go, and the trials' runs; None counts up
            under ``runs/optimize/``.
        progress: Show each trial's evaluations on stderr.
        trust: As for `training.train.train`.

    Returns:
        The folder. ``best.yml`` is a config for ``nlp-gym train --conf-file``; ``study.json`` lists
        all trials and is written after each.

    Raises:
        MissingDependencyError: optuna is not installed.
        NLPGymError: The settings or the data are not usable.
    """
    optuna = _load_optuna()
    base = merge(config)
    folder = claim_run(run_dir) if run_dir is not None else new_run("optimize", base.env)
    sampler = optuna.samplers.TPESampler(seed=base.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    rows: list[dict[str, Any]] = []

    def objective(trial: Any) -> float:
        drawn = suggest(trial, base.algo)
        trial_config = base.with_changes(hyperparams=nested_merge(base.hyperparams, drawn))
        place = folder / f"trial_{trial.number}"
        run = train(trial_config, run_dir=place, progress=progress, trust=trust)
        value = max(row["value"] for row in read_metrics(run))
        shutil.rmtree(run / "checkpoints", ignore_errors=True)  # nobody resumes a trial
        rows.append({"number": trial.number, "value": value, "hyperparams": drawn})
        with writing(folder):
            write_json(folder / "study.json", {"algo": base.algo, "env": base.env, "trials": rows})
        return float(value)

    try:
        study.optimize(objective, n_trials=n_trials)
    except TrainingInterrupted:
        if not rows:
            raise
    best = max(rows, key=lambda row: row["value"])
    chosen = base.with_changes(hyperparams=nested_merge(base.hyperparams, best["hyperparams"]))
    with writing(folder):
        write_settings(folder / "best.yml", chosen.as_dict())
    return folder
