"""DAgger: which states it learns from, its mixture, phases, and that a resumed run is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from safetensors.torch import load_file, save_file

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym_agents.algorithms.imitation.demonstrations import collect
from nlp_gym_agents.algorithms.registry import ALGORITHMS, information_of
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.snapshots import newest, publish
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.usefixtures("one_thread")
SAMPLE: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": {"dim": 32}}
SMALL: dict[str, Any] = {
    "policy": "MultiInputPolicy",
    "batch_size": 64,
    "learning_rate": 3e-3,
    "policy_kwargs": {"features_extractor_kwargs": {"hidden": [32]}},
}


def build(env_id: str, algo: str = "dagger", split: str = "train", **options: Any) -> Any:
    """A small model on a bundled sample."""
    reward = {"reward": options.pop("reward")} if "reward" in options else {}
    task = make_task(env_id, split, **SAMPLE, **reward)
    return build_model(ALGORITHMS[algo], task, {**SMALL, **options}, device="cpu")


def states_of(observations: Any) -> set[tuple[Any, ...]]:
    """Observations as things that can be compared."""
    arrays = [np.asarray(observations[key]) for key in sorted(observations)]
    n = len(arrays[0])
    return {tuple(int(x) for a in arrays for x in a[i].reshape(-1)) for i in range(n)}


def test_roll_ins_play_the_texts_that_environments_draw() -> None:
    options: dict[str, Any] = {**SAMPLE, "reading": True, "holdout": 0.3}
    task = make_task("Sentiment-SST2-v0", **options)
    assert task.drawn is not None
    model: Any = build_model(ALGORITHMS["dagger"], task, {**SMALL, "texts": 3}, device="cpu")
    assert len(model._rows(1)) == 3
    assert set(model._rows(1)) <= set(task.drawn.tolist())
    model.texts = None
    assert model._rows(1).tolist() == task.drawn.tolist()


def test_the_states_are_those_the_learner_comes_to() -> None:
    model = build("NER-CoNLL-v0", beta=0.0)
    task = model.env.get_attr("task")[0]
    seen: list[Any] = []
    act = make_act(model, True)

    def watch(obs: Any, mask: Any) -> Any:
        seen.append({key: value.copy() for key, value in obs.items()})
        return act(obs, mask)

    rollout(task, watch)
    model._roll_in(1)
    found = model._visited[0]
    expected = set().union(*map(states_of, seen))
    assert states_of(found.observations) == expected
    assert expected - states_of(model.data.observations)  # an untrained learner errs
    # Each is labelled with what the oracle would do there.
    gold = {
        (int(row), int(place)): int(action)
        for row, place, action in zip(
            model.data.observations["row"],
            model.data.observations["position"],
            model.data.actions,
            strict=True,
        )
    }
    rows, places = found.observations["row"], found.observations["position"]
    for row, place, action in zip(rows, places, found.actions, strict=True):
        assert gold[int(row), int(place)] == int(action)


def test_the_mixture_is_the_oracles_share() -> None:
    model = build("POS-EWT-v0", beta=1.0)
    model._roll_in(1)
    assert states_of(model._visited[0].observations) == states_of(model.data.observations)
    assert th.equal(model._visited[0].actions.sort().values, model.data.actions.sort().values)
    half = build("POS-EWT-v0", beta=0.5, sampled=True)
    half._roll_in(1)  # half of the decisions
    half._roll_in(2)  # a quarter
    task = half.env.get_attr("task")[0]
    right = []
    for kept, data in zip(half._kept, half._visited, strict=True):
        right.append((kept["actions"].long() == data.actions).float().mean().item())
    chance = 1 / task.n_actions
    assert 0.5 < right[0] < 0.5 + 6 * chance
    assert 0.25 < right[1] < right[0] - 0.1


def test_phases_take_turns_with_roll_ins() -> None:
    model = build("POS-EWT-v0", roll_ins=2, first=0.5, texts=5)
    sizes: list[int] = []

    def watch(local: Any, _: Any) -> bool:
        sizes.append(len(local["data"]))
        return True

    model.learn(64 * 16, watch, log_interval=0)
    n = len(model.data)
    assert model.num_timesteps == 1024
    assert len(model._visited) == 2
    assert sizes[0] == n
    assert sorted(set(sizes)) == [n, n + len(model._visited[0]), sizes[-1]]
    # Passes over a small corpus end in shorter batches.
    assert sum(size == n for size in sizes) >= 8
    assert len({int(row) for row in model._visited[0].observations["row"]}) == 5


def test_it_learns_and_no_roll_ins_are_cloning() -> None:
    model = build("POS-EWT-v0", roll_ins=2, learning_rate=1e-2).learn(12_000, log_interval=0)
    task = model.env.get_attr("task")[0]
    outputs = rollout(task, make_act(model, True))
    assert task.score(outputs, bootstrap=0).value > 0.9
    none, bc = build("POS-EWT-v0", roll_ins=0), build("POS-EWT-v0", "bc")
    for learner in (none, bc):
        learner.learn(1024, log_interval=0)
    own, other = none.policy.state_dict(), bc.policy.state_dict()
    assert all(th.equal(own[key], other[key]) for key in own)


def test_only_states_from_which_the_oracle_knows_a_way_are_kept() -> None:
    model = build("KnowledgeGraph-WN18RR-v0", gamma=1.0, mask_loss=True)
    task = model.env.get_attr("task")[0]
    assert not task.exact_oracle
    model._roll_in(1)
    kept = model._visited[0]
    assert 0 < len(kept) < len(model._kept[0]["actions"])
    assert len(collect(task, gamma=1.0)) > 0


def config(algo: str, env_id: str, **hyperparams: Any) -> TrainConfig:
    return TrainConfig(
        env=env_id,
        algo=algo,
        n_timesteps=1536,
        eval_freq=256,
        save_freq=256,
        early_stopping=0,
        hyperparams={**SMALL, "batch_size": 128, **hyperparams},
        env_kwargs=SAMPLE,
        device="cpu",
    )


RESUMED = {
    "dagger": config("dagger", "POS-EWT-v0", beta=0.5, sampled=True, texts=9),
    "aggrevate": config(
        "aggrevate",
        "Summary-SciTLDR-v0",
        gamma=1.0,
        rollout_policy="mixture",
        states=2,
        branches=3,
        first=0.4,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path, name: str) -> None:
    asked, calls = RESUMED[name], []

    def stop(row: Any) -> bool:
        calls.append(row)
        return bool(row["timesteps"] >= 1100)  # within the phase after the second roll-in

    whole = train(asked, run_dir=tmp_path / "whole", progress=False)
    cut = train(asked, run_dir=tmp_path / "cut", progress=False, told=stop)
    assert calls[-1]["timesteps"] < 1536
    folder, _ = newest(cut / "checkpoints")
    assert {key.partition("/")[0] for key in load_file(folder / "data.safetensors")} == {"1", "2"}
    resume(cut, progress=False)
    values = [[(r["timesteps"], r["value"]) for r in read_metrics(run)] for run in (whole, cut)]
    assert values[0] == values[1]
    weights = [
        load_file(newest(run / "checkpoints")[0] / "policy.safetensors") for run in (whole, cut)
    ]
    assert all(th.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert load_trained(cut, device="cpu").settings["algo"] == name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: {**t, "1/actions": t["1/actions"][:-3]}, "cut short"),
        (lambda t: {**t, "1/actions": t["1/actions"] + 99}, "cannot be"),
        (lambda t: {**t, "1/actions": t["1/actions"].repeat(2)}, "other texts"),
        (lambda t: {k.replace("1/", "7/"): v for k, v in t.items()}, "roll-ins"),
    ],
)
def test_roll_ins_of_another_run_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    run = train(RESUMED["dagger"], run_dir=tmp_path / "run", progress=False)
    folder, _ = newest(run / "checkpoints")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    tensors = change(load_file(folder / "data.safetensors"))
    with publish(folder, fix=lambda: "") as fresh:
        for name, content in files.items():
            if name != "manifest.json":
                (fresh / name).write_bytes(content)
        save_file({k: v.contiguous() for k, v in tensors.items()}, fresh / "data.safetensors")
    with pytest.raises(RunError, match=words):
        resume(run, n_timesteps=2048, progress=False)


def test_misuse_is_refused() -> None:
    for options, words in (
        ({"roll_ins": -1}, "roll_ins=-1"),
        ({"first": 1.5}, "first=1.5"),
        ({"beta": 2}, "beta=2"),
        ({"texts": 0}, "texts=0"),
        ({"exits": "reading"}, "exits='reading' is for bc"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            build("POS-EWT-v0", **options)
    width: dict[str, Any] = {"features_extractor_kwargs": {"width": 16, "layers": 1, "heads": 2}}
    for algo in ("dagger", "aggrevate"):
        with pytest.raises(InvalidArgumentError, match="use bc"):
            build("Summary-AESLC-v0", algo, policy_kwargs=width)
    assert information_of(ALGORITHMS["dagger"], {}) == "oracle"
    assert information_of(ALGORITHMS["aggrevate"], {}) == "full information + oracle"
