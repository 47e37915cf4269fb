"""A few tries of `kill_runs`: every kind of fault, on kinds of runs that differ most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "kill_runs.py"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the script is for Linux")
def test_kill_runs_that_are_stopped_end_as_those_that_are_not() -> None:
    kinds = ["bc", "masked_dqn", "recurrent_ppo", "ppo, warm"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--tries", "2", "--only", *kinds],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 of 8 identical" in done.stdout
