"""``nlp-gym benchmark``: a table of ids and algorithms that goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from nlp_gym.progress import progress_bar, progress_label
from nlp_gym_agents.cluster.ray_tasks import Cluster, Tell
from nlp_gym_agents.evaluation.benchmark.measure import measure
from nlp_gym_agents.evaluation.benchmark.plan import Plan
from nlp_gym_agents.evaluation.benchmark.remote import measure_on
from nlp_gym_agents.evaluation.benchmark.table import (
    BASELINES,
    Cell,
    read_cell,
    read_cells,
    write_tables,
)


def run_plan(
    plan: Plan, tell: Tell, *, dry_run: bool = False, cluster: Cluster | None = None
) -> bool:
    """Measure every cell that has no result yet, and write the tables of all results in `out`.

    Args:
        plan: What.
        tell: Called with a line of progress for each cell.
        dry_run: Only tell what there is to do.
        cluster: The Ray cluster that measures; None: one cell after the other, here.

    Returns:
        Whether no cell failed.

    Raises:
        NLPGymError: The plan is not usable. What fails in one cell is recorded there.
        KeyboardInterrupt: It was stopped; results are kept. Training goes on with the next call,
            but begins again where it was on a cluster.
    """
    cells = plan.cells()
    found = [read_cell(cell, plan.out) for cell in cells]
    done = {i for i, record in enumerate(found) if record and record["status"] == "done"}
    if dry_run:
        _tell_plan(plan, cells, done, tell)
        return True
    rest = [cell for i, cell in enumerate(cells) if i not in done]
    ended, failed = len(done), 0
    try:
        with progress_bar(len(cells), "benchmark", unit="cells", done=ended) as advance:
            for record in _measured(plan, rest, tell, cluster):
                ended += 1
                failed += record["status"] != "done"
                tell(f"[{ended}/{len(cells)}] {_line(record)}")
                advance(1)
    finally:
        if ended:
            write_tables(read_cells(plan.out), plan.out)
    return not failed


def _measured(
    plan: Plan, cells: Sequence[Cell], tell: Tell, cluster: Cluster | None
) -> Iterator[dict[str, Any]]:
    """Measure cells; yields their records as they come."""
    if cells and cluster is not None:
        yield from measure_on(cluster, plan, cells, tell)
    else:
        for cell in cells:
            with progress_label(f"{cell.id} {cell.algo} seed {cell.seed}"):
                record = measure(plan, cell)
            yield record


def _tell_plan(plan: Plan, cells: Sequence[Cell], done: Collection[int], tell: Tell) -> None:
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
