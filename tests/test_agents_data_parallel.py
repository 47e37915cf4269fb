"""Several processes of torchrun learn as one does: weights, checkpoints, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from safetensors.torch import load_file
from torch.distributions import Categorical

from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.algorithms.parallel.data_parallel import DataParallel, _JointSampling
from nlp_gym_agents.algorithms.parallel.ranks import ALONE, Ranks, launched
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.start.divide import check_divides
from nlp_gym_agents.training.train import resume, train

ROOT = Path(__file__).resolve().parent.parent
SETTINGS: dict[str, Any] = {
    "env": "NER-CoNLL-v0",
    "encoder": "hashed",
    "env_kwargs": {"corpus": "sample"},
    "seed": 3,
    "n_envs": 7,
}
SMALL = {"n_steps": 16, "batch_size": 28}

SCRIPT = """
import json, os, sys
from nlp_gym_agents.algorithms.parallel.data_parallel import DataParallel
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.training.callbacks.together import weights_sha256
from nlp_gym_agents.training.train import train

seen = []
average = DataParallel.average


def noted(self):
    seen.append(weights_sha256(self.model))
    average(self)


DataParallel.average = noted
for run, config in json.loads(sys.argv[1]).items():
    seen.clear()
    train(TrainConfig(**config), run_dir=run, progress=False)
    with open(f"{run}.rank{os.environ['RANK']}.json", "w") as file:
        json.dump(seen, file)
"""


def torchrun_command(size: int, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*command, "--nproc-per-node", str(size), *arguments]


def torchrun(size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = torchrun_command(size, *arguments)
    return subprocess.run(command, env=environment(), capture_output=True, text=True)


def environment() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "agents")])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def furthest(run: Path, other: Path, name: str) -> float:
    """The largest difference between the same files of the newest checkpoints of two runs."""
    folders = [newest(place / "checkpoints")[0] for place in (run, other)]
    assert folders[0].name == folders[1].name
    one, two = (load_file(folder / f"{name}.safetensors") for folder in folders)
    assert one.keys() == two.keys()
    assert one
    return max(
        float((one[k].double() - two[k].double()).abs().max()) for k in one if one[k].numel()
    )


def assert_same(run: Path, other: Path) -> None:
    assert furthest(run, other, "policy") < 2e-6
    assert furthest(run, other, "optimizer") < 2e-6
    assert furthest(run, other, "rng") == 0
    if (newest(run / "checkpoints")[0] / "episodes.safetensors").exists():
        assert furthest(run, other, "episodes") == 0


CASES = {
    "ppo": {"algo": "ppo", "n_timesteps": 224, "hyperparams": SMALL},
    "maskable_ppo": {"algo": "maskable_ppo", "n_timesteps": 224, "hyperparams": SMALL},
    "expected_pg": {
        "algo": "expected_pg",
        "n_timesteps": 224,
        # With AdamW's own epsilon the last bits of gradients near 0 would be steps of full size.
        "hyperparams": {
            **SMALL,
            "gamma": 0.9,
            "branches": 3,
            "policy_kwargs": {"optimizer_kwargs": {"eps": 1e-5}},
        },
    },
    "a2c": {"algo": "a2c", "n_timesteps": 280},
    "bc": {"algo": "bc", "n_envs": 1, "n_timesteps": 2048, "hyperparams": {"batch_size": 250}},
    "dagger": {
        "algo": "dagger",
        "n_envs": 1,
        "n_timesteps": 2048,
        "hyperparams": {"batch_size": 250, "roll_ins": 2},
    },
    "candidates": {
        "env": "SpanQA-SQuAD-v0",
        "algo": "ppo",
        "n_timesteps": 224,
        "hyperparams": SMALL,
    },
    "warm start": {"algo": "ppo", "n_timesteps": 224, "hyperparams": SMALL, "warm_start": "bc:1"},
    # Dropout would draw other numbers in two processes than in one.
    "finetune": {
        "algo": "ppo",
        "n_timesteps": 224,
        "encoder_mode": "finetune",
        "env_kwargs": {"corpus": "sample", "encoder_kwargs": {"layers": "1+3", "dtype": "float32"}},
        "hyperparams": {**SMALL, "tuning": {"dropout": 0.0, "hold": 0.0, "precision": "float32"}},
    },
}


@pytest.fixture(scope="module")
def pairs(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``NAME/one``, trained by one process, and ``NAME/two``, by two, for each case."""
    place = tmp_path_factory.mktemp("pairs")
    settings = {name: {**SETTINGS, **changes} for name, changes in CASES.items()}
    settings["finetune"]["encoder"] = str(tiny_bert)
    for name, config in settings.items():
        train(TrainConfig(**config), run_dir=place / name / "one", progress=False)
    (place / "script.py").write_text(SCRIPT)
    runs = {str(place / name / "two"): config for name, config in settings.items()}
    done = torchrun(2, str(place / "script.py"), json.dumps(runs))
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_learns(name: str, pairs: Path) -> None:
    assert_same(pairs / name / "one", pairs / name / "two")
    ranks = [json.loads((pairs / name / f"two.rank{i}.json").read_text()) for i in range(2)]
    assert ranks[0] == ranks[1]  # the same bits before every update
    assert len(set(ranks[0])) > 3  # the rate falls to 0


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(pairs: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):  # two become one, and one two
        shutil.copytree(pairs / "maskable_ppo" / name.replace("three", "one"), tmp_path / name)
    resume(tmp_path / "one", n_timesteps=448, progress=False)
    resume(tmp_path / "two", n_timesteps=448, progress=False)
    assert_same(tmp_path / "one", tmp_path / "two")
    again = ["--resume", str(tmp_path / "three"), "-n", "448", "--no-report", "--no-progress"]
    done = torchrun(2, str(ROOT / "train.py"), *again)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "three")]  # said once
    assert_same(tmp_path / "one", tmp_path / "three")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_to_torchrun_saves_once_and_stops_all(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--env", "NER-CoNLL-v0", "--encoder", "hashed", "--algo", "ppo", "--n-envs", "4"]
    arguments += [
        "-n",
        "1000000",
        "--save-freq",
        "64",
        "--hyperparams",
        "n_steps:16",
        "batch_size:32",
    ]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    command += [str(ROOT / "train.py"), *arguments, "--no-report", "--run-dir", str(run)]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    while not (run / "checkpoints" / "64").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert said.count("Saved. Continue with: nlp-gym train --resume") == 1
    assert int(newest(run / "checkpoints")[0].name) > 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algo": "dqn"}, "algo='dqn' is not trained by several processes"),
        ({"algo": "rloo"}, "algo='rloo' is not trained by several processes"),
        ({"algo": "masked_dqn"}, "torchrun is for ppo, maskable_ppo, expected_pg, a2c, bc,"),
        ({"algo": "recurrent_ppo"}, "algo='recurrent_ppo' is not trained by several processes"),
        ({"n_envs": 1}, "n_envs=1 is less than the 2 processes"),
        ({"hyperparams": {"target_kl": 0.1}}, "target_kl=0.1 looks at the rollouts of one process"),
        ({"hyperparams": {"kl": {"target": 0.1}}}, "kl=KLOptions"),
    ],
)
def test_what_several_processes_cannot_train_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    config = merge(TrainConfig(**{**SETTINGS, "algo": "ppo", **changes}))
    with pytest.raises(InvalidArgumentError, match=message.replace("(", r"\(")):
        check_divides(config, Ranks(0, 2))


def test_a_process_alone_is_no_part_of_several() -> None:
    assert launched() == (0, 1)
    assert ALONE.leads
    assert ALONE.bounds(7) == (0, 7)
    assert ALONE.told("x") == "x"
    assert ALONE.gathered(3) == [3]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11])
def test_shares_of_a_minibatch_are_all_of_it(size: int) -> None:
    texts = np.array([4, 4, 4, 1, 7, 7, 7, 7, 2, 2])
    taken: list[int] = []
    weights = 0.0
    for rank in range(size):
        parallel = DataParallel.__new__(DataParallel)
        parallel.ranks, parallel.whole_texts = Ranks(rank, size), True
        share = parallel.share(len(texts), texts)
        assert share.stop > share.start  # a mean over nothing is NaN
        if parallel._weight:
            taken += range(share.start, share.stop)
            assert share.start == 0 or texts[share.start] != texts[share.start - 1]
        weights += parallel._weight
    assert taken == list(range(len(texts)))
    assert weights == pytest.approx(1)


def test_ranks_draw_the_actions_that_one_process_draws() -> None:
    logits = th.randn(9, 5, generator=th.Generator().manual_seed(0))
    th.manual_seed(1)
    whole = Categorical(logits=logits).sample()
    parts = []
    for rank in range(2):
        begin, end = Ranks(rank, 2).bounds(9)
        parallel: Any = SimpleNamespace(
            n_envs=9, bounds_of_environments=lambda bounds=(begin, end): bounds
        )
        policy = SimpleNamespace(distribution=Categorical(logits=logits[begin:end]))
        th.manual_seed(1)
        parts.append(_JointSampling(parallel, policy, lambda: th.zeros(1))())
    assert th.cat(parts).tolist() == whole.tolist()
