"""Curves of points that a benchmark measured, with a panel for each id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym_agents.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Told apart by people who are colour-blind (Okabe and Ito 2008)."""
_MARKERS = "osD^vPX"

_Records = Sequence[Mapping[str, Any]]


def draw_rounds(found: _Records, output: str | Path) -> Path:
    """A metric over the texts that a person answered: mean over seeds, lowest to highest as a band.

    Args:
        found: Records of `benchmarks.learning.from_use`: `env`, `name`, `seed` and `points`, pairs
            of a number of texts and the dev metric. One with a single point is a dotted line.
        output: A file that ends in ``.png``, ``.svg`` or ``.pdf``.
    """
    names = list(dict.fromkeys(one["name"] for one in found))

    def panel(axes: Axes, own: _Records) -> None:
        for number, name in enumerate(names):
            named = [one for one in own if one["name"] == name]
            if named:
                look = (name, _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)])
                _draw_rounds_of(axes, named, *look)
        axes.set_xlabel("texts that were answered")
        axes.set_ylabel("metric on dev")
        axes.legend(loc="best", frameon=False, fontsize=8)

    seeds = len({one["seed"] for one in found})
    caption = "One seed."
    if seeds > 1:
        caption = f"Mean of {seeds} seeds; bands from the lowest to the highest."
    return _draw_panels(found, panel, caption, output)


def _draw_rounds_of(axes: Axes, own: _Records, name: str, colour: str, marker: str) -> None:
    values = np.array([[value for _, value in one["points"]] for one in own])
    texts = [n for n, _ in own[0]["points"]]
    if len(texts) == 1:
        axes.axhline(float(values.mean()), color=style.FAINT, lw=1.0, linestyle=":", label=name)
        return
    axes.plot(texts, values.mean(axis=0), color=colour, marker=marker, ms=4, lw=1.4, label=name)
    lowest, highest = values.min(axis=0), values.max(axis=0)
    axes.fill_between(texts, lowest, highest, color=colour, alpha=0.12, lw=0)


def draw_curves(found: _Records, output: str | Path) -> Path:
    """Accuracy against the share of the text that is read, with the curves of every seed.

    Args:
        found: Records of `benchmarks.learning.reading`: `env`, `moves`, `seed`, `all`, and in
            `curves` for `exit` and each algorithm its `points` (`Curve.table`).
        output: A file that ends in ``.png``, ``.svg`` or ``.pdf``.
    """

    def panel(axes: Axes, own: _Records) -> None:
        named: set[str] = set()
        for one in own:
            for name, curve in one["curves"].items():
                points = curve["points"]
                look = style.look("bc" if name == "exit" else name)
                label = "bc, exit by confidence" if name == "exit" else f"{name}, dial"
                if name != "exit" and one["moves"] != "read":
                    label += f", {one['moves']}"
                axes.plot(
                    [point["read"] for point in points],
                    [point["accuracy"] for point in points],
                    color=look.colour,
                    marker=look.marker,
                    markersize=3,
                    lw=1.2,
                    linestyle="-" if one["moves"] == "read" or name == "exit" else "--",
                    alpha=0.8,
                    label=None if label in named else label,
                )
                named.add(label)
        whole = float(np.mean([one["all"] for one in own]))
        axes.axhline(0.98 * whole, color=style.FAINT, lw=0.8, linestyle=":")
        axes.axvline(0.4, color=style.FAINT, lw=0.8, linestyle=":")
        axes.set_xlabel("share of all words that is read")
        axes.set_ylabel("accuracy")
        axes.set_xlim(0, 1.03)
        axes.legend(loc="lower right", frameon=False, fontsize=8)

    caption = "Test. Dotted: 40 % of the words, and .98 of the accuracy on all of them."
    return _draw_panels(found, panel, caption, output)


def _draw_panels(
    found: _Records, panel: Callable[[Axes, _Records], None], caption: str, output: str | Path
) -> Path:
    """Let `panel` draw the records of each id, side by side in one figure."""
    ids = list(dict.fromkeys(one["env"] for one in found))
    with style.drawing():
        figure = style.new_figure(4.6 * len(ids), 3.9)
        for axes, env in zip(np.atleast_1d(figure.subplots(1, len(ids))), ids, strict=True):
            panel(axes, [one for one in found if one["env"] == env])
            axes.set_title(env)
        style.caption(figure, [caption])
        return style.write_figure(figure, style.check_output(output))
