"""What reading costs and gives: accuracy of a reading classifier by how much of a text it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.task import Output
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym.types import Float64Array, Int64Array
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.decisions.calibration import wilson
from nlp_gym_agents.plots.decisions.played import Player, forced_outputs, played

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_APART = 0.04
"""Shares of the text between two marks that have their number."""


@dataclass(frozen=True)
class Reading:
    """How much was read, and how many labels were right.

    Attributes:
        share: Share of all words of the texts that was read.
        right: (n,) 0 or 1 for each text.
    """

    share: float
    right: Float64Array

    @property
    def accuracy(self) -> float:
        """Share of texts with the right label."""
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(float(self.right.sum()), len(self.right))


def reading_of(player: Player, outputs: Sequence[Output]) -> Reading:
    """What outputs of a reading classifier cost and gave."""
    read = sum(output[1] for output in outputs)
    words = sum(output[2] for output in outputs)
    golds = [player.task.sample(row).labels for row in player.rows]
    right = [(out[0],) == gold for out, gold in zip(outputs, golds, strict=True)]
    return Reading(read / max(words, 1), np.array(right, np.float64))


def pieces_read(player: Player, outputs: Sequence[Output]) -> Int64Array:
    """(n,) pieces that were read of each text before its label."""
    task = _reader(player)
    stops = {row: task.words_read(row) for row in set(player.rows)}
    pairs = zip(player.rows, outputs, strict=True)
    return np.array([stops[row].index(output[1]) + 1 for row, output in pairs], np.int64)


def _reader(player: Player) -> LabelText:
    task = player.task
    if not isinstance(task, LabelText) or not task.reading:
        raise InvalidArgumentError(
            f"what='reading' needs a classifier that reads piece by piece (reading=True), and "
            f"{player.name} on {player.trained.env_id} is none: use 'curves' or 'calibration'."
        )
    if task.passes != (0,):
        raise InvalidArgumentError(
            f"what='reading' counts the pieces from the beginning, and {player.name} passes over "
            "some (skips, jump): nlp_gym_agents.evaluation.reading_curve has its curve."
        )
    return task


def reading_figure(players: Sequence[Player]) -> Figure:
    """Accuracy over the share of text read; and how many texts were decided after which piece.

    Raises:
        InvalidArgumentError: A run is of a task that reads nothing piece by piece.
    """
    for player in players:
        _reader(player)
    with style.drawing():
        figure = style.new_figure(9.2, 4.2 + 0.2 * (len(players) // 2))
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1.0])
        for number, player in enumerate(players):
            outputs = player.outputs()
            twin = sum(other.algo == player.algo for other in players[:number])
            _draw_cost(left, player, outputs, twin=twin)
            _draw_pieces(right, player, outputs, number=number, of=len(players), twin=twin)
        left.set_title("what reading on would give")
        left.set_xlabel("share of all words that is read")
        left.set_ylabel("accuracy")
        left.set_xlim(0, 1.03)
        figure.legend(
            *left.get_legend_handles_labels(),
            loc="outside upper left",
            ncols=2,
            frameon=False,
            fontsize=8,
        )
        right.set_title("when it was sure")
        right.set_xlabel("pieces read before the label")
        right.set_ylabel("share of texts")
        most = max(int(player.task.lengths[player.rows].max()) for player in players)
        right.set_xlim(0.4, most + 0.6)
        right.set_xticks(range(1, most + 1))
        right.grid(visible=False, axis="x")
        style.caption(
            figure,
            [
                f"Played: {played(players)}. Large mark: the agent decides "
                "when to stop, with Wilson's 95 % interval. Small marks: the same policy made to "
                "stop after 1, 2, ... pieces.",
                "Numbers over bars: accuracy on the texts that got their label there.",
            ],
        )
    return figure


def _filling(colour: str, twin: int) -> str:
    """What fills the marks of a run: runs of one algorithm share its colour, not their filling."""
    return (colour, "white", style.GRID)[twin % 3]


def _draw_cost(axes: Axes, player: Player, outputs: Sequence[Output], *, twin: int) -> None:
    look, task = style.look(player.algo), _reader(player)
    most = int(task.lengths[player.rows].max())
    forced = [reading_of(player, forced_outputs(player, k)) for k in range(1, most + 1)]
    shares = [reading.share for reading in forced]
    values = [reading.accuracy for reading in forced]
    filling = _filling(look.colour, twin)
    axes.plot(
        shares,
        values,
        color=look.colour,
        lw=1.2,
        linestyle=":",
        marker=look.marker,
        markerfacecolor=filling,
        markersize=3.5,
    )
    own = reading_of(player, outputs)
    low, high = own.interval
    axes.errorbar(
        [own.share],
        [own.accuracy],
        yerr=[[own.accuracy - low], [high - own.accuracy]],
        color=look.colour,
        marker=look.marker,
        markersize=10,
        markerfacecolor=filling,
        markeredgecolor=look.colour if twin else "white",
        capsize=3,
        linestyle="none",
        zorder=4,
        label=f"{style.name(player.name)}: reads {own.share:.0%}, {own.accuracy:.3f} right",
    )
    axes.margins(y=0.12)
    last = -1.0
    for k, (share, value) in enumerate(zip(shares, values, strict=True), 1):
        if share - last < _APART:
            continue
        last = share
        text = "after 1 piece" if k == 1 else str(k)
        axes.annotate(
            text,
            (share, value),
            textcoords="offset points",
            xytext=(-6, 5),
            ha="right",
            fontsize=7.5,
            color=style.FAINT,
        )


def _draw_pieces(
    axes: Axes, player: Player, outputs: Sequence[Output], *, number: int, of: int, twin: int
) -> None:
    look, pieces = style.look(player.algo), pieces_read(player, outputs)
    right = reading_of(player, outputs).right
    at, counts = np.unique(pieces, return_counts=True)
    width = 0.8 / of
    places = at + (number - (of - 1) / 2) * width
    axes.bar(
        places,
        counts / len(pieces),
        width * 0.92,
        color=_filling(look.colour, twin),
        edgecolor=look.colour,
        alpha=0.75,
    )
    for piece, place, count in zip(at, places, counts, strict=True):
        text = f"{right[pieces == piece].mean():.2f}"
        axes.text(place, count / len(pieces), text, ha="center", va="bottom", fontsize=7)
