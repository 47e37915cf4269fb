"""Memory of worker processes: the encoded corpus is mapped once, not once a worker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.memory import workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps_rollup")


@pytest.mark.corpus
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("num_envs", "steps"), [(1, 5000), (64, 100)])
def test_second_worker_holds_less_than_60_mb_of_its_own(
    real_data: Path, num_envs: int, steps: int
) -> None:
    """CoNLL-2003's training split, as many numbers as MiniLM gives a word by default."""
    encoder = {"encoder": "hashed", "encoder_kwargs": {"dim": 1152}}
    settings = {"id": "NER-CoNLL-v0", "data_dir": str(real_data), **encoder}
    first, second = workers.measure(settings, workers=2, num_envs=num_envs, steps=steps)
    assert second["features"] > 450
    for found in (first, second):
        assert found["end"]["rss"] > found["imports"]["rss"]
    assert second["end"]["unique"] - second["imports"]["unique"] < 60


@pytest.mark.slow
def test_workers_benchmark_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    results = workers.main(["--encoder", "hashed", "--steps", "20"])
    assert len(results) == 2
    for found in results:
        assert 0 < found["imports"]["unique"] < found["end"]["unique"] < found["end"]["rss"] < 2000
    assert sum(line.startswith("|") for line in capsys.readouterr().out.splitlines()) == 4
