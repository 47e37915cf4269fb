"""The Hub's client: names of repositories, and what went wrong in one sentence."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nlp_gym.errors import HubError, InvalidArgumentError, NLPGymError, shown
from nlp_gym.inert import one_line
from nlp_gym_agents.runs.folder import file_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf://"
"""May begin the name of a repository."""
TOKEN_HELP = "Log in once with `hf auth login`, or set HF_TOKEN to a token that may write"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_LONGEST_NAME = 96
"""Most characters of a repository's name, by the Hub's rules."""
_LONGEST = 300
"""Most characters of what a client or server says that are passed on."""


def api() -> HfApi:
    """The client, for the Hub or the server that ``HF_ENDPOINT`` names; imports it."""
    from huggingface_hub import HfApi

    import nlp_gym

    return HfApi(
        endpoint=os.environ.get("HF_ENDPOINT"),
        library_name="nlp-gym",
        library_version=nlp_gym.__version__,
    )


def default_name(algo: str, env_id: str) -> str:
    """The name that RL Zoo gives a repository: ``<algo>-<env>``, in letters that the Hub takes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{file_name(algo)}-{file_name(env_id)}")
    return re.sub(r"([.-])[.-]+", r"\1", name)[:_LONGEST_NAME].strip(".-")


def repo_name(repo: str, *, owner: bool = True) -> str:
    """The name of a repository, checked before anything is asked of the Hub.

    Args:
        repo: ``"user/name"``, with or without ``hf://``.
        owner: Whether the part before the slash has to be there.

    Raises:
        InvalidArgumentError: The Hub has no such names.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    name = repo.removeprefix(SCHEME)
    try:
        validate_repo_id(name)
        fits = "/" in name or not owner
    except HFValidationError:
        fits = False
    if not fits:
        form = "user/name" if owner else "user/name, or a name,"
        raise InvalidArgumentError(
            f"repo={shown(repo)} must be {form} of letters, digits, '-', '_' and '.', at most "
            f"{_LONGEST_NAME} characters, without '--' or '..', and not ending in '.git'."
        )
    return name


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn whatever the client raises into a `HubError` of one sentence; its own log is quiet.

    Args:
        what: The repository or the act, which the message begins with.
    """
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of every try
    try:
        yield
    except NLPGymError:
        raise
    except Exception as error:  # the client and its HTTP library raise many kinds
        raise HubError(f"{what}: {_problem(error)}") from error
    finally:
        log.setLevel(level)


def _problem(error: BaseException) -> str:
    """What a user can do about an error of the client, or of what it was caused by."""
    status = _status(error)
    if status == 401:
        return (
            "the Hub does not know who asks (401), or there is no such repository that all may "
            f"see. {TOKEN_HELP}."
        )
    if status == 403:
        return "the Hub refuses this to the owner of the token (403). Name a repository of yours."
    if status == 404:
        return "there is no such repository or revision (404), or it is private."
    if status == 409:
        return "it exists already (409), and is changed by somebody else right now: try again."
    if status is not None:
        return f"the Hub answered {status}: {_first_line(error)}"
    links = list(_chain(error))
    for link in links:
        if isinstance(link, OSError) and link.errno in _FULL:
            place = f"{link.filename}: " if link.filename else ""
            return f"{place}{link.strerror}. Free some space (or fix the permissions)."
    names = {type(link).__name__ for link in links}
    if "OfflineModeIsEnabled" in names:
        return "the Hub is not asked, because HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set."
    if any("Connect" in name or "Timeout" in name for name in names):
        return "the Hub cannot be reached. Check the connection (and HF_ENDPOINT, if it is set)."
    return f"the Hub's client failed: {_first_line(links[-1])}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error is about."""
    for link in _chain(error):
        status = getattr(getattr(link, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return one_line(lines[0])[:_LONGEST]
