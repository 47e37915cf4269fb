"""``nlp-gym push-to-hub`` and ``load-from-hub``: runs to the Hugging Face Hub and from there."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from nlp_gym_agents.cli.shared.options import Run, Trust
from nlp_gym_agents.cli.shared.output import load, say, say_path


def push_to_hub_command(
    run: Run,
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[REPO]", help="user/name, or a name. [default: <algo>-<env>]"),
    ] = None,
    organization: Annotated[
        str | None,
        typer.Option(
            "--organization", "-orga", metavar="OWNER", help="Owner, of a REPO that names none."
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Made if it is not there.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="Of the commit.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep what is uploaded here. [default: hub in RUN]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make the folder and its card; upload nothing.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Upload a run with a model card. The token is that of HF_TOKEN or `hf auth login`.

    The exit status is 0 where the run was uploaded (or, with --dry-run, is ready to be), else 1.
    """
    from nlp_gym.errors import HubError

    load("nlp_gym_agents.hub.push")
    from nlp_gym_agents.hub import push

    trusted = trust or ()
    made = push.prepare(run, repo, organization=organization, output=output, trust=trusted)
    if dry_run:
        _say_ready(made.folder, made.repo)
        say_path(made.folder)
        return
    try:
        made = push.upload(made, private=private, revision=revision, message=message, trust=trusted)
    except HubError:
        _say_ready(made.folder, made.repo)
        raise
    say(f"Uploaded to {made.repo}: {made.url}")
    if output is None:
        shutil.rmtree(made.folder, ignore_errors=True)


def _say_ready(folder: Path, repo: str) -> None:
    """Say what is there and how it is uploaded later."""
    name = repo if "/" in repo else f"USER/{repo}"
    say(
        f"Ready in {folder}, nothing was uploaded. Upload it later with: "
        f"hf upload {name} {shlex.quote(str(folder))} . (or with push-to-hub again)",
        err=True,
    )


def load_from_hub_command(
    repo: Annotated[str, typer.Argument(metavar="REPO", help="user/name")],
    revision: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Branch, tag or commit.")
    ] = None,
    log_folder: Annotated[
        Path | None,
        typer.Option("-f", "--log-folder", help="Where runs are counted up. [default: runs]"),
    ] = None,
    trust: Trust = None,
) -> None:
    """Download a run and check it. The last line printed is the run folder."""
    load("nlp_gym_agents.hub.load")
    from nlp_gym_agents.hub.load import load_from_hub
    from nlp_gym_agents.runs.folder import RUNS

    say_path(load_from_hub(repo, revision=revision, folder=log_folder or RUNS, trust=trust or ()))
