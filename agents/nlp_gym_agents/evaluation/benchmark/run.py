"""``nlp-gym benchmark``: a table of ids and algorithms that goes on where it was stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_gym import make_task
from nlp_gym.errors import RunError
from nlp_gym.files import write_json
from nlp_gym.metrics.base import Score
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.benchmark.plan import Plan
from nlp_gym_agents.evaluation.benchmark.table import (
    BASELINES,
    Cell,
    read_cell,
    read_cells,
    read_object,
    write_cell,
    write_tables,
)
from nlp_gym_agents.evaluation.evaluate import evaluate, value_and_interval, with_corpus
from nlp_gym_agents.models.play import drawn_rows
from nlp_gym_agents.runs.folder import find_snapshot
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.places import is_inside
from nlp_gym_agents.runs.trust import named_modules
from nlp_gym_agents.runs.versions import versions
from nlp_gym_agents.training.train import resume, train

MARK = "benchmark.json"
"""In the folder of a cell's training run: the settings it was started with."""

Tell = Callable[[str], None]


def run_plan(plan: Plan, tell: Tell, *, dry_run: bool = False) -> bool:
    """Measure every cell that has no result yet, and write the tables of all results in `out`.

    Args:
        plan: What.
        tell: Called with a line of progress for each cell.
        dry_run: Only tell what there is to do.

    Returns:
        Whether no cell failed.

    Raises:
        NLPGymError: The plan is not usable. What fails in one cell is recorded there.
        KeyboardInterrupt: It was stopped; results are kept, training goes on with the next call.
    """
    cells = plan.cells()
    results: dict[int, dict[str, Any]] = {}
    for i, cell in enumerate(cells):
        found = read_cell(cell, plan.out)
        if found is not None and found["status"] == "done":
            results[i] = found
    if dry_run:
        _tell_plan(plan, cells, results, tell)
        return True
    try:
        for i, cell in enumerate(cells):
            if i not in results:
                results[i] = measure(plan, cell)
                tell(f"[{i + 1}/{len(cells)}] {_line(results[i])}")
    finally:
        if results:
            write_tables(read_cells(plan.out), plan.out)
    return all(result["status"] == "done" for result in results.values())


def _tell_plan(plan: Plan, cells: Sequence[Cell], done: Mapping[int, Any], tell: Tell) -> None:
    open_runs = 0
    for i, cell in enumerate(cells):
        trains = cell.algo not in BASELINES
        open_runs += trains and i not in done
        state = "done" if i in done else "to train" if trains else "to play"
        tell(f"[{i + 1}/{len(cells)}] {cell.id} {cell.algo} seed {cell.seed}: {state}")
    tell(
        f"{len(cells) - len(done)} of {len(cells)} cells to do; {open_runs} training runs of at "
        f"most {plan.budget:g} minutes, {open_runs * plan.budget / 60:.1f} h, and evaluations."
    )


def _line(result: Mapping[str, Any]) -> str:
    head = f"{result['id']} {result['algo']} seed {result['seed']}:"
    if result["status"] != "done":
        return f"{head} FAILED: {result['error']}"
    tail = " (stopped at the time limit)" if result.get("stopped") == "budget" else ""
    return (
        f"{head} {result['metric']} dev {result['dev']['value']:.4f} test "
        f"{result['test']['value']:.4f} in {result['seconds']:.0f} s{tail}"
    )


def measure(plan: Plan, cell: Cell) -> dict[str, Any]:
    """Measure one cell and write its result, the error where it fails."""
    started = time.monotonic()
    try:
        measured = _baseline if cell.algo in BASELINES else _trained
        result = {"status": "done", **measured(plan, cell)}
    except Exception as error:  # whatever it is, the other cells are worth having
        message = str(error).splitlines()[0] if str(error) else "no message"
        result = {"status": "failed", "error": f"{type(error).__name__}: {message}"}
    seconds = round(time.monotonic() - started, 1)
    # Training keeps its own time, which counts what earlier calls spent.
    result = {"seconds": seconds, **result, "versions": versions()}
    return write_cell(cell, plan.out, result)


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
    run = plan.out / "runs" / cell.name
    limit = plan.budget * 60
    _train(plan, cell, run, limit)
    rows = read_metrics(run)
    total = cell.settings["n_timesteps"]
    trust = named_modules({"env": cell.id, "algo": cell.algo, **plan.env_kwargs})
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
        "seconds": rows[-1]["seconds"],
        "scoring_seconds": scoring,
        "stopped": "budget" if rows[-1]["timesteps"] < total else None,
        "encoder": settings["encoder"],
        "run": str(run),
    }


def _train(plan: Plan, cell: Cell, run: Path, limit: float) -> None:
    """Train from the beginning, or from where a stopped run of the same settings was saved."""
    if not is_inside(run, plan.out):
        raise RunError(f"{run} leads out of {plan.out} by a symbolic link: remove the link.")
    mark = run.parent / f"{run.name}.{MARK}"
    config = plan.config(cell.id, cell.algo, cell.seed)
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
    config = config.with_changes(save_freq=max(total // 3, 1))
    train(config, run_dir=run, progress=False, time_limit=limit)
