"""Runs whose encoder learns: trained, resumed bit for bit, scored, and started from one another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch as th
from conftest import assert_same_results, save_bert, word_piece
from safetensors.torch import load_file

from nlp_gym.encode import load_encoder
from nlp_gym.errors import InvalidArgumentError, RunError, UnknownNameError
from nlp_gym_agents.algorithms.pretraining import _copy, warm_start
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.callbacks.kl_penalty import START
from nlp_gym_agents.training.callbacks.loop import TrainingLoop
from nlp_gym_agents.training.start.setup import set_up
from nlp_gym_agents.training.start.warm_start import start_warm
from nlp_gym_agents.training.train import resume, train

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "maskable_ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 2},
    "masked_dqn": {
        "buffer_size": 256,
        "learning_starts": 16,
        "batch_size": 16,
        "gamma": 0.9,
        "target_update_interval": 24,
        "train_freq": 2,
    },
    "dqn": {
        "buffer_size": 256,
        "learning_starts": 16,
        "batch_size": 16,
        "gamma": 0.9,
        "target_update_interval": 8,
        "tau": 0.5,
    },
    "bc": {"batch_size": 32},
    "a2c": {"n_steps": 8},
    "rloo": {"texts": 1, "samples": 4, "learning_rate": 1e-3},
    "qrdqn": {
        "buffer_size": 256,
        "learning_starts": 16,
        "batch_size": 16,
        "gamma": 0.9,
        "target_update_interval": 24,
    },
}
MODES = ("finetune", "lora", "adapter")
LEARNS = {"finetune": "words.model", "lora": "lora_", "adapter": ".adapter."}
FAST = [("ppo", "finetune"), ("masked_dqn", "lora"), ("bc", "adapter")]
"""Trained in every run of the tests; the others in the slow ones."""
LIKE = {
    "maskable_ppo": ("lora",),
    "a2c": ("finetune",),
    "rloo": MODES[:2],
    "dqn": MODES[:2],
    "qrdqn": MODES[:2],
}
"""Modes of algorithms that learn much as `ppo` or `masked_dqn` do, which have all of them."""
ALL = [
    pytest.param(algo, mode, marks=[] if (algo, mode) in FAST else [pytest.mark.slow])
    for algo in SMALL
    for mode in LIKE.get(algo, MODES)
]
Weights = dict[str, th.Tensor]


def config(algo: str, mode: str, folder: Path, **changes: Any) -> TrainConfig:
    """Settings of a run of 96 steps, with a checkpoint every 32."""
    hidden = {"features_extractor_kwargs": {"hidden": [8], "pointer_dim": 8}}
    tuning = {"lr": 3e-3, "rank": 2, "bottleneck": 4, **changes.pop("tuning", {})}
    options = {**SMALL[algo], "policy_kwargs": hidden, **changes.pop("hyperparams", {})}
    if mode != "frozen":
        options["tuning"] = tuning
    layers = {"layers": "1+3", "dtype": "float32"}
    values: dict[str, Any] = {
        "env": "POS-v0",
        "algo": algo,
        "n_timesteps": 96,
        "n_envs": 4,
        "encoder": str(folder),
        "encoder_mode": mode,
        "hyperparams": options,
        "env_kwargs": {"corpus": "sample", "encoder_kwargs": layers},
        "eval_freq": 48,
        "save_freq": 32,
        **changes,
    }
    if values["env"] == "POS-v0":
        values["env_kwargs"] = {**values["env_kwargs"], "window": 0}
    return TrainConfig(**values)


def trained(given: TrainConfig, run: Path) -> Path:
    return train(given, run_dir=run, progress=False)


def last(run: Path) -> Weights:
    return load_file(newest(run / "checkpoints")[0] / "policy.safetensors")


def of_encoder(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if ".encoder.words." in name}


def same(one: Weights, two: Weights) -> bool:
    assert one.keys() == two.keys()
    return all(th.equal(one[name], two[name]) for name in one)


def killed_after_its_first_half(run: Path, to: Path) -> Path:
    """A copy of a run as it was at its last checkpoint but one."""
    shutil.copytree(run, to)
    shutil.rmtree(newest(to / "checkpoints")[0])
    return to


def check_resume(run: Path, again: Path) -> None:
    """A run that was killed after its last checkpoint but one ends as the one that was not."""
    half = killed_after_its_first_half(run, again)
    assert not same(last(half), last(run))
    resume(half, progress=False)
    assert same(last(half), last(run))
    values = [[(r["timesteps"], r["value"]) for r in read_metrics(r)] for r in (run, half)]
    assert values[0] == values[1]


@pytest.fixture(scope="module")
def runs(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained run of each mode."""
    base = tmp_path_factory.mktemp("runs")
    return {mode: trained(config(algo, mode, tiny_bert), base / mode) for algo, mode in FAST}


@pytest.mark.parametrize(("algo", "mode"), ALL)
def test_tuning_runs_resume_exactly(
    algo: str, mode: str, runs: dict[str, Path], tiny_bert: Path, tmp_path: Path
) -> None:
    run = runs[mode]
    if (algo, mode) not in FAST:
        run = trained(config(algo, mode, tiny_bert), tmp_path / "run")
    start = merge(config(algo, mode, tiny_bert))
    begun = trainable_encoders(set_up(start).model.policy)[0].state_dict()
    moved = of_encoder(last(run))
    ends = {name.partition(".encoder.")[2]: value for name, value in moved.items()}
    assert ends.keys() == begun.keys()
    assert not all(th.equal(ends[name], begun[name]) for name in begun)
    check_resume(run, tmp_path / "half")


@pytest.mark.parametrize(("algo", "mode"), FAST)
def test_tuning_runs_store_what_was_trained_and_load(
    algo: str, mode: str, runs: dict[str, Path], tiny_bert: Path
) -> None:
    run = runs[mode]
    weights = load_file(run / "best" / "policy.safetensors")
    stored = of_encoder(weights)
    assert stored
    assert all(LEARNS[mode] in name for name in stored)
    assert not any("pooler" in name or "position_ids" in name for name in stored)
    whole = sum(p.numel() for p in load_encoder(str(tiny_bert)).load_model().parameters())
    size = sum(value.numel() for name, value in stored.items())
    networks = 2 if algo == "masked_dqn" else 1
    assert size < networks * whole
    if mode != "finetune":
        assert size < networks * whole / 5
    settings = json.loads((run / "best" / "settings.json").read_text())
    assert settings["encoder_mode"] == mode
    fingerprint = load_encoder(str(tiny_bert), layers="1+3", dtype="float32").fingerprint
    assert settings["encoder"]["fingerprint"] == fingerprint
    suffixes = {path.suffix for path in run.rglob("*") if path.is_file()}
    assert not suffixes & {".zip", ".pkl", ".pt", ".pth", ".npy", ".bin"}
    agent = load_trained(run)
    model = agent.model(agent.task("dev"))
    saved = agent.settings["aliases"]
    for name, value in model.policy.state_dict().items():
        assert th.equal(value, weights[saved.get(name, name)]), name


@pytest.mark.parametrize("mode", MODES)
def test_tuning_runs_are_scored_and_predict(mode: str, runs: dict[str, Path]) -> None:
    run = runs[mode]
    best = json.loads((run / "best" / "settings.json").read_text())
    # The learned weights act: dev gives what training found.
    assert evaluate(run, "dev", bootstrap=0).value == best["value"]
    first, again = (evaluate(run, "test", checkpoint="last", bootstrap=0) for _ in range(2))
    assert first == again
    texts = ["Ann lives in Paris.", "", "the quick brown fox " * 30]
    found = Agent(run).predict(texts)
    assert len(found) == 3
    assert_same_results(Agent(run).predict(texts), found)


def test_tuning_runs_of_another_encoder_are_refused(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "bert", word_piece())
    run = trained(config("bc", "lora", folder, n_timesteps=64), tmp_path / "run")
    shutil.rmtree(newest(run / "checkpoints")[0])
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(RunError, match="fingerprint"):
        evaluate(run, "dev", bootstrap=0)
    with pytest.raises(RunError, match="fingerprint"):
        Agent(run).predict(["the fox"])
    with pytest.raises(RunError, match="encoder"):
        resume(run, progress=False)
    given = config("ppo", "lora", folder, warm_start=str(run))
    with pytest.raises(RunError, match="fingerprint"):
        trained(given, tmp_path / "other")


@pytest.mark.parametrize(
    ("algo", "mode"),
    [("maskable_ppo", "lora"), pytest.param("ppo", "finetune", marks=pytest.mark.slow)],
)
def test_tuning_runs_with_a_penalty_resume_exactly(
    algo: str, mode: str, tiny_bert: Path, tmp_path: Path
) -> None:
    penalty = {"kl": {"coef": 0.1, "target": 0.01}}
    plain = trained(config(algo, mode, tiny_bert), tmp_path / "plain")
    run = trained(config(algo, mode, tiny_bert, hyperparams=penalty), tmp_path / "run")
    assert not same(last(plain), last(run))
    assert not (plain / START).exists()
    kept = load_file(run / START)
    assert all(LEARNS[mode] in name for name in of_encoder(kept))
    half = tmp_path / "half"
    check_resume(run, half)
    assert same(load_file(half / START), kept)
    coefs = {
        name: json.loads((newest(r / "checkpoints")[0] / "state.json").read_text())
        for name, r in (("run", run), ("half", half))
    }
    assert coefs["run"]["extra"]["kl_coef"] == coefs["half"]["extra"]["kl_coef"] != 0.1
    (half / START).write_bytes(b"junk")
    with pytest.raises(RunError, match=r"start\.safetensors.*damaged"):
        resume(half, n_timesteps=128, progress=False)


def test_tuning_runs_checkpoints_drop_kept_vectors(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A resumed run has none, and vectors depend a little on what they are encoded with.
    kept: list[list[int]] = []
    plain = TrainingLoop._save

    def looked_at(self: TrainingLoop, *args: Any) -> None:
        plain(self, *args)
        assert self.penalty is not None
        both = trainable_encoders(self.model.policy) + trainable_encoders(self.penalty._start)
        kept.append([len(live._caches) for live in both])

    monkeypatch.setattr(TrainingLoop, "_save", looked_at)
    options = {"kl": {"coef": 0.1}}
    trained(config("ppo", "lora", tiny_bert, hyperparams=options), tmp_path / "run")
    assert kept == [[0, 0]] * 4


@pytest.mark.parametrize(
    ("hyperparams", "error", "message"),
    [
        ({"kl": {"coeff": 1}}, UnknownNameError, "Did you mean 'coef'"),
        ({"kl": {"coef": -1}}, InvalidArgumentError, "coef=-1"),
    ],
)
def test_tuning_runs_check_the_penalty(
    hyperparams: dict[str, Any],
    error: type[Exception],
    message: str,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    given = config("ppo", "frozen", tiny_bert, hyperparams=hyperparams)
    with pytest.raises(error, match=message):
        trained(given, tmp_path / "run")


@pytest.mark.parametrize(
    ("algo", "mode"),
    [("ppo", "adapter"), pytest.param("masked_dqn", "lora", marks=pytest.mark.slow)],
)
def test_tuning_runs_head_first(algo: str, mode: str, tiny_bert: Path, tmp_path: Path) -> None:
    given = config(algo, mode, tiny_bert, tuning={"hold": 0.8}, n_timesteps=128)
    setup = set_up(merge(given))
    begun = of_encoder(setup.model.policy.state_dict())
    run = trained(given, tmp_path / "run")
    folders = sorted((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    held, free = (load_file(folder / "policy.safetensors") for folder in folders)
    known = json.loads((folders[0] / "state.json").read_text())["aliases"]
    assert all(th.equal(held[known.get(name, name)], value) for name, value in begun.items())
    assert any(not th.equal(held[name], free[name]) for name in of_encoder(free))
    heads = [name for name in held if ".trunk." in name]
    fresh = setup.model.policy.state_dict()
    assert any(not th.equal(held[name], fresh[name]) for name in heads)
    check_resume(run, tmp_path / "half")


@pytest.mark.parametrize("algo", ["maskable_ppo", "masked_dqn"])
def test_tuning_warm_start_teaches_the_encoder(algo: str, tiny_bert: Path, tmp_path: Path) -> None:
    given = config(algo, "finetune", tiny_bert, warm_start="bc:1", n_timesteps=32)
    setup = set_up(merge(given))
    encoders = trainable_encoders(setup.model.policy)
    before = {name: value.clone() for name, value in encoders[0].state_dict().items()}
    warm_start(setup.model, 1, batch_size=64)
    for encoder in encoders:  # the target network's too
        state = encoder.state_dict()
        assert not same(state, before)
        assert same(state, encoders[0].state_dict())
    run = trained(given, tmp_path / "run")
    assert read_metrics(run)[0]["timesteps"] == 0


def test_tuning_warm_start_from_a_run_copies_its_encoder(
    runs: dict[str, Path], tiny_bert: Path, tmp_path: Path
) -> None:
    teacher = runs["adapter"]  # a run of bc
    first = {"n_timesteps": 32, "warm_start": str(teacher)}
    given = merge(config("ppo", "adapter", tiny_bert, **first))
    setup = set_up(given)
    start_warm(setup.model, given, setup.train_task)
    wanted = of_encoder(load_file(teacher / "best" / "policy.safetensors"))
    own = setup.model.policy.state_dict()
    assert wanted
    assert all(th.equal(own[name], value) for name, value in wanted.items())
    q_setup = set_up(merge(config("masked_dqn", "adapter", tiny_bert, **first)))
    weights = load_trained(teacher).model(q_setup.train_task).policy
    _copy(weights, q_setup.model.policy, trunk_only=True)
    tails = {name.partition(".encoder.")[2]: value for name, value in wanted.items()}
    for live in trainable_encoders(q_setup.model.policy):
        assert same(dict(live.state_dict()), tails)
    for mode in ("frozen", "finetune", "lora"):
        with pytest.raises(InvalidArgumentError, match="same --encoder-mode"):
            trained(config("ppo", mode, tiny_bert, **first), tmp_path / mode)


FAST_OTHERS = [("SpanQA-SQuAD-v0", "bc", "finetune"), ("MultiTask-v0", "maskable_ppo", "lora")]
SLOW_OTHERS = [
    ("ChoiceQA-ARC-v0", "maskable_ppo", "lora"),
    ("Summary-SciTLDR-v0", "masked_dqn", "finetune"),
    ("Classification-v0", "ppo", "lora"),
    ("KnowledgeGraph-WN18RR-v0", "maskable_ppo", "finetune"),
    ("Relation-SemEval-v0", "masked_dqn", "lora"),
]


@pytest.mark.parametrize(
    ("env_id", "algo", "mode"),
    [*FAST_OTHERS, *(pytest.param(*given, marks=pytest.mark.slow) for given in SLOW_OTHERS)],
)
def test_tuning_runs_of_other_tasks(
    env_id: str, algo: str, mode: str, tiny_bert: Path, tmp_path: Path
) -> None:
    given = config(algo, mode, tiny_bert, env=env_id)
    run = trained(given, tmp_path / "run")
    best = json.loads((run / "best" / "settings.json").read_text())
    if not env_id.startswith("KnowledgeGraph"):  # searched with a wider beam than in training
        assert evaluate(run, "dev", bootstrap=0).value == pytest.approx(best["value"])
    weights = last(run)
    begun = of_encoder(set_up(merge(given)).model.policy.state_dict())
    assert any(name in weights and not th.equal(weights[name], begun[name]) for name in begun)
    check_resume(run, tmp_path / "half")


@pytest.mark.slow
def test_tuning_runs_with_a_memory(tiny_bert: Path, tmp_path: Path) -> None:
    memory = {"lstm_hidden_size": 8, "features_extractor_kwargs": {"hidden": [8]}}
    options = {"n_steps": 8, "batch_size": 16, "policy_kwargs": memory}
    given = merge(
        TrainConfig(
            env="POS-v0",
            algo="recurrent_ppo",
            n_timesteps=64,
            n_envs=4,
            encoder=str(tiny_bert),
            encoder_mode="finetune",
            hyperparams=options,
            env_kwargs={"corpus": "sample", "encoder_kwargs": {"layers": "1+3"}},
        )
    )
    run = trained(given, tmp_path / "run")
    assert of_encoder(last(run))
    best = json.loads((run / "best" / "settings.json").read_text())
    assert evaluate(run, "dev", bootstrap=0).value == best["value"]


@pytest.mark.slow
@pytest.mark.minilm
def test_tuning_runs_with_minilm(tmp_path: Path) -> None:
    pytest.importorskip("all_minilm_l6_v2")
    given = config("bc", "lora", tmp_path, encoder="minilm", n_timesteps=64, env_kwargs={})
    env_kwargs = {"corpus": "sample", "window": 0, "encoder_kwargs": {"dtype": "float32"}}
    run = trained(given.with_changes(env_kwargs=env_kwargs), tmp_path / "run")
    assert (run / "best" / "policy.safetensors").stat().st_size < 3_000_000
    check_resume(run, tmp_path / "half")


def test_tuning_runs_that_are_held_move_in_their_warm_start(tiny_bert: Path) -> None:
    given = config("ppo", "finetune", tiny_bert, tuning={"hold": 0.5}, warm_start="bc:1")
    setup = set_up(merge(given))
    live = trainable_encoders(setup.model.policy)[0]
    before = {name: value.clone() for name, value in live.state_dict().items()}
    start_warm(setup.model, merge(given), setup.train_task)
    assert not same(live.state_dict(), before)
    assert live.on_hold()


def test_tuning_runs_start_from_low_ranks_of_the_same_meaning(
    runs: dict[str, Path], tiny_bert: Path, tmp_path: Path
) -> None:
    teacher = trained(config("bc", "lora", tiny_bert, n_timesteps=64), tmp_path / "teacher")
    given = config("ppo", "lora", tiny_bert, tuning={"alpha": 64}, warm_start=str(teacher))
    with pytest.raises(RunError, match=r"tuning\.alpha"):
        trained(given, tmp_path / "run")


def test_tuning_runs_refuse_what_differentiates_twice(tiny_bert: Path) -> None:
    given = config("ppo", "finetune", tiny_bert).with_changes(algo="sb3_contrib:TRPO")
    with pytest.raises(InvalidArgumentError, match="differentiates"):
        set_up(merge(given.with_changes(hyperparams={"tuning": {"lr": 1e-4}})))
