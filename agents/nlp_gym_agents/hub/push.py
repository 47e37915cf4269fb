"""A run goes to the Hub: its folder is made first, and is there whatever the network says."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nlp_gym.errors import HubError, InvalidArgumentError, shown
from nlp_gym.files import atomic_path
from nlp_gym_agents.hub.card import make_card
from nlp_gym_agents.hub.client import SCHEME, TOKEN_HELP, api, default_name, repo_name, told
from nlp_gym_agents.hub.files import CARD, FILES, make_folder
from nlp_gym_agents.runs.folder import find_snapshot

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FOLDER = "hub"
"""Name of the folder in the run folder that is made for the Hub, unless another one is named."""
_OTHERS = (".gitattributes", "README.md", ".gitignore")
"""Files that a repository may hold before anything was pushed to it."""


@dataclass(frozen=True)
class Pushed:
    """What became of a push.

    Attributes:
        folder: The folder that was made for the Hub.
        repo: Name of the repository; without its owner where nobody is logged in.
        url: Address of the commit; None: nothing was uploaded.
    """

    folder: Path
    repo: str
    url: str | None


def prepare(
    run: str | Path,
    repo: str | None = None,
    *,
    organization: str | None = None,
    output: str | Path | None = None,
    trust: Sequence[str] | str = (),
) -> Pushed:
    """Make the folder for the Hub, with its model card; nothing is asked of the network.

    Args:
        run: A run folder with ``best/``.
        repo: ``"user/name"``, or a name; None: ``<algo>-<env>``, as RL Zoo names them.
        organization: The owner, of a `repo` that names none.
        output: Where; None: ``hub`` in the run folder.
        trust: Modules that the run's settings may have imported; see `runs.files.trust`.

    Raises:
        RunError: The run cannot be read, or the folder not be written.
        InvalidArgumentError: A name that no repository can have.
    """
    _, settings = find_snapshot(run, "best", trust=trust)
    name = _full_name(repo or default_name(settings["algo"], settings["env"]), organization)
    target = Path(run) / FOLDER if output is None else Path(output)
    folder = make_folder(
        run, target, card=lambda made: make_card(made, name, trust=trust), trust=trust
    )
    return Pushed(folder, name, None)


def _full_name(repo: str, organization: str | None) -> str:
    if organization is None:
        return repo_name(repo, owner=False)
    if "/" in repo.removeprefix(SCHEME):
        raise InvalidArgumentError(
            f"organization={shown(organization)} names the owner, and so does "
            f"repo={shown(repo)}: leave one out."
        )
    return repo_name(f"{organization}/{repo}")


def push_to_hub(
    run: str | Path,
    repo: str | None = None,
    *,
    organization: str | None = None,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    output: str | Path | None = None,
    trust: Sequence[str] | str = (),
) -> Pushed:
    """Upload a run in one commit: all of it arrives, or nothing.

    The token is the one of ``HF_TOKEN`` or of ``hf auth login``. A repository that is there is
    changed if it is empty or holds a run; files of the earlier run that this one lacks are removed.

    Args:
        run: As for `prepare`.
        repo: As for `prepare`; without an owner it is that of the token.
        organization: As for `prepare`.
        private: Make a new repository private.
        revision: A branch, which is made if it is not there; None: ``main``.
        message: Of the commit.
        output: As for `prepare`. The default one is removed once it is uploaded.
        trust: As for `prepare`.

    Raises:
        HubError: The Hub cannot be reached or refuses; the folder is there to be uploaded later.
        RunError: As for `prepare`.
        InvalidArgumentError: As for `prepare`.
    """
    made = prepare(run, repo, organization=organization, output=output, trust=trust)
    made = upload(made, private=private, revision=revision, message=message, trust=trust)
    if output is None:
        shutil.rmtree(made.folder, ignore_errors=True)
    return made


def upload(
    made: Pushed,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    trust: Sequence[str] | str = (),
) -> Pushed:
    """Upload what `prepare` made; arguments and errors as for `push_to_hub`."""
    client = api()
    repo = _with_owner(client, made.repo)
    if repo != made.repo:  # the card names the repository
        card = make_card(made.folder, repo, trust=trust)
        with atomic_path(made.folder / CARD) as path:
            path.write_text(card, encoding="utf-8")
    url = _commit(client, repo, made.folder, private=private, revision=revision, message=message)
    return Pushed(made.folder, repo, url)


def _with_owner(client: HfApi, repo: str) -> str:
    from huggingface_hub import get_token

    if get_token() is None:
        raise HubError(f"{repo}: there is no token for the Hub. {TOKEN_HELP}.")
    if "/" in repo:
        return repo
    with told(f"{repo}: asking the Hub whose token it is"):
        return f"{client.whoami()['name']}/{repo}"


def _commit(
    client: HfApi,
    repo: str,
    folder: Path,
    *,
    private: bool,
    revision: str | None,
    message: str | None,
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with told(repo):
        client.create_repo(repo, private=private or None, exist_ok=True)
        if revision is not None:
            client.create_branch(repo, branch=revision, exist_ok=True)
        there = client.list_repo_files(repo, revision=revision)
    _check_replaceable(repo, there)
    own = [name for name in FILES if (folder / name).is_file()]
    stale = [name for name in there if name in FILES and name not in own]
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(folder / name)) for name in own
    ]
    operations += [CommitOperationDelete(path_in_repo=name) for name in stale]
    with told(repo):
        commit = client.create_commit(
            repo, operations, commit_message=message or "A run of nlp_gym", revision=revision
        )
    return str(commit.commit_url)


def _check_replaceable(repo: str, there: Sequence[str]) -> None:
    """Refuse to mix a run with the files of something else."""
    foreign = [
        name for name in there if name not in FILES and PurePosixPath(name).name not in _OTHERS
    ]
    if foreign and "best/manifest.json" not in there:
        raise HubError(
            f"{repo} exists and holds {shown(foreign[0])}, which is no part of a run: nothing was "
            "uploaded. Name another repository."
        )
