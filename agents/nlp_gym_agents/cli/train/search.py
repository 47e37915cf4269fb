"""``nlp-gym train --optimize``: its flags, which are RL Zoo's, and what is printed at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared.output import say, say_path

if TYPE_CHECKING:
    from nlp_gym_agents.config.train_config import TrainConfig

_PANEL = "Search of hyperparameters"


def _option(*names: str, help: str, **details: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_PANEL, **details)


Optimize = Annotated[bool, _option("--optimize", help="Search hyperparameters.")]
Trials = Annotated[int, _option("--n-trials", min=1, help="Trials of this start.")]
MaxTrials = Annotated[
    int | None,
    _option("--max-total-trials", min=1, help="Trials of all starts of the study, at most."),
]
Jobs = Annotated[int, _option("--n-jobs", min=1, help="Processes that run trials side by side.")]
Sampler = Annotated[str, _option("--sampler", metavar="tpe|random|gp", help="Draws the trials.")]
Pruner = Annotated[
    str,
    _option(
        "--pruner",
        metavar="median|halving|hyperband|none",
        help="Ends trials that fall behind at their evaluations.",
    ),
]
StartupTrials = Annotated[
    int,
    _option("--n-startup-trials", min=0, help="Drawn at random, and not pruned by the median."),
]
Evaluations = Annotated[
    int | None,
    _option("--n-evaluations", min=1, help="Evaluations of a trial; default: as --eval-freq."),
]
Storage = Annotated[
    str | None,
    _option(
        "--storage",
        metavar="URL|FILE.log",
        help="Keeps the study: sqlite:///study.db or study.log. The same again goes on with it.",
    ),
]
StudyName = Annotated[str | None, _option("--study-name", help="Of the study in the storage.")]

_FLAGS = (
    "n_trials",
    "max_total_trials",
    "n_jobs",
    "sampler",
    "pruner",
    "n_startup_trials",
    "n_evaluations",
    "storage",
    "study_name",
    "ray",
    "ray_cpus",
)
"""Parameters of the command that mean nothing without ``--optimize``."""


def check_wanted(context: typer.Context, *, optimize: bool) -> None:
    """Refuse flags of a search where none is wanted.

    Args:
        context: Of the command that was typed; it knows which flags were.
        optimize: Whether a search is wanted.

    Raises:
        typer.BadParameter: A flag of a search is given without ``--optimize``.
    """
    for name in () if optimize else _FLAGS:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            flag = f"--{name.replace('_', '-')}"
            raise typer.BadParameter("is for searches: give --optimize too.", param_hint=flag)


def search(config: TrainConfig, flags: dict[str, Any], **options: Any) -> None:
    """Search, print the best settings and, as the last line, the folder.

    Args:
        config: What the trials train.
        flags: Fields of `nlp_gym_agents.training.search.study.SearchOptions`.
        **options: Arguments of `nlp_gym_agents.training.search.optimize.optimize`.
    """
    from nlp_gym_agents.training.search.optimize import SearchOptions, optimize

    folder = optimize(config, options=SearchOptions(**flags), **options)
    say((folder / "best.yml").read_text(encoding="utf-8"), lines=True)
    say_path(folder)
