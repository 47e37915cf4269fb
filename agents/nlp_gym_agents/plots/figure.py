"""``nlp-gym plot``: which figure is made of which runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_gym.checks import check_name
from nlp_gym.errors import InvalidArgumentError, RunError, shown
from nlp_gym_agents.evaluation.benchmark.table import build_table, read_cells
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.scores.learning import Axis, panels, read_learning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nlp_gym_agents.plots.decisions.played import Player

WHAT = {
    "curves": "the dev metric while learning, over decisions and seconds",
    "confusion": "which label is taken for which",
    "calibration": "probability of a choice against how often it is right",
    "values": "value of a decision against the return that followed",
    "reading": "accuracy against the share of the text that is read",
    "forgetting": "every stage of a chain of continued runs, scored after every stage",
    "benchmark": "a folder of `nlp-gym benchmark`: scores over all ids",
}
"""The figures, and what each shows."""
X: dict[str, tuple[Axis, ...]] = {
    "both": ("steps", "seconds"),
    "steps": ("steps",),
    "seconds": ("seconds",),
}
"""What learning curves are drawn over."""
_MOST_PLAYED = 9
"""Runs in a figure that has a panel for each."""


def plot(
    runs: Sequence[str | Path],
    output: str | Path,
    *,
    what: str = "curves",
    x: str = "both",
    split: str = "dev",
    samples: int = 2000,
    checkpoint: str = "best",
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> Path:
    """Draw a figure of runs and write it.

    Args:
        runs: Run folders; for ``"benchmark"`` one folder of results.
        output: A file that ends in ``.png``, ``.svg`` or ``.pdf``.
        what: One of `WHAT`.
        x: For curves: one of `X`.
        split: For all but curves: what is played, ``"train"``, ``"dev"`` or ``"test"``.
        samples: Most samples that are played, always the same ones.
        checkpoint: What plays: ``"best"`` by the dev metric, or ``"last"``.
        data_dir: Folder of the corpora, where it is not the one that runs were trained from.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        progress: Show bars on stderr while texts are encoded.
        trust: Modules that settings of the runs may have imported.

    Returns:
        The file.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        RunError: A run is missing, damaged or has nothing to draw, or the file cannot be written.
        InvalidArgumentError: An argument that is not known or does not suit the runs.
    """
    check_name("what", what, list(WHAT))
    check_name("x", x, list(X))
    path = style.check_output(output)
    if not runs:
        raise InvalidArgumentError("runs=[] must name at least one run folder.")
    style.check_matplotlib("nlp-gym plot")
    if what == "curves":
        from nlp_gym_agents.plots.scores.curves import curves_figure

        found = [read_learning(run, trust=trust) for run in _distinct(runs)]
        figure = curves_figure(panels(found), X[x])
    elif what == "benchmark":
        figure = _of_results(runs)
    elif what == "forgetting":
        from nlp_gym_agents.plots.scores.forgetting import forgetting_figure, read_matrix

        how: dict[str, Any] = {"device": device, "progress": progress, "trust": trust}
        figure = forgetting_figure({r.name: read_matrix(r, **how) for r in _distinct(runs)})
    else:
        options: dict[str, Any] = {"samples": samples, "checkpoint": checkpoint}
        options |= {"data_dir": data_dir, "device": device, "trust": trust}
        options["progress"] = progress
        figure = _drawn(what)(_players(_distinct(runs), split, options))
    return style.write_figure(figure, path)


def _distinct(runs: Sequence[str | Path]) -> list[Path]:
    """Each folder once: a run that is given twice is no second seed."""
    return list({Path(run).absolute(): Path(run) for run in runs}.values())


def _of_results(runs: Sequence[str | Path]) -> Figure:
    from nlp_gym_agents.plots.scores.benchmark import benchmark_figure

    if len(runs) > 1:
        raise InvalidArgumentError(
            f"what='benchmark' draws one folder of results, and {len(runs)} are given."
        )
    results = read_cells(Path(runs[0]))
    if not any(record["status"] == "done" for record in results):
        raise RunError(
            f"{shown(runs[0])} holds no results of `nlp-gym benchmark`: give the folder that was "
            "its --out."
        )
    return benchmark_figure(build_table(results))


def _drawn(what: str) -> Callable[[Sequence[Player]], Figure]:
    if what == "confusion":
        from nlp_gym_agents.plots.decisions.confusion import confusion_figure

        return confusion_figure
    if what == "reading":
        from nlp_gym_agents.plots.decisions.reading import reading_figure

        return reading_figure
    from nlp_gym_agents.plots.decisions.calibration import calibration_figure, values_figure

    return calibration_figure if what == "calibration" else values_figure


def _players(runs: Sequence[Path], split: str, options: dict[str, Any]) -> list[Player]:
    from nlp_gym_agents.plots.decisions.played import open_player

    if len(runs) > _MOST_PLAYED:
        raise InvalidArgumentError(
            f"{len(runs)} runs are given, and this figure has a panel for each of at most "
            f"{_MOST_PLAYED}: draw fewer, or --what curves."
        )
    players = [open_player(run, split, **options) for run in runs]
    ids = {player.trained.env_id for player in players}
    for player, run in zip(players, runs, strict=True):
        if len(ids) > 1:
            player.name = f"{player.trained.env_id}, {player.algo}"
        alike = [
            p for p in players if (p.trained.env_id, p.algo) == (player.trained.env_id, player.algo)
        ]
        if len(alike) > 1:
            player.name += f", {run.name}"
    return players
