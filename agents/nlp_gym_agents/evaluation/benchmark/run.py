"""``nlp-gym benchmark``: a table of ids and algorithms that goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.progress import progress_bar, progress_label
from nlp_gym_agents.cluster.ray_tasks import Cluster, Tell
from nlp_gym_agents.evaluation.benchmark.controls import compare, control_cells, read_controls
from nlp_gym_agents.evaluation.benchmark.markdown import write_tables
from nlp_gym_agents.evaluation.benchmark.measure import measure
from nlp_gym_agents.evaluation.benchmark.plan import FROM_RUN, Plan
from nlp_gym_agents.evaluation.benchmark.remote import measure_on
from nlp_gym_agents.evaluation.benchmark.table import BASELINES, Cell, read_cell, read_cells


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
    if dry_run:
        found = [read_cell(cell, plan.out) for cell in cells]
        done = {i for i, record in enumerate(found) if record and record["status"] == "done"}
        _tell_plan(plan, cells, done, tell)
        return True
    if cluster is not None and any(cell.algo.endswith(FROM_RUN) for cell in cells):
        raise InvalidArgumentError(
            f"algos={shown(','.join(plan.algos))}: what starts from the runs of bc ({FROM_RUN}) is "
            "measured where they are: leave --ray out."
        )
    good = True
    try:
        good &= _measure_all(plan, cells, "benchmark", tell, cluster)
        if plan.controls:
            good &= _measure_all(plan, control_cells(plan), "controls", tell, cluster)
            good &= compare(plan, tell)
    finally:
        results = read_cells(plan.out)
        if results:
            write_tables(results, plan.out, read_controls(plan.out, results))
    return good


def _measure_all(
    plan: Plan, cells: Sequence[Cell], name: str, tell: Tell, cluster: Cluster | None
) -> bool:
    """Measure the cells that have no result yet; gives whether none failed."""
    found = [read_cell(cell, plan.out) for cell in cells]
    rest = [
        cell
        for cell, record in zip(cells, found, strict=True)
        if not record or record["status"] != "done"
    ]
    ended, failed = len(cells) - len(rest), 0
    with progress_bar(len(cells), name, unit="cells", done=ended) as advance:
        for record in _measured(plan, rest, tell, cluster):
            ended += 1
            failed += record["status"] != "done"
            tell(f"[{ended}/{len(cells)}] {_line(record)}")
            advance(1)
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
    if plan.controls:
        tell(
            "Then, for each id and seed: bc for the time of the best agent, that agent with a "
            "constant reward, and comparisons on test."
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
