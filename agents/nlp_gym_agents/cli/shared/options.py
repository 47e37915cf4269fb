"""What several commands share: options, and ``--flag a:1 b:2`` as RL Zoo has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from nlp_gym_agents.cluster.ray_tasks import Cluster

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that `train` printed.")]
Split = Annotated[str, typer.Option(help="train, dev or test.")]
DataDir = Annotated[str | None, typer.Option(help="Folder of the corpora.")]
Checkpoint = Annotated[str, typer.Option(help="`best` by the dev metric, or `last`.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
RunEnvKwargs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY:VALUE...",
        help="Arguments in place of the run's own: max_words:600, tasks:\"['POS-EWT-v0']\".",
    ),
]
Encoding = Annotated[
    str | None, typer.Option(help="Encoding of the input (cp1252, ...); else UTF-8.")
]
TextColumn = Annotated[str | None, typer.Option(help="Column or key of the text in the file.")]
Searches = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Score at most N samples, drawn, where answers are found by beam search.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on the nodes of a Ray cluster (extra ray): local (started here), auto (the one "
        "that runs here) or HOST:PORT.",
    ),
]
RayCpus = Annotated[int, typer.Option(min=1, metavar="N", help="Processors of each task on Ray.")]


def typed(value: str | None) -> str | None:
    """Callback of options with ``package.module:Name``: the module may lie in the current folder.

    Args:
        value: What was typed, several separated by commas or spaces; names without a colon are of
            this package.
    """
    _reach([word.partition(":")[0] for word in listed(value) if ":" in word])
    return value


def typed_modules(value: list[str] | None) -> list[str] | None:
    """As `typed`, for names of modules themselves."""
    _reach(value or [])
    return value


def _reach(modules: Sequence[str]) -> None:
    if modules:
        from nlp_gym_agents.runs.files.trust import reach_typed

        reach_typed(modules)


Trust = Annotated[
    list[str] | None,
    typer.Option(
        callback=typed_modules,
        metavar="MODULE",
        help="A module or package of your own that the settings of the run, or of FILE, may have "
        "imported; may be given several times.",
    ),
]

SPREAD = (
    "--hyperparams",
    "--hyperparameters",
    "--env-kwargs",
    "--encoder-kwargs",
    "--gym-packages",
    "--wandb-tags",
    "--with",
)


def spread(arguments: Sequence[str]) -> list[str]:
    """RL Zoo's ``--flag a:1 b:2`` as the ``--flag a:1 --flag b:2`` that click knows."""
    result: list[str] = []
    flag: str | None = None
    fresh = False
    for argument in arguments:
        if argument.startswith("-"):
            flag, fresh = (argument, True) if argument in SPREAD else (None, False)
        elif flag is not None and not fresh:
            result.append(flag)
        else:
            fresh = False
        result.append(argument)
    return result


class SpreadCommand(TyperCommand):
    """A command whose `SPREAD` flags take several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after spreading them."""
        return super().parse_args(ctx, spread(args))


def pairs(items: Sequence[str] | None, flag: str = "--env-kwargs") -> dict[str, Any]:
    """Nested mapping of the ``KEY:VALUE`` items of a flag."""
    from nlp_gym_agents.config.hyperparams import parse_overrides

    return parse_overrides(items or [], argument=flag)


def listed(text: str | None) -> list[str]:
    """Names separated by commas or spaces."""
    return (text or "").replace(",", " ").split()


def env_arguments(env_kwargs: Sequence[str] | None, data_dir: str | None) -> dict[str, Any]:
    """Arguments of an environment from ``--env-kwargs`` and ``--data-dir``."""
    arguments = pairs(env_kwargs)
    if data_dir is not None:
        arguments["data_dir"] = str(Path(data_dir).expanduser().resolve())
    return arguments


def cluster_of(address: str | None, cpus: int) -> Cluster | None:
    """The cluster that ``--ray`` and ``--ray-cpus`` name; None: work is done here."""
    if address is None:
        return None
    from nlp_gym_agents.cluster.ray_tasks import Cluster

    return Cluster(address, cpus)
