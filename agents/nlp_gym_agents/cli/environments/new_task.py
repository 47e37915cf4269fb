"""``nlp-gym new-task``: a package with a task that works, to be changed into one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlp_gym_agents.cli.shared.output import say, say_path


def new_task_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Such as FirstWord: the id is FirstWord-v0.")
    ],
    family: Annotated[
        str,
        typer.Option(
            help="Kind of decisions: tagging, classification, choice, multilabel, spanqa, "
            "generation, or blank."
        ),
    ] = "classification",
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the folder is made.")] = Path(),
) -> None:
    """Write a package with a task, its data and its test; it passes every check as it is."""
    from nlp_gym.testing.new_task import write_task

    folder, env_id = write_task(name, family=family, output=output)
    package = folder.name.replace("-", "_")
    say(f"Written: {env_id}. Change {package}/task.py, then, in that folder:", err=True)
    say(f"  nlp-gym conformance {package}:{env_id}", err=True)
    say_path(folder)
