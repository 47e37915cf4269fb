"""`evaluation.evaluate`: the whole split once, the official score, JSON for programs."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_gym import make_task
from nlp_gym.errors import DataError, RunError, UnknownNameError
from nlp_gym_agents.algorithms.registry import ALGORITHMS
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation import evaluate as evaluating
from nlp_gym_agents.evaluation.evaluate import evaluate, score_line, score_record
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.training.train import resume, train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that predicts more than one label."""
    torch.set_num_threads(1)
    config = TrainConfig(
        algo="ppo",
        n_timesteps=512,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 64},
        env_kwargs={"corpus": "sample", "encoder": "hashed", "window": 0},
        eval_freq=128,
    )
    return train(config, run_dir=tmp_path_factory.mktemp("evaluate") / "run", progress=False)


def test_evaluate_dev_is_the_value_best_was_chosen_by(run: Path) -> None:
    score = evaluate(run, "dev", bootstrap=0)
    rows = read_metrics(run)
    assert score.value == max(row["value"] for row in rows)
    assert score.interval is None
    last = evaluate(run, "dev", bootstrap=0, checkpoint="last")
    assert last.value == rows[-1]["value"]


def test_evaluate_reports_the_whole_split_with_signature_and_interval(run: Path) -> None:
    score = evaluate(run, bootstrap=200)
    assert score.n == len(make_task("NER-CoNLL-v0", "test", corpus="sample").corpus)
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    assert "bs:200" in score.signature
    assert "micro avg" in score.text
    assert "B-PER" in score.text
    record = score_record(score, env_id="NER-CoNLL-v0", split="test")
    assert json.loads(json.dumps(record)) == record
    expected = {"id", "split", "metric", "value", "interval", "signature", "n", "tags"}
    assert expected <= set(record)
    corpus = make_task("NER-CoNLL-v0", "test", corpus="sample").corpus
    assert record["corpus"] == {
        "name": "conll2003",
        "text_sha256": corpus.text_hash,
        "bundled": True,
        "source": str(corpus.source),
        "n_skipped": 0,
    }
    assert f"{score.value:.4f}" in score_line(score)


def test_evaluate_own_file_is_scored_whole_and_unseen_labels_count_as_missed(
    run: Path, tmp_path: Path
) -> None:
    data = tmp_path / "mine.conll"
    data.write_text("Ann B-PER\n\nBob B-PER\nsings O\n\nSolo B-SONG\nplays O\n")
    with pytest.warns(UserWarning, match=r"B-SONG \(1x\)"):
        score = evaluate(run, data=data, bootstrap=10)
    assert score.n == 3
    assert score.report["tags"]["B-SONG"]["recall"] == 0.0


def test_evaluate_own_folder_uses_its_split(run: Path, tmp_path: Path) -> None:
    for split, count in (("train", 3), ("dev", 2), ("test", 1)):
        (tmp_path / f"{split}.conll").write_text("Ann B-PER\nsings O\n\n" * count)
    assert evaluate(run, data=tmp_path, bootstrap=0).n == 1


def test_evaluate_executes_no_pickle(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    evaluate(run, "dev", bootstrap=0)


def test_evaluate_errors_name_what_is_wrong(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'test'"):
        evaluate(run, "tets")
    with pytest.raises(DataError, match=r"no\.conll"):
        evaluate(run, data=tmp_path / "no.conll")
    with pytest.raises(DataError, match="data_dir"):
        evaluate(run, data_dir=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("settings.json", None, "incomplete: settings.json"),
        ("policy.safetensors", "x", "damaged"),
        ("manifest.json", None, "not a complete snapshot"),
    ],
)
def test_evaluate_damaged_run(
    run: Path, tmp_path: Path, file: str, text: str | None, message: str
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    if text is None:
        (copy / "best" / file).unlink()
    else:
        (copy / "best" / file).write_text(text)
    with pytest.raises(RunError, match=message):
        evaluate(copy)


def test_evaluate_another_encoder_is_refused(run: Path) -> None:
    agent = load_trained(run)
    with pytest.raises(RunError, match="fingerprint"):
        agent.task("test", encoder_kwargs={"dim": 32})


@pytest.mark.parametrize("split", ["dev", "test"])
def test_evaluate_refuses_another_corpus_than_the_runs(
    run: Path, tmp_path: Path, split: str
) -> None:
    other = load_trained(run)
    for corpus in other.settings["corpora"].values():
        corpus["text_sha256"] = "0" * 64
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "load_trained", lambda *args, **kwargs: other)
        with pytest.raises(RunError, match=r"bundled sample of conll2003.*--data-dir"):
            evaluate(run, split, bootstrap=0)
        (tmp_path / f"{split}.conll").write_text("Ann B-PER\nsings O\n")
        assert evaluate(run, split, data=tmp_path / f"{split}.conll", bootstrap=0).n == 1
        del other.settings["corpora"]  # a run of an older release
        evaluate(run, split, bootstrap=0)


def test_evaluate_warns_where_a_named_folder_holds_another_corpus(run: Path) -> None:
    agent = load_trained(run)
    agent.settings["corpora"]["dev"]["text_sha256"] = "0" * 64
    task = agent.task("test")
    with pytest.warns(UserWarning, match="trained with another conll2003 corpus"):
        evaluating.check_corpus(agent, task, explicit=True, overrides={})


def test_evaluate_rebuilds_a_model_that_learns_nothing(tmp_path: Path) -> None:
    shapes = {
        "masked_dqn": {"buffer_size": 512, "learning_starts": 16, "batch_size": 16},
        "ppo": {"n_steps": 1, "batch_size": 8},
    }
    for algo, shape in shapes.items():
        config = TrainConfig(
            algo=algo,
            n_timesteps=16,
            n_envs=8,
            hyperparams=shape,
            env_kwargs={"corpus": "sample", "encoder": "hashed", "window": 0},
        )
        agent = load_trained(train(config, run_dir=tmp_path / algo, progress=False))
        task = agent.task("dev")
        agent.outputs(task)
        model = agent.model(task)
        if algo == "masked_dqn":
            assert model.replay_buffer.buffer_size == 1
        else:
            assert (model.n_steps, model.batch_size) == (2, 2)


def test_evaluate_names_the_number_format_of_another_encoder(run: Path) -> None:
    agent = load_trained(run)
    task = agent.task("test")
    agent._encoder = copy.copy(task.encoder)
    agent._encoder.dtype, agent._encoder.fingerprint = "float32", "0" * 64
    with pytest.raises(RunError, match=r"\(dtype float32, asked for as auto\)"):
        agent.task("test")


@pytest.mark.parametrize("algo", sorted(ALGORITHMS))
def test_evaluate_loads_what_every_algorithm_saved(tmp_path: Path, algo: str) -> None:
    shape = {"n_steps": 8, "batch_size": 32} if "p" in algo else {}  # ppo, expected_pg
    if ALGORITHMS[algo].policy_kind == "q":
        shape = {"buffer_size": 512, "learning_starts": 16, "batch_size": 16}
    config = TrainConfig(
        algo=algo,
        n_timesteps=64,
        n_envs=8,
        hyperparams=shape,
        env_kwargs={"corpus": "sample", "encoder": "hashed", "window": 0},
        eval_freq=64,
    )
    run = resume(train(config, run_dir=tmp_path / "run", progress=False), n_timesteps=128)
    rows = read_metrics(run)
    assert evaluate(run, "dev", bootstrap=0, checkpoint="last").value == rows[-1]["value"]
    assert evaluate(run, "dev", bootstrap=0).value == max(row["value"] for row in rows)


def test_evaluate_features_observations_need_no_corpus_beside_the_policy(tmp_path: Path) -> None:
    config = TrainConfig(
        algo="ppo",
        n_timesteps=64,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 32},
        env_kwargs={"corpus": "sample", "encoder": "hashed", "window": 0, "obs_type": "features"},
        eval_freq=64,
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    best = max(row["value"] for row in read_metrics(run))
    assert evaluate(run, "dev", bootstrap=0).value == best


def reported(run: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a run with a report, as training writes it at its end."""
    from nlp_gym_agents.evaluation.test_report import final_report

    if not (run / "report.json").exists():
        final_report(run)
    copied = Path(shutil.copytree(run, folder / "copy"))
    report = json.loads((copied / "report.json").read_text())
    (copied / "report.json").write_text(json.dumps({**report, **changes}))
    return copied


def reverified(run: Path, *flags: str) -> Any:
    from typer.testing import CliRunner

    from nlp_gym_agents.cli.main import app

    return CliRunner().invoke(app, ["evaluate", str(run), "--reverify", *flags])


def test_evaluate_reverify_repeats_the_number_on_record(run: Path, tmp_path: Path) -> None:
    copied = reported(run, tmp_path)
    value = json.loads((copied / "report.json").read_text())["value"]
    result = reverified(copied, "--json", str(tmp_path / "verdict.json"))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"entity_f1 on test: {value!r} holds exactly.\n"
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["holds"] is verdict["exact"] is True
    assert verdict["repeated"] == value
    (copied / "report.json").unlink()
    result = reverified(copied)  # of a run without a report, the dev score
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("entity_f1 on dev: ")


def test_evaluate_reverify_tells_both_numbers_and_what_changed(run: Path, tmp_path: Path) -> None:
    value = evaluate(run, bootstrap=0).value
    copied = reported(run, tmp_path, value=value + 0.25, signature="metric:entity_f1|scheme:old")
    file = copied / "versions.json"
    versions = json.loads(file.read_text())
    versions["packages"]["torch"] = "1.0"
    file.write_text(json.dumps(versions))
    result = reverified(copied)
    assert result.exit_code == 1
    first, *changes = result.stdout.splitlines()
    assert first == f"entity_f1 on test: {value + 0.25!r} is on record, but it is {value!r} now."
    assert changes[0].startswith("changed: torch was '1.0' and is ")
    assert changes[1].startswith("changed: the signature was 'metric:entity_f1|scheme:old' and is")


def test_evaluate_reverify_within_float_error_holds(run: Path, tmp_path: Path) -> None:
    value = evaluate(run, bootstrap=0).value
    result = reverified(reported(run, tmp_path, value=value + 1e-9))
    assert result.exit_code == 0
    assert "holds within 1e-06" in result.stdout


def test_evaluate_reverify_of_another_encoder_or_corpus_says_so(run: Path, tmp_path: Path) -> None:
    from nlp_gym_agents.evaluation.reverify import reverify

    copied = reported(run, tmp_path, corpus={"text_sha256": "0" * 64})
    verdict = reverify(copied)
    assert verdict.holds
    assert verdict.changes[0].startswith("the test texts had sha256 000000000000 and have ")
    agent = load_trained(copied)
    for settings in [agent.folder / "settings.json"]:
        saved = json.loads(settings.read_text())
        saved["encoder"]["fingerprint"] = "f" * 64
        settings.write_text(json.dumps(saved))
        manifest = settings.parent / "manifest.json"
        listed = json.loads(manifest.read_text())
        import hashlib

        listed["files"][settings.name] = hashlib.sha256(settings.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(listed))
    result = reverified(copied)
    assert result.exit_code == 1
    assert "cannot be repeated: encoder 'hashed' has fingerprint" in result.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [("metric", "accuracy"), ("split", "train"), ("n", 3), ("id", "POS-v0"), ("interval", [0, 1])],
)
def test_evaluate_reverify_believes_nothing_on_record(
    run: Path, tmp_path: Path, name: str, value: Any
) -> None:
    from nlp_gym_agents.evaluation.reverify import reverify

    if name == "interval":
        known = reported(run, tmp_path / "known")
        assert reverify(known).holds
    verdict = reverify(reported(run, tmp_path, **{name: value}))
    assert not verdict.holds
    assert f"{name} is {value!r} on record, and it is " in verdict.line


def test_evaluate_reverify_takes_no_other_settings(run: Path, tmp_path: Path) -> None:
    copied = reported(run, tmp_path)
    for flags in (("--split", "dev"), ("--perturb", "all"), ("--env-kwargs", "window:1")):
        result = reverified(copied, *flags)
        assert result.exit_code == 1
        assert f"{flags[0]}: --reverify repeats" in result.stderr
    (copied / "report.json").write_text("[]")
    result = reverified(copied)
    assert "is damaged: it holds no score" in result.stderr
