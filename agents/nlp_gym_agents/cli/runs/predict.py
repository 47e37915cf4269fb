"""``nlp-gym predict``: texts or samples to an `Agent`, and its results to a file or stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import (
    Checkpoint,
    Device,
    Encoding,
    Run,
    RunEnvKwargs,
    TextColumn,
    Trust,
    pairs,
)
from nlp_gym_agents.cli.shared.output import load, say

if TYPE_CHECKING:
    from nlp_gym_agents.prediction.agent import Agent


def _part(help: str) -> Any:
    """An option that gives a part of a sample."""
    return typer.Option(help=help, rich_help_panel="Parts of a sample, in place of a file")


def predict_command(
    run: Run,
    text: Annotated[
        str | None,
        typer.Argument(
            help="The text; `-` reads one text a line from stdin. Without it lines are answered as "
            "they are typed. Where more than a text is needed: a sample as JSON."
        ),
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
            metavar="json|color|conll|conllu",
            help="Default: json; for tagging color on a terminal. Trees: json or conllu.",
        ),
    ] = None,
    env_kwargs: RunEnvKwargs = None,
    encoding: Encoding = None,
    text_column: TextColumn = None,
    alternatives: Annotated[
        int, typer.Option(min=0, help="Show so many tokens at each place of a written text.")
    ] = 0,
    question: Annotated[str | None, _part("A question; with --passage or --choice.")] = None,
    passage: Annotated[str | None, _part("Where its answer stands.")] = None,
    choice: Annotated[list[str] | None, _part("A choice; several times.")] = None,
    turn: Annotated[
        list[str] | None, _part("A turn of a dialogue (of the user); several times.")
    ] = None,
    reply: Annotated[list[str] | None, _part("A candidate reply; several times.")] = None,
    head: Annotated[
        str | None, _part("An entity of the graph; or words of TEXT, a relation's first argument.")
    ] = None,
    relation: Annotated[str | None, _part("What is asked of an entity of the graph.")] = None,
    tail: Annotated[str | None, _part("Words of TEXT, a relation's second argument.")] = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Decide on raw text, or on a file of samples: labels, answers, choices, ..."""
    load("nlp_gym_agents.prediction.agent")
    from nlp_gym_agents.prediction.agent import Agent
    from nlp_gym_agents.prediction.fields import Fields, sample_row
    from nlp_gym_agents.prediction.records import choose_format, write_results

    choose_format(form, output, trees=True)  # a wrong name is told before the run is loaded
    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device}
    options |= {"alternatives": alternatives, "trust": trust or ()}
    parts = Fields(
        question=question,
        passage=passage,
        choice=tuple(choice or ()),
        turn=tuple(turn or ()),
        reply=tuple(reply or ()),
        head=head,
        relation=relation,
        tail=tail,
    )
    typed = text is None and input_file is None and not parts.given
    _check_places(input_file, output, typed=typed, parts=bool(parts.given))
    agent = Agent(run, env_kwargs=pairs(env_kwargs), **options)
    chosen = choose_format(form, output, tags=agent.tags, trees=agent.family == "parsing")
    if typed:
        _answer_lines(agent, chosen, encoding)
        return
    if parts.given:
        inputs: list[Any] = [sample_row(agent.family, text, parts)]
    else:
        inputs = agent.gather(text, input_file, encoding=encoding, text_column=text_column)
    results = agent.predict(inputs, progress=True)
    write_results(results, chosen, output=output)


def _check_places(
    input_file: Path | None, output: Path | None, *, typed: bool, parts: bool
) -> None:
    """Refuse places of the input and the output that do not go together."""
    from nlp_gym.errors import InvalidArgumentError

    if parts and input_file is not None:
        raise InvalidArgumentError(
            f"--input {input_file}: give a file, or the parts of one sample, not both."
        )
    if typed and output is not None:
        raise InvalidArgumentError(
            f"--output {output}: lines that are typed are answered on stdout. Give a text, `-` for "
            "all of stdin at once, or --input FILE."
        )


def _answer_lines(agent: Agent, form: str, encoding: str | None) -> None:
    """Answer each line of stdin as it comes; one that cannot be read is told of and passed over."""
    from nlp_gym.errors import NLPGymError
    from nlp_gym_agents.prediction.records import write_results
    from nlp_gym_agents.prediction.typed_lines import line_text, typed_lines

    agent.check_reads_lines()
    if sys.stdin.isatty():
        say(f"Type {agent.line_form} and press Enter; Ctrl-D ends.", err=True)
    failed = False
    for number, line in typed_lines():
        try:
            text = line_text(line, number, encoding)
            if not text.strip():
                continue
            results = agent.predict([agent.from_line(text)], progress=True)
        except NLPGymError as error:
            say(f"error: {error}", err=True)
            failed = True
            continue
        write_results(results, form)
        sys.stdout.flush()
    if failed:
        raise typer.Exit(1)
