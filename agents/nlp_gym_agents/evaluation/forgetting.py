"""What a chain of runs forgot, and what it carried over: every stage scored after every stage.

The matrix R has a row for each run of a chain and a column for each stage's test set (Lopez-Paz and
Ranzato 2017, "Gradient Episodic Memory for Continual Learning"). From it follow, for T stages:

- average: mean of the last row;
- forgetting: mean over earlier stages of the best score before less the last one (Chaudhry et al.
  2018, "Riemannian Walk for Incremental Learning");
- backward transfer: mean over earlier stages of the last score less the one when it was learned;
- forward transfer: mean over later stages of the score just before it is learned less that of
  random actions (in the paper: of a network with random weights, which depends on their seed).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nlp_gym.errors import DataError, RunError
from nlp_gym.inert import visible
from nlp_gym.progress import progress_label
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.config.continual import stage_arguments
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.models.play import drawn_rows
from nlp_gym_agents.models.stages import stage_split
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.runs.folder import read_config

Cell = float | None
_SEARCHES = 1000


def forgetting_report(
    run: str | Path,
    *,
    device: str = "auto",
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> dict[str, Any] | None:
    """The matrix of a run that continues others, and what follows from it.

    Args:
        run: A finished run.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        progress: Show bars on stderr.
        trust: Modules that the settings of the runs may have imported.

    Returns:
        ``stages`` (names), ``runs``, ``metric``, ``matrix`` (a row for each run, null where its
        folder or the data is gone), ``random`` (of each stage) and what `transfer` gives; None for
        a run that continues none.

    Raises:
        RunError: The run itself cannot be loaded.
    """
    config = read_config(run, trust=trust)
    earlier = config.get("stages") or []
    if not earlier:
        return None
    last = load_trained(run, device=device, trust=trust)
    own = stage_arguments(last.env_id, last.settings["env_kwargs"])
    arguments = [*(stage["arguments"] for stage in earlier), own]
    runs = [*(stage["run"] for stage in earlier), str(Path(run).absolute())]
    agents = [*(_agent(folder, device, trust) for folder in runs[:-1]), last]
    tasks = [_task(last, stage) for stage in arguments]
    names = _distinct([_name(task, i) for i, task in enumerate(tasks)])
    matrix: list[list[Cell]] = []
    for agent, place in zip(agents, runs, strict=True):
        with progress_label(f"stages after {Path(place).name}"):
            matrix.append([_score(agent, stage, progress) for stage in arguments])
    random = [_random(task) for task in tasks]
    metric = next(task.metric_name for task in reversed(tasks) if task is not None)
    return {
        "stages": names,
        "runs": runs,
        "metric": metric,
        "matrix": matrix,
        "random": random,
        **transfer(matrix, random),
    }


def transfer(matrix: Sequence[Sequence[Cell]], random: Sequence[Cell]) -> dict[str, Cell]:
    """Average, forgetting and transfer of a matrix; None where cells are missing.

    Args:
        matrix: (T, T) the score of each stage after each stage.
        random: (T,) scores of random actions.
    """
    r = np.array([[np.nan if x is None else x for x in row] for row in matrix], float)
    base = np.array([np.nan if x is None else x for x in random], float)
    figures = {
        "average": r[-1],
        "forgetting": r[:-1, :-1].max(axis=0) - r[-1, :-1],
        "backward": r[-1, :-1] - np.diag(r)[:-1],
        "forward": np.diag(r, 1) - base[1:],
    }
    return {name: _mean(values) for name, values in figures.items()}


def _mean(values: Any) -> Cell:
    return float(np.mean(values)) if len(values) and not np.isnan(values).any() else None


def _agent(folder: str, device: str, trust: Sequence[str] | str) -> TrainedModel | None:
    try:
        return load_trained(folder, device=device, trust=trust)
    except RunError as error:
        warnings.warn(f"The matrix lacks a row: {error}", stacklevel=3)
        return None


def _task(agent: TrainedModel, arguments: Mapping[str, Any]) -> Task | None:
    try:
        return stage_split(agent, arguments)
    except DataError as error:
        warnings.warn(f"The matrix lacks a column: {error}", stacklevel=3)
        return None


def _score(agent: TrainedModel | None, arguments: Mapping[str, Any], progress: bool) -> Cell:
    """The score of an agent on a stage's test set."""
    if agent is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an agent from before a stage lacks its labels
        try:
            task = stage_split(agent, arguments)
        except DataError:
            return None
        rows = drawn_rows(task, _SEARCHES)
        outputs = agent.outputs(task, progress=progress, rows=rows)
        return task.score(outputs, rows=rows, bootstrap=0, report=False).value


def _random(task: Task | None) -> Cell:
    if task is None:
        return None
    return run_baselines(task, task, ["random"], report=False)["random"].value


def _name(task: Task | None, number: int) -> str:
    return f"stage {number + 1}" if task is None else task.corpus.name


def _distinct(names: Sequence[str]) -> list[str]:
    """Names by which stages of one corpus are told apart, too."""
    return [
        name if list(names).count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names, 1)
    ]


def print_forgetting(report: Mapping[str, Any], console: Console) -> None:
    """Print a `forgetting_report` for people."""
    table = Table(title=Text(visible(f"{report['metric']} on test of each stage, after each")))
    table.add_column(Text("after"))
    for name in report["stages"]:
        table.add_column(Text(visible(name)), justify="right")
    rows = zip(report["stages"], report["matrix"], strict=True)
    for name, row in [*rows, ("random actions", report["random"])]:
        table.add_row(Text(visible(name)), *(_shown(value) for value in row))
    console.print(table)
    words = ("average", "forgetting", "backward", "forward")
    figures = ", ".join(f"{_LONG[word]} {_shown(report[word])}" for word in words)
    console.print(figures, markup=False, emoji=False, highlight=False, soft_wrap=True)


_LONG = {
    "average": "average",
    "forgetting": "forgetting",
    "backward": "backward transfer",
    "forward": "forward transfer",
}


def _shown(value: Cell) -> str:
    return "" if value is None else f"{value:.4f}"
