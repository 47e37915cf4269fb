"""Figures of a benchmark: scores by id, and what they come to over all ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym_agents.evaluation.benchmark.table import BASELINES
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.scores.aggregate import (
    LEVELS,
    Estimate,
    Normalised,
    improvements,
    interquartile_mean,
    normalised,
    profile,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 7.6  # inches
_MOST_PAIRS = 15
_ENOUGH_SEEDS = 5
"""Seeds below which it is said that a bootstrap knows few of the runs that there could be."""
ONE_SEED = (
    "One seed: there is no interval over seeds, and another seed may give another order. Give "
    "--seeds 0,1,2,... to have one."
)


def scores_figure(table: Mapping[str, Any]) -> Figure:
    """The test score of every algorithm on every id: a mark for the mean, a small one per seed."""
    rows = table["rows"]
    with style.drawing():
        figure = style.new_figure(_WIDTH, 0.42 * len(rows) + 1.8)
        _draw_scores(figure.subplots(), table)
        style.caption(
            figure,
            [
                "Large marks: mean over seeds; small ones: each seed. Metrics differ from id to "
                "id: compare marks of one line."
            ],
        )
    return figure


def _draw_scores(axes: Axes, table: Mapping[str, Any]) -> None:
    rows = table["rows"]
    names = [f"{style.name(row['id'])}\n{style.name(row['metric'] or '')}" for row in rows]
    algos = [a for a in table["algos"] if any("test" in row["columns"][a] for row in rows)]
    learnt = [a for a in algos if a not in BASELINES]
    for algo in algos:
        look, base = style.look(algo), algo in BASELINES
        lane = 0.0 if base else (learnt.index(algo) - (len(learnt) - 1) / 2) * 0.6 / len(learnt)
        done = [
            (i, row["columns"][algo]["test"])
            for i, row in enumerate(rows)
            if "test" in row["columns"][algo]
        ]
        at = np.array([i + lane for i, _ in done])
        for place, (_, score) in zip(at, done, strict=True):
            if not base and len(score["values"]) > 1:
                axes.plot(
                    score["values"],
                    np.full(len(score["values"]), place),
                    "|",
                    color=look.colour,
                    alpha=0.7,
                    markersize=5,
                )
        axes.plot(
            [score["mean"] for _, score in done],
            at,
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markersize=13 if base else 6,
            markeredgewidth=1.3 if base else 0.6,
            markeredgecolor=look.colour if base else "white",
            label=style.name(algo),
            zorder=2 if base else 3,
        )
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    for edge in range(1, len(rows)):
        axes.axhline(edge - 0.5, color=style.GRID, lw=0.7)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("score on test")
    entries = axes.get_legend_handles_labels()
    axes.figure.legend(*entries, loc="outside upper left", ncols=6, frameon=False, fontsize=8)


def aggregate_figure(found: Normalised) -> Figure:
    """Interquartile means, performance profiles, and probabilities of improvement.

    Args:
        found: With at least one id and algorithm.
    """
    pairs = improvements(found)[:_MOST_PAIRS]
    lines = max(len(found.scores), len(pairs), 3)
    with style.drawing():
        figure = style.new_figure(_WIDTH + 1.4, 0.32 * lines + 4.6)
        grid = figure.add_gridspec(2, 2, height_ratios=[3.0, 0.32 * lines + 0.5])
        _draw_profiles(figure.add_subplot(grid[0, :]), found)
        if pairs:
            _draw_means(figure.add_subplot(grid[1, 0]), found)
            _draw_improvements(figure.add_subplot(grid[1, 1]), pairs)
        else:
            _draw_means(figure.add_subplot(grid[1, :]), found)
        style.caption(figure, aggregate_caption(found))
    return figure


def aggregate_caption(found: Normalised) -> list[str]:
    """How the scores were made comparable, and what can be said of them."""
    n, m = len(found.ids), found.seeds
    lines = [
        f"Test scores on {n} id{'s' if n > 1 else ''}, normalised per id: random play is 0, "
        f"{found.reference} is 1. Interquartile mean: mean of the middle half of all scores."
    ]
    if m < 2:
        lines.append(ONE_SEED)
    else:
        lines.append(
            f"Bands and bars: 95 % interval of a bootstrap over {m} or more seeds, stratified by "
            "id (Agarwal et al. 2021)."
        )
        if m < _ENOUGH_SEEDS:
            lines.append(
                f"With {m} seeds such an interval is too narrow: what was not drawn is not in it."
            )
    if n * m < 4:
        lines.append("Fewer than four scores: the interquartile mean is the mean.")
    lines += [f"Left out: {style.name(text, 160)}." for text in found.left_out[:4]]
    if len(found.left_out) > 4:
        lines.append(f"... and {len(found.left_out) - 4} more are left out.")
    return lines


def _draw_profiles(axes: Axes, found: Normalised) -> None:
    for algo, scores in found.scores.items():
        look = style.look(algo)
        share, low, high = profile(scores)
        axes.plot(
            LEVELS,
            share,
            color=look.colour,
            linestyle=look.dashes,
            drawstyle="steps-post",
            label=style.name(algo),
        )
        axes.fill_between(LEVELS, low, high, color=look.colour, alpha=0.14, lw=0, step="post")
    for level in (0.0, 1.0):
        axes.axvline(level, color=style.FAINT, lw=0.8, linestyle=(0, (3, 3)))
    marks = {0.0: "random", 1.0: found.reference}
    for level, text in marks.items():
        axes.annotate(
            text,
            (level, 1.0),
            textcoords="offset points",
            xytext=(3, 3),
            xycoords=("data", "axes fraction"),
            fontsize=7.5,
            color=style.FAINT,
        )
    axes.set_xlim(LEVELS[0], LEVELS[-1])
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("normalised score")
    axes.set_ylabel("share of runs above it")
    axes.set_title("performance profiles", pad=14)
    axes.legend(frameon=False, fontsize=8, loc="upper right")


def _draw_means(axes: Axes, found: Normalised) -> None:
    values = {algo: interquartile_mean(scores) for algo, scores in found.scores.items()}
    order = sorted(values, key=lambda algo: -values[algo].value)
    _intervals(
        axes,
        [style.name(algo) for algo in order],
        [values[algo] for algo in order],
        lambda i: style.look(order[i]),
    )
    axes.set_xlabel("normalised score")
    axes.set_title("interquartile mean")
    axes.axvline(0.0, color=style.FAINT, lw=0.8, linestyle=(0, (3, 3)))
    axes.axvline(1.0, color=style.FAINT, lw=0.8, linestyle=(0, (3, 3)))


def _draw_improvements(axes: Axes, pairs: Sequence[tuple[str, str, Estimate]]) -> None:
    names = [f"{style.name(a, 24)} > {style.name(b, 24)}" for a, b, _ in pairs]
    _intervals(
        axes, names, [estimate for _, _, estimate in pairs], lambda i: style.look(pairs[i][0])
    )
    axes.axvline(0.5, color=style.FAINT, lw=0.8, linestyle=(0, (3, 3)))
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("probability")
    axes.set_title("probability of improvement")


def _intervals(
    axes: Axes,
    names: Sequence[str],
    estimates: Sequence[Estimate],
    look: Callable[[int], style.Look],
) -> None:
    """A line per estimate: mark, interval and number."""
    for i, estimate in enumerate(estimates):
        drawn = look(i)
        if estimate.low is not None and estimate.high is not None:
            axes.plot(
                [estimate.low, estimate.high],
                [i, i],
                color=drawn.colour,
                lw=6,
                alpha=0.3,
                solid_capstyle="butt",
            )
        axes.plot(
            [estimate.value],
            [i],
            color=drawn.colour,
            marker=drawn.marker,
            markersize=7,
            markeredgecolor="white",
            zorder=3,
        )
        axes.annotate(
            f"{estimate.value:.2f}",
            (1.02, i),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def benchmark_figure(table: Mapping[str, Any]) -> Figure:
    """What scores come to over ids, or the scores by id where nothing can be normalised."""
    found = normalised(table)
    return aggregate_figure(found) if found.scores else scores_figure(table)
