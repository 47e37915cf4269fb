"""`nlp-gym data`: list the corpora, check a file, download a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.reporting import ReportingGroup

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
    from nlp_gym.data import DATASETS
    from nlp_gym.data.corpus import find_corpus
    from nlp_gym.errors import DataNotFoundError

    if data_dir is not None and not data_dir.is_dir():
        raise DataNotFoundError(
            f"data_dir={str(data_dir)!r} is not a folder. Give the one that holds the corpora's "
            "folders, or leave --data-dir out."
        )
    for row in DATASETS.values():
        folder = find_corpus(row.name, data_dir=data_dir)
        typer.echo(f"{row.name}: {row.description}")
        typer.echo(f"  licence: {row.licence}")
        typer.echo(f"  source:  {row.homepage}")
        where = folder or f"not here; nlp-gym data download {row.name} ({row.size / 1e6:.1f} MB)"
        typer.echo(f"  full:    {where}")


@app.command("check")
def check_command(
    file: Annotated[Path, typer.Argument(help="A CoNLL, CoNLL-U, JSONL or CSV file.")],
    format: Annotated[
        str | None, typer.Option(help="conll, conllu, jsonl, csv or text; else by the file.")
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="Tag scheme: auto, iob2, iob1, bioes, bilou or none.")
    ] = "auto",
    column: Annotated[
        str | None, typer.Option(help="Label column: number, upos or xpos, or a name.")
    ] = None,
    gold: Annotated[bool, typer.Option(help="--no-gold: labels are not needed.")] = True,
) -> None:
    """Read a file and report every bad row with its line number."""
    from nlp_gym.data import check

    report = check(file, format, scheme=scheme, column=column, gold=gold)
    for problem in report.problems:
        line = "" if problem.line is None else f"{problem.line}:"
        typer.echo(f"{file}:{line} {problem.message}")
    for warning in report.warnings:
        typer.echo(f"{file}:{warning.line}: warning: {warning.message}")
    typer.echo(
        f"{file}: {report.format}, tag scheme {report.scheme}, {report.n_samples} texts, "
        f"{report.n_words} words, {len(report.problems)} bad rows, {len(report.warnings)} warnings"
    )
    for label, count in sorted(report.labels.items()):
        typer.echo(f"  {label:<24} {count:>9}")
    if not report.ok:
        raise typer.Exit(1)


@app.command("download")
def download_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from data list.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to put them; else the user's cache.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Download corpora, with checksums."""
    from nlp_gym.data.catalog import find_dataset
    from nlp_gym.data.download import download

    rows = [find_dataset(name) for name in names]  # a wrong name stops it before the first byte
    for row in rows:
        typer.echo(f"{row.name}: licence: {row.licence}")
        folder = download(row.name, data_dir=data_dir, force=force)
        typer.echo(f"{row.name}: {folder}")
