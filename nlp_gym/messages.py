"""What programs say on stderr: an error in one line, and each warning once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from nlp_gym.errors import NLPGymError
from nlp_gym.progress import tell


def user_message(error: BaseException) -> str | None:
    """What to tell a user about an error made on purpose; None for a bug (show its traceback).

    Errors of the operating system that nobody gave a better message (disk full, no permission) and
    a lack of memory are no bugs either.
    """
    import gymnasium

    if isinstance(error, NLPGymError | gymnasium.error.Error):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        place = f"{error.filename}: " if error.filename else ""
        return " ".join(f"{place}{error.strerror or error}".split())
    if isinstance(error, MemoryError):
        return f"memory ran out. {error}".rstrip()
    return None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Around a script: an error that it was made to meet ends it with one line and status 1."""
    try:
        yield
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        tell(f"error: {message}")
        raise SystemExit(1) from None


def show_warnings_once() -> None:
    """From now on each warning is one line on stderr, and the same one is not shown again.

    Python itself shows a warning again wherever code in between changed the filters.
    """
    known: set[str] = set()
    warnings.showwarning = lambda message, *details, **more: show_first(message, known)


def show_first(message: Warning | str, known: set[str]) -> None:
    """Show a warning in one line unless it is `known`, and add it there."""
    text = str(message)
    if text not in known:
        known.add(text)
        tell(f"warning: {text}")
