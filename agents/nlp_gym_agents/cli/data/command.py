"""`nlp-gym data`: list the corpora, check a file, download a corpus."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared import completion
from nlp_gym_agents.cli.shared.errors import ReportingGroup
from nlp_gym_agents.cli.shared.output import say

if TYPE_CHECKING:
    from nlp_gym.data import CheckReport, Dataset, Guess
    from nlp_gym.tasks.core.task import Task

_LABELS = 60
"""Number of labels that are listed with their counts."""

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
        typer.Option(
            help="Environment id: read the file as it does.",
            autocompletion=completion.environments,
        ),
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="Tag scheme: auto, iob2, iob1, bioes, bilou or none.")
    ] = "auto",
    label_column: Annotated[
        str | None,
        typer.Option(
            "--label-column", "--column", help="Label column: number, upos or xpos, or a name."
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column or key of the text; a number without a header.")
    ] = None,
    word_column: Annotated[str | None, typer.Option(help="Column or key of the words.")] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="What separates several labels in one cell.")
    ] = None,
    comments: Annotated[
        str | None, typer.Option(metavar="MARK", help="Lines that begin with it are no rows: #")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file (cp1252, gb18030, ...); else UTF-8.")
    ] = None,
    bad_rows: Annotated[
        str, typer.Option(metavar="error|skip", help="skip: leave out samples with bad rows.")
    ] = "error",
    gold: Annotated[bool, typer.Option(help="--no-gold: no annotation is needed.")] = True,
    pair: Annotated[
        str | None, typer.Option(help="Languages of source and target (en-de): parallel text.")
    ] = None,
) -> None:
    """Read a file, report every bad row with its line number, and show the first samples."""
    from nlp_gym.data import check, guess_file
    from nlp_gym.progress import progress_bar

    options: dict[str, Any] = {
        "label_column": label_column,
        "text_column": text_column,
        "word_column": word_column,
        "label_separator": label_separator,
        "comments": comments,
        "encoding": encoding,
    }
    asked: Task | None = None
    guess = None
    if env is not None:
        asked = _task_of(env, family)
        family, pair = asked.family, pair or asked.pair
        scheme = asked.tag_scheme if scheme == "auto" else scheme
    reading: dict[str, Any] = {"gold": gold, "bad_rows": bad_rows, **options}
    with progress_bar(None, f"reading {file}", show=True):
        if family is None:
            guess = guess_file(file, format, gold=gold, **options)
            family, format = guess.family, guess.format
        report = check(file, format, family=family, scheme=scheme, pair=pair, **reading)
    _list_problems(file, report)
    _summarise(file, report)
    _show_samples(report)
    if guess is not None:
        _explain(guess)
    if not report.ok:
        raise typer.Exit(1)
    if asked is not None and env is not None and gold:
        given = {"data_scheme": scheme, "data_format": format, "pair": pair, **options}
        _show_labels(env, {**given, "bad_rows": bad_rows}, file)


def _list_problems(file: Path, report: CheckReport) -> None:
    for problem in report.problems:
        line = "" if problem.line is None else f"{problem.line}:"
        say(f"{file}:{line} {problem.message}")
    for warning in report.warnings:
        line = "" if warning.line is None else f"{warning.line}:"
        say(f"{file}:{line} warning: {warning.message}")


def _summarise(file: Path, report: CheckReport) -> None:
    from nlp_gym.inert import brief

    tagging = report.family == "tagging"
    how = f"tag scheme {report.scheme}" if tagging else f"family {report.family}"
    say(
        f"{file}: {report.format}, {how}, {report.n_samples} texts, {report.n_words} words, "
        f"{len(report.problems)} bad rows, {len(report.warnings)} warnings"
    )
    if report.n_skipped:
        say(f"  {report.n_skipped} samples with bad rows are left out (bad_rows='skip')")
    labels = sorted(report.labels.items())
    for name, count in [*report.counts.items(), *labels[:_LABELS]]:
        say(f"  {brief(str(name)):<24} {count:>9}")
    if len(labels) > _LABELS:
        say(f"  ... and {len(labels) - _LABELS} more labels; is this the label column?")


def _show_samples(report: CheckReport) -> None:
    """Show the first samples, so that a person notices what is read wrongly."""
    from nlp_gym.data.readers.report.sample_lines import sample_lines

    if report.samples:
        say("  the first samples, as they will be seen:")
    for sample in report.samples:
        first, *others = sample_lines(sample, report.family)
        say(f"    {first}")
        for line in others:
            say(f"      {line}")


def _explain(guess: Guess) -> None:
    say(f"  family {guess.family!r} is a guess: --env ID (or --family NAME) names another")
    say(f"    format {guess.format!r}, because: {guess.reason}")
    if guess.alternatives:
        others = "; ".join(
            f"--family {family} --format {name}" for family, name in guess.alternatives
        )
        say(f"    it can be read in other ways too: {others}")


def _task_of(env: str, family: str | None) -> Task:
    """The task of an id, which says how its files are read."""
    from nlp_gym import make_task
    from nlp_gym.errors import InvalidArgumentError, shown

    if family is not None:
        raise InvalidArgumentError(
            f"Give either family={shown(family)} (--family) or env={shown(env)} (--env), not both."
        )
    return make_task(env, corpus="sample", encoder="hashed")


def _show_labels(env: str, options: dict[str, Any], file: Path) -> None:
    """Make the environment's task of the file, which may refuse its labels, and show them."""
    from nlp_gym import make_task
    from nlp_gym.inert import listed
    from nlp_gym.tasks.core.make import has_argument

    given = {k: v for k, v in options.items() if v is not None and has_argument(env, k)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # those of the file are listed
        made = make_task(env, data={"train": file}, encoder="hashed", **given)
    if made.labels:
        say(f"  {env} has {len(made.labels)} labels of it: {listed(made.labels)}")


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
