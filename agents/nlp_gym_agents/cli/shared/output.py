"""What commands print: texts of files cannot act on the terminal that shows them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import typer


def load(module: str, *, show: bool = True) -> None:
    """Import a module that takes seconds, and say so where it does.

    Args:
        module: Its name; importing it again is free.
        show: Whether to say so.
    """
    from nlp_gym.progress import progress_bar

    with progress_bar(None, "loading PyTorch and what builds on it", show=show):
        importlib.import_module(module)


def say(text: object, *, lines: bool = False, err: bool = False) -> None:
    """Print a text for people; characters that act or cannot be seen are spelled.

    Args:
        text: The text.
        lines: It has several lines by right, and what it holds of files and names is on one line
            each. If not, its lines are joined, lest one look like another message.
        err: Print on stderr.
    """
    from nlp_gym.inert import one_line, visible

    typer.echo(visible(str(text), lines=True) if lines else one_line(str(text)), err=err)


def say_path(path: Path) -> None:
    """Print a path: exactly where a program reads it, inert on a terminal."""
    if sys.stdout.isatty():
        say(path)
    else:
        typer.echo(path)
