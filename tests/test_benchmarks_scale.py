"""The estimate of what a large corpus costs, beside numbers worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.memory.scale_estimate import Inputs, breaks, encoding, main


def test_scale_encoding_by_hand() -> None:
    given = Inputs(
        sentences=1e6,
        words=10,
        nodes=2,
        cores=5,
        encode_words_s=1000,
        read_words_s=1e6,
        write_mb_s=100,
        ray_mb_s=50,
        network_mb_s=80,
    )
    one = encoding(given, 200)
    assert one.n_bytes == 2e9
    assert one.read_s == 10
    assert one.compute_s == 1000  # 10 M words at 10,000 words/s
    assert one.fetch_s == 40
    assert one.write_s == 20
    assert one.total_s == 1010
    assert one.useful_cores == 250  # 50 MB/s are 250,000 words/s
    quick = encoding(given, 20_000)
    assert quick.total_s == 10 + 4000  # the driver takes the vectors more slowly than they are made


def test_scale_breaks_in_order() -> None:
    given = Inputs(words=20, node_memory_gb=1.024, node_disk_tb=0.001, peak_kib=4, played_kib=2)
    found = breaks(given, 100)
    assert [count for count, _ in found] == [250_000, 500_000, 500_000, 2**24, (2**31 - 1) / 20]
    assert "peak" not in found[0][1]
    assert "reading a corpus" in found[0][1]


def test_scale_report_tells_its_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--nodes", "3", "--node-hour", "2.5"]).node_hour == 2.5
    assert "3 nodes of 16 cores at $2.50 an hour" in capsys.readouterr().out
