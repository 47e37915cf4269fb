"""One cell of ``nlp-gym benchmark``: a baseline, or a training run and its scores."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.utils import get_device

from nlp_gym import make_task
from nlp_gym.errors import RunError
from nlp_gym.files import write_json
from nlp_gym.metrics.base import Score
from nlp_gym_agents.algorithms.registry import information_of_run, resolve
from nlp_gym_agents.config.train_config import merge
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.benchmark.plan import FROM_RUN, Plan
from nlp_gym_agents.evaluation.benchmark.table import (
    BASELINES,
    BC_TIME,
    Cell,
    read_cell,
    read_object,
    write_cell,
)
from nlp_gym_agents.evaluation.evaluate import evaluate, value_and_interval, with_corpus
from nlp_gym_agents.models.play import drawn_rows
from nlp_gym_agents.runs.files.trust import named_modules
from nlp_gym_agents.runs.folder import find_snapshot, read_config
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.places import is_inside
from nlp_gym_agents.runs.versions import versions
from nlp_gym_agents.training.train import resume, train

MARK = "benchmark.json"
"""Beside the folder of a cell's training run: the settings it was started with."""


def run_folder(plan: Plan, cell: Cell) -> Path:
    """Where the training run of a cell is; its mark is beside it."""
    return plan.out / "runs" / cell.name


def mark_file(plan: Plan, cell: Cell) -> Path:
    """The file that says which settings the training run of a cell was started with."""
    run = run_folder(plan, cell)
    return run.parent / f"{run.name}.{MARK}"


def check_inside(plan: Plan, cell: Cell) -> None:
    """Refuse a training run that would be written elsewhere through a symbolic link.

    Raises:
        RunError: Naming the folder.
    """
    run = run_folder(plan, cell)
    if not is_inside(run, plan.out):
        raise RunError(f"{run} leads out of {plan.out} by a symbolic link: remove the link.")


def measure(plan: Plan, cell: Cell) -> dict[str, Any]:
    """Measure one cell and write its result, the error where it fails."""
    started = time.monotonic()
    try:
        measured = _baseline if cell.algo in BASELINES else _trained
        result = {"status": "done", **measured(plan, cell)}
    except Exception as error:  # whatever it is, the other cells are worth having
        result = failure(error)
    seconds = round(time.monotonic() - started, 1)
    # Training keeps its own time, which counts what earlier calls spent.
    result = {"seconds": seconds, **result, "versions": versions()}
    return write_cell(cell, plan.out, result)


def failure(error: Exception) -> dict[str, Any]:
    """The part of a result that says what a cell failed with."""
    message = str(error).splitlines()[0] if str(error) else "no message"
    return {"status": "failed", "error": f"{type(error).__name__}: {message}"}


def _scores(scores: Mapping[str, Score]) -> dict[str, Any]:
    test = scores["test"]
    splits = {
        split: {
            **value_and_interval(score),
            "n": score.n,
            "corpus": score.report.get("corpus"),
        }
        for split, score in scores.items()
    }
    return {"metric": test.metric, "signature": test.signature, **splits}


def _baseline(plan: Plan, cell: Cell) -> dict[str, Any]:
    kwargs = dict(plan.env_kwargs)
    train_task = make_task(cell.id, "train", **kwargs)
    labels = list(train_task.labels) or None
    scores = {}
    for split in ("dev", "test"):
        task = make_task(cell.id, split, **{"labels": labels, **kwargs})
        rows = drawn_rows(task, plan.searches)  # as for agents
        score = run_baselines(
            train_task, task, [cell.algo], seed=cell.seed, rows=rows, report=False
        )
        scores[split] = with_corpus(score[cell.algo], task)
    return _scores(scores)


def _trained(plan: Plan, cell: Cell) -> dict[str, Any]:
    run = run_folder(plan, cell)
    # What is trained for the time of another run is as long as its settings say.
    limit = None if cell.algo == BC_TIME else plan.budget * 60
    _train(plan, cell, run, limit)
    rows = read_metrics(run)
    config = merge(plan.asked_of(cell))
    trust = named_modules({"env": cell.id, "algo": config.algo, **plan.env_kwargs})
    options: dict[str, Any] = {"device": plan.device, "searches": plan.searches, "trust": trust}
    started = time.monotonic()
    scores = {split: evaluate(run, split, **options) for split in ("dev", "test")}
    scoring = round(time.monotonic() - started, 3)
    _, settings = find_snapshot(run, trust=trust)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)  # nobody resumes a finished cell
    return {
        **_scores(scores),
        "timesteps": rows[-1]["timesteps"],
        "best_timesteps": settings["timesteps"],
        "n_timesteps": read_config(run, trust=trust)["n_timesteps"],
        "seconds": rows[-1]["seconds"],
        **_training_time(plan, cell, rows[-1]),
        "information": information_of_run(
            resolve(config.algo),
            config.hyperparams,
            start=None if config.warm_start is None else "oracle",
        ),
        "alarms": _alarms(rows, settings["timesteps"]),
        "scoring_seconds": scoring,
        "stopped": _stopped(rows, read_config(run, trust=trust)),
        "encoder": settings["encoder"],
        "run": str(run),
    }


def _training_time(plan: Plan, cell: Cell, last: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of training that a control of equal time has, those of the start counted.

    Processor time, as the machine may have other work; wall time where an accelerator does it.
    """
    clock = "wall" if get_device(plan.device).type == "cuda" else "processor"
    name = "training_seconds"
    seconds = last["seconds" if clock == "wall" else "processor_seconds"]
    if plan.asked_of(cell).algo != "bc" and _starts_from_run(cell):
        bc = Cell(cell.id, "bc", cell.seed, plan.settings_of(cell.id, "bc", cell.seed))
        seconds += (read_cell(bc, plan.out) or {}).get(name, 0.0)
    return {name: round(seconds, 3), "clock": clock}


def _starts_from_run(cell: Cell) -> bool:
    of = cell.settings.get("control", {}).get("of", cell.algo)
    return str(of).endswith(FROM_RUN)


def _alarms(rows: Sequence[Mapping[str, Any]], timesteps: int) -> list[str]:
    """The alarms of reward hacking of the policy that is scored; see `reward_hacking`."""
    return [text for row in rows if row["timesteps"] == timesteps for text in row.get("alarms", ())]


def _stopped(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str | None:
    """What ended a training run before its time, by its evaluations; None: nothing did."""
    if rows[-1]["timesteps"] >= config["n_timesteps"]:
        return None
    values = [row["value"] for row in rows]
    stale, patience = len(values) - 1 - values.index(max(values)), config["early_stopping"]
    return "early" if 0 < patience <= stale else "budget"


def _train(plan: Plan, cell: Cell, run: Path, limit: float | None) -> None:
    """Train from the beginning, or from where a stopped run of the same settings was saved."""
    check_inside(plan, cell)
    mark = mark_file(plan, cell)
    config = merge(plan.asked_of(cell))
    if run.exists() and read_object(mark).get("settings_hash") == cell.digest:
        try:
            resume(run, progress=False, time_limit=limit, trust=named_modules(config.as_dict()))
            return
        except RunError:  # the release changed since, or its files are damaged
            pass
    if run.exists() and mark.exists():
        shutil.rmtree(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    write_json(mark, {"settings_hash": cell.digest})
    total = config.n_timesteps or 1
    # Checkpoints with large replay buffers take a while to write; a signal saves one anyway.
    asked = plan.asked_of(cell).with_changes(save_freq=max(total // 3, 1))
    train(asked, run_dir=run, progress=False, time_limit=limit)
