"""`Agent.select` and ``nlp-gym select``: which texts are proposed to be labelled, in what order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym_agents import load_agent
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.selection.answered import answered_rows
from nlp_gym_agents.prediction.selection.scores import (
    STRATEGIES,
    disagreement,
    entropy,
    in_order,
    uncertainty,
)
from nlp_gym_agents.training.train import train

TEXTS = ["Ann sings in Rome.", "", "Bob Lee works. He lives in Oslo.", "Ann sings in Rome.", "No."]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two taggers that differ in their seed, a classifier, and a tagger with a smaller network."""
    folder, found = tmp_path_factory.mktemp("select"), list[Path]()
    taggers = [(seed, "NER-CoNLL-v0", {}) for seed in (0, 1)]
    small = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [16]}}}
    for seed, env, hyperparams in (
        *taggers,
        (0, "Sentiment-SST2-v0", {}),
        (2, "NER-CoNLL-v0", small),
    ):
        config = TrainConfig(
            env=env,
            algo="bc",
            n_timesteps=64,
            seed=seed,
            hyperparams=hyperparams,
            env_kwargs={"corpus": "sample", "encoder": "hashed"},
            device="cpu",
        )
        found.append(train(config, run_dir=folder / f"{env}-{seed}", progress=False))
    return found


@pytest.fixture(scope="module")
def agent(runs: list[Path]) -> Agent:
    return load_agent(runs[0])


P = np.array([[0.5, 0.5, 0.0], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0]], np.float32)


def test_uncertainty_by_hand() -> None:
    surprise = -(0.9 * np.log(0.9) + 0.1 * np.log(0.05))
    assert entropy(P) == pytest.approx([np.log(2), surprise, 0.0], abs=1e-6)
    assert uncertainty(P, "margin") == pytest.approx([1.0, 0.15, 0.0], abs=1e-6)
    assert uncertainty(P, "least_confidence") == pytest.approx([0.5, 0.1, 0.0], abs=1e-6)
    assert uncertainty(np.ones((2, 1), np.float32), "margin") == pytest.approx([0.0, 0.0])


def test_disagreement_by_hand() -> None:
    """Two members that are each sure of another action share one bit; alike ones share nothing."""
    one, other = (np.array([[a, 1 - a], [0.5, 0.5]], np.float32) for a in (1.0, 0.0))
    assert disagreement([one, other]) == pytest.approx([np.log(2), 0.0], abs=1e-6)


def test_order_has_each_text_once_and_ties_in_the_order_of_the_input() -> None:
    scores = np.array([0.1, 0.9, 0.9, 0.5, 0.9])
    assert in_order(scores, 3, ["a", None, "b", "c", "b"]) == [2, 3, 0]
    assert in_order(scores, 1, [*"abcde"]) == [1]


def measured(agent: Agent, text: str, over: str) -> float:
    """The entropy of the decisions on a text, from the trace that `explain` makes of them."""
    trace = agent.explain(text, top=1000)
    found = [
        -sum(p * np.log(p) for option in d.options if (p := option.score)) for d in trace.decisions
    ]
    return float({"mean": np.mean, "sum": np.sum, "max": np.max}[over](found))


@pytest.mark.parametrize("over", ["mean", "sum", "max"])
def test_select_scores_are_those_of_the_decisions(over: str, agent: Agent) -> None:
    found = agent.select(TEXTS, 10, over=over)
    assert [one.rank for one in found] == [1, 2, 3]  # neither the blank nor the repeated one
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    temperature, agent.calibration = agent.calibration, None  # as the network has them
    try:
        for one in found:
            assert one.score == pytest.approx(measured(agent, TEXTS[one.index], over), abs=1e-3)
    finally:
        agent.calibration = temperature


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_select_is_deterministic(strategy: str, agent: Agent, runs: list[Path]) -> None:
    more: dict[str, Any] = {"ensemble": [runs[1]]} if strategy == "disagreement" else {}
    first, second = (agent.select(TEXTS, 2, strategy=strategy, **more) for _ in range(2))
    assert [one.to_dict() for one in first] == [one.to_dict() for one in second]
    assert len(first) == 2
    assert all(one.score >= 0 for one in first)
    assert first[0].row == {"text": TEXTS[first[0].index]}
    before = agent.predict(TEXTS)  # an ensemble leaves the agent's own weights
    assert [r.to_dict() for r in load_agent(runs[0]).predict(TEXTS)] == [
        r.to_dict() for r in before
    ]


def test_select_random_is_drawn_by_the_seed(agent: Agent) -> None:
    texts = [f"Text {i}." for i in range(30)]
    drawn = [
        [one.index for one in agent.select(texts, 5, strategy="random", seed=seed)]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_select_samples_and_rows(agent: Agent, runs: list[Path]) -> None:
    given = [["Ann", "sings"], {"words": ["Bob", "sleeps"], "id": "b"}]
    found = {one.index: one for one in agent.select(given, 5)}
    assert found[0].row == {"text": "Ann sings"}
    assert found[1].row == {"words": ["Bob", "sleeps"], "id": "b"}
    classifier = load_agent(runs[2])
    (one,) = classifier.select([{"text": "A film."}], 5)
    classifier.observe(one.row, "positive")  # what is proposed can be answered
    assert classifier.corrections() == [{"text": "A film.", "label": "positive"}]
    classifier.feedback_file.unlink()


def test_select_leaves_out_what_is_answered(agent: Agent) -> None:
    assert [one.text for one in agent.select(TEXTS, 9, strategy="random")].count(TEXTS[0]) == 1
    agent.observe(TEXTS[0], ["O"] * 5)
    chosen = agent.select(TEXTS, 9, strategy="random")
    agent.feedback_file.unlink()
    assert {one.text for one in chosen} == {TEXTS[2], TEXTS[4]}


def test_select_has_equal_samples_of_other_names_once(agent: Agent) -> None:
    given = [{"words": ["Ann", "sings"], "id": name} for name in "ab"]
    assert [one.id for one in agent.select(given, 5)] == ["a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget"),
        ({"strategy": "entrop"}, "Did you mean 'entropy'"),
        ({"over": "min"}, "over"),
        ({"given": "one text"}, "a list of texts"),
    ],
)
def test_select_refusals(options: dict[str, Any], message: str, agent: Agent) -> None:
    own = {"given": TEXTS, "budget": 2, **options}
    with pytest.raises(InvalidArgumentError, match=message):
        agent.select(**own)


def test_select_checkpoints_of_the_run_are_members(
    agent: Agent, runs: list[Path], tmp_path: Path
) -> None:
    (one, *_) = agent.select(TEXTS, 1, strategy="disagreement")
    assert one.score > 0
    alone = shutil.copytree(runs[0], tmp_path / "run", ignore=lambda *_: ["checkpoints"])
    with pytest.raises(InvalidArgumentError, match="no checkpoint whose weights differ"):
        load_agent(alone).select(TEXTS, 1, strategy="disagreement")


def test_select_ensemble_has_the_same_task_and_network(agent: Agent, runs: list[Path]) -> None:
    for run, message in ((runs[2], "another env"), (runs[3], "another shape")):
        with pytest.raises(InvalidArgumentError, match=message):
            agent.select(TEXTS, 2, strategy="disagreement", ensemble=[run])


def test_select_command(runs: list[Path], tmp_path: Path) -> None:
    texts, output = tmp_path / "texts.txt", tmp_path / "chosen.jsonl"
    texts.write_text("\n".join([*TEXTS, "北京 " * 1000, "word " * 2000]) + "\n", encoding="utf-8")
    arguments = ["select", str(runs[0]), "--input", str(texts), "--budget", "4"]
    result = CliRunner().invoke(app, [*arguments, "--output", str(output)])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [record["rank"] for record in records] == [1, 2, 3, 4]
    assert {record["id"].partition(":")[0] for record in records} == {"texts.txt"}
    assert CliRunner().invoke(app, arguments).stdout == output.read_text(encoding="utf-8")
    for wrong in (["--strategy", "x"], ["--input", str(tmp_path / "no.txt")]):
        result = CliRunner().invoke(app, [*arguments, *wrong])
        assert result.exit_code == 1
        assert "Traceback" not in result.output
    answered = tmp_path / "answered.jsonl"
    first = {**records[0], "row": {**records[0]["row"], "labels": ["O"]}}
    two = [{**records[1], "row": {**records[1]["row"], "labels": ["O"] * 5000}}, first]
    answered.write_text("\n".join(map(json.dumps, two)) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["feedback", str(runs[0]), "--input", str(answered)])
    assert result.exit_code == 1
    assert "row 1: correct: 5000 labels for" in result.stderr


def test_select_rows_are_answered(agent: Agent, tmp_path: Path) -> None:
    chosen = [one.to_dict() for one in agent.select(TEXTS, 2, strategy="random")]
    for one in chosen:
        one["row"]["entities"] = []
    file = tmp_path / "answered.jsonl"
    file.write_text("\n".join(map(json.dumps, chosen)) + "\n", encoding="utf-8")
    rows = answered_rows(file)
    assert rows is not None
    assert agent.observe_rows(rows) == 2
    kept = agent.corrections()
    left = agent.select(TEXTS, 9, strategy="random")
    agent.feedback_file.unlink()
    assert {label for row in kept for label in row["labels"]} == {"O"}
    assert len(left) == 1
    assert answered_rows(tmp_path / "none.jsonl") is None
    file.write_text(file.read_text() + '{"text": "Ann"}\n')
    with pytest.raises(DataError, match=r"jsonl:3: it has no 'row'"):
        answered_rows(file)
