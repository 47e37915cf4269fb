from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_gym import progress
from nlp_gym.encode import encode_texts, load_encoder
from nlp_gym.progress import (
    Bar,
    part_of_bar,
    progress_bar,
    progress_label,
    progress_wanted,
    readable_time,
    shows_progress,
    tell,
)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere in the tests no bar appears on a busy machine."""
    monkeypatch.delenv(progress.SWITCH, raising=False)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars appear at once, and their thread looks often; lines come where a bar ends."""
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "TICK_S", 60.0)


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The thread prints a line at every look; the event is set by the second one."""
    seen, lines = threading.Event(), 0

    def heard(text: str) -> None:
        nonlocal lines
        lines += 1
        print(text, file=sys.stderr)
        if lines == 2:
            seen.set()

    for name in ("DELAY_S", "LINE_S"):
        monkeypatch.setattr(progress, name, 0.0)
    monkeypatch.setattr(progress, "TICK_S", 0.001)
    monkeypatch.setattr(progress._display, "tell", heard)
    return seen


def test_progress_part_moves_the_enclosing_bar_by_whole_units():
    told: list[int] = []
    with (
        part_of_bar(told.append, 10),
        progress_bar(7, "", unit="tokens", show=True) as advance,
    ):
        for _ in range(9):  # more than promised
            advance(1)
    assert sum(told) == 10
    assert all(isinstance(units, int) and units >= 0 for units in told)
    assert len([units for units in told if units]) > 3


def test_progress_part_without_a_bar_of_its_own_is_counted():
    told: list[int] = []
    with part_of_bar(told.append, 10):
        pass
    assert told == [10]


def test_progress_is_silent_when_quick_or_unwanted(capsys):
    encoder = load_encoder("hashed")
    for show in (True, False, None):
        encode_texts([["a", "b"]], encoder, progress=show)
    with progress_wanted(), progress_bar(None, "quick"):
        pass
    assert capsys.readouterr().err == ""


def test_progress_shows_on_stderr_when_it_takes_long(capsys, impatient):
    encode_texts([["a", "b"]], load_encoder("hashed"), progress=True)
    captured = capsys.readouterr()
    assert "2/2 words" in captured.err
    assert captured.out == ""


def test_progress_shows_bytes_and_never_more_than_all_of_them(capsys, impatient):
    with progress_bar(3_000_000, "get [file]", unit="bytes", show=True) as advance:
        advance(2_000_000)
        advance(2_000_000)
    assert "get [file]" in (shown := capsys.readouterr().err)
    assert "3.0/3.0 MB" in shown


def test_progress_is_said_while_a_single_step_takes_long(capsys, restless):
    with progress_bar(None, "reading a file", show=True):
        assert restless.wait(60)  # nothing moves the bar
    assert capsys.readouterr().err.count("reading a file: 0 s\n") >= 2


def test_progress_of_the_innermost_bar_is_said_with_the_share_around_it(capsys, restless):
    with (
        progress_label("cell one"),
        progress_bar(200, "training", show=True) as advance,
    ):
        advance(50)
        with progress_label("dev"), progress_bar(10, "playing", unit="texts", show=True) as moved:
            moved(4)
            assert restless.wait(60)
    assert re.search(
        r"^cell one: training \(25%\), dev: playing: 4/10 texts \(40%, 0 s, 0 s left\)$",
        capsys.readouterr().err,
        re.MULTILINE,
    )


def test_progress_that_is_not_asked_for_appears_where_it_is_wanted(capsys, impatient):
    @shows_progress
    def work(*, progress: bool = False) -> None:
        with progress_bar(1, "deep below", show=False) as advance:
            advance(1)

    work()
    with progress_wanted(False):
        work(progress=False)
    assert capsys.readouterr().err == ""
    work(progress=True)
    assert capsys.readouterr().err.count("deep below: 1/1 steps") == 1
    with progress_wanted():
        work(progress=False)  # nobody below can switch off what is wanted above
    assert "deep below" in capsys.readouterr().err


def test_progress_says_nothing_twice(capsys, impatient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "LINE_S", 3600.0)
    with progress_bar(4, "outer", show=True) as outer:
        for _ in range(4):
            with progress_bar(2, "inner", show=True) as inner:
                inner(2)
            outer(1)
    assert capsys.readouterr().err.splitlines() == ["outer: 4/4 steps (100%, 0 s)"]


def test_progress_of_work_that_goes_on_counts_from_there(capsys, impatient):
    with progress_bar(100, "encoding", show=True, done=90) as advance:
        assert isinstance(advance, Bar)
        assert advance.left() == ""  # nothing was done yet that tells how fast
        advance(5)
        advance.start -= 10
        assert advance.left() == "10 s left"
        advance(5)
    assert "100/100 steps (100%, 10 s)" in capsys.readouterr().err


@given(st.floats(0, 1e6))
def test_progress_times_are_short_and_of_one_unit(seconds: float):
    assert re.fullmatch(r"[\d.]+ (s|min|h)", readable_time(seconds))


def test_progress_is_switched_off_by_the_environment(
    capsys, impatient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(progress.SWITCH, "0")
    with progress_wanted(), progress_bar(1, "anything", show=True) as advance:
        advance(1)
    assert capsys.readouterr().err == ""


def test_progress_lines_are_inert(capsys, impatient):
    with progress_bar(1, "a\x1b[31mb\nerror: c", show=True) as advance:
        advance(1)
    tell("d\x07\u202ee")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert len(err.splitlines()) == 2


_SCRIPT = """
import sys
from nlp_gym import progress
progress.DELAY_S = 0.0
with progress.progress_bar(8, "outer [x]", unit="texts", show=True) as outer:
    with progress.progress_bar(4, "inner", show=True) as inner:
        inner(3)
        progress._display._draw()
        progress.tell("a line above")
        print("what programs read")
    outer(8)
"""


def test_progress_on_a_terminal_is_rows_on_stderr_alone():
    """On a pseudo-terminal, with stdout piped."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += (part := os.read(ours, 65536))
        except OSError:  # the other end is closed
            break
        if not part:
            break
    assert process.communicate()[0] == b"what programs read\n"
    assert process.returncode == 0
    text = drawn.decode()
    for piece in ("outer [x]", "8/8 texts", "inner", "3/4 steps", "a line above"):
        assert piece in text
