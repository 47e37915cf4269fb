"""Which label is taken for which: a matrix of gold by prediction, and the largest confusions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym.tasks.relation.task import Relation
from nlp_gym.tasks.tagging.task import LabelWords
from nlp_gym.types import Float64Array, Int64Array
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.decisions.played import Player, played

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NUMBERED = 20
"""Labels up to which each cell has its number."""
_DRAWN = 160
"""Labels up to which there is a matrix; with more, only the largest confusions are listed."""
_LISTED = 25
"""Confusions that are listed beside a matrix without numbers, and in place of one."""
_LIST = 4.0, 5.2
"""Inches of the list, across and down."""


@dataclass(frozen=True)
class Confusion:
    """How often each gold label was decided as each label.

    Attributes:
        labels: L labels, those that training lacks last.
        counts: (L, L) int64, gold by prediction.
        unit: What is counted, such as ``"words"``.
    """

    labels: tuple[str, ...]
    counts: Int64Array
    unit: str

    @property
    def shares(self) -> Float64Array:
        """(L, L) counts as shares of their row; 0 in rows without gold."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)

    def largest(self, most: int) -> list[tuple[str, str, int, float]]:
        """Gold, prediction, count and share of the most frequent confusions, largest first."""
        wrong = self.counts * (1 - np.eye(len(self.labels), dtype=np.int64))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        places = [divmod(int(place), len(self.labels)) for place in order]
        return [
            (self.labels[i], self.labels[j], int(wrong[i, j]), float(self.shares[i, j]))
            for i, j in places
            if wrong[i, j]
        ]


def confusion_of(task: Task, rows: Sequence[int], outputs: Sequence[Output]) -> Confusion:
    """Count labels of gold against those decided.

    Words tagged as parts of entities count by the kind of the entity: ``B-PER`` and ``I-PER`` are
    both ``PER``.

    Args:
        task: Of texts, words or pairs that get one label each.
        rows: Samples that were played.
        outputs: What was decided, one for each.

    Raises:
        InvalidArgumentError: A task of another kind.
    """
    unit, pairs = _pairs(task, rows, outputs)
    found = list(pairs)
    kinds = isinstance(task, LabelWords) and task.scheme == "BIO"
    if kinds:
        found = [(_kind(gold), _kind(chosen)) for gold, chosen in found]
    known = dict.fromkeys(_kind(label) if kinds else label for label in task.labels)
    met = {label for pair in found for label in pair}
    labels = (*known, *sorted(met - set(known)))
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    for gold, chosen in found:
        counts[place[gold], place[chosen]] += 1
    if not kinds:  # an inventory may be larger than what a small split holds
        kept = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
        labels = tuple(label for label, keep in zip(labels, kept, strict=True) if keep)
        counts = counts[np.ix_(kept, kept)]
    return Confusion(labels, counts, unit)


def _pairs(
    task: Task, rows: Sequence[int], outputs: Sequence[Output]
) -> tuple[str, Iterator[tuple[str, str]]]:
    """What is decided on, and gold and prediction of each."""
    golds = [task.sample(row).labels or () for row in rows]
    if isinstance(task, LabelText):
        return "texts", ((g[0], out[0]) for g, out in zip(golds, outputs, strict=True) if g)
    if isinstance(task, LabelWords | Relation):
        unit = "words" if isinstance(task, LabelWords) else "pairs of entities"
        both = zip(golds, outputs, strict=True)
        return unit, (pair for gold, out in both for pair in zip(gold, out, strict=True))
    raise InvalidArgumentError(
        f"what='confusion' needs a task that gives texts, words or pairs one label each, not "
        f"{type(task).__name__}: use 'calibration', 'values' or 'curves'."
    )


def _kind(tag: str) -> str:
    return tag[2:] if tag[:2] in ("B-", "I-") else tag


def confusion_figure(players: Sequence[Player]) -> Figure:
    """The matrix of each run, rows normalised; beside a large one its largest confusions."""
    found = [confusion_of(p.task, p.rows, p.outputs()) for p in players]
    with style.drawing():
        widths = [_width(confusion) for confusion in found]
        height = max(_height(confusion) for confusion in found)
        figure = style.new_figure(sum(widths) + 0.3, height + 0.9)
        grid = figure.subplots(1, len(found), squeeze=False, width_ratios=widths)[0]
        for axes, player, confusion in zip(grid, players, found, strict=True):
            style.title(axes, _title(player, confusion), _title_width(confusion))
            if len(confusion.labels) > _DRAWN:
                _list(axes, confusion)
                continue
            _matrix(axes, confusion)
            if len(confusion.labels) > _NUMBERED:
                across, down = _LIST[0] / _cells(confusion), _LIST[1] / _cells(confusion)
                _list(axes.inset_axes((1.02, 1.0 - down, across, down)), confusion)
        style.caption(figure, _caption(players, found))
    return figure


def _cells(confusion: Confusion) -> float:
    """Inches of the sides of a matrix."""
    n = len(confusion.labels)
    return max(n * (0.42 if n <= _NUMBERED else 0.13), 1.6)


def _width(confusion: Confusion) -> float:
    if len(confusion.labels) > _DRAWN:
        return _LIST[0] + 1.0
    listed = len(confusion.labels) > _NUMBERED
    return _cells(confusion) + 1.6 + (_LIST[0] + 0.6 if listed else 0.0)


def _height(confusion: Confusion) -> float:
    if len(confusion.labels) > _DRAWN:
        return _LIST[1]
    listed = len(confusion.labels) > _NUMBERED
    return max(_cells(confusion) + 1.0, _LIST[1] + 0.6 if listed else 2.6)


def _title(player: Player, confusion: Confusion) -> str:
    right = float(np.trace(confusion.counts) / max(confusion.counts.sum(), 1))
    return f"{style.name(player.name)}: {right:.1%} of {confusion.unit} right"


def _title_width(confusion: Confusion) -> float:
    """Inches from the left end of a matrix, or of a list, to what is at the right of it."""
    if len(confusion.labels) > _NUMBERED:
        return _LIST[0]
    return _cells(confusion) + 0.7  # with the room of the next one's labels


def _matrix(axes: Axes, confusion: Confusion) -> None:
    n, shares = len(confusion.labels), confusion.shares
    # The same blue as a colour of lines, from white: lightness alone tells the share.
    from matplotlib.colors import LinearSegmentedColormap

    blues = LinearSegmentedColormap.from_list("share", ["#ffffff", "#9cc7e2", "#0072b2", "#003a5c"])
    axes.imshow(shares, cmap=blues, vmin=0.0, vmax=1.0)
    small = n > _NUMBERED
    size = 8.0 if not small else 6.0
    names = [style.name(label, 24) for label in confusion.labels]
    axes.set_xticks(range(n), names, rotation=90, fontsize=size)
    axes.set_yticks(range(n), names, fontsize=size)
    if not small:  # beside the matrix: after a name from right to left they would stand before it
        for i, total in enumerate(confusion.counts.sum(axis=1)):
            text, colour = f"{total:,}", style.FAINT
            axes.text(n - 0.38, i, text, va="center", fontsize=7.5, color=colour)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for edge in np.arange(-0.5, n, 1.0):
        axes.axhline(edge, color=style.GRID, lw=0.5)
        axes.axvline(edge, color=style.GRID, lw=0.5)
    axes.set_xlabel("decided")
    axes.set_ylabel("gold")
    if not small:
        for i, j in zip(*confusion.counts.nonzero(), strict=True):
            share = shares[i, j]
            text = "<1" if share < 0.01 else f"{share:.0%}".rstrip("%")
            ink = "white" if share > 0.5 else style.INK
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)


def _list(axes: Axes, confusion: Confusion) -> None:
    """The largest confusions as lines of text with a bar each."""
    rows = confusion.largest(_LISTED)
    axes.set_axis_off()
    axes.set_ylim(_LISTED + 1.5, -0.5)
    most = max((count for _, _, count, _ in rows), default=1)
    axes.set_xlim(0, 1)
    head = f"largest confusions ({confusion.unit}; share of gold)" if rows else "no confusions"
    axes.text(0.0, 0.0, head, fontsize=8.5, color=style.INK)
    for i, (gold, chosen, count, share) in enumerate(rows, 1):
        axes.barh(i + 0.34, count / most, height=0.1, color="#0072b2")
        text = f"{style.name(gold, 22)} → {style.name(chosen, 22)}"
        axes.text(0.0, i, text, fontsize=7.5, va="center")
        axes.text(1.0, i, f"{count:,}  {share:.0%}", fontsize=7.5, va="center", ha="right")


def _caption(players: Sequence[Player], found: Sequence[Confusion]) -> list[str]:
    lines = [f"Played: {played(players)}."]
    if any(len(confusion.labels) <= _DRAWN for confusion in found):
        lines.append("Each row is a gold label and adds to 100 %; cells are percent of the row.")
    if any(len(confusion.labels) <= _NUMBERED for confusion in found):
        units = " or ".join(dict.fromkeys(confusion.unit for confusion in found))
        lines.append(f"At the right of a row: number of {units} with that gold label.")
    if any(isinstance(p.task, LabelWords) and p.task.scheme == "BIO" for p in players):
        lines.append("Words count by the kind of entity they are in: B- and I- are one.")
    return lines
