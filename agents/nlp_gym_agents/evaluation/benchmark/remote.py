"""Cells of ``nlp-gym benchmark`` as tasks of Ray.

A node measures a cell in a temporary folder of its own, and hands back the cell's record and the
files of the run folder but for its checkpoints. The driver writes them where a run without Ray
leaves them, the record last: a cell without a record is measured again.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from nlp_gym.errors import RunError, shown
from nlp_gym_agents.cluster.ray_tasks import Cluster, Tell
from nlp_gym_agents.config.paths import PLACES
from nlp_gym_agents.evaluation.benchmark.measure import (
    check_inside,
    failure,
    mark_file,
    measure,
    run_folder,
)
from nlp_gym_agents.evaluation.benchmark.plan import Plan
from nlp_gym_agents.evaluation.benchmark.table import Cell, write_cell
from nlp_gym_agents.runs.folder import LOCK, writing
from nlp_gym_agents.runs.places import is_inside

_LEFT = ("checkpoints", LOCK)
"""What stays on the node: nobody resumes a run there."""


@dataclass(frozen=True)
class Shipment:
    """What comes back from a node.

    Attributes:
        record: The result of the cell.
        files: Contents of the files of its training run, by their path below the run folder.
        mark: Content of the mark beside the run folder; None: there was no training.
    """

    record: Mapping[str, Any]
    files: Mapping[str, bytes]
    mark: bytes | None


def measure_on(
    cluster: Cluster, plan: Plan, cells: Sequence[Cell], tell: Tell
) -> Iterator[dict[str, Any]]:
    """Measure cells on the nodes of a cluster and write their results here, as they come.

    Args:
        cluster: Which.
        plan: What; its data must lie under the same path on every node.
        cells: Those to measure.
        tell: Called with a line of progress.

    Yields:
        The record of a cell, which says why where it failed.

    Raises:
        NLPGymError: The cluster cannot be used, or the folder cannot be written to.
    """
    for cell in cells:
        _check_place(plan, cell)
    given = plan.env_kwargs
    places = {name: PLACES[name](given[name]) for name in PLACES if name in given}
    shipped = replace(plan, env_kwargs={**given, **places})
    with cluster.joined("--ray") as workers:
        gpus = workers.gpus_for(plan.device)
        at_once = min(workers.places(gpus), len(cells))
        tell(f"{workers.described()}; {len(cells)} cells, {at_once} at a time.")
        calls = [(shipped, cell, list(sys.argv)) for cell in cells]
        for number, outcome in workers.run(measure_there, calls, gpus=gpus, tell=tell):
            cell = cells[number]
            if isinstance(outcome, Shipment):
                yield _unpack(plan, cell, outcome)
            else:
                yield write_cell(cell, plan.out, {"seconds": 0.0, **failure(outcome)})


def measure_there(plan: Plan, cell: Cell, command: Sequence[str]) -> Shipment:
    """Measure a cell on a node.

    Args:
        plan: What is measured.
        cell: Which cell.
        command: The command line of the driver, for ``command.txt``.
    """
    sys.argv[:] = command
    with tempfile.TemporaryDirectory(prefix="nlp_gym_cell_") as folder:
        own = replace(plan, out=Path(folder))
        record = measure(own, cell)
        mark = mark_file(own, cell)
        files = dict(_packed(run_folder(own, cell)))
        return Shipment(record, files, mark.read_bytes() if mark.exists() else None)


def _packed(run: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        if path.is_file() and not path.is_symlink() and name.parts[0] not in _LEFT:
            yield name.as_posix(), path.read_bytes()


def _check_place(plan: Plan, cell: Cell) -> None:
    """Refuse to replace a run folder that no benchmark made."""
    check_inside(plan, cell)
    run = run_folder(plan, cell)
    if run.exists() and not mark_file(plan, cell).exists():
        raise RunError(f"{run} exists, and `nlp-gym benchmark` did not make it: move it away.")


def _unpack(plan: Plan, cell: Cell, shipment: Shipment) -> dict[str, Any]:
    run, record = run_folder(plan, cell), dict(shipment.record)
    if "run" in record:
        record["run"] = str(run)
    if shipment.mark is not None:
        _check_place(plan, cell)
        with writing(plan.out):
            _replace_folder(run, shipment.files)
            mark_file(plan, cell).write_bytes(shipment.mark)
    return write_cell(cell, plan.out, record)


def _replace_folder(run: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder of files, under its name only once it is whole."""
    fresh = run.parent / f".{run.name}.{os.getpid()}.part"
    try:
        fresh.mkdir(parents=True)
        for name, content in files.items():
            place = fresh.joinpath(*PurePosixPath(name).parts)
            if not is_inside(place, fresh):
                raise RunError(f"A node sent the file {shown(name)}, which leaves the run folder.")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        if run.exists():
            shutil.rmtree(run)
        os.replace(fresh, run)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
