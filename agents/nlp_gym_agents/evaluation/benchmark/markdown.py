"""The tables of `nlp-gym benchmark` as Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_gym.files import atomic_path, write_json
from nlp_gym.inert import visible
from nlp_gym_agents.evaluation.benchmark.table import build_table
from nlp_gym_agents.runs.folder import writing

_LAST = ("RL / bc", "wall min", "budget min/run")
"""Columns of the test table that come last."""


def write_tables(
    results: Sequence[Mapping[str, Any]],
    out: Path,
    controls: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write ``table.json`` and ``table.md`` from results of cells, and comparisons of controls.

    Raises:
        RunError: The folder cannot be written to.
    """
    table = build_table(results, controls)
    with writing(out):
        write_json(out / "table.json", table)
        with atomic_path(out / "table.md") as path:
            path.write_text(to_markdown(table), encoding="utf-8")


def to_markdown(table: Mapping[str, Any]) -> str:
    """The table for people: test, then dev, then what failed."""
    parts = []
    for split in ("test", "dev"):
        header = ["id", "metric", *table["algos"], *(_LAST if split == "test" else [])]
        known = ["learns from", "", *(table["information"][algo] for algo in table["algos"])]
        known += [""] * (len(header) - len(known))
        parts += [f"## {split}", "", *_lines([header, known, *_body(table, split)]), ""]
    parts += _controls(table["controls"])
    if any(column["stopped"] for row in table["rows"] for column in row["columns"].values()):
        parts += ["`*`: stopped at the time limit of a run.", ""]
    parts += [
        "wall min: training and scoring, all columns; budget: most minutes that one training run "
        "may take.",
        "",
    ]
    told = [
        f"- {_markdown(row['id'])} {_markdown(algo)} seed {seed}: {_markdown('; '.join(alarms))}"
        for row in table["rows"]
        for algo, column in row["columns"].items()
        for seed, alarms in column["alarms"].items()
    ]
    if told:
        parts += ["`!`: the policy that is scored raised alarms of reward hacking.", "", *told, ""]
    parts += ["`±`: half of the range over seeds, where there are several.", ""]
    errors = [
        f"- {_markdown(row['id'])} {_markdown(algo)}: {_markdown(message)}"
        for row in table["rows"]
        for algo, column in row["columns"].items()
        for message in column["errors"]
    ]
    return "\n".join([*parts, *(["## Failed", "", *errors, ""] if errors else [])])


def _body(table: Mapping[str, Any], split: str) -> Iterable[list[str]]:
    for row in table["rows"]:
        cells = [_shown(row["columns"][algo], split) for algo in table["algos"]]
        share = "" if row["share"] is None else f"{row['share']:.3f}"
        budgets = " or ".join(f"{minutes:g}" for minutes in row["budgets"])
        last = [share, f"{row['seconds'] / 60:.1f}", budgets]
        yield [row["id"], row["metric"] or "", *cells, *(last if split == "test" else [])]


def _shown(column: Mapping[str, Any], split: str) -> str:
    if split not in column:
        return "failed" if column["errors"] else ""
    value = column[split]
    text = f"{value['mean']:.3f}"
    if len(value["values"]) > 1:
        text += f" ± {value['half_range']:.3f}"
    return text + ("*" if column["stopped"] else "") + ("!" if column["alarms"] else "")


_CONTROL_HEADER = (
    "id",
    "metric",
    "best agent by dev",
    "learns from",
    "test",
    "against",
    "test",
    "difference (95 %)",
    "constant reward",
    "less constant (95 %)",
    "seeds",
    "seconds: agent, bc, bc@time",
    "alarms",
)


def _controls(controls: Sequence[Mapping[str, Any]]) -> list[str]:
    """The section of comparisons with controls."""
    if not controls:
        return []
    rows = [[*_CONTROL_HEADER], *([*control_row(record).values()] for record in controls)]
    return [
        "## Controls",
        "",
        *_lines(rows),
        "",
        "The agent that learns from rewards and is best on dev, against `bc`, or `bc` trained for "
        "the agent's time (`bc@time`), whichever is better on dev; and against itself trained with "
        "a reward that never changes. Differences on test, with intervals by the paired bootstrap "
        "over its samples. Seconds of training a run, the agent's start counted.",
        "",
    ]


def control_row(record: Mapping[str, Any]) -> dict[str, str]:
    """A comparison of `evaluation.benchmark.controls` as texts, by column."""
    gain, same = record["difference"], record["constant"]
    clock, seconds = record["clock"], record["seconds"]
    times = ", ".join("–" if s is None else f"{s:,.0f}" for s in seconds)
    values = (
        record["id"],
        gain["metric"],
        record["agent"],
        record["information"],
        f"{gain['value']:.4f}",
        record["reference"],
        f"{gain['other']:.4f}",
        _interval(gain),
        "" if same is None else f"{same['other']:.4f}",
        "" if same is None else _interval(same),
        str(gain["runs"][0]),
        f"{times} ({clock})",
        str(record["alarms"]),
    )
    keys = (*_CONTROL_HEADER[:6], "reference test", *_CONTROL_HEADER[7:])
    return dict(zip(keys, values, strict=True))


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"


def _markdown(text: str) -> str:
    """A text that Markdown and the HTML made of it show as it is."""
    return html.escape(visible(text), quote=False).replace("\\", "\\\\").replace("|", "\\|")


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_markdown, cells)) + " |"

    rule = ["---", "---", *["---:"] * (len(rows[0]) - 2)]
    return [line(rows[0]), line(rule), *(line(row) for row in rows[1:])]
