"""``nlp-gym explain``: the decisions of a run on a text or a sample, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import (
    Checkpoint,
    DataDir,
    Device,
    Encoding,
    Run,
    RunEnvKwargs,
    TextColumn,
    Trust,
    pairs,
)
from nlp_gym_agents.cli.shared.output import load, say_path

if TYPE_CHECKING:
    from nlp_gym_agents.explain.trace import Trace
    from nlp_gym_agents.prediction.agent import Agent, Given

_TOGETHER = 32
"""Texts that are played together."""


def explain_command(
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
    gold: Annotated[
        bool, typer.Option("--gold", help="FILE has the answers: say what was right.")
    ] = False,
    split: Annotated[
        str | None, typer.Option(help="Samples of the run's own data: train, dev or test.")
    ] = None,
    row: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Which sample of --split, from 0; may be given several times."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A page (.html), JSON (.json) or a picture (.png)."),
    ] = None,
    top: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Actions that are kept of a decision that has over 64."),
    ] = 10,
    relevance: Annotated[
        str | None,
        typer.Option(
            metavar="auto|occlusion|gradient|...",
            help="Say which words spoke for each choice; costs a pass for every word.",
        ),
    ] = None,
    env_kwargs: RunEnvKwargs = None,
    encoding: Encoding = None,
    text_column: TextColumn = None,
    data_dir: DataDir = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Show every decision: what was seen, what could be done, and what the agent held of it."""
    load("nlp_gym_agents.prediction.agent")
    from nlp_gym_agents.explain.output import check_output, write_traces
    from nlp_gym_agents.prediction.agent import Agent
    from nlp_gym_agents.prediction.own_samples import annotated_samples, own_samples

    if output is not None:
        check_output(output)
    _check_source(text, input_file, split, row, gold=gold)
    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device, "trust": trust or ()}
    agent = Agent(run, env_kwargs=pairs(env_kwargs), **options)
    how: dict[str, Any] = {"encoding": encoding, "text_column": text_column}
    if split is not None:
        where: dict[str, Any] = {"env_kwargs": pairs(env_kwargs), "data_dir": data_dir}
        given: list[Given] = [*own_samples(agent, split, row or [0], **where)]
    elif gold and input_file is not None:
        given = [*annotated_samples(agent, input_file, **how)]
    else:
        given = agent.gather(text, input_file, **how)
    traces = _explained(agent, given, gold=gold or split is not None, top=top, relevance=relevance)
    if output is not None:
        write_traces(traces, output)
        say_path(output)
        return
    from nlp_gym_agents.explain.terminal import print_trace

    print_trace(traces)


def _explained(agent: Agent, given: list[Given], **options: Any) -> list[Trace]:
    """The traces of what is given, in parts between which progress is shown."""
    from nlp_gym.progress import progress_bar

    size = _TOGETHER if options["relevance"] is None else 1  # a pass for each word takes long
    traces: list[Trace] = []
    with progress_bar(len(given), "explaining", unit="texts", show=True) as advance:
        for start in range(0, len(given), size):
            part = given[start : start + size]
            traces += agent.explain(part, **options)
            advance(len(part))
    return traces


def _check_source(
    text: str | None, file: Path | None, split: str | None, row: list[int] | None, *, gold: bool
) -> None:
    """Refuse options that contradict one another."""
    from nlp_gym.errors import InvalidArgumentError

    if split is not None and (text is not None or file is not None):
        raise InvalidArgumentError(
            "--split explains samples of the run's own data: leave out the text and --input."
        )
    if split is None and row:
        raise InvalidArgumentError("--row needs --split: train, dev or test.")
    if split is None and gold and file is None:
        raise InvalidArgumentError("--gold needs --input FILE with the answers, or --split.")
