"""`nlp-gym benchmark`: cells, resuming, failing, tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym_agents.cli.main import main
from nlp_gym_agents.evaluation.benchmark import measure as benchmark
from nlp_gym_agents.evaluation.benchmark.markdown import to_markdown
from nlp_gym_agents.evaluation.benchmark.plan import Plan, default_ids
from nlp_gym_agents.evaluation.benchmark.run import run_plan
from nlp_gym_agents.evaluation.benchmark.table import BASELINES, Cell, build_table
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.training.signals import TrainingInterrupted

pytestmark = pytest.mark.usefixtures("one_thread")
IDS = ("ChoiceQA-ARC-v0", "POS-EWT-v0")
SAMPLE = {"corpus": "sample", "encoder": "hashed"}


def plan(out: Path, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "ids": IDS,
        "algos": ("random", "majority", "bc"),
        "out": out,
        "env_kwargs": SAMPLE,
        "n_timesteps": 600,
        "device": "cpu",
    }
    return Plan(**{**values, **changes})


def test_benchmark_measures_once_and_writes_tables(tmp_path: Path) -> None:
    lines: list[str] = []
    assert run_plan(plan(tmp_path), lines.append)
    assert len(lines) == 6
    assert lines[0].startswith("[1/6] ChoiceQA-ARC-v0 random seed 0: accuracy dev ")
    cell = json.loads((tmp_path / "cells/POS-EWT-v0/bc-0.json").read_text())
    assert cell["status"] == "done"
    assert cell["timesteps"] == 600
    assert cell["metric"] == "accuracy"
    assert cell["encoder"]["name"] == "hashed"
    assert cell["test"]["corpus"]["bundled"] is True
    low, high = cell["test"]["interval"]
    assert low <= cell["test"]["value"] <= high
    assert {"versions", "signature", "seconds", "settings_hash"} <= set(cell)
    assert not (tmp_path / "runs/POS-EWT-v0/bc-0/checkpoints").exists()
    lines.clear()
    assert run_plan(plan(tmp_path), lines.append)
    assert lines == []  # nothing left to do
    table = (tmp_path / "table.md").read_text()
    assert "| random | majority | bc | RL / bc | wall min | budget min/run |" in table
    assert cell["scoring_seconds"] > 0
    assert json.loads((tmp_path / "table.json").read_text())["algos"] == list(plan(tmp_path).algos)


def test_benchmark_table_holds_what_was_measured_in_parts(tmp_path: Path) -> None:
    for ids in (["POS-EWT-v0"], ["NER-CoNLL-v0"]):
        assert run_plan(plan(tmp_path, ids=ids, algos=("random",)), lambda line: None)
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["id"] for row in rows] == ["NER-CoNLL-v0", "POS-EWT-v0"]


def test_benchmark_searches_at_most_so_many_samples(tmp_path: Path) -> None:
    few = plan(tmp_path, ids=["KnowledgeGraph-WN18RR-v0"], algos=("bc",), searches=6)
    assert run_plan(few, lambda line: None)
    cell = json.loads((tmp_path / "cells/KnowledgeGraph-WN18RR-v0/bc-0.json").read_text())
    assert cell["dev"]["n"] == cell["test"]["n"] == 6
    assert few.cells()[0].digest != plan(tmp_path, ids=few.ids, algos=("bc",)).cells()[0].digest


def test_benchmark_other_settings_are_another_number(tmp_path: Path) -> None:
    once = plan(tmp_path, ids=IDS[1:], algos=("bc",))
    lines: list[str] = []
    run_plan(once, lines.append)
    run_plan(plan(tmp_path, ids=IDS[1:], algos=("bc",), n_timesteps=700), lines.append)
    assert len(lines) == 2
    moved = Cell(**{**vars(once.cells()[0])})
    elsewhere = plan(tmp_path, ids=IDS[1:], algos=("bc",), env_kwargs={**SAMPLE, "data_dir": "x"})
    assert moved.digest == elsewhere.cells()[0].digest  # where the data lies is no setting


def test_benchmark_failing_cell_does_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = benchmark._baseline

    def broken(plan: Plan, cell: Cell) -> dict[str, Any]:
        if cell.id == IDS[0]:
            raise KeyError("broken corpus")
        return real(plan, cell)

    monkeypatch.setattr(benchmark, "_baseline", broken)
    lines: list[str] = []
    assert not run_plan(plan(tmp_path, algos=("random",)), lines.append)
    assert "FAILED: KeyError: 'broken corpus'" in lines[0]
    assert "accuracy dev" in lines[1]
    table = (tmp_path / "table.md").read_text()
    assert "| ChoiceQA-ARC-v0 |  | failed |" in table
    assert "- ChoiceQA-ARC-v0 random: KeyError" in table
    monkeypatch.undo()
    lines.clear()
    assert run_plan(plan(tmp_path, algos=("random",)), lines.append)  # only what failed
    assert len(lines) == 1


def test_benchmark_time_limit_stops_and_says_so(tmp_path: Path) -> None:
    slow = plan(tmp_path, ids=IDS[1:], algos=("masked_dqn",), n_timesteps=10**7, budget=0.03)
    lines: list[str] = []
    assert run_plan(slow, lines.append)
    assert lines[0].endswith("(stopped at the time limit)")
    cell = json.loads((tmp_path / "cells/POS-EWT-v0/masked_dqn-0.json").read_text())
    assert cell["stopped"] == "budget"
    assert 1 < cell["seconds"] < 30
    assert cell["timesteps"] < 10**7
    assert "*`: stopped at the time limit" in (tmp_path / "table.md").read_text()


def test_benchmark_goes_on_with_a_stopped_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = plan(tmp_path, ids=IDS[1:], algos=("bc",), n_timesteps=3000)
    real, stops = benchmark.train, []

    def stopped(config: Any, **options: Any) -> Any:
        real(config.with_changes(n_timesteps=1000), **options)  # as far as it came
        run = Path(options["run_dir"])
        text = (run / "config.yml").read_text().replace("n_timesteps: 1000", "n_timesteps: 3000")
        (run / "config.yml").write_text(text)
        stops.append(run)
        raise TrainingInterrupted(run, 2)

    monkeypatch.setattr(benchmark, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_plan(one, lambda line: None)
    assert run_plan(one, lambda line: None)  # would raise if it trained anew
    assert len(stops) == 1
    assert read_metrics(stops[0])[-1]["timesteps"] == 3000


def test_benchmark_dry_run_and_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path), "--env-kwargs", "corpus:sample", "encoder:hashed"]
    options += ["--ids", "POS-EWT-v0", "--algos", "majority,ppo", "--seeds", "0,1"]
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", *options, "--dry-run"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "POS-EWT-v0 ppo seed 1: to train" in out
    assert "3 of 3 cells to do; 2 training runs of at most 4.5 minutes, 0.1 h" in out
    assert not list(tmp_path.iterdir())
    for changes, words in (
        (["--seeds", "a"], "seeds='a'"),
        (["--algos", "bert"], "algos='bert'"),
        (["--algos", "ppo+sft"], "masked_dqn\\+bc"),
        (["--ids", "POS-v9"], "ids='POS-v9'"),
        (["--budget", "0"], "budget=0.0"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["benchmark", *options, *changes, "--dry-run"])
        assert ended.value.code == 1
        assert re.search(words, capsys.readouterr().err)


def test_benchmark_plan_is_checked_before_anything_is_played(tmp_path: Path) -> None:
    for changes, error in (
        ({"ids": ("POS-v9",)}, UnknownNameError),
        ({"algos": ("random", "bert")}, UnknownNameError),
        ({"algos": ("masked_dqn+x",)}, InvalidArgumentError),
    ):
        with pytest.raises(error):
            run_plan(plan(tmp_path, **changes), lambda line: None)
    assert not list(tmp_path.iterdir())


def test_benchmark_default_ids_are_single_tasks_with_a_corpus() -> None:
    ids = default_ids()
    assert {"NER-CoNLL-v0", "SpanQA-SQuAD-v0", "KnowledgeGraph-WN18RR-v0"} <= set(ids)
    assert not {"NER-v0", "MultiTask-v0", "ChoiceQA-v0"} & set(ids)


def test_benchmark_default_plan_fits_five_hours() -> None:
    runs = [cell for cell in Plan(default_ids()).cells() if cell.algo not in BASELINES]
    assert len(runs) * Plan(()).budget <= 5 * 60


def test_benchmark_baselines_of_a_searched_task_are_searched_as_agents_are(tmp_path: Path) -> None:
    ids = ["KnowledgeGraph-WN18RR-v0"]
    few = plan(tmp_path, ids=ids, algos=("random", "oracle"), searches=6)
    assert run_plan(few, lambda line: None)
    cell = json.loads((tmp_path / "cells/KnowledgeGraph-WN18RR-v0/random-0.json").read_text())
    assert cell["dev"]["n"] == cell["test"]["n"] == 6
    digests = {few.cells()[0].digest, plan(tmp_path, ids=ids, algos=("random",)).cells()[0].digest}
    assert len(digests) == 2


def result(algo: str, seed: int, value: float, **more: Any) -> dict[str, Any]:
    score = {"value": value, "interval": None, "n": 10}
    base = {"id": "X-Y-v0", "metric": "f1", "status": "done", "seconds": 1.0}
    return {**base, "algo": algo, "seed": seed, "dev": score, "test": score, **more}


def test_benchmark_table_by_hand() -> None:
    table = build_table(
        [
            result("random", 0, 0.1),
            result("bc", 0, 0.8),
            result("masked_dqn", 0, 0.7),
            result("masked_dqn", 1, 0.8, stopped="budget"),
            result("ppo", 0, 0.5, scoring_seconds=25.0, settings={"budget_minutes": 5.0}),
        ]
    )
    (row,) = table["rows"]
    assert row["share"] == pytest.approx(0.75 / 0.8)
    assert row["columns"]["masked_dqn"]["test"]["half_range"] == pytest.approx(0.05)
    lines = to_markdown(table).splitlines()
    assert "| X-Y-v0 | f1 | 0.100 | 0.800 | 0.750 ± 0.050* | 0.500 | 0.938 | 0.5 | 5 |" in lines
