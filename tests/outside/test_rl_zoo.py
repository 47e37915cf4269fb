"""RL Zoo's own trainer and player on this project's ids and hyperparameters."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rl_zoo3 = pytest.importorskip("rl_zoo3")

ROOT = Path(__file__).resolve().parents[2]
ENV_KWARGS = ("--env-kwargs", "encoder:'hashed'", "corpus:'sample'")


def zoo(program: str, algo: str, env: str, *arguments: str, logs: Path) -> str:
    """What ``python -m rl_zoo3.PROGRAM`` prints."""
    command = [sys.executable, "-W", "ignore", "-m", f"rl_zoo3.{program}", "--algo", algo]
    command += ["--env", env, "--gym-packages", "nlp_gym", "-f", str(logs), *arguments]
    paths = f"{ROOT}{os.pathsep}{ROOT / 'agents'}"
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        cwd=logs.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("algo", "env", "learned"),
    [("ppo", "NER-CoNLL-v0", 8.0), ("dqn", "ChoiceQA-ARC-v0", None)],
)
def test_rl_zoo_trains_and_plays(
    algo: str, env: str, learned: float | None, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    arguments = ["--conf-file", f"nlp_gym_agents.rl_zoo.{algo}", *ENV_KWARGS, "--seed", "1"]
    steps = "4096" if learned else "600"
    out = zoo("train", algo, env, *arguments, "-n", steps, "--eval-freq", "512", logs=logs)
    assert f"Loading hyperparameters from: nlp_gym_agents.rl_zoo.{algo}" in out
    run = logs / algo / f"{env}_1"
    evaluations = np.load(run / "evaluations.npz")["results"].mean(axis=1)
    if learned is not None:  # correct words of a sentence, of about 14
        assert evaluations[-1] > max(learned, evaluations[0])
    assert (run / "best_model.zip").is_file()
    played = zoo("enjoy", algo, env, "--no-render", "-n", "60", logs=logs)
    assert "Mean reward: " in played


@pytest.mark.timeout(240)
def test_rl_zoo_draws_what_it_plays(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    conf = ["--conf-file", "nlp_gym_agents.rl_zoo.a2c", *ENV_KWARGS]
    zoo("train", "a2c", "NER-CoNLL-v0", *conf, "-n", "256", "--eval-freq", "-1", logs=logs)
    assert "word 1/" in zoo("enjoy", "a2c", "NER-CoNLL-v0", "-n", "3", logs=logs)


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("algo", ["ppo", "a2c", "dqn", "qrdqn", "ppo_lstm"])
def test_rl_zoo_takes_every_section(algo: str) -> None:
    import importlib

    import gymnasium as gym
    from rl_zoo3.exp_manager import ExperimentManager
    from rl_zoo3.utils import ALGOS, get_class_by_name
    from stable_baselines3.common.env_util import make_vec_env

    from nlp_gym.errors import InvalidArgumentError

    table = importlib.import_module(f"nlp_gym_agents.rl_zoo.{algo}").hyperparams
    built = set()
    for env in table:
        if env != "default" and "generation" in str(gym.spec(env).kwargs):
            with pytest.raises(InvalidArgumentError, match="write texts"):
                table[env]
            continue
        section = table[env]
        args = argparse.Namespace()
        manager = ExperimentManager(args, algo, "NER-CoNLL-v0", "logs", verbose=0)
        params, wrapper, callbacks, vec_wrapper = manager._preprocess_hyperparams(dict(section))
        assert (wrapper, callbacks, vec_wrapper) == (None, [], None)
        assert manager.n_envs == section["n_envs"]
        assert params["policy"] is get_class_by_name(section["policy"])
        kind = env.partition("-")[0]
        if kind in ("NER", "ChoiceQA", "SpanQA") and kind not in built:
            built.add(kind)
            kwargs: dict[str, Any] = {"encoder": "hashed", "corpus": "sample", **manager.env_kwargs}
            venv = make_vec_env(lambda e=env, k=kwargs: gym.make(e, **k), n_envs=2)
            if "dqn" in algo:
                params["buffer_size"] = 64
            if algo == "ppo_lstm" and kind != "NER":  # as in plain Stable-Baselines3 code
                with pytest.raises(InvalidArgumentError, match="whose actions are candidates"):
                    ALGOS[algo](env=venv, **params)
                continue
            model = ALGOS[algo](env=venv, **params)
            names = [type(module).__name__ for module in model.policy.modules()]
            scored = [name for name in names if name.endswith("Scores")]
            heads = {"qrdqn": ["QuantileScores"] * 2, "dqn": ["Scores"] * 2}  # online and target
            assert scored == ([] if kind == "NER" else heads.get(algo, ["Scores"]))
    assert built == {"NER", "ChoiceQA", "SpanQA"}


def test_rl_zoo_flags_are_those_that_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    from rl_zoo3 import train

    from tests.test_agents_zoo_flags import ZOO_FLAGS

    class Seen(Exception):
        pass

    def stop(parser: argparse.ArgumentParser) -> None:
        raise Seen(*(o for a in parser._actions for o in a.option_strings))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Seen) as seen:
        train.train()
    assert set(seen.value.args) - {"-h", "--help"} == set(ZOO_FLAGS)
