"""``nlp-gym plot``: a figure of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlp_gym_agents.cli.shared.options import Checkpoint, DataDir, Device, Split, Trust
from nlp_gym_agents.cli.shared.output import load, say_path


def plot_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders that `train` printed.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .png, .svg or .pdf file.")
    ],
    what: Annotated[
        str,
        typer.Option(
            metavar="curves|confusion|calibration|values|reading|forgetting|benchmark",
            help="curves: the dev metric while learning. confusion: gold by decided labels. "
            "calibration: probabilities against how often they are right. values: against the "
            "returns that followed. reading: accuracy against the share of text read. forgetting: "
            "every stage of continued runs, scored after every stage. benchmark: scores over all "
            "ids of a folder of `nlp-gym benchmark`.",
        ),
    ] = "curves",
    x: Annotated[
        str, typer.Option("--x", metavar="steps|seconds|both", help="What curves are over.")
    ] = "both",
    split: Split = "dev",
    samples: Annotated[
        int, typer.Option(min=1, metavar="N", help="Play at most N samples, drawn.")
    ] = 2000,
    data_dir: DataDir = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Draw runs: learning curves with their interval over seeds, confusions, calibration, ..."""
    load("nlp_gym_agents.plots.figure")
    from nlp_gym_agents.plots.figure import plot

    path = plot(
        runs,
        output,
        what=what,
        x=x,
        split=split,
        samples=samples,
        checkpoint=checkpoint,
        data_dir=data_dir,
        device=device,
        progress=True,
        trust=trust or (),
    )
    say_path(path)
