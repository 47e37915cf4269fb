"""Controls of a benchmark: equal time, constant reward, comparisons, and what they are told as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.cluster.ray_tasks import Cluster
from nlp_gym_agents.evaluation.benchmark import controls
from nlp_gym_agents.evaluation.benchmark.controls import control_cells, equal_length, read_controls
from nlp_gym_agents.evaluation.benchmark.markdown import to_markdown
from nlp_gym_agents.evaluation.benchmark.plan import Plan
from nlp_gym_agents.evaluation.benchmark.run import run_plan
from nlp_gym_agents.evaluation.benchmark.table import (
    BC_TIME,
    CONSTANT,
    best_agent,
    build_table,
    read_cell,
    read_cells,
)
from nlp_gym_agents.plots.report import write_report
from nlp_gym_agents.runs.files.plain_files import read_yaml
from tests.test_agents_benchmark import SAMPLE, result

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
ALGOS = ("random", "bc", "maskable_ppo+bc:run")


def plan(out: Path, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "ids": ("POS-EWT-v0",),
        "algos": ALGOS,
        "seeds": (0, 1),
        "out": out,
        "env_kwargs": SAMPLE,
        "n_timesteps": 600,
        "device": "cpu",
        "controls": True,
    }
    return Plan(**{**values, **changes})


def test_controls_are_measured_and_told_once(tmp_path: Path) -> None:
    lines: list[str] = []
    assert run_plan(plan(tmp_path), lines.append)
    assert lines[-1].startswith("POS-EWT-v0 controls: maskable_ppo+bc:run less bc")
    cells = json.loads((tmp_path / "cells/POS-EWT-v0/maskable_ppo+bc_run-0.json").read_text())
    bc = json.loads((tmp_path / "cells/POS-EWT-v0/bc-0.json").read_text())
    assert cells["clock"] == "processor"
    assert cells["training_seconds"] > bc["training_seconds"] > 0  # its start is counted
    assert cells["information"] == "bandit, start: oracle"
    config = read_yaml(tmp_path / "runs/POS-EWT-v0/maskable_ppo+bc_run-0/config.yml")
    assert Path(config["warm_start"]) == tmp_path / "runs/POS-EWT-v0/bc-0"
    config = read_yaml(tmp_path / "runs/POS-EWT-v0/best_constant-1/config.yml")
    assert config["hyperparams"]["constant_reward"] == 1.0
    assert Path(config["warm_start"]).name == "bc-1"
    config = read_yaml(tmp_path / "runs/POS-EWT-v0/bc_time-0/config.yml")
    assert (config["algo"], config["early_stopping"]) == ("bc", 0)
    speed = bc["timesteps"] / bc["training_seconds"]
    assert config["n_timesteps"] == int(speed * cells["training_seconds"]) > bc["timesteps"]
    record = json.loads((tmp_path / "controls/POS-EWT-v0.json").read_text())
    assert record["agent"] == "maskable_ppo+bc:run"
    assert record["difference"]["runs"] == [2, 2]
    assert record["constant"]["n"] == record["difference"]["n"] == 18
    text = (tmp_path / "table.md").read_text()
    assert "## Controls" in text
    assert "| learns from |  | nothing | oracle | bandit, start: oracle | oracle |" in text
    assert "no reward, start: oracle" in text
    write_report(tmp_path, ["nlp-gym"])
    page = (tmp_path / "report.html").read_text()
    assert 'id="controls"' in page
    assert "less constant (95 %)" in page
    lines.clear()
    assert run_plan(plan(tmp_path), lines.append)
    assert lines == []  # nothing left to do
    # Comparisons of cells that were measured anew since are not told.
    results = read_cells(tmp_path)
    assert len(read_controls(tmp_path, results)) == 1
    other = [{**r, "settings_hash": "0"} if r["algo"] == "bc" else r for r in results]
    assert read_controls(tmp_path, other) == []


def test_equal_time_is_bc_speed_times_the_agents_seconds() -> None:
    bc = {"timesteps": 1000, "n_timesteps": 1200, "training_seconds": 10.0}
    assert equal_length(bc, 30.0) == 3000
    assert equal_length(bc, 11.0) == 1200  # never shorter than its own length
    assert equal_length(bc, 10.2) is None  # bc took as long already
    assert equal_length(bc, 3.0) is None


@pytest.mark.parametrize(("seconds", "lengths"), [((30.0, 10.1), [3000, 1000]), ((9.0, 9.0), [])])
def test_bc_has_equal_time_with_every_seed_or_with_none(
    seconds: tuple[float, float],
    lengths: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = plan(tmp_path, algos=("bc", "maskable_ppo"))
    time = {("bc", 0): 10.0, ("bc", 1): 10.0}
    time |= {("maskable_ppo", seed): s for seed, s in enumerate(seconds)}
    whole = {"timesteps": 1000, "n_timesteps": 1000}
    done = {
        (c.algo, c.seed): (
            c,
            result(c.algo, c.seed, 0.5, **whole, training_seconds=time[c.algo, c.seed]),
        )
        for c in own.cells()
    }
    monkeypatch.setattr(controls, "done_cells", lambda plan, env_id: done)
    found = [c.settings["control"] for c in control_cells(own) if c.algo == BC_TIME]
    assert [control["n_timesteps"] for control in found] == lengths


def test_the_best_agent_is_chosen_on_dev_among_those_that_learn_from_rewards() -> None:
    def score(value: float) -> dict[str, Any]:
        return {"value": value, "interval": None, "n": 10}

    results = [
        result("oracle", 0, 1.0),
        result("bc", 0, 0.9),
        result("dagger", 0, 0.95),  # learns from the oracle alone
        result("ppo", 0, 0.6, dev=score(0.7)),
        result("maskable_ppo", 0, 0.8, dev=score(0.5)),
        result(CONSTANT, 0, 0.99, information="no reward"),
    ]
    (row,) = build_table(results)["rows"]
    assert best_agent(row["columns"]) == "ppo"
    assert row["share"] == pytest.approx(0.6 / 0.9)
    full = [*results, result("aggrevate", 0, 0.5, dev=score(0.8))]
    assert best_agent(build_table(full)["rows"][0]["columns"]) == "aggrevate"
    assert best_agent(build_table(results[:3])["rows"][0]["columns"]) is None


def test_tables_say_what_was_learned_from_and_which_alarms_rang() -> None:
    settings = {"hyperparams": {"full_targets": True}}
    results = [
        result("majority", 0, 0.2),
        result("masked_dqn+bc", 0, 0.5, settings=settings),
        result("ppo", 1, 0.4, alarms=["texts repeat themselves"]),
        result("their.module:Algo", 0, 0.3),
    ]
    table = build_table(results)
    assert table["information"] == {
        "majority": "gold of train",
        "masked_dqn+bc": "full information, start: oracle",
        "ppo": "bandit",
        "their.module:Algo": "",
    }
    text = to_markdown(table)
    assert text.count("| learns from |") == 2  # of test and of dev
    assert "0.400!" in text
    assert "- X-Y-v0 ppo seed 1: texts repeat themselves" in text


def test_control_cells_wait_for_what_they_compare(tmp_path: Path) -> None:
    assert control_cells(plan(tmp_path)) == []
    only = plan(tmp_path, algos=("random", "bc"), seeds=(0,))
    lines: list[str] = []
    assert run_plan(only, lines.append)
    assert lines[-1] == "POS-EWT-v0 controls: no agent learns from rewards"


def test_a_start_from_another_bc_is_another_number(tmp_path: Path) -> None:
    def digest(out: Path = tmp_path, **changes: Any) -> str:
        cells = plan(out, seeds=(0,), controls=False, **changes).cells()
        return next(cell.digest for cell in cells if cell.algo.endswith(":run"))

    assert digest() == digest(out=tmp_path / "elsewhere")
    assert digest() != digest(env_kwargs={**SAMPLE, "window": 0})
    assert digest() != digest(encoder_mode="finetune")
    order = [c.algo for c in plan(tmp_path, algos=ALGOS[::-1], seeds=(0,)).cells()]
    assert order == ["bc", "random", "maskable_ppo+bc:run"]  # bc before what starts from it


def test_misuse_is_refused(tmp_path: Path) -> None:
    for changes, words in (
        ({"algos": ("maskable_ppo+bc:run",), "controls": False}, "starts from its runs: add bc"),
        ({"algos": ("maskable_ppo",)}, "--controls compare with it: add bc"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            run_plan(plan(tmp_path, **changes), lambda line: None)
    with pytest.raises(InvalidArgumentError, match="leave --ray out"):
        run_plan(plan(tmp_path), lambda line: None, cluster=Cluster("local", 1))


@pytest.mark.parametrize("env_id", ["NER-CoNLL-v0", "SpanQA-SQuAD-v0"])
@pytest.mark.parametrize("reward", ["correctness", "metric", "sparse"])
def test_a_constant_reward_is_that_of_every_action(env_id: str, reward: str) -> None:
    task: Any = make_task(env_id, corpus="sample", encoder="hashed", reward=reward)
    task.constant_reward = 0.5
    state = task.initial(np.arange(3))
    assert (task.action_rewards(state) == 0.5).all()
    rewards, _ = task.transition(state, np.array([0, 1, 2]))
    assert rewards.tolist() == [0.5] * 3
    outputs = task.outputs(state)
    assert len(outputs) == 3  # what is scored is not changed


def test_cells_say_their_time(tmp_path: Path) -> None:
    one = plan(tmp_path, algos=("bc",), seeds=(0,), controls=False)
    assert run_plan(one, lambda line: None)
    record = read_cell(one.cells()[0], tmp_path)
    assert record is not None
    assert record["n_timesteps"] == 600
    assert record["alarms"] == []
    assert BC_TIME not in build_table([record])["algos"]
