"""How commands fail: one message on stderr and exit code 1, without a traceback."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from nlp_gym_agents.cli.shared.output import say, say_path

_OF_AGENTS = ("sb3_contrib", "stable_baselines3", "tensorboard")
"""Packages of the extra `agents`, which the environments do without."""


def user_message(error: BaseException) -> str | None:
    """As `nlp_gym.messages.user_message`; a package of the extra `agents` may lack as well."""
    from nlp_gym.errors import MissingDependencyError
    from nlp_gym.messages import user_message as message_of

    if isinstance(error, ModuleNotFoundError) and (name := _package(error)) in _OF_AGENTS:
        absent = name.replace("_", "-")
        return str(MissingDependencyError(absent, "agents", "this command"))
    return message_of(error)


def _is_said_elsewhere(error: BaseException) -> bool:
    """Whether the first of the processes that torchrun started has the same error.

    Settings are the same on all of them; a file may be missing on one machine alone.
    """
    from nlp_gym.errors import DataError, InvalidArgumentError

    if not isinstance(error, InvalidArgumentError) or isinstance(error, DataError):
        return False
    return follows()


def follows() -> bool:
    """Whether torchrun started this process, and not as the first; asks without importing torch."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0"


def _package(error: ImportError) -> str:
    """The top-level package that could not be imported."""
    return (error.name or "").partition(".")[0]


class ReportingGroup(TyperGroup):
    """Commands whose errors are one message on stderr and an exit code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Exit(_interrupted(error)) from None
        except Exception as error:
            message = user_message(error)
            if message is None:
                raise
            if _is_said_elsewhere(error):
                raise typer.Exit(1) from None
            say(f"error: {message}", err=True)
            raise typer.Exit(1) from None


def _interrupted(error: Any) -> int:
    """Report an interruption; gives the exit code, 128 plus the signal's number."""
    # Only what is imported already: an interruption may have come while torch was being imported.
    signals = sys.modules.get("nlp_gym_agents.training.signals")
    search: Any = getattr(signals, "SearchInterrupted", ())
    training: Any = getattr(signals, "TrainingInterrupted", ())
    if isinstance(error, search):
        best = shlex.quote(str(error.folder / "best.yml"))
        with contextlib.suppress(OSError):
            say(
                f"interrupted; completed trials, which are kept: {error.trials}. Train with the "
                f"best: nlp-gym train --conf-file {best}",
                err=True,
            )
            say_path(error.folder)
        return 128 + error.signal_number
    if not isinstance(error, training):
        say("interrupted", err=True)
        return 130
    from nlp_gym_agents.runs.folder import resume_command

    if follows():  # the process that leads says it
        return 128 + error.signal_number
    with contextlib.suppress(OSError):  # the terminal may be gone
        saved = any((error.run / "checkpoints").glob("[0-9]*"))
        begin = "Saved. Continue with" if saved else "Nothing was learnt yet. Start over with"
        say(f"{begin}: {resume_command(error.run)}", err=True)
        say_path(error.run)
    return 128 + error.signal_number
