"""Every stage of a chain of runs scored after every stage, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_gym.errors import RunError, shown
from nlp_gym_agents.evaluation.forgetting import forgetting_report
from nlp_gym_agents.plots import style
from nlp_gym_agents.runs.files.plain_files import read_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL = 0.72
"""Inches of the sides of a cell."""


def read_matrix(
    run: Path, *, device: str = "auto", progress: bool = False, trust: Sequence[str] | str = ()
) -> Mapping[str, Any]:
    """The matrix of a run, from its report or, without one, scored now.

    Raises:
        RunError: The run continues none.
    """
    if (run / "report.json").is_file():
        report = read_json(run / "report.json")
        if isinstance(report, dict) and isinstance(report.get("continual"), dict):
            known: Mapping[str, Any] = report["continual"]
            return known
    found = forgetting_report(run, device=device, progress=progress, trust=trust)
    if found is None:
        raise RunError(
            f"{shown(str(run))} continues no other run, so that there is nothing it could have "
            "forgotten: give a run that was trained with --continue."
        )
    return found


def forgetting_figure(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A panel for each run of which the matrix is given, by its name."""
    with style.drawing():
        sizes = [max(len(report["stages"]) * _CELL, 2.2) for report in found.values()]
        figure = style.new_figure(sum(sizes) + 1.9 * len(sizes), max(sizes) + 2.2)
        grid = figure.subplots(1, len(found), squeeze=False, width_ratios=sizes)[0]
        for axes, (name, report), size in zip(grid, found.items(), sizes, strict=True):
            style.title(axes, style.name(name), size)
            _matrix(axes, report)
        style.caption(figure, _caption(found))
    return figure


def _matrix(axes: Axes, report: Mapping[str, Any]) -> None:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    values = np.array([[np.nan if x is None else x for x in row] for row in report["matrix"]])
    blues = LinearSegmentedColormap.from_list("share", ["#ffffff", "#9cc7e2", "#0072b2", "#003a5c"])
    axes.imshow(np.ma.masked_invalid(values), cmap=blues, vmin=0.0, vmax=1.0)
    names = [style.name(name, 16) for name in report["stages"]]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("test set of")
    axes.set_ylabel("after")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if not np.isnan(value):
                ink = "white" if value > 0.5 else style.INK
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=8, color=ink)


def _caption(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [f"Metric: {', '.join(dict.fromkeys(r['metric'] for r in found.values()))}, test."]
    for name, report in found.items():
        if report["forgetting"] is not None:
            lines.append(
                f"{name}: average {report['average']:.3f}, forgetting {report['forgetting']:.3f}."
            )
    return lines
