"""Learning curves: the dev metric over decisions and over seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.scores.learning import Axis, LearningRun, Panel, Series, mean_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES: dict[Axis, str] = {
    "steps": "decisions of training",
    "seconds": "wall time of training (s)",
}
_WIDTH, _HEIGHT = 4.1, 3.3  # inches of a panel
_LINE_GAP = 0.062  # of the height of a panel, between two labels at its right
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_REACHED = 0.9995
"""An oracle above this is the top of the scale and needs no line."""


def curves_figure(panels: Sequence[Panel], axes: Sequence[Axis], *, columns: int = 1) -> Figure:
    """Learning curves, a panel for each id and metric.

    Args:
        panels: At least one; see `nlp_gym_agents.plots.scores.learning.panels`.
        axes: What they are drawn over, a column each.
        columns: Panels side by side, where there is one axis.
    """
    with style.drawing():
        across = len(axes) if len(axes) > 1 else min(columns, len(panels))
        rows = len(panels) if len(axes) > 1 else -(-len(panels) // across)
        figure = style.new_figure(_WIDTH * across + 1.3, _HEIGHT * rows + 0.5)
        grid = figure.subplots(rows, across, squeeze=False)
        for number, panel in enumerate(panels):
            places = grid[number] if len(axes) > 1 else [grid.flat[number]]
            limits = _limits(panel, axes)
            for place, axis in zip(places, axes, strict=True):
                _draw(place, panel, axis, limits, labelled=axis == axes[-1])
                if axis == axes[0]:
                    place.set_title(_title(panel))
                    place.set_ylabel(f"{style.name(panel.metric)} on dev")
                else:
                    place.tick_params(labelleft=False)
        for unused in list(grid.flat)[len(panels) * (len(axes) if len(axes) > 1 else 1) :]:
            unused.remove()
        style.caption(figure, _caption(panels))
    return figure


def _title(panel: Panel) -> str:
    return f"{style.name(panel.env_id)}: {style.name(panel.metric)} while learning"


def _draw(
    axes: Axes, panel: Panel, axis: Axis, limits: tuple[float, float], *, labelled: bool
) -> None:
    lines, levels = _parts(panel)
    labels: list[tuple[float, str, str]] = []
    longest, drawn = 0.0, Counter[str]()
    for series in lines:
        look = style.look(series.algo)
        # Series of one algorithm share its colour, and differ in their dashes.
        number = drawn[series.algo]
        dashes = _DASHES[number % len(_DASHES)] if number else look.dashes
        drawn[series.algo] += 1
        mean = mean_of(series.runs, axis)
        for run in series.runs if len(series.runs) > 1 else ():
            axes.plot(run.along(axis), run.values, color=look.colour, lw=0.7, alpha=0.3)
        every = max(len(mean.at) // 6, 1)
        axes.plot(
            mean.at,
            mean.mean,
            color=look.colour,
            linestyle=dashes,
            marker=look.marker,
            markersize=4.5,
            markevery=(every // 2, every),
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=series.name,
            zorder=3,
        )
        axes.fill_between(mean.at, mean.low, mean.high, color=look.colour, alpha=0.15, lw=0)
        labels.append((float(mean.mean[-1]), _label(series), look.colour))
        longest = max([longest, *(float(run.along(axis)[-1]) for run in series.runs)])
    for text, value, algo in levels:
        look = style.look(algo)
        level = "--" if algo == "bc" else look.dashes
        axes.axhline(value, color=look.colour, linestyle=level, lw=1.1, zorder=2)
        labels.append((value, text, look.colour))
    axes.set_ylim(*limits)
    axes.set_xlim(0, (longest or 1.0) * 1.01)
    axes.set_xlabel(_AXES[axis])
    style.thousands(axes)
    if labelled:
        _label_right(axes, labels)


def _limits(panel: Panel, axes: Sequence[Axis]) -> tuple[float, float]:
    """Ends of the scale: all values, and intervals as far as they leave the values legible.

    Metrics lie between 0 and 1, which an interval need not know.
    """
    lines, levels = _parts(panel)
    means = [mean_of(series.runs, axis) for series in lines for axis in axes]
    edges = np.concatenate([edge for mean in means for edge in (mean.low, mean.high)])
    values = np.concatenate(
        [*(run.values for series in lines for run in series.runs), [v for _, v, _ in levels]]
    )
    low, high = float(values.min()), float(values.max())
    room = 0.5 * max(high - low, 0.05)
    known = edges[np.isfinite(edges)]
    if len(known):
        low = min(low, max(float(known.min()), low - room, 0.0))
        high = max(high, min(float(known.max()), high + room, 1.0))
    low = 0.0 if 0 <= low < 0.35 * high else low
    margin = 0.03 * max(high - low, 0.05)
    return low - margin, high + margin


def _label_right(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Name the lines at their right ends, in their colours."""
    low, high = axes.get_ylim()
    values = [min(max(value, low), high) for value, _, _ in labels]
    places = style.spread(values, _LINE_GAP * (high - low), low, high)
    for (_, text, colour), value, place in zip(labels, values, places, strict=True):
        axes.annotate(
            style.name(text, 60),
            xy=(1.0, value),
            xytext=(1.04, place),
            xycoords=axes.get_yaxis_transform(),
            textcoords=axes.get_yaxis_transform(),
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            },
            annotation_clip=False,
            va="center",
            fontsize=8,
            color=colour,
        )


def _parts(panel: Panel) -> tuple[list[Series], list[tuple[str, float, str]]]:
    """The series that are curves; and text, value and name of each horizontal line.

    What clones does not learn as the others do, from rewards: it is a level to compare them with.
    """
    cloned = [series for series in panel.series if series.algo == "bc"]
    lines = [series for series in panel.series if series.algo != "bc"] or cloned
    levels = []
    if lines is not cloned:
        for series in cloned:
            several = f", {_several(series)}" if len(series.runs) > 1 else ""
            text = f"{series.name} {series.best():.3f} (best{several})"
            levels.append((text, series.best(), "bc"))
    for name, value in panel.baselines.items():
        shown = name != "oracle" or value < _REACHED
        if shown and not (name == "bc" and cloned):
            levels.append((f"{name} {value:.3f} ({panel.baselines_split})", value, name))
    return lines, levels


def _label(series: Series) -> str:
    return f"{series.name} ({_several(series)})" if len(series.runs) > 1 else series.name


def _several(series: Series) -> str:
    """How many runs a series has, which are seeds where no two have the same one."""
    n = len(series.runs)
    return f"{n} seeds" if len({run.seed for run in series.runs}) == n else f"{n} runs"


def _caption(panels: Sequence[Panel]) -> list[str]:
    runs = [run for panel in panels for series in panel.series for run in series.runs]
    drawn = [series for panel in panels for series in _parts(panel)[0]]
    lines = []
    if any(len(series.runs) > 1 for series in drawn):
        lines.append(
            "Thick: mean over seeds, to where all of them have come; band: its 95 % interval "
            "(Student's t over seeds); thin: each seed."
        )
    if any(len(series.runs) == 1 for series in drawn):
        lines.append("A line without a band is one run: one seed says nothing about the next.")
    splits = {p.baselines_split for p in panels if p.baselines}
    if splits == {"test"}:
        lines.append("Levels marked (test) are scores on test, from report.json; curves are dev.")
    lines += _unfinished(runs)
    if len({(panel.env_id, panel.metric) for panel in panels}) < len(panels):
        lines.append("Panels of one id differ in the text of dev, and cannot be compared.")
    return lines


def _unfinished(runs: Sequence[LearningRun]) -> list[str]:
    going = [run for run in runs if not run.finished]
    if not going:
        return []
    first = going[0]
    return [
        f"{len(going)} of {len(runs)} runs had not ended when this was drawn; the first is at "
        f"{first.steps[-1]:,.0f} of {first.planned:,} decisions."
    ]
