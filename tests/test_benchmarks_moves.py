"""A decision enters few files, and `encoder_kwargs` comes to the encoder by a short way."""

from __future__ import annotations

import pytest

from benchmarks import moves
from nlp_gym.checks import check_name
from nlp_gym.encode import load_encoder

pytestmark = pytest.mark.filterwarnings("ignore")  # the bundled sample's


def test_moves_are_calls_into_another_file() -> None:
    def called() -> None:
        check_name("a", "b", ["b"])
        check_name("a", "c", ["c"])

    assert [file for file, _ in moves.moves_of(called)] == ["nlp_gym/checks.py"] * 2
    entered = moves.moves_of(lambda: load_encoder("hashed"))
    assert entered[0][0] == "nlp_gym/encode/load.py"
    assert "nlp_gym/encode/hashed.py" in [file for file, _ in entered]
    assert not any("make_encoder" in function for _, function in entered)  # of the same file


def test_moves_and_hops_are_few() -> None:
    counts = moves.main(["--encoder", "hashed"])
    assert counts["training"] <= 15
    assert counts["evaluation"] <= 15
    assert counts["hops"] <= 8
    assert counts["names"] == 1
