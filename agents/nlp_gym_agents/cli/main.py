"""The command line ``nlp-gym``; every command is thin over a plain function.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli.benchmark import Searches, benchmark_command, export_minari_command
from nlp_gym_agents.cli.data import app as data_app
from nlp_gym_agents.cli.errors import ReportingGroup
from nlp_gym_agents.cli.train import SpreadCommand, pairs, train_command


def _show_warning(message: Warning | str, *details: Any) -> None:
    typer.echo(f"warning: {message}", err=True)


app = typer.Typer(
    cls=ReportingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.command("train", cls=SpreadCommand)(train_command)
app.command("benchmark", cls=SpreadCommand)(benchmark_command)
app.command("export-minari", cls=SpreadCommand)(export_minari_command)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that `train` printed.")]
Checkpoint = Annotated[str, typer.Option(help="`best` by the dev metric, or `last`.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from nlp_gym import __version__

        typer.echo(f"nlp-gym {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """NLP tasks as reinforcement learning environments: train, evaluate, predict."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]


@app.command(cls=SpreadCommand)
def evaluate(
    run: Run,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    data: Annotated[
        str | None, typer.Option(help="Score this file whole, in place of the run's own data.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the corpora.")] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(help="Score perturbed texts too: typos, lower:0.5, ..., or all."),
    ] = None,
    challenge: Annotated[
        str | None, typer.Option(help="Score a set of pairs: counterfactual, paraphrase.")
    ] = None,
    env_kwargs: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY:VALUE...", help="Arguments in place of the run's own."),
    ] = None,
    searches: Searches = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the score as JSON.")
    ] = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples behind the 95% interval; 0 for none.")
    ] = 1000,
) -> None:
    """Score a run on a whole split by the task's official metric."""
    from nlp_gym_agents.evaluation import evaluate as scoring
    from nlp_gym_agents.evaluation import robustness
    from nlp_gym_agents.models.agent import load_agent
    from nlp_gym_agents.prediction.records import write_output

    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device, "bootstrap": bootstrap}
    options |= {"data_dir": data_dir, "progress": True}
    own: dict[str, Any] = {"data": data, "env_kwargs": pairs(env_kwargs), "searches": searches}
    if challenge is not None:
        given: dict[str, Any] = {"--perturb": perturb, "--data": data, "--searches": searches}
        given |= {"--env-kwargs": env_kwargs}
        robustness.check_alone(challenge, {**given, "--split": split != "test"})
        scores = {"clean": robustness.challenge(run, challenge, **options)}
    elif perturb:
        scores = robustness.perturbed(run, perturb, split, **own, **options)
    else:
        scores = {"clean": scoring.evaluate(run, split, **own, **options)}
    score = scores["clean"]
    typer.echo(score.text)
    typer.echo(scoring.score_line(score))
    typer.echo(score.signature)
    if perturb:
        typer.echo(robustness.table(scores))
    if json_file is not None:
        import json

        env_id = load_agent(run, checkpoint=checkpoint).env_id
        record = scoring.score_record(score, env_id=env_id, split=split)
        changed = {name: s for name, s in scores.items() if name != "clean"}
        if changed:
            record["perturbed"] = {
                name: scoring.score_record(s, env_id=env_id, split=split)
                for name, s in changed.items()
            }
        write_output(json_file, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


@app.command(cls=SpreadCommand)
def predict(
    run: Run,
    text: Annotated[
        str | None, typer.Argument(help="The text; `-` reads one text a line from stdin.")
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help=".txt (a text a line), or the task family's formats: .jsonl, .csv, CoNLL, ...",
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
    alternatives: Annotated[
        int, typer.Option(min=0, help="Show so many tokens at each place of a written text.")
    ] = 0,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
) -> None:
    """Decide on raw text, or on a file of samples: labels, answers, choices, ..."""
    from nlp_gym_agents.prediction.predictor import Predictor
    from nlp_gym_agents.prediction.records import choose_format, formatted

    choose_format(form, output)
    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device}
    options["alternatives"] = alternatives
    predictor = Predictor(run, env_kwargs=pairs(env_kwargs), **options)
    chosen = choose_format(form, output, tags=predictor.tags)
    inputs = predictor.gather(text, input_file)
    records = predictor.predict(inputs, progress=input_file is not None)
    formatted(records, chosen, output=output)


@app.command()
def envs() -> None:
    """List the environments, and where their corpora are."""
    from nlp_gym_agents.cli.envs import env_table

    typer.echo(env_table())


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script; ``train.py`` gives its own arguments."""
    app(args=arguments, prog_name="nlp-gym")


if __name__ == "__main__":
    main()
