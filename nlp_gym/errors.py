"""Typed errors of the suite.

Every message names the argument, the value that was given, what is allowed and the fix. All of them
derive from `NLPGymError`, and each also from the builtin a caller would expect, so that
``except ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class NLPGymError(Exception):
    """Base class of every error this package raises on purpose."""


class InvalidArgumentError(NLPGymError, ValueError):
    """An argument has a value outside what is allowed."""


class UnknownNameError(InvalidArgumentError):
    """A name (encoder, reward, algorithm, corpus, ...) is not one of the known ones."""

    def __init__(
        self, argument: str, value: object, allowed: Iterable[str], hint: str = ""
    ) -> None:
        names = list(allowed)
        near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
        message = f"{argument}={value!r} is not known."
        if near:
            message += f" Did you mean {near[0]!r}?"
        message += f" Allowed: {', '.join(names) if names else 'none'}."
        super().__init__(f"{message} {hint}".rstrip())
        self.argument, self.value, self.allowed = argument, value, names


class InvalidActionError(NLPGymError, ValueError):
    """An action lies outside the action space (masked actions are legal to send, see the task)."""


class NotResetError(NLPGymError, RuntimeError):
    """`step`, `render`, ... was called before `reset`, or after the episode ended."""


class MissingDependencyError(NLPGymError, ImportError):
    """An optional package is needed for what was asked."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'nlp-gym[{extra}]'"
        )
        self.package, self.extra = package, extra


class DataError(NLPGymError, ValueError):
    """Something is wrong with a corpus or a user's file."""


class DataNotFoundError(DataError, FileNotFoundError):
    """A corpus or file is not where it was looked for."""


class DataFormatError(DataError):
    """A row of a file cannot be read; the message begins with ``file:line``."""

    def __init__(self, path: str | Path, line: int | None, problem: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}")
        self.path, self.line, self.problem = Path(path), line, problem


class ChecksumError(DataError):
    """A file's sha256 is not the expected one; the file is never used."""


class DownloadError(DataError, OSError):
    """A download did not complete; nothing half-written is left under the final name."""


class EncoderError(NLPGymError, RuntimeError):
    """An encoder cannot be loaded or cannot encode what it was given."""


class RunError(NLPGymError, ValueError):
    """A run folder is missing, incomplete, damaged or of another version."""
