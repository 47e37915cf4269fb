"""A coverage-guided fuzzer of all readers, run by hand for as long as one likes.

It needs atheris (``pip install atheris``: Linux, CPython 3.11 to 3.13), which is no dependency of
the tests. The first bytes of an input choose reader and options, the rest is the file. Any error
but `NLPGymError`, and any file that takes over ten seconds, ends it with the input in ``crash-*``:

    python -m tests.fuzz.coverage_guided -max_total_time=600 corpus/
    python -m tests.fuzz.coverage_guided crash-0123

``corpus/`` is a folder, empty at first, in which inputs that reach new code are kept.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["nlp_gym.data"]):
    from nlp_gym.data import READERS, check, read
    from nlp_gym.data.readers.guess.family import guess_family

from nlp_gym.errors import NLPGymError

ROWS = [(family, name) for family, readers in READERS.items() for name in readers]
OPTIONS: tuple[dict[str, object], ...] = (
    {},
    {},
    {"gold": False},
    {"bad_rows": "skip"},
    {"comments": "#"},
    {"column": 1},
    {"encoding": "cp1252"},
    {"encoding": "utf-16"},
)
FOLDER = Path(tempfile.mkdtemp())


def read_one(data: bytes) -> None:
    """Read the file that an input describes, with its format named and with it guessed."""
    if len(data) < 3:
        return
    family, name = ROWS[data[0] % len(ROWS)]
    options = OPTIONS[data[1] % len(OPTIONS)]
    endings = READERS[family][name].extensions or (".txt",)
    path = FOLDER / f"file{endings[data[2] % len(endings)]}"
    path.write_bytes(data[3:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for call in (
            lambda: check(path, name, family=family, **options),
            lambda: read(path, name, family=family, **options),
            lambda: read(path, family=guess_family(path)),
        ):
            with contextlib.suppress(NLPGymError):
                call()


if __name__ == "__main__":
    atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=2000"], read_one)
    atheris.Fuzz()
