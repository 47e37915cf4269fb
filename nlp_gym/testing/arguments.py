"""Check of arguments: what is wrong is refused where the environment is made, by a typed error."""

from __future__ import annotations

import re
from typing import Any

from nlp_gym.data import READERS
from nlp_gym.errors import InvalidArgumentError, NLPGymError
from nlp_gym.testing.subject import Fault, Subject

WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"obs_type": "feature"}, "Did you mean 'features'"),
    ({"reward": "metrics"}, "Did you mean 'metric'"),
    ({"split": "tset"}, "Did you mean 'test'"),
    ({"encoder": "minilmm"}, "minilm"),
    ({"max_toknes": 9}, "'max_tokens'"),
    ({"max_tokens": 3}, "max_tokens=3"),
)
"""Arguments, and what their message says (a regular expression)."""

WRONG_TYPES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"encoder_kwargs": 3}, "encoder_kwargs=3 .*mapping"),
    ({"encoder_kwargs": {1: 2}}, "encoder_kwargs=.*names of options"),
    ({"encoder": 3}, "encoder=3 .*name"),
    ({"data_dir": 3}, "data_dir=3 .*folder"),
    ({"labels": 3}, "labels=3 .*list of distinct names"),
    ({"labels": {"O", "B-X"}}, "labels=.*list of distinct names"),
    ({"max_tokens": None}, "max_tokens=None .*integer"),
    ({"column": 1.5}, "column=1.5 .*name"),
    ({"column": True}, "column=True .*name"),
    ({"data_format": []}, r"data_format=\[\] .*jsonl"),
    ({"reward": 3}, "reward=3 .*sparse"),
    ({"obs_type": ["index"]}, r"obs_type=\['index'\] .*features"),
    ({"split": ["dev"]}, r"split=\['dev'\] .*train"),
)
"""As `WRONG`, with values of a wrong type."""


def wrong_arguments(subject: Subject) -> None:
    """A wrong argument is refused where it enters, and the message names what is allowed."""
    reads_files = subject.task().family in READERS
    for arguments, message in WRONG:
        _require_refused(subject, arguments, message, NLPGymError)
    for arguments, message in WRONG_TYPES:
        if {"labels", "column", "data_format"} & set(arguments) and not reads_files:
            message = "belongs to one task"
        for obs_type in ("index", "features"):
            given = {"obs_type": obs_type, **arguments}
            _require_refused(subject, given, message, InvalidArgumentError)


def _require_refused(
    subject: Subject, arguments: dict[str, Any], message: str, kind: type[Exception]
) -> None:
    try:
        subject.env(**arguments)
    except kind as error:
        if not re.search(message, str(error)):
            raise Fault(f"{arguments}: the message does not say {message!r}: {error}") from error
    except Exception as error:
        raise Fault(
            f"{arguments} raises {type(error).__name__} ({error}); it must raise {kind.__name__}"
        ) from error
    else:
        raise Fault(f"{arguments} is accepted; it must raise {kind.__name__}")
