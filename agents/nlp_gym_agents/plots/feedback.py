"""Curves of a metric over the texts that a person answered, of measured points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym_agents.plots import style

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Told apart by people who are colour-blind (Okabe and Ito 2008)."""
_MARKERS = "osD^vPX"


def draw_rounds(found: Sequence[Mapping[str, Any]], output: str | Path) -> Path:
    """A panel for each id: the mean over seeds, and the lowest and highest as a band.

    Args:
        found: Records of `benchmarks.learning_from_use`: `env`, `name`, `seed` and `points`, pairs
            of a number of texts and the dev metric. One with a single point is a dotted line.
        output: A file that ends in ``.png``, ``.svg`` or ``.pdf``.
    """
    ids = list(dict.fromkeys(one["env"] for one in found))
    names = list(dict.fromkeys(one["name"] for one in found))
    with style.drawing():
        figure = style.new_figure(4.6 * len(ids), 3.9)
        panels = np.atleast_1d(figure.subplots(1, len(ids)))
        for axes, env in zip(panels, ids, strict=True):
            for number, name in enumerate(names):
                own = [one for one in found if (one["env"], one["name"]) == (env, name)]
                if not own:
                    continue
                colour = _COLOURS[number % len(_COLOURS)]
                values = np.array([[value for _, value in one["points"]] for one in own])
                texts = [n for n, _ in own[0]["points"]]
                if len(texts) == 1:
                    height = float(values.mean())
                    axes.axhline(height, color=style.FAINT, lw=1.0, linestyle=":", label=name)
                    continue
                marker = _MARKERS[number % len(_MARKERS)]
                axes.plot(
                    texts,
                    values.mean(axis=0),
                    color=colour,
                    marker=marker,
                    ms=4,
                    lw=1.4,
                    label=name,
                )
                axes.fill_between(
                    texts, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, lw=0
                )
            axes.set_title(env)
            axes.set_xlabel("texts that were answered")
            axes.set_ylabel("metric on dev")
            axes.legend(loc="best", frameon=False, fontsize=8)
        seeds = len({one["seed"] for one in found})
        style.caption(figure, [f"Mean of {seeds} seed(s); bands from the lowest to the highest."])
        return style.write_figure(figure, style.check_output(output))
