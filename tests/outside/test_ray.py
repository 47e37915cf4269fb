"""`--ray` on a cluster of two nodes on this machine, one of which dies in the middle."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster as Nodes  # noqa: E402

from nlp_gym.errors import RunError  # noqa: E402
from nlp_gym_agents.cli.main import main  # noqa: E402
from nlp_gym_agents.cluster.ray_tasks import Cluster  # noqa: E402
from nlp_gym_agents.evaluation.benchmark.plan import Plan  # noqa: E402
from nlp_gym_agents.evaluation.benchmark.run import run_plan  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TIMES = {"seconds", "scoring_seconds", "budgets"}

pytestmark = [pytest.mark.timeout(200), pytest.mark.filterwarnings("default")]


SIZE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(autouse=True)
def _offline() -> None:
    """Nodes on this machine are reached by its own address, which the usual guard refuses."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes with one processor each, which import this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "agents")]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found = Nodes(initialize_head=True, head_node_args={**SIZE, "include_dashboard": False})
        found.add_node(**SIZE)
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture(scope="module")
def joined(nodes: Any) -> None:
    """One connection for several tests: their tasks use the same worker processes."""
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")


def small_plan(out: Path, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "ids": ("NER-CoNLL-v0", "Question-TREC-v0"),
        "algos": ("random", "bc", "ppo", "masked_dqn"),
        "out": out,
        "env_kwargs": {"corpus": "sample", "encoder": "hashed"},
        "n_timesteps": 2000,
        "device": "cpu",
    }
    return Plan(**{**values, **changes})


def table_without_times(out: Path) -> Any:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(v) for key, v in value.items() if key not in TIMES}
        return [without(v) for v in value] if isinstance(value, list) else value

    return without(json.loads((out / "table.json").read_text()))


def wait_until_busy(node_id: str) -> None:
    """Wait until a task runs on a node."""
    free = ray._private.state.available_resources_per_node
    end = time.monotonic() + 20
    while free().get(node_id, {}).get("CPU", 0) >= 1:
        assert time.monotonic() < end, "no task was given to the second node"
        time.sleep(0.05)


def wait_until_dead(node_id: str) -> None:
    """Wait until Ray knows that a node died."""
    while any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes()):
        time.sleep(0.05)


def test_ray_an_address_that_nobody_answers_at_is_told_at_once() -> None:
    nobody = Cluster("127.0.0.1:9")
    with pytest.raises(RunError, match="ray start --head"), nobody.joined("a test"):
        pass


def test_ray_a_cell_that_fails_by_itself_is_told_and_not_repeated(
    tmp_path: Path, nodes: Any
) -> None:
    missing = {"data_dir": str(tmp_path / "nowhere"), "encoder": "hashed"}
    plan = small_plan(tmp_path, ids=("NER-CoNLL-v0",), algos=("random",), env_kwargs=missing)
    lines: list[str] = []
    assert not run_plan(plan, lines.append, cluster=Cluster(nodes.address))
    assert "NER-CoNLL-v0 random seed 0: FAILED: DataNotFoundError: " in lines[-1]
    assert len(lines) == 2
    cell = json.loads((tmp_path / "cells/NER-CoNLL-v0/random-0.json").read_text())
    assert cell["status"] == "failed"


def test_ray_a_worker_that_dies_is_a_result_and_not_the_end(
    nodes: Any, joined: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_gym_agents.cluster.ray_tasks.RETRIES", 0)
    with Cluster(nodes.address).joined("a test") as workers:
        calls = iter([(0,), (7,)])
        assert dict(workers.run(abs, calls, ordered=True, ahead=1)) == {0: 0, 1: 7}
        ((number, outcome),) = workers.run(os._exit, [(1,)])
    assert number == 0
    assert isinstance(outcome, ray.exceptions.WorkerCrashedError)


def test_ray_ctrl_c_keeps_what_is_finished_and_ends_the_rest(
    tmp_path: Path, nodes: Any, joined: None
) -> None:
    algos = ("random", "ppo", "masked_dqn")
    plan = small_plan(tmp_path, ids=("NER-CoNLL-v0",), algos=algos, n_timesteps=10**7)

    def interrupt(line: str) -> None:
        if line.startswith("[1/3]"):
            raise KeyboardInterrupt

    ray.shutdown()  # the plan joins by itself, and leaves, as the command does
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, interrupt, cluster=Cluster(nodes.address))
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    end = time.monotonic() + 120  # a cell of 10**7 steps takes hours; its start, some seconds
    while ray.available_resources().get("CPU", 0) < 2:
        assert time.monotonic() < end, "cancelled cells still run"
        time.sleep(0.1)
    (row,) = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert list(row["columns"]) == ["random"]


def test_ray_encode_writes_the_bytes_that_one_process_writes(
    tmp_path: Path,
    nodes: Any,
    joined: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = tmp_path / "texts.txt"
    # Some 70,000 words are three blocks.
    lines = (f"text {n} has the word w{n * 7919 % 5000} and {n % 13} others" for n in range(8_000))
    text.write_text("\n".join(lines), encoding="utf-8")
    found = {}
    for name, more in (("plain", []), ("ray", ["--ray", nodes.address])):
        monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path / name))
        sample = ["--env-kwargs", "corpus:sample"]
        small = [*sample, "--encoder-kwargs", "project:16", "storage:int8"]
        for source in ([str(text)], ["POS-EWT-v0", *sample], ["POS-EWT-v0", *small]):
            with pytest.raises(SystemExit) as ended:
                main(["encode", *source, "--encoder", "hashed", *more])
            assert ended.value.code == 0
        folder = tmp_path / name / "features"
        found[name] = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".npy"}
    assert "Ray: 2 nodes with 2 CPUs; 2 blocks at a time." in capsys.readouterr().err
    assert len(found["plain"]) == 7  # the text file, and three splits twice
    assert max(map(len, found["plain"].values())) > 4 * 32_768 * 2  # several blocks
    assert found["ray"] == found["plain"]


def test_ray_optimize_searches_with_tune_and_optuna(
    tmp_path: Path, nodes: Any, joined: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "study"
    options = ["--env", "Question-TREC-v0", "--algo", "bc", "--encoder", "hashed", "-n", "1000"]
    options += ["--env-kwargs", "corpus:sample", "--run-dir", str(run), "--device", "cpu"]
    options += ["--n-evaluations", "2", "--pruner", "none", "--n-trials", "4"]
    with pytest.raises(SystemExit) as ended:
        main(["train", "--optimize", "--ray", nodes.address, *options])
    assert ended.value.code in (0, None)
    study = json.loads((run / "study.json").read_text())
    assert [row["number"] for row in study["trials"]] == [0, 1, 2, 3]
    assert {row["state"] for row in study["trials"]} <= {"complete", "pruned"}
    complete = [row for row in study["trials"] if row["state"] == "complete"]
    assert all(0 <= row["value"] <= 1 and row["evaluations"] >= 2 for row in complete)
    assert len({row["params"]["learning_rate"] for row in study["trials"]}) == 4
    best = max(complete, key=lambda row: (row["value"], -row["number"]))
    chosen = yaml.safe_load((run / "best.yml").read_text())
    rate = best["hyperparams"]["learning_rate"]
    assert chosen["hyperparams"]["learning_rate"] == pytest.approx(rate)
    assert "trial 3: " in capsys.readouterr().err


def test_ray_benchmark_survives_a_node_and_gives_the_table_of_a_run_without_ray(
    tmp_path: Path, nodes: Any, joined: None, one_thread: None
) -> None:
    (second,) = nodes.worker_nodes
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if line.startswith("[3/8]"):
            wait_until_busy(second.node_id)
            nodes.remove_node(second, allow_graceful=False)
            wait_until_dead(second.node_id)  # small cells may all be done before Ray says so

    plan = small_plan(tmp_path / "ray")
    assert run_plan(plan, tell, cluster=Cluster(nodes.address))
    assert lines[0] == "Ray: 2 nodes with 2 CPUs; 8 cells, 2 at a time."
    assert any(line.startswith("Ray: 1 of 2 nodes died") for line in lines)
    assert sum(line.startswith("[") for line in lines) == 8
    assert run_plan(small_plan(tmp_path / "plain"), lambda line: None)
    expected = table_without_times(tmp_path / "plain")
    assert table_without_times(tmp_path / "ray") == expected
    assert sum(len(row["columns"]) for row in expected["rows"]) == 8

    def files(out: Path) -> set[str]:
        return {p.relative_to(out).as_posix() for p in out.rglob("*") if "tfevents" not in p.name}

    left = {name for name in files(tmp_path / "plain") if not name.endswith(".lock")}
    assert files(tmp_path / "ray") == left
    lines.clear()
    assert run_plan(plan, lines.append, cluster=Cluster(nodes.address))
    assert lines == []  # nothing is left to do, and no cluster is asked
    nodes.add_node(**SIZE)
