"""Curves of accuracy against the share of the text that is read, of measured points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym_agents.plots import style


def draw_curves(found: Sequence[Mapping[str, Any]], output: str | Path) -> Path:
    """A panel for each id, with the curves of every seed.

    Args:
        found: Records of `benchmarks.reading`: `env`, `moves`, `seed`, `all`, and in `curves` for
            `exit` and each algorithm its `points` (`Curve.table`).
        output: A file that ends in ``.png``, ``.svg`` or ``.pdf``.
    """
    ids = list(dict.fromkeys(one["env"] for one in found))
    with style.drawing():
        figure = style.new_figure(4.6 * len(ids), 3.9)
        panels = np.atleast_1d(figure.subplots(1, len(ids)))
        for axes, env in zip(panels, ids, strict=True):
            own = [one for one in found if one["env"] == env]
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
            axes.set_title(env)
            axes.set_xlabel("share of all words that is read")
            axes.set_ylabel("accuracy")
            axes.set_xlim(0, 1.03)
            axes.legend(loc="lower right", frameon=False, fontsize=8)
        style.caption(
            figure,
            ["Test. Dotted: 40 % of the words, and .98 of the accuracy on all of them."],
        )
        return style.write_figure(figure, style.check_output(output))
