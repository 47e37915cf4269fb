"""`nlp-gym data`: list the corpora, check a file, download a corpus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlp_gym_agents.cli import completion
from nlp_gym_agents.cli.errors import ReportingGroup
from nlp_gym_agents.cli.output import say

if TYPE_CHECKING:
    from nlp_gym.data import CheckReport, Dataset

app = typer.Typer(
    cls=ReportingGroup,
    no_args_is_help=True,
    help="List, check and download corpora.",
    pretty_exceptions_enable=False,
)


@app.command("list")
def list_command(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder that holds the corpora's folders.")
    ] = None,
) -> None:
    """List the corpora: size, licence, and where each is on this machine."""
    from nlp_gym.data import DATASETS, FAMILIES
    from nlp_gym.data.corpora.named import find_corpus
    from nlp_gym.errors import DataNotFoundError, shown

    if data_dir is not None and not os.path.isdir(data_dir):
        raise DataNotFoundError(
            f"data_dir={shown(data_dir)} is not a folder. Give the one that holds the corpora's "
            "folders, or leave --data-dir out."
        )
    for family in FAMILIES:
        rows = [row for row in DATASETS.values() if row.family == family]
        if rows:
            say(f"# {family}")
        for row in rows:
            _describe(row, find_corpus(row.name, data_dir=data_dir))


def _describe(row: Dataset, folder: Path | None) -> None:
    get = f"nlp-gym data download {row.name} ({row.size / 1e6:.1f} MB)"
    say(f"{row.name}: {row.description}")
    say(f"  licence: {row.licence}")
    say(f"  source:  {row.homepage}")
    say(f"  full:    {folder or f'not here; {get}'}")


@app.command("check")
def check_command(
    file: Annotated[Path, typer.Argument(help="A file in a format of any task family.")],
    format: Annotated[
        str | None, typer.Option(help="Name of the format (conll, csv, squad, ...); else guessed.")
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Task family (tagging, classification, ...); else guessed.")
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(help="Environment id: its family.", autocompletion=completion.environments),
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="Tag scheme: auto, iob2, iob1, bioes, bilou or none.")
    ] = "auto",
    column: Annotated[
        str | None, typer.Option(help="Label column: number, upos or xpos, or a name.")
    ] = None,
    gold: Annotated[bool, typer.Option(help="--no-gold: no annotation is needed.")] = True,
    pair: Annotated[
        str | None, typer.Option(help="Languages of source and target (en-de): parallel text.")
    ] = None,
) -> None:
    """Read a file and report every bad row with its line number."""
    from nlp_gym.data import check
    from nlp_gym.data.readers.guess.family import guess_family
    from nlp_gym.errors import shown

    asked = _asked_family(family, env)
    family = asked or guess_family(file, format, gold=gold)
    report = check(file, format, family=family, scheme=scheme, column=column, gold=gold, pair=pair)
    for problem in report.problems:
        line = "" if problem.line is None else f"{problem.line}:"
        say(f"{file}:{line} {problem.message}")
    for warning in report.warnings:
        say(f"{file}:{warning.line}: warning: {warning.message}")
    _summarise(file, report)
    if asked is None:
        say(f"  family {shown(family)} is a guess: --env ID (or --family NAME) names another")
    if not report.ok:
        raise typer.Exit(1)


def _summarise(file: Path, report: CheckReport) -> None:
    from nlp_gym.inert import brief

    tagging = report.family == "tagging"
    how = f"tag scheme {report.scheme}" if tagging else f"family {report.family}"
    say(
        f"{file}: {report.format}, {how}, {report.n_samples} texts, {report.n_words} words, "
        f"{len(report.problems)} bad rows, {len(report.warnings)} warnings"
    )
    for name, count in [*report.counts.items(), *sorted(report.labels.items())]:
        say(f"  {brief(str(name)):<24} {count:>9}")


def _asked_family(family: str | None, env: str | None) -> str | None:
    from nlp_gym import make_task
    from nlp_gym.errors import InvalidArgumentError, shown

    if env is None:
        return family
    if family is not None:
        raise InvalidArgumentError(
            f"Give either family={shown(family)} (--family) or env={shown(env)} (--env), not both."
        )
    return make_task(env, corpus="sample", encoder="hashed").family


@app.command("download")
def download_command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Names from data list.", autocompletion=completion.corpora
        ),
    ],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to put them; else the user's cache.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Download corpora, with checksums."""
    from nlp_gym.data.catalog import find_dataset
    from nlp_gym.data.corpora.download import download

    rows = [find_dataset(name) for name in names]  # a wrong name stops it before the first byte
    for row in rows:
        say(f"{row.name}: licence: {row.licence}")
        folder = download(row.name, data_dir=data_dir, force=force)
        say(f"{row.name}: {folder}")
