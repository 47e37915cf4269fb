"""Controls of a benchmark: does reinforcement learning pay, and is it the reward that pays?

For each id the agent that learns from rewards and is best on dev (mean over seeds) is compared on
test with

- `bc`, or `bc` trained for as long as the agent was, its start counted (the column `bc@time`; the
  schedule of its rate is stretched over all of it), whichever is better on dev;
- itself, trained from the same start with a reward of 1 for whatever it does (`best@constant`):
  what it gains like that is not learned from the reward (Kiegeland and Kreutzer 2021).

Differences have intervals by the paired bootstrap over the samples of test
(`nlp_gym_agents.evaluation.paired`). Nothing is chosen on test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from nlp_gym.errors import NLPGymError
from nlp_gym.files import write_json
from nlp_gym.metrics.base import Score
from nlp_gym_agents.config.train_config import merge
from nlp_gym_agents.evaluation.benchmark.measure import failure, run_folder
from nlp_gym_agents.evaluation.benchmark.plan import Plan
from nlp_gym_agents.evaluation.benchmark.table import (
    BC_TIME,
    CONSTANT,
    Cell,
    best_agent,
    build_table,
    read_cell,
    read_object,
)
from nlp_gym_agents.evaluation.paired import Difference, compare_runs
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.trust import named_modules
from nlp_gym_agents.runs.folder import writing

FOLDER = "controls"
"""Where the comparisons are, below the folder of results: one JSON file an id."""
FORMAT = 1
LONGER = 1.05
"""`bc` is trained again for the time of an agent that took longer than `bc` by this factor."""

Records = Mapping[tuple[str, int], tuple[Cell, dict[str, Any]]]
"""Cells of an id that are done, with their records, by algorithm and seed."""


class _Difference(TypedDict):
    metric: str
    value: float
    other: float
    difference: float
    low: float
    high: float
    n: schema.Count
    runs: tuple[int, int]
    each: list[float]
    verdict: str


class _Comparison(TypedDict):
    format: int
    id: str
    cells: dict[str, str]
    agent: str
    information: str
    reference: str
    difference: _Difference
    constant: _Difference | None
    seconds: tuple[float | None, float | None, float | None]
    clock: str
    alarms: schema.Count


def equal_length(bc: Mapping[str, Any], seconds: float) -> int | None:
    """Decisions that `bc` learns from in the time of an agent; None: it took as long already.

    Args:
        bc: The record of its own run, whose speed is taken.
        seconds: Training time of the agent.
    """
    decisions = bc["timesteps"] * seconds / max(bc["training_seconds"], 1e-9)
    if decisions < LONGER * bc["timesteps"]:
        return None
    return max(int(decisions), bc["n_timesteps"])


def done_cells(plan: Plan, env_id: str, further: Sequence[Cell] = ()) -> Records:
    """The cells of an id that are done: those of the plan, and `further` ones."""
    cells = [cell for cell in (*plan.cells(), *further) if cell.id == env_id]
    found = ((cell, read_cell(cell, plan.out)) for cell in cells)
    return {
        (cell.algo, cell.seed): (cell, record)
        for cell, record in found
        if record is not None and record["status"] == "done"
    }


def control_cells(plan: Plan) -> list[Cell]:
    """The cells that the controls of a plan need; its own are measured."""
    return [cell for env_id in plan.ids for cell in _of_id(plan, env_id)]


def _of_id(plan: Plan, env_id: str) -> list[Cell]:
    done = done_cells(plan, env_id)
    best = _best(env_id, done)
    found: list[Cell] = []
    lengths: list[tuple[Cell, float, int | None, int]] = []
    for seed in plan.seeds if best is not None else ():
        agent, bc = done.get((best, seed)), done.get(("bc", seed))
        if agent is None or bc is None:
            continue
        seconds = agent[1].get("training_seconds")
        if seconds is not None and "training_seconds" in bc[1]:
            length = equal_length(bc[1], seconds)
            lengths.append((agent[0], seconds, length, bc[1]["n_timesteps"]))
        found.append(plan.control_cell(CONSTANT, agent[0], {}))
    # All seeds or none: a mean over the seeds whose agent took longer is of other runs than `bc`'s.
    if any(length is not None for _, _, length, _ in lengths):
        for agent_cell, seconds, length, own in lengths:
            control = {"seconds": seconds, "n_timesteps": length or own}
            found.append(plan.control_cell(BC_TIME, agent_cell, control))
    return found


def _best(env_id: str, done: Records) -> Any:
    rows = build_table([record for _, record in done.values()])["rows"]
    return best_agent(rows[0]["columns"]) if rows else None


def compare(plan: Plan, tell: Callable[[str], None]) -> bool:
    """Compare the best agent of each id with its controls, and write what comes of it.

    Args:
        plan: Its cells and its controls are measured; ids where some failed are left out.
        tell: Called with a line for each id.

    Returns:
        Whether no comparison failed.
    """
    good = True
    further = control_cells(plan)
    for env_id in plan.ids:
        try:
            line = _compare_id(plan, env_id, done_cells(plan, env_id, further))
        except NLPGymError as error:
            good, line = False, f"FAILED: {failure(error)['error']}"
        if line is not None:
            tell(f"{env_id} controls: {line}")
    return good


def _compare_id(plan: Plan, env_id: str, done: Records) -> str | None:
    """Compare one id; gives a line for people, None where it was done before."""
    main = {key: value for key, value in done.items() if key[0] not in (BC_TIME, CONSTANT)}
    best = _best(env_id, main)
    if best is None:
        return "no agent learns from rewards"
    columns = build_table([record for _, record in done.values()])["rows"][0]["columns"]
    sides = [name for name in ("bc", BC_TIME) if "dev" in columns.get(name, {})]
    if not sides:
        return "bc is not measured"
    reference = max(sides, key=lambda name: float(columns[name]["dev"]["mean"]))
    taken = {best, CONSTANT, *sides}
    cells = {f"{a}-{seed}": cell.digest for (a, seed), (cell, _) in done.items() if a in taken}
    file = plan.out / FOLDER / f"{env_id}.json"
    if read_object(file).get("cells") == cells:
        return None
    scored: dict[str, Score] = {}
    gain = _difference(plan, done, best, reference, scored)
    constant = None
    if "test" in columns.get(CONSTANT, {}):
        constant = _difference(plan, done, best, CONSTANT, scored)
    record: _Comparison = {
        "format": FORMAT,
        "id": env_id,
        "cells": cells,
        "agent": best,
        "information": str(columns[best]["information"]),
        "reference": reference,
        "difference": gain.as_dict(),  # type: ignore[typeddict-item]
        "constant": None if constant is None else constant.as_dict(),  # type: ignore[typeddict-item]
        "seconds": (_mean_time(done, best), _mean_time(done, "bc"), _mean_time(done, BC_TIME)),
        "clock": str(next(r.get("clock", "") for (a, _), (_, r) in done.items() if a == best)),
        "alarms": sum(bool(r.get("alarms")) for (a, _), (_, r) in done.items() if a == best),
    }
    with writing(plan.out):
        write_json(file, record)
    tail = "" if constant is None else f"; less its constant reward {constant.difference:+.4f}"
    return (
        f"{best} less {reference} {gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}), "
        f"{gain.verdict}{tail}"
    )


def _difference(
    plan: Plan, done: Records, own: str, other: str, scored: dict[str, Score]
) -> Difference:
    cells = [[cell for (a, _), (cell, _) in done.items() if a == name] for name in (own, other)]
    sides = [[run_folder(plan, cell) for cell in side] for side in cells]
    algo = merge(plan.asked_of(cells[0][0])).algo
    return compare_runs(
        sides[0],
        sides[1],
        device=plan.device,
        searches=plan.searches,
        trust=named_modules({"env": cells[0][0].id, "algo": algo, **plan.env_kwargs}),
        scored=scored,
    )


def _mean_time(done: Records, algo: str) -> float | None:
    times = [r["training_seconds"] for (a, _), (_, r) in done.items() if a == algo]
    return sum(times) / len(times) if times else None


def read_controls(out: Path, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The comparisons under `out` whose cells are still those that were compared.

    Args:
        out: The folder of results.
        results: Records of cells, as `read_cells` gives them.
    """
    hashes = {(r["id"], f"{r['algo']}-{r['seed']}"): r["settings_hash"] for r in results}
    found = []
    for path in sorted((out / FOLDER).glob("*.json")):
        record = read_object(path)
        if schema.misfit(record, _Comparison) is not None or record["format"] != FORMAT:
            continue
        if all(hashes.get((record["id"], name)) == h for name, h in record["cells"].items()):
            found.append(record)
    return found
