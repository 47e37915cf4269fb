"""Defaults that follow the corpus and ``-n``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlp_gym_agents.algorithms.pretraining import DEFAULT_EPOCHS, SMALL, default_epochs
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.lengths import (
    CLONING_PASSES,
    CLONING_UPDATES,
    cloning_length,
    compared_cloning_length,
    default_patience,
    fitted,
    rollout_length,
)
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.test_report import final_report
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.training.train import resume, train

SAMPLE = {"corpus": "sample", "encoder": "hashed", "window": 0}
TRPO = "sb3_contrib:TRPO"
ALGOS = (
    "a2c",
    "ppo",
    "maskable_ppo",
    "recurrent_ppo",
    TRPO,
    "dqn",
    "masked_dqn",
    "qrdqn",
)
counts = st.integers(1, 10**7)


@given(counts, counts, st.integers(1, 4096), counts)
def test_lengths_of_cloning_stay_between_their_bounds(
    default: int, decisions: int, batch: int, n: int
) -> None:
    length = cloning_length(default, decisions, batch)
    assert length <= default
    assert length == default or length >= max(CLONING_PASSES * decisions, CLONING_UPDATES * batch)
    compared = compared_cloning_length(default, decisions, batch, n_timesteps=n)
    assert compared <= length
    assert compared == length or compared >= max(n, decisions)


@pytest.mark.parametrize(
    ("env_id", "decisions"),
    [
        ("NER-CoNLL-v0", 203_621),
        ("NER-WNUT-v0", 62_730),
        ("DialoguePolicy-SGD-v0", 7_800),
        ("ChoiceQA-OpenBookQA-v0", 11_000),
        ("Dialogue-DailyDialog-v0", 7_600),
        ("Relation-SemEval-v0", 8_000),
        ("KnowledgeGraph-WN18RR-v0", 167_000),
    ],
)
def test_lengths_of_real_corpora_are_those_of_the_files(env_id: str, decisions: int) -> None:
    config = merge(TrainConfig(env=env_id, algo="bc"))
    total = config.n_timesteps or 0
    assert cloning_length(total, decisions, config.hyperparams["batch_size"]) == total


@pytest.mark.parametrize("algo", ALGOS)
@pytest.mark.parametrize("n", [3, 50, 500, 2000, 5000])
def test_lengths_of_rollouts_fit_the_run(algo: str, n: int) -> None:
    config = merge(TrainConfig(algo=algo, n_timesteps=n))
    params, n_envs = config.hyperparams, config.n_envs or 0
    length = rollout_length(resolve(algo).cls, params, n_envs)
    if length is None:
        assert params.get("train_freq", 4) * n_envs <= n
        late = [params.get(name, 0) for name in ("learning_starts", "target_update_interval")]
        assert max(late) <= max(n // 2, n_envs)
    else:
        assert length <= n
        assert length % params.get("batch_size", length) == 0
    assert merge(config) == config


@given(
    algo=st.sampled_from(ALGOS),
    n=st.integers(1, 10**6),
    n_envs=st.integers(1, 512),
    n_steps=st.integers(1, 5000),
    named=st.sets(st.sampled_from(["n_steps", "n_envs", "batch_size", "learning_starts"])),
)
def test_lengths_change_nothing_that_was_given_and_nothing_that_fits(
    algo: str, n: int, n_envs: int, n_steps: int, named: set[str]
) -> None:
    row = resolve(algo)
    params: dict[str, Any] = {"n_steps": n_steps, "batch_size": 64, "learning_starts": 5000}
    own = {"n_steps", "batch_size"} if "ppo" in algo or algo == TRPO else {"learning_starts"}
    params = {name: params[name] for name in params if name in own}
    found, envs = fitted(row, params, given=named, n_timesteps=n, n_envs=n_envs)
    for name in named & set(params) - {"batch_size"}:
        assert found[name] == params[name]
    if "batch_size" in named & set(params):  # a batch is no larger than what there is
        fits = n_steps * n_envs == found["n_steps"] * envs
        assert found["batch_size"] == (64 if fits else min(64, found["n_steps"] * envs))
    if "n_envs" in named:
        assert envs == n_envs
    assert envs <= n_envs
    if n >= 10**6 // 2:  # longer than anything here
        assert {k: found[k] for k in params} == params or n_steps * n_envs > n
    assert fitted(row, found, given=named, n_timesteps=n, n_envs=envs) == (found, envs)


def test_lengths_with_the_settings_of_the_files_are_those_of_the_files() -> None:
    for algo in ALGOS[:-1]:
        before = merge(TrainConfig(algo=algo))
        assert merge(TrainConfig(algo=algo, n_timesteps=before.n_timesteps)) == before
    assert merge(TrainConfig(algo="maskable_ppo")).hyperparams["n_steps"] == 8


@pytest.mark.parametrize("algo", [TRPO, "masked_dqn"])
def test_lengths_of_short_runs_are_kept_to(algo: str, tmp_path: Path) -> None:
    config = TrainConfig(algo=algo, n_timesteps=128, env_kwargs=SAMPLE, device="cpu")
    run = train(config, run_dir=tmp_path / "run", progress=False)
    assert read_metrics(run)[-1]["timesteps"] == 128


def test_lengths_that_were_asked_for_are_kept_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TrainConfig(
        algo="a2c", n_timesteps=40, n_envs=4, hyperparams={"n_steps": 32}, env_kwargs=SAMPLE
    )
    run = train(config, run_dir=tmp_path / "run")
    assert read_metrics(run)[-1]["timesteps"] == 128
    told = [line for line in capsys.readouterr().err.splitlines() if "rollout" in line]
    assert len(told) == 1
    assert "128 decisions" in told[0]
    assert "40 of -n" in told[0]


def test_cloning_follows_a_small_corpus_and_stops_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{name} B-PER\nsings O" for name in ("Ann", "Bob", "Cid", "Dan", "Eva")]
    data = tmp_path / "data.conll"
    data.write_text("\n\n".join(f"{words[i % 5]}\n{i} O" for i in range(60)))
    asked = TrainConfig(
        env="NER-v0",
        algo="bc",
        data=str(data),
        env_kwargs={"encoder": "hashed", "window": 0},
        hyperparams={"batch_size": 16},
        device="cpu",
    )
    run = train(asked, run_dir=tmp_path / "run")
    err = capsys.readouterr().err
    config = yaml.safe_load((run / "config.yml").read_text())
    assert config["n_timesteps"] == CLONING_UPDATES * 16  # 20 passes would be fewer
    assert config["eval_freq"] == config["n_timesteps"] // 20
    assert config["early_stopping"] == 10
    assert err.count("rather than from 1,000,000: -n gives another number.") == 1
    rows = read_metrics(run)
    best = max(row["value"] for row in rows)
    assert "Early stopping: 10 evaluations" in err
    assert rows[-1]["timesteps"] < config["n_timesteps"]
    chosen = json.loads((run / "best" / "settings.json").read_text())
    assert chosen["value"] == best
    # The same again is over; more decisions go on.
    resume(run, progress=False)
    assert len(read_metrics(run)) == len(rows)
    resume(run, n_timesteps=config["n_timesteps"] + 1000, progress=False)
    assert len(read_metrics(run)) > len(rows)


def test_cloning_of_a_given_length_does_not_follow_the_corpus(tmp_path: Path) -> None:
    config = TrainConfig(
        algo="bc", n_timesteps=700, early_stopping=0, env_kwargs=SAMPLE, device="cpu"
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    saved = yaml.safe_load((run / "config.yml").read_text())
    assert (saved["n_timesteps"], saved["early_stopping"]) == (700, 0)
    assert read_metrics(run)[-1]["timesteps"] == 700


def test_cloning_for_comparison_is_as_short_as_the_run_and_learns(tmp_path: Path) -> None:
    config = TrainConfig(
        env="Question-TREC-v0",
        algo="bc",
        n_timesteps=100,
        env_kwargs={"corpus": "sample", "encoder": "hashed"},
        device="cpu",
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    baselines = final_report(run, with_bc=True, device="cpu")["baselines"]
    assert baselines["bc"]["value"] > baselines["majority"]["value"]


def test_patience_is_half_of_the_run() -> None:
    row, small = resolve("bc"), {"batch_size": 1}
    assert default_patience(row, small, n_timesteps=1000, eval_freq=50) == 10
    assert default_patience(row, small, n_timesteps=1000, eval_freq=10) == 50
    assert default_patience(row, small, n_timesteps=1000, eval_freq=1000) == 10
    assert default_patience(resolve("ppo"), small, n_timesteps=1000, eval_freq=50) == 0


def test_patience_outlasts_what_comes_before_learning_shows() -> None:
    # The first 45 updates of a tagger of entities score less than chance: 10 of 20 evaluations.
    config = merge(TrainConfig(algo="bc", n_timesteps=45_000, hyperparams={"batch_size": 512}))
    assert (config.early_stopping or 0) * (config.eval_freq or 0) >= 100 * 512
    assert merge(TrainConfig(algo="bc", n_timesteps=1_000_000)).early_stopping == 10
    learns = TrainConfig(algo="bc", n_timesteps=1_000_000, encoder_mode="finetune")
    assert merge(learns).early_stopping == 0


def test_batches_of_a_short_cloning_leave_it_enough_updates() -> None:
    row = resolve("bc")

    def batch(n: int, size: int = 512, given: tuple[str, ...] = (), **more: Any) -> Any:
        params = {"batch_size": size, **more}
        found = fitted(row, params, given=given, n_timesteps=n, n_envs=1, usual=200_000)[0]
        return found["batch_size"]

    lengths = (10**6, 153_600, 153_599, 20_000, 5000, 1)
    assert [batch(n) for n in lengths] == [512, 512, 256, 64, 16, 8]
    assert batch(1000, 96) == 8
    assert batch(1, 4) == 4
    assert batch(5000, tuning={"mode": "finetune"}) == 512
    assert batch(5000, given=("batch_size",)) == 512
    assert merge(TrainConfig(algo="bc", n_timesteps=5000)).hyperparams["batch_size"] == 16


def test_batches_of_cloning_are_those_of_the_files_where_no_length_is_given() -> None:
    for algo in ("bc", "dagger", "aggrevate"):
        for env in ("Summary-SciTLDR-v0", "Dialogue-DailyDialog-v0", "NER-CoNLL-v0"):
            file = load_hyperparams(algo, env)
            found = merge(TrainConfig(env=env, algo=algo)).hyperparams
            assert found["batch_size"] == file["batch_size"]


@pytest.mark.slow
def test_a_short_cloning_of_the_sample_learns(tmp_path: Path) -> None:
    """With batches of 512 it gives almost every word the label O: .02 on test."""
    pytest.importorskip("all_minilm_l6_v2")
    config = TrainConfig(
        env="NER-CoNLL-v0", algo="bc", n_timesteps=5000, env_kwargs={"corpus": "sample"}
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    assert max(row["value"] for row in read_metrics(run)) > 0.4


def test_passes_of_a_warm_start_follow_the_corpus_and_the_run() -> None:
    assert default_epochs(100_000, 200_000, learns=False) == DEFAULT_EPOCHS
    assert default_epochs(100_000, 3000, learns=False) == 1
    assert default_epochs(SMALL - 1, 3000, learns=False) == 20
    assert default_epochs(SMALL - 1, 3000, learns=True) == DEFAULT_EPOCHS
