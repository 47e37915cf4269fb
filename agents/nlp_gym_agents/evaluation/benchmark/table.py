"""The results of `nlp-gym benchmark`: one JSON file per cell, and the tables made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from nlp_gym.errors import RunError
from nlp_gym.files import write_json
from nlp_gym_agents.algorithms.registry import ALGORITHMS, information_of
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.folder import writing

FORMAT = 1
BASELINES = ("random", "majority", "majority-word", "oracle")
BC_TIME, CONSTANT = "bc@time", "best@constant"
CONTROLS = (BC_TIME, CONSTANT)
"""Columns of controls: see `evaluation.benchmark.controls`."""
ORDER = (
    "random",
    "majority",
    "bc",
    "dagger",
    "aggrevate",
    "masked_dqn",
    "maskable_ppo",
    "maskable_ppo+bc",
    "expected_pg",
    "expected_pg+bc",
    "rloo",
    "rloo+bc",
)
"""Columns from left to right; others follow."""


@dataclass(frozen=True)
class Cell:
    """One number of the table.

    Attributes:
        id: Environment.
        algo: Algorithm or baseline, as given; ``"ppo+bc"`` is `ppo` started from behaviour cloning.
        seed: Seed of training and of the random baseline.
        settings: What the number depends on; other settings make it another number.
    """

    id: str
    algo: str
    seed: int
    settings: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Hash of everything above."""
        text = json.dumps([FORMAT, self.id, self.algo, self.seed, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Its path under the folders `cells` and `runs`."""
        safe = "".join(c if c.isalnum() or c in "-_+." else "_" for c in self.algo)
        return f"{self.id}/{safe}-{self.seed}"

    def file(self, out: Path) -> Path:
        """The file of its result."""
        return out / "cells" / f"{self.name}.json"


class SplitScore(TypedDict):
    """A score on one split."""

    value: float
    interval: list[float] | None
    n: schema.Count
    corpus: Any


class _CellRecord(TypedDict):
    format: int
    id: str
    algo: str
    seed: int
    settings_hash: str
    settings: dict[str, Any]
    status: Literal["done", "failed"]
    seconds: float


class CellRecord(_CellRecord, total=False):
    """What the tables read of a cell's file."""

    error: str
    metric: str
    dev: SplitScore
    test: SplitScore
    scoring_seconds: float
    stopped: str | None
    timesteps: int
    n_timesteps: int
    training_seconds: float
    clock: str
    information: str
    alarms: list[str]


_DONE = {"metric", "dev", "test"}


def _is_cell(record: Mapping[str, Any]) -> bool:
    """Whether a record is one that tables can be made of."""
    known = {key: record[key] for key in schema.fields(CellRecord) if key in record}
    needed = _DONE if record.get("status") == "done" else {"error"}
    return schema.misfit(known, CellRecord) is None and needed <= set(known)


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none, or it is damaged."""
    try:
        found = read_json(path)
    except RunError:
        return {}
    return found if isinstance(found, dict) else {}


def read_cell(cell: Cell, out: Path) -> dict[str, Any] | None:
    """The result of a cell; None where there is none for these settings, or it is damaged."""
    found = read_object(cell.file(out))
    return found if found.get("settings_hash") == cell.digest and _is_cell(found) else None


def read_cells(out: Path) -> list[dict[str, Any]]:
    """All results under `out`, whichever call wrote them, so that a table can be made in parts.

    Ids are in alphabetical order and algorithms as in `ORDER`, further ones after them.
    """
    records = map(read_object, sorted((out / "cells").glob("*/*.json")))

    def place(record: Mapping[str, Any]) -> tuple[Any, ...]:
        algo = record["algo"]
        known = ORDER.index(algo) if algo in ORDER else len(ORDER) + (algo in CONTROLS)
        return record["id"], known, algo, record["seed"]

    whole = (record for record in records if record.get("format") == FORMAT and _is_cell(record))
    return sorted(whole, key=place)


def write_cell(cell: Cell, out: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Write a result, whole or not at all; gives what the file holds.

    Raises:
        RunError: The folder cannot be written to.
    """
    record = {
        "format": FORMAT,
        "id": cell.id,
        "algo": cell.algo,
        "seed": cell.seed,
        "settings_hash": cell.digest,
        "settings": dict(cell.settings),
        **result,
    }
    with writing(out):
        write_json(cell.file(out), record)
    return record


def build_table(
    results: Sequence[Mapping[str, Any]], controls: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """One row per id and one column per algorithm, with the mean over its seeds.

    `share` divides the test value of the algorithm that learns from rewards and is best on dev by
    that of `bc`; `information` says what each algorithm learned from.

    Args:
        results: Records of cells, as `read_cells` gives them.
        controls: Comparisons, as `evaluation.benchmark.controls.read_controls` gives them.
    """
    ids = list(dict.fromkeys(r["id"] for r in results))
    algos = list(dict.fromkeys(r["algo"] for r in results))
    rows = []
    for env_id in ids:
        own = [r for r in results if r["id"] == env_id]
        columns = {algo: _column([r for r in own if r["algo"] == algo]) for algo in algos}
        metric = next((r["metric"] for r in own if "metric" in r), None)
        row = {"id": env_id, "metric": metric, "columns": columns, "share": _share(columns)}
        rows.append({**row, **_times(own)})
    informed: dict[str, dict[str, None]] = {algo: {} for algo in algos}
    for result in results:
        if (text := learned_from(result)) is not None:
            informed[result["algo"]][text] = None
    information = {algo: " or ".join(texts) for algo, texts in informed.items()}
    return {"algos": algos, "rows": rows, "information": information, "controls": [*controls]}


_KNOWN_OF_BASELINES = {
    "random": "nothing",
    "majority": "gold of train",
    "majority-word": "gold of train",
    "oracle": "gold",
}


def learned_from(result: Mapping[str, Any]) -> str | None:
    """What a cell's number comes from: ``"bandit"``, ``"full information"``, ``"oracle"``, ...

    Args:
        result: Its record; None for one of an older release whose algorithm is not known.
    """
    algo = result["algo"]
    if algo in BASELINES:
        return _KNOWN_OF_BASELINES[algo]
    if "information" in result:
        return str(result["information"])
    name, _, start = algo.partition("+")
    if name not in ALGORITHMS:
        return None
    found = information_of(ALGORITHMS[name], result.get("settings", {}).get("hyperparams", {}))
    return f"{found}, start: oracle" if start else found


def _column(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    done = [r for r in results if r["status"] == "done"]
    column: dict[str, Any] = {
        "seeds": [r["seed"] for r in done],
        "errors": [r["error"] for r in results if r["status"] == "failed"],
        "stopped": sum(r.get("stopped") == "budget" for r in done),
        "seconds": sum(r["seconds"] for r in done),
        "information": next(filter(None, map(learned_from, done)), None),
        "alarms": {r["seed"]: r["alarms"] for r in done if r.get("alarms")},
    }
    for split in ("dev", "test"):
        values = [r[split]["value"] for r in done]
        if values:
            mean, half = sum(values) / len(values), (max(values) - min(values)) / 2
            column[split] = {"mean": mean, "half_range": half, "values": values}
    return column


def _times(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds of all cells of an id, training and scoring, and the minutes that a run may take."""
    seconds = sum(r.get("seconds", 0.0) + r.get("scoring_seconds", 0.0) for r in results)
    budgets = {r.get("settings", {}).get("budget_minutes") for r in results} - {None}
    return {"seconds": seconds, "budgets": sorted(budgets)}


def best_agent(columns: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The column that learns from rewards and is best on dev; None: there is none."""
    learned = [
        name
        for name, column in columns.items()
        if "test" in column
        and name not in (*BASELINES, *CONTROLS, "bc")
        and not str(column["information"]).startswith("oracle")
    ]
    return max(learned, key=lambda name: float(columns[name]["dev"]["mean"]), default=None)


def _share(columns: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The `share` of `build_table`; None where one of the two is missing or `bc` is 0."""
    best, cloned = best_agent(columns), columns.get("bc", {})
    ceiling = cloned["test"]["mean"] if "test" in cloned else 0.0
    if best is None or not ceiling:
        return None
    return float(columns[best]["test"]["mean"] / ceiling)
