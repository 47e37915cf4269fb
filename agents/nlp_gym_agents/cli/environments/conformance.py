"""``nlp-gym conformance``: whether an environment keeps the rules of this suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared.completion import environments
from nlp_gym_agents.cli.shared.errors import user_message
from nlp_gym_agents.cli.shared.options import pairs
from nlp_gym_agents.cli.shared.output import load, say

if TYPE_CHECKING:
    from nlp_gym.testing import Result


def conformance_command(
    env_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A registered id, or package.module:ID of your own.",
            autocompletion=environments,
        ),
    ],
    checks: Annotated[
        list[str] | None,
        typer.Option(
            "--check", metavar="NAME", help="Only this check; may be given several times."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the slow checks, and play less.")
    ] = False,
    env_kwargs: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY:VALUE...", help="Arguments of the environment."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the outcomes as JSON.")
    ] = None,
) -> None:
    """Check that an environment keeps every rule: exit status 0 if it does, else 1.

    The status is 2 where the environment cannot be made as asked, or there is no such check.
    """
    from rich.console import Console

    load("nlp_gym_agents.evaluation.conformance")
    load("nlp_gym.testing")
    from nlp_gym.files import write_output
    from nlp_gym.progress import progress_bar
    from nlp_gym.tasks.core.make import task_spec
    from nlp_gym.testing import Subject, find_checks, run_checks
    from nlp_gym.testing.subject import SMALL
    from nlp_gym_agents.evaluation.conformance import all_checks, record
    from nlp_gym_agents.runs.files.trust import reach_typed

    if ":" in env_id:
        reach_typed([env_id.rpartition(":")[0]])
    with _status_2():
        task_spec(env_id)
        subject = Subject(env_id, {**SMALL, **pairs(env_kwargs)}, quick)
        chosen = find_checks(checks or (), quick=quick, checks=all_checks())
        with progress_bar(None, f"making {subject.env_id}", show=True):
            subject.env().close()  # wrong arguments fail here, and not once a check
    results: list[Result] = []
    with progress_bar(len(chosen), "checking", unit="checks", show=True) as advance:
        for check in chosen:
            with progress_bar(None, check.name, show=True):
                results += run_checks(subject, [check])
            advance(1)
    Console().print(_table(env_id, results))
    if json_file is not None:
        import json

        write_output("json", json_file, json.dumps(record(subject, results), indent=2) + "\n")
    failed = sum(not result.passed for result in results)
    say(f"{len(results) - failed} of {len(results)} checks passed.")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _status_2() -> Iterator[None]:
    """Report what was asked for wrongly in one line; bugs of a task are for the checks to tell."""
    try:
        yield
    except Exception as error:
        message = user_message(error)
        if message is not None:
            say(f"error: {message}", err=True)
            raise typer.Exit(2) from None


def _table(env_id: str, results: list[Result]) -> Any:
    """One row per check; what failed, and how to fix it, in the last column."""
    from rich.table import Table
    from rich.text import Text

    from nlp_gym.inert import visible

    table = Table(title=Text(visible(env_id)))
    for heading in ("check", "result", "seconds", "rule, or what failed and how to fix it"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for result in results:
        told = "passed" if result.passed else "FAILED"
        table.add_row(
            result.check.name,
            Text(told, style="green" if result.passed else "bold red"),
            f"{result.seconds:.2f}",
            Text(visible(result.fault or result.check.about)),
        )
    return table
