"""`--ray` where there is no Ray; `tests/outside/test_ray.py` has a cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nlp_gym.encode import load_encoder
from nlp_gym.encode.compact import from_stored
from nlp_gym.errors import EncoderError, InvalidArgumentError
from nlp_gym_agents.cli.main import main
from nlp_gym_agents.cluster.encode_there import Recipe, encode_there
from nlp_gym_agents.cluster.ray_tasks import Cluster
from nlp_gym_agents.evaluation.benchmark.measure import mark_file, run_folder
from nlp_gym_agents.evaluation.benchmark.plan import Plan
from nlp_gym_agents.evaluation.benchmark.remote import measure_there

SAMPLE = ["--env-kwargs", "corpus:sample", "encoder:hashed", "--ray", "local"]
TEXTS = [["A", "dog", "ran"], ["Two"]]


@pytest.mark.parametrize(
    "command",
    [
        ["benchmark", "--ids", "POS-EWT-v0", "--algos", "random", *SAMPLE, "--out"],
        ["train", "--optimize", "--env", "POS-EWT-v0", "--algo", "bc", *SAMPLE, "--run-dir"],
    ],
)
def test_cluster_without_ray_names_the_extra(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as ended:
        main([*command, str(tmp_path / "out")])
    assert ended.value.code == 1
    assert "pip install 'nlp-gymnasium[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_cluster_addresses_and_flags_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("", "here", "host"):
        with pytest.raises(InvalidArgumentError, match=r"ray=.*local.*auto.*HOST:PORT"):
            Cluster(address)
    with pytest.raises(InvalidArgumentError, match="cpus=0"):
        Cluster("local", 0)
    with pytest.raises(SystemExit) as ended:
        main(["train", "--env", "POS-EWT-v0", "--ray", "local"])
    assert ended.value.code == 2
    assert "--optimize" in capsys.readouterr().err


def test_cluster_nodes_encode_as_here_or_refuse() -> None:
    for options in ({}, {"project": 5, "storage": "int8"}):
        encoder = load_encoder("hashed", dim=32, **options)
        recipe = Recipe.of(encoder)
        rows = encode_there(recipe, TEXTS)
        assert rows.dtype == ("int8" if options else "float16")
        assert (from_stored(rows) == encoder.encode(TEXTS)).all()
    other = Recipe(recipe.name, "0" * 64, recipe.options, None)
    with pytest.raises(EncoderError, match="install the same weights"):
        encode_there(other, TEXTS)


def test_cluster_a_cell_comes_back_with_its_run_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    arguments = {"corpus": "sample", "encoder": "hashed"}
    plan = Plan(("POS-EWT-v0",), ("bc",), (0,), tmp_path, arguments, 300, device="cpu")
    (cell,) = plan.cells()
    shipment = measure_there(plan, cell, ["nlp-gym", "benchmark", "--ray", "x"])
    assert shipment.record["status"] == "done"
    assert {"config.yml", "metrics.jsonl", "versions.json"} <= set(shipment.files)
    assert any(name.startswith("best/") for name in shipment.files)
    assert not any("checkpoints" in name or "lock" in name for name in shipment.files)
    assert b"nlp-gym benchmark --ray x" in shipment.files["command.txt"]
    assert cell.digest.encode() in (shipment.mark or b"")
    assert not run_folder(plan, cell).exists()
    assert not mark_file(plan, cell).exists()
