"""Runs that write: resumed exactly, scored, searched, and asked for alternatives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch as th
from conftest import assert_same_results
from safetensors.torch import load_file
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError, RunError, UnknownNameError
from nlp_gym.files import sha256_file
from nlp_gym.types import Sample
from nlp_gym_agents.algorithms.imitation.demonstrations import collect
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.baselines import copy, lead, run_baselines
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.results import WrittenText
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.train import resume, train

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

DECODER = {"features_extractor_kwargs": {"width": 16, "layers": 1, "heads": 2, "dropout": 0.1}}
SMALL: dict[str, dict[str, Any]] = {
    "bc": {"batch_size": 64, "weight_average": 0.9, "warmup": 0.1, "mixed_precision": True},
    "maskable_ppo": {
        "n_steps": 8,
        "batch_size": 16,
        "kl": {"coef": 0.1, "target": 0.01},
        "start": {"temperature": 0.7, "fit_values": True},
    },
    "ppo": {"n_steps": 8, "batch_size": 16},
    "rloo": {
        "texts": 1,
        "samples": 2,
        "batch_size": 16,
        "weight_average": 0.9,
        "kl": {"coef": 0.1, "target": 0.01},
        "start": {"temperature": 0.7},
    },
    "masked_dqn": {"buffer_size": 200, "learning_starts": 16, "batch_size": 16, "train_freq": 2},
}


def config(algo: str, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "env": "Translation-Multi30k-v0",
        "algo": algo,
        "n_timesteps": 96,
        "n_envs": 4,
        "encoder": "hashed",
        "hyperparams": {**SMALL[algo], "policy_kwargs": DECODER},
        "env_kwargs": {"corpus": "sample"},
        "eval_freq": 48,
        "save_freq": 32,
        **changes,
    }
    return TrainConfig(**values)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "bc"
    options = {"batch_size": 128, "learning_rate": 3e-3, "policy_kwargs": DECODER}
    given = config("bc", n_timesteps=9000, eval_freq=4500, save_freq=4500, hyperparams=options)
    return train(given, run_dir=folder, progress=False)


def last(run: Path) -> dict[str, th.Tensor]:
    return load_file(newest(run / "checkpoints")[0] / "policy.safetensors")


@pytest.mark.parametrize("algo", sorted(SMALL))
def test_writing_runs_resume_exactly(algo: str, run: Path, tmp_path: Path) -> None:
    start = {} if algo == "bc" else {"warm_start": str(run)}
    whole = train(config(algo, **start), run_dir=tmp_path / "whole", progress=False)
    half = tmp_path / "half"
    shutil.copytree(whole, half)
    shutil.rmtree(newest(half / "checkpoints")[0])
    resume(half, progress=False)
    one, two = last(whole), last(half)
    assert all(th.equal(one[name], two[name]) for name in one)
    values = [[(r["timesteps"], r["value"]) for r in read_metrics(r)] for r in (whole, half)]
    assert values[0] == values[1]


def test_writing_runs_keep_their_vocabulary(run: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "best" / "settings.json").read_text(encoding="utf-8"))
    agent = load_trained(run)
    assert agent.task("test").vocabulary.settings == settings["learnt"]["vocabulary"]
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for path in other.glob("checkpoints/*/settings.json"):
        changed = json.loads(path.read_text(encoding="utf-8"))
        changed["learnt"]["vocabulary"] = changed["learnt"]["vocabulary"].replace("Hund", "Hurd")
        path.write_text(json.dumps(changed), encoding="utf-8")
        manifest = path.parent / "manifest.json"
        known = json.loads(manifest.read_text())
        known["files"]["settings.json"] = sha256_file(path)
        manifest.write_text(json.dumps(known))
    with pytest.raises(RunError, match="learnt"):
        resume(other, n_timesteps=12000, progress=False)


def test_writing_runs_are_scored_greedily_and_with_a_beam(run: Path) -> None:
    best = json.loads((run / "best" / "settings.json").read_text(encoding="utf-8"))
    assert evaluate(run, "dev", bootstrap=0).value == best["value"]
    searched = evaluate(run, "dev", env_kwargs={"beam": 3})
    assert 0 <= searched.value <= 1
    assert {"chrf", "rouge_l", "length_ratio", "repetition", "copied"} <= set(searched.report)
    assert "BLEU" in searched.text


def test_writing_runs_predict_any_text(run: Path) -> None:
    texts = ["Two dogs play.", "", "今天天气很好", "word " * 300, "🙂"]
    with pytest.warns(UserWarning, match="more than 48 words"):
        found = Agent(run).predict(texts)
    assert [result.text for result in found] == texts
    assert "output" not in found[1].to_dict()
    for result in (found[i] for i in (0, 2, 3, 4)):
        assert isinstance(result, WrittenText)
        written = "".join(token.text for token in result.tokens).removesuffix("</s>")
        assert " ".join(written.split()) == result.output
        shares = [token.confidence or 0 for token in result.tokens]
        assert result.confidence == pytest.approx(sum(shares) / len(shares))
    assert_same_results(Agent(run).predict(texts[:1]), found[:1])


def test_writing_runs_say_what_else_they_could_have_written(run: Path) -> None:
    results = Agent(run, checkpoint="last", alternatives=3).predict(
        ["Two dogs play.", "A cat sleeps."]
    )
    for record in (result.to_dict() for result in results):
        assert not record["calibrated"]  # the temperature is that of the best policy
        assert record["greedy"] == record["output"]
        written = "".join(place["token"] for place in record["tokens"]).removesuffix("</s>")
        assert " ".join(written.split()) == record["output"]
        for place in record["tokens"]:
            shares = [other["probability"] for other in place["alternatives"]]
            assert len(shares) == 3
            assert shares == sorted(shares, reverse=True)
            assert 0 < sum(shares) <= 1 + 1e-6
            assert place["alternatives"][0]["token"] == place["token"]


def test_writing_runs_are_read_again_and_again(run: Path) -> None:
    predictor = Agent(run)
    first = predictor.predict(["A dog."])
    for texts in (
        ["Two dogs play in the deep snow."],
        ["One"],
        ["A dog.", "Two small cats sleep."],
    ):
        assert_same_results(predictor.predict(texts), Agent(run).predict(texts))
    assert_same_results(predictor.predict(["A dog."]), first)


def test_files_with_translations_beside_are_read_without_them(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("A dog runs.\tEin Hund rennt.\nTwo.\tZwei.\n", encoding="utf-8")
    predictor = Agent(run)
    assert [item.words for item in predictor.gather(None, file)] == [
        ("A", "dog", "runs", "."),
        ("Two", "."),
    ]
    file.write_text("A dog runs.\n\nTwo.\n", encoding="utf-8")
    assert len(predictor.gather(None, file)) == 3


@pytest.mark.parametrize("name", ["max_length", "max_source", "tokens", "vocabulary"])
def test_what_was_trained_cannot_be_resized(run: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        evaluate(run, "dev", env_kwargs={name: 12})
    with pytest.raises(InvalidArgumentError, match=name):
        Agent(run, env_kwargs={name: 12}).predict(["A dog."])


def test_own_files_are_scored(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.tsv"
    file.write_text("source\ttarget\nA dog.\tEin Hund.\nA cat.\tEine Katze.\n", encoding="utf-8")
    score = evaluate(run, data=file, bootstrap=0)
    assert score.n == 2


def test_warm_starts_write_with_the_same_vocabulary(run: Path, tmp_path: Path) -> None:
    other = config("ppo", warm_start=str(run))
    other = other.with_changes(env_kwargs={**other.env_kwargs, "pair": "de-en"})
    with pytest.raises(RunError, match="another vocabulary"):
        train(other, run_dir=tmp_path / "run", progress=False)


def test_q_networks_are_taught_to_write(tmp_path: Path) -> None:
    options = {**SMALL["masked_dqn"], "policy_kwargs": DECODER, "gamma": 1.0}
    given = config("masked_dqn", warm_start="bc:4", n_timesteps=32, hyperparams=options)
    run = train(given, run_dir=tmp_path / "run", progress=False)
    agent = load_trained(run, checkpoint="last")
    task = agent.task("train")
    with agent.reading(task) as model:
        found = collect(task, gamma=1.0).take(th.arange(300), model.device)
        best = model.q_net(found.observations).argmax(dim=1)
    assert (best == found.actions).float().mean() > 0.1  # of 1,400 tokens; by chance .0007
    assert evaluate(run, "dev", env_kwargs={"beam": 2}, bootstrap=0).n == 30
    place = Agent(run, alternatives=2).predict(["A dog."])[0].record["tokens"][0]
    assert "value" in place["alternatives"][0]


def test_penalties_are_checked_before_anything_is_trained(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "run"
    wrong = {**SMALL["ppo"], "policy_kwargs": DECODER, "kl": {"coeff": 0.1}}
    with pytest.raises(UnknownNameError, match="coef"):
        train(config("ppo", hyperparams=wrong, warm_start=str(run)), run_dir=target, progress=False)
    wrong = {**SMALL["masked_dqn"], "policy_kwargs": DECODER, "kl": {"coef": 0.1}}
    with pytest.raises(InvalidArgumentError, match="learns from rollouts"):
        train(config("masked_dqn", hyperparams=wrong), run_dir=target, progress=False)
    assert not (target / "config.yml").exists()


def test_reports_have_the_beginning_of_the_source_beside_them(run: Path) -> None:
    agent = load_trained(run)
    train_task, task = agent.task("train"), agent.task("test")
    scores = run_baselines(train_task, task, ["lead", "copy", "oracle"], bootstrap=0)
    assert scores["oracle"].value == 1.0
    assert 0 <= scores["lead"].value < 0.1
    assert lead(train_task, [Sample(("a",), extra={"text": "one  two"})]) == ["one  two"]
    long = Sample(("a",), extra={"text": "word " * 50})
    assert 3 < len(lead(train_task, [long])[0].split()) < 15
    assert copy(train_task, [long]) == ["word " * 50]


def test_alternatives_are_for_agents_that_write(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="alternatives=-1"):
        Agent(run, alternatives=-1).predict(["A dog."])
    tags = config("bc", env="POS-v0", hyperparams={}, n_timesteps=64)
    other = train(tags, run_dir=tmp_path / "tags", progress=False)
    with pytest.raises(InvalidArgumentError, match="alternatives=2"):
        Agent(other, alternatives=2)


def test_predict_command_reads_a_file_of_sources(run: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"source": "Two dogs play."}, {"source": "A cat sleeps."}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = CliRunner().invoke(
        app, ["predict", str(run), "--input", str(file), "--output", str(out)]
    )
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(found) == 2
    assert all("output" in record for record in found)


def test_writing_runs_log_what_is_watched(run: Path) -> None:
    rows = read_metrics(run)
    assert all({"length_ratio", "repetition", "copied", "chrf"} <= set(row) for row in rows)
