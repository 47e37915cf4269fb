"""Typed errors of the suite.

Every message names the argument, the value that was given, what is allowed and the fix. All of them
derive from `NLPGymError`, and each also from the builtin a caller would expect, so that
``except ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from nlp_gym.inert import listed, one_line, shown, visible

__all__ = [
    "ChecksumError",
    "DataError",
    "DataFormatError",
    "DataNotFoundError",
    "DivergenceError",
    "DownloadError",
    "EncoderError",
    "HubError",
    "InvalidActionError",
    "InvalidArgumentError",
    "MissingDependencyError",
    "NLPGymError",
    "NotResetError",
    "RunError",
    "UnclearFormatError",
    "UnknownNameError",
    "listed",
    "nearest",
    "shown",
    "visible",
]

_SHORTEST_PART = 3
"""Shorter input is a part of too many names to suggest one of them."""
_COMPARED = 100
"""Letters of a name that are compared: `difflib` takes time that is quadratic in them."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, to be suggested in a message.

    Letters and digits are compared, in any case: ``ner-conll-v0`` means ``NER-CoNLL-v0``. A name of
    the same letters is preferred, then the shortest one that contains them (``squad-v0`` means
    ``SpanQA-SQuAD-v0``), then the most similar one by `difflib`.

    Args:
        name: The name that was given.
        names: The names that exist.

    Returns:
        One of `names`; None if none is similar.
    """
    wanted = _letters(name)
    spelled: dict[str, str] = {}
    for known in names:
        spelled.setdefault(_letters(known), known)
    if wanted in spelled:
        return spelled[wanted]
    around = [letters for letters in spelled if wanted in letters]
    if around and len(wanted) >= _SHORTEST_PART:
        near = difflib.get_close_matches(wanted, around, n=1, cutoff=0)
    else:
        near = difflib.get_close_matches(wanted, spelled, n=1, cutoff=0.5)
    return spelled[near[0]] if near else None


def _letters(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]+", "", name[: 4 * _COMPARED].casefold())[:_COMPARED]


def is_failure(error: BaseException) -> bool:
    """Whether a library failed: an `Exception`, or a panic of one that is written in Rust.

    Panics (of tokenizers, say) are no `Exception`, so that ``except Exception`` lets them through.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


class NLPGymError(Exception):
    """Base class of every error this package raises on purpose.

    Args:
        *messages: What happened. Lines are joined, and characters that act or cannot be seen are
            spelled.
    """

    def __init__(self, *messages: object) -> None:
        super().__init__(*(one_line(m) if isinstance(m, str) else m for m in messages))


class InvalidArgumentError(NLPGymError, ValueError):
    """An argument has a value outside what is allowed."""


class UnknownNameError(InvalidArgumentError):
    """A name (of an encoder, reward, algorithm, corpus, ...) does not exist.

    The message suggests the nearest name.
    """

    def __init__(
        self, argument: str, value: object, allowed: Iterable[str], hint: str = ""
    ) -> None:
        names = list(allowed)
        near = nearest(value, names) if isinstance(value, str) else None
        message = f"{argument}={shown(value)} is not known."
        if near is not None:
            message += f" Did you mean {shown(near)}?"
        message += f" Allowed: {listed(names) or 'none'}."
        super().__init__(f"{message} {hint}".rstrip())
        self.argument, self.value, self.allowed = argument, value, names


class InvalidActionError(NLPGymError, ValueError):
    """An action lies outside the action space; an action that is masked does not raise this."""


class NotResetError(NLPGymError, RuntimeError):
    """A method such as `step` or `render` was called before `reset` or after the episode's end."""


class MissingDependencyError(NLPGymError, ImportError):
    """A package is needed, but not installed.

    Args:
        package: Name of the package.
        extra: Extra of this distribution that installs it; ``""``: it needs no extra.
        purpose: What needs the package.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        wanted = f"'nlp-gymnasium[{extra}]'" if extra else "nlp-gymnasium"
        super().__init__(
            f"{purpose} needs the package {shown(package)}, which is not installed. "
            f"Install it with: pip install {wanted}"
        )
        self.package, self.extra = package, extra


class DataError(NLPGymError, ValueError):
    """Something is wrong with a corpus or a user's file."""


class DataNotFoundError(DataError, FileNotFoundError):
    """A corpus or file does not exist where it was looked for."""


class DataFormatError(DataError):
    """A row of a file cannot be read; the message begins with ``file:line``."""

    def __init__(self, path: str | Path, line: int | None, problem: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}")
        self.path, self.line, self.problem = Path(path), line, problem


class UnclearFormatError(DataFormatError):
    """Nothing tells the format of a file, or it can be read in several ways."""


class ChecksumError(DataError):
    """A file's sha256 is not the expected one; the file is never used."""


class DownloadError(DataError, OSError):
    """A download did not complete; no half-written file is left under the final name."""


class EncoderError(NLPGymError, RuntimeError):
    """An encoder cannot be loaded or cannot encode what it was given."""


class HubError(NLPGymError, OSError):
    """The Hugging Face Hub cannot be reached, refuses a request or has not what was asked for."""


class RunError(NLPGymError, ValueError):
    """A run folder is missing, incomplete, damaged or of another version."""


class DivergenceError(NLPGymError, ArithmeticError):
    """Training arrived at weights, or at outputs of a policy, that are NaN or infinite."""
