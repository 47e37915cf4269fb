"""``nlp-gym predict``: texts or samples to a `Agent`, and its records to a file or stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import Checkpoint, Device, Run, Trust, pairs


def predict_command(
    run: Run,
    text: Annotated[
        str | None, typer.Argument(help="The text; `-` reads one text a line from stdin.")
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help=".txt (a text a line), or the family's formats: JSON, CSV, CoNLL, ...; or .gz.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here in place of stdout.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="json|color|conll",
            help="Default: json; for tagging color on a terminal.",
        ),
    ] = None,
    env_kwargs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY:VALUE...",
            help="Arguments in place of the run's own: max_words:600, tasks:\"['POS-EWT-v0']\".",
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the input (cp1252, ...); else UTF-8.")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column or key of the text in the file.")
    ] = None,
    alternatives: Annotated[
        int, typer.Option(min=0, help="Show so many tokens at each place of a written text.")
    ] = 0,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Decide on raw text, or on a file of samples: labels, answers, choices, ..."""
    from nlp_gym_agents.prediction.agent import Agent
    from nlp_gym_agents.prediction.records import choose_format, write_records

    choose_format(form, output)
    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device}
    options |= {"alternatives": alternatives, "trust": trust or ()}
    predictor = Agent(run, env_kwargs=pairs(env_kwargs), **options)
    chosen = choose_format(form, output, tags=predictor.tags)
    inputs = predictor.gather(text, input_file, encoding=encoding, text_column=text_column)
    records = predictor.predict(inputs, progress=input_file is not None)
    write_records(records, chosen, output=output)
