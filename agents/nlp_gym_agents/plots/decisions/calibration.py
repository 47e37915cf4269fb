"""Are probabilities and values what they say? Reliability diagrams, and values against returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.types import Float64Array, Int64Array
from nlp_gym_agents.evaluation.calibration import BINS, calibration_error
from nlp_gym_agents.models.acting import INVERSE_TEMPERATURE
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.decisions.played import Decisions, Player, decisions_of, played

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VALUE_BINS = 10
Z = 1.96
"""Half of a 95 % interval, in standard errors."""
_SIDE, _COUNTS = 3.5, 0.8  # inches of a diagram, and of the counts below it
_MOST_ACROSS = 3


@dataclass(frozen=True)
class Bins:
    """Predictions sorted into bins, and what became of them.

    Attributes:
        edges: (K+1,) ends of the bins.
        counts: (K,) predictions in each.
        predicted: (K,) mean prediction; NaN in empty bins.
        found: (K,) mean of what was found.
        low: (K,) lower end of the 95 % interval of `found`; NaN: not known, as of a single number.
        high: (K,) upper end.
    """

    edges: Float64Array
    counts: Int64Array
    predicted: Float64Array
    found: Float64Array
    low: Float64Array
    high: Float64Array


def binned(
    predicted: Float64Array, found: Float64Array, edges: Float64Array, *, shares: bool = False
) -> Bins:
    """Sort predictions and what was found into bins.

    Args:
        predicted: (M,) numbers; those outside `edges` are in the bins at the ends.
        found: (M,) numbers.
        edges: (K+1,) ascending.
        shares: Whether `found` are 0 and 1, with Wilson's intervals; else those of the mean.
    """
    k = len(edges) - 1
    place = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, k - 1)
    counts = np.bincount(place, minlength=k)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_predicted = np.bincount(place, predicted, k) / counts
        mean_found = np.bincount(place, found, k) / counts
        squares = np.bincount(place, (found - mean_found[place]) ** 2, k)
        half = Z * np.sqrt(squares / (counts - 1) / counts)  # NaN where there is a single one
    low, high = mean_found - half, mean_found + half
    if shares:
        ends = [wilson(share * n, n) for share, n in zip(mean_found, counts.tolist(), strict=True)]
        low, high = np.array(ends).T
    return Bins(edges, counts, mean_predicted, mean_found, low, high)


def wilson(right: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, which lies between 0 and 1 for small counts too."""
    if not n:
        return 0.0, 1.0
    share = right / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def calibration_figure(players: Sequence[Player]) -> Figure:
    """A reliability diagram of each run.

    Raises:
        InvalidArgumentError: The policy of a run does not say how likely it holds its actions.
    """
    found = [_with_probabilities(player) for player in players]
    with style.drawing():
        figure, pairs = _grid(len(players))
        for (upper, lower), player, decisions in zip(pairs, players, found, strict=True):
            _draw_reliability(upper, lower, player, decisions)
        lines = [
            f"Played greedily: {played(players)}. Marks: share of decisions that the expert makes "
            "too, by the probability of the choice; bars: Wilson's 95 % interval. Below the "
            "diagonal a policy is too sure.",
            f"ECE: expected calibration error over {BINS} bins of equal width.",
        ]
        if any(decisions.temperature is not None for decisions in found):
            lines.append(
                "Filled: at the temperature T fitted on dev, as in predictions; hollow: as the "
                "policy has it."
            )
        if any(decisions.kind == "values" for decisions in found):
            lines.append(
                f"Values are no logits: they are taken for some after multiplication by "
                f"{INVERSE_TEMPERATURE:g}."
            )
        style.caption(figure, lines)
    return figure


def _with_probabilities(player: Player) -> Decisions:
    decisions = decisions_of(player)
    if decisions.kind == "none":
        raise InvalidArgumentError(
            f"what='calibration': the policy of {player.name} does not say how likely it holds its "
            "actions: use 'curves' or 'confusion'."
        )
    return decisions


def _grid(n: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure with a diagram and its counts below it, `n` times."""
    across = min(n, _MOST_ACROSS)
    down = -(-n // across)
    figure = style.new_figure(_SIDE * across + 0.5, (_SIDE + _COUNTS + 0.5) * down + 0.6)
    heights = [_SIDE, _COUNTS] * down
    grid = figure.subplots(2 * down, across, squeeze=False, height_ratios=heights)
    pairs = [
        (grid[2 * (i // across), i % across], grid[2 * (i // across) + 1, i % across])
        for i in range(across * down)
    ]
    for upper, lower in pairs[n:]:
        upper.remove()
        lower.remove()
    return figure, pairs[:n]


def _draw_reliability(upper: Axes, lower: Axes, player: Player, decisions: Decisions) -> None:
    kept, edges = decisions.judged, np.linspace(0.0, 1.0, BINS + 1)
    right = decisions.right[kept].astype(np.float64)
    raw, fitted = decisions.probability[kept], decisions.calibrated[kept]
    style.title(upper, style.name(player.name), _SIDE)
    upper.set_xlim(-0.02, 1.02)
    upper.set_ylim(-0.02, 1.02)
    error = f"ECE {calibration_error(fitted, right):.3f}"
    if decisions.temperature is not None:
        before = binned(raw, right, edges, shares=True)
        full = before.counts > 0
        look = style.look(player.algo)
        upper.plot(
            before.predicted[full],
            before.found[full],
            color=look.colour,
            marker=look.marker,
            markerfacecolor="none",
            lw=0.8,
            linestyle=":",
            alpha=0.7,
        )
        error += f" (T {decisions.temperature:.2f})\n  was {calibration_error(raw, right):.3f}"
    _draw_bins(upper, lower, player, binned(fitted, right, edges, shares=True))
    upper.set_ylabel("share that is right")
    lower.set_xlabel("probability of the choice")
    numbers = [f"mean {fitted.mean():.3f}", f"right {right.mean():.3f}", f"n {len(right):,}"]
    _facts(upper, [error, *numbers])


def values_figure(players: Sequence[Player]) -> Figure:
    """The return that each run expected against the return that it then got.

    Raises:
        InvalidArgumentError: The policy of a run holds no values.
    """
    found = [_with_values(player) for player in players]
    with style.drawing():
        figure, pairs = _grid(len(players))
        for (upper, lower), player, decisions in zip(pairs, players, found, strict=True):
            _draw_values(upper, lower, player, decisions)
        gammas = sorted({decisions.gamma for decisions in found})
        style.caption(
            figure,
            [
                f"Played greedily: {played(players)}. Returns are discounted "
                f"as in training (gamma {', '.join(f'{gamma:g}' for gamma in gammas)}).",
                "Marks: mean return of decisions with a value in the bin; bars: 95 % interval, "
                "which a single decision has not. A Q-network's value is that of its choice; a "
                "critic's is of the policy as it explores, which gets less than greedy play. "
                "bias: mean value less mean return; r: Pearson's correlation of single decisions.",
            ],
        )
    return figure


def _with_values(player: Player) -> Decisions:
    decisions = decisions_of(player)
    if not np.isfinite(decisions.value).all():
        raise InvalidArgumentError(
            f"what='values': the policy of {player.name} holds no values that are known."
        )
    return decisions


def _draw_values(upper: Axes, lower: Axes, player: Player, decisions: Decisions) -> None:
    value, gain = decisions.value, decisions.gain
    bins = binned(value, gain, _edges(value))
    full = bins.counts > 0
    seen = np.concatenate(
        [bins.predicted[full], bins.low[full], bins.high[full], bins.edges[[0, -1]]]
    )
    margin = 0.05 * max(float(np.nanmax(seen) - np.nanmin(seen)), 0.1)
    low, high = float(np.nanmin(seen)) - margin, float(np.nanmax(seen)) + margin
    style.title(upper, style.name(player.name), _SIDE)
    upper.set_xlim(low, high)
    upper.set_ylim(low, high)
    _draw_bins(upper, lower, player, bins)
    upper.set_ylabel("return that followed")
    lower.set_xlabel("value before the decision")
    varied = min(float(np.ptp(value)), float(np.ptp(gain))) > 0
    strength = f"{np.corrcoef(value, gain)[0, 1]:.2f}" if varied else "not known (no variation)"
    bias = float(value.mean() - gain.mean())
    _facts(upper, [f"r {strength}", f"bias {bias:+.3f}", f"n {len(value):,}"])


def _edges(value: Float64Array) -> Float64Array:
    """Bins of equal width over all values but the farthest, which the end bins take in."""
    low, high = np.quantile(value, [0.005, 0.995])
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _VALUE_BINS + 1)


def _draw_bins(upper: Axes, lower: Axes, player: Player, bins: Bins) -> None:
    """Means with intervals over the diagonal, and below it how many decisions are in each bin."""
    look, full = style.look(player.algo), bins.counts > 0
    upper.axline((0, 0), slope=1, color=style.FAINT, lw=1, linestyle=(0, (4, 3)))
    upper.errorbar(
        bins.predicted[full],
        bins.found[full],
        yerr=[(bins.found - bins.low)[full].clip(0), (bins.high - bins.found)[full].clip(0)],
        color=look.colour,
        marker=look.marker,
        linestyle="none",
        elinewidth=1.2,
        markersize=5.5,
        label=player.name,
    )
    upper.plot(bins.predicted[full], bins.found[full], color=look.colour, lw=1, alpha=0.5)
    upper.tick_params(labelbottom=False)
    middles, widths = (bins.edges[1:] + bins.edges[:-1]) / 2, np.diff(bins.edges)
    lower.bar(middles, bins.counts, widths * 0.9, color=look.colour, alpha=0.55)
    lower.set_xlim(upper.get_xlim())
    lower.set_ylabel("decisions")
    lower.grid(visible=False, axis="x")
    most = int(bins.counts.max())
    lower.set_yticks([0, most], ["0", f"{most:,}"])


def _facts(axes: Axes, lines: Sequence[str]) -> None:
    """A few numbers in the corner that a diagram leaves free: above the diagonal, at the left."""
    text = "\n".join(lines)
    axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize=8.5)
