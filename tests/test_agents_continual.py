"""Continual learning: grown heads, replay, distillation, consolidation, and what is forgotten."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nlp_gym import make_task
from nlp_gym.errors import DataError, InvalidArgumentError, NLPGymError, RunError
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.core.strata import Strata
from nlp_gym.types import Sample
from nlp_gym_agents import load_agent
from nlp_gym_agents.config.continual import continued
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.forgetting import forgetting_report, transfer
from nlp_gym_agents.evaluation.test_report import final_report
from nlp_gym_agents.models.build import encode, feature_source
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.runs.files.weights import read_tensors
from nlp_gym_agents.runs.folder import find_snapshot, read_config
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.continual import continue_run
from nlp_gym_agents.training.earlier import held
from nlp_gym_agents.training.earlier.weights import load_earlier
from nlp_gym_agents.training.signals import TrainingInterrupted
from nlp_gym_agents.training.start.setup import Setup, set_up
from nlp_gym_agents.training.train import resume, train

ROOT = Path(__file__).resolve().parent.parent
TINY = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [8]}}}
SMALL: dict[str, dict[str, Any]] = {
    "bc": {"batch_size": 64, **TINY},
    "dagger": {"batch_size": 64, **TINY},
    "maskable_ppo": {"n_steps": 8, "batch_size": 32, "n_epochs": 1, **TINY},
    "masked_dqn": {"buffer_size": 512, "learning_starts": 32, "batch_size": 16, **TINY},
    "qrdqn": {"buffer_size": 512, "learning_starts": 32, "batch_size": 16, **TINY},
    "rloo": {"texts": 4, "samples": 2, **TINY},
}
SHIPS = ("Kestrel", "Osprey", "Heron", "Plover", "Curlew", "Dunlin")
PEOPLE = ("Alma", "Berit", "Carl", "Dora", "Emil", "Franz", "Greta", "Hugo", "Ines", "Jon")
COMMON = {"corpus": "sample", "encoder": "hashed"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def ships(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagged file with a kind of entity that the sample of CoNLL-2003 lacks."""
    lines = []
    for i, name in enumerate(PEOPLE * 3):
        ship = SHIPS[i % len(SHIPS)]
        lines += [f"{name} B-PER", "took O", "the O", f"{ship} B-SHIP", f"{i} I-SHIP", ". O", ""]
    path = tmp_path_factory.mktemp("ships") / "ships.conll"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def small(algo: str, env: str = "NER-v0", **changes: Any) -> TrainConfig:
    """A config that trains in less than a second."""
    own = {"window": 0} if env.startswith("NER") else {}
    values: dict[str, Any] = {
        "env": env,
        "algo": algo,
        "n_timesteps": 128,
        "n_envs": 4,
        "hyperparams": SMALL[algo],
        "env_kwargs": {**COMMON, **own},
        "eval_freq": 64,
        "save_freq": 32,
        **changes,
    }
    return TrainConfig(**values)


class Runs(dict[str, Path]):
    """A run of each algorithm on the sample of CoNLL-2003, trained when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, algo: str) -> Path:
        self[algo] = train(small(algo), run_dir=self.folder / algo, progress=False)
        return self[algo]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return Runs(tmp_path_factory.mktemp("first"))


def go_on(run: Path, data: Path | str, place: Path, **options: Any) -> Path:
    settings = {"eval_freq": 64, "save_freq": 32, **options.pop("settings", {})}
    given = {"n_timesteps": 128, "settings": settings, **options}
    return continue_run(run, data, run_dir=place, progress=False, **given)


def begun(run: Path, data: Path, **changes: Any) -> Setup:
    """A continuing run as it is before it learns."""
    from nlp_gym_agents.config.train_config import merge

    setup = set_up(merge(TrainConfig(continue_from=str(run), data=str(data), **changes)))
    load_earlier(setup)
    return setup


# Heads that grow.


@pytest.mark.parametrize("algo", ["bc", "maskable_ppo", "masked_dqn", "qrdqn"])
def test_continual_grown_agent_decides_as_before(
    runs: dict[str, Path], ships: Path, algo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = begun(runs[algo], ships)
    agent = load_trained(runs[algo])
    old = agent.task("dev")
    assert setup.train_task.labels[: len(old.labels)] == old.labels
    assert setup.train_task.labels[len(old.labels) :] == ("B-SHIP", "I-SHIP")
    labels = list(setup.train_task.labels)
    new = make_task("NER-v0", "dev", **{**COMMON, "window": 0, "labels": labels})
    legal = new.mask

    def old_mask(state: Any) -> Any:
        mask = legal(state)
        mask[:, len(old.labels) :] = False
        return mask

    monkeypatch.setattr(new, "mask", old_mask)
    encode(new)
    source = feature_source(new, "index", setup.model.device)
    assert source is not None
    with swapped_source(setup.model.policy, source):
        decided = outputs_of(setup.model, new, masked=True)
    encode(old)
    assert decided == outputs_of(agent.model(old), old, masked=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "algo"), [("finetune", "bc"), ("lora", "maskable_ppo"), ("adapter", "masked_dqn")]
)
def test_continual_encoder_that_learned_goes_on(
    mode: str, algo: str, tiny_bert: Path, ships: Path, tmp_path: Path
) -> None:
    own = {"corpus": "sample", "encoder": str(tiny_bert), "window": 0}
    config = small(algo, encoder_mode=mode, env_kwargs=own, n_timesteps=64)
    first = train(config, run_dir=tmp_path / "first", progress=False)
    folder, saved = find_snapshot(first)
    before = read_tensors(folder / "policy.safetensors", saved["aliases"])
    setup = begun(first, ships)
    now = setup.model.policy.state_dict()
    assert set(now) == set(before)
    same = [name for name in now if now[name].shape == before[name].shape]
    assert all(torch.equal(now[name], before[name]) for name in same)
    assert any("encoder" in name for name in same)
    second = go_on(
        first, ships, tmp_path / "second", replay=0.25, distill=0.5, ewc=10.0, n_timesteps=64
    )
    after = load_trained(second)
    assert after.labels[-2:] == ("B-SHIP", "I-SHIP")
    assert after.outputs(after.task("dev"))


@pytest.mark.filterwarnings("ignore:gold labels")
def test_continual_old_values_stay_what_they_were(runs: dict[str, Path], ships: Path) -> None:
    # In a dueling network the mean over actions is taken off, which new rows must not move.
    setup = begun(runs["masked_dqn"], ships)
    agent = load_trained(runs["masked_dqn"])
    old = agent.task("train", data=str(ships))
    encode(old)
    rows = np.arange(4)
    values = []
    for model, task in ((agent.model(old), old), (setup.model, setup.train_task)):
        seen = task.observe(task.initial(rows), "index")
        tensors = {key: torch.as_tensor(array) for key, array in seen.items()}
        policy: Any = model.policy
        with torch.no_grad():
            values.append(policy.q_net(tensors).numpy())
    assert values[1][:, : len(old.labels)] == pytest.approx(values[0], abs=1e-5)


@pytest.mark.parametrize(
    ("env", "algo", "data"),
    [
        ("Question-TREC-v0", "bc", [{"text": "is it far ?", "label": "NEAR"}]),
        ("MultiLabel-v0", "bc", [{"text": "so glad", "labels": ["bliss"]}]),
        ("ChoiceQA-v0", "bc", None),
        ("Relation-SemEval-v0", "bc", None),
        ("SpanQA-v0", "bc", None),
        ("DialoguePolicy-v0", "bc", None),
    ],
)
def test_continual_any_family_goes_on(
    env: str, algo: str, data: list[dict[str, Any]] | None, tmp_path: Path
) -> None:
    first = train(small(algo, env), run_dir=tmp_path / "first", progress=False)
    file: Path | str = env.replace("SemEval", "CoNLL04") if "Relation" in env else env
    settings: dict[str, Any] = {}
    if data is not None:
        file = tmp_path / "new.jsonl"
        rows = [{**data[0], "text": f"{i} {data[0]['text']}"} for i in range(40)]
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        file = str(make_task(env, "train", **COMMON).dataset)
        settings = {"env_kwargs": {"corpus": "sample"}}
    run = go_on(first, file, tmp_path / "second", replay=0.25, settings=settings)
    before, now = (find_snapshot(place)[1]["labels"] for place in (first, run))
    assert now[: len(before)] == before
    assert (len(now) > len(before)) == (data is not None)
    assert load_trained(run).outputs(load_trained(run).task("dev"))


@pytest.mark.slow
def test_continual_what_writes_keeps_its_vocabulary(tmp_path: Path) -> None:
    config = small("bc", "Generation-v0", n_timesteps=64)
    config = config.with_changes(hyperparams={"batch_size": 32})
    first = train(config, run_dir=tmp_path / "first", progress=False)
    given = {"continue_from": str(first), "data": "continuations"}
    with pytest.raises(InvalidArgumentError, match=r"vocabulary_size.*cannot grow"):
        continued(first, {**given, "env_kwargs": {"vocabulary_size": 9}})
    found = continued(first, given)
    assert found["env_kwargs"]["vocabulary"] == find_snapshot(first)[1]["learnt"]["vocabulary"]


# What cannot be continued.


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({}, InvalidArgumentError, "needs new data"),
        ({"data": "Question-TREC-v0"}, InvalidArgumentError, "another task"),
        ({"env": "POS-EWT-v0"}, InvalidArgumentError, "another task"),
        ({"env": "NER-CoNLL-v0", "data": "NER-WNUT-v0"}, InvalidArgumentError, "two ids"),
        ({"data": "wnut17", "encoder": "minilm"}, InvalidArgumentError, "no other vectors"),
        ({"data": "wnut17", "encoder_mode": "finetune"}, InvalidArgumentError, "encoder_mode"),
        (
            {"data": "wnut17", "env_kwargs": {"encoder_kwargs": {"layers": [0]}}},
            InvalidArgumentError,
            "encoder_kwargs",
        ),
        ({"data": "wnut17", "env_kwargs": {"labels": ["O"]}}, InvalidArgumentError, "inventory"),
        ({"data": "wnut17", "algo": "masked_dqn"}, InvalidArgumentError, "whose heads"),
        ({"data": "no/such.conll"}, DataError, "no such file"),
        ({"data": "NER-WNUT"}, DataError, "Did you mean 'NER-WNUT-v0'"),
    ],
)
def test_continual_refuses(
    runs: dict[str, Path], changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        continued(runs["bc"], changes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"replay": 0.2}, "no.*--continue RUN|--continue RUN"),
        ({"distill": 1.0}, "--continue RUN"),
        ({"continue_from": "run", "warm_start": "bc"}, "warm_start"),
        ({"continue_from": "run", "replay": 1.0}, "replay"),
        ({"ewc": -1.0}, "ewc"),
    ],
)
def test_continual_settings_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        TrainConfig(**fields).check()


def test_continual_comes_back_to_the_first_corpus(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    second = go_on(runs["bc"], ships, tmp_path / "second")
    fields = continued(second, {"data": "NER-v0"})
    assert "data" not in fields["env_kwargs"]
    assert len(fields["stages"]) == 2
    with pytest.raises(InvalidArgumentError, match="needs new data"):
        continued(runs["bc"], {"data": "NER-v0"})  # it is on it


def test_continual_missing_run_and_changed_label(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        continued(tmp_path / "none", {"data": "wnut17"})
    plain = tmp_path / "plain.conll"
    plain.write_text("Alma B-PER\nsaw O\nPER PER\n\n" * 12, encoding="utf-8")
    with pytest.raises(NLPGymError):  # the reader or the check of types
        continued(runs["bc"], {"data": str(plain)})


def test_continual_refuses_data_that_is_gone(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    own = tmp_path / "gone.conll"
    shutil.copy(ships, own)
    second = go_on(runs["bc"], own, tmp_path / "second")
    own.unlink()
    with pytest.raises(RunError, match="--distill"):
        go_on(second, ships, tmp_path / "third", replay=0.2)
    assert not (tmp_path / "third" / "config.yml").exists()
    with pytest.raises(RunError, match=r"fisher\.safetensors is missing"):
        go_on(second, ships, tmp_path / "third", ewc=1.0)
    third = go_on(second, ships, tmp_path / "third", distill=1.0)
    with pytest.warns(UserWarning, match="lacks a column"):
        report = forgetting_report(third)
    assert report is not None
    assert report["matrix"][2][1] is None


def test_continual_graph_of_other_relations_is_refused(tmp_path: Path) -> None:
    def facts(name: str, relations: str) -> str:
        path = tmp_path / f"{name}.tsv"
        ends = ("ab", "bc", "cd", "de", "ef", "fg", "gh", "ha")
        lines = [f"{x[0]}\t{r}\t{x[1]}" for x in ends for r in relations.split()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    old = facts("old", "sails owns")
    config = small("bc", "KnowledgeGraph-v0", env_kwargs={"encoder": "hashed", "data": old})
    run = train(config, run_dir=tmp_path / "run", progress=False)
    with pytest.raises(InvalidArgumentError, match=r"others.*owns.*sees"):
        continued(run, {"data": facts("new", "sails sees")})  # as many, so that weights would fit
    assert continued(run, {"data": facts("more", "owns sails")})["stages"]


# Replay.


@pytest.mark.parametrize("repeats", [1, 3])
def test_continual_strata_draw_every_row_of_a_range_alike(repeats: int) -> None:
    strata = Strata.replaying([0, 10, 14, 44], 0.5)
    drawn = strata.draw(np.random.default_rng(0).random(200_000), repeats)
    assert drawn.min() >= 0
    assert drawn.max() == 44 * repeats - 1
    counts = np.bincount(drawn // repeats, minlength=44) / len(drawn)
    wanted = np.r_[np.full(10, 0.05), np.full(4, 0.25 / 4), np.full(30, 0.25 / 30)]
    assert counts == pytest.approx(wanted, abs=0.003)


def test_continual_strata_within_what_is_drawn_from() -> None:
    strata = Strata.replaying([0, 4, 8], 0.25).within(np.array([1, 2, 3]))
    assert strata.shares.tolist() == [1.0, 0.0]
    assert set(strata.draw(np.linspace(0.0, 0.999, 50))) == {0, 1, 2}


@pytest.mark.parametrize("whole", [False, True])
def test_continual_strata_order_has_the_share_in_every_stretch(whole: bool) -> None:
    rows = np.repeat(np.arange(60), 5)
    strata = Strata.replaying([0, 30, 40, 60], 0.2)
    orders = [strata.order(rows, seed, whole=whole) for seed in range(40)]
    assert all(len(order) == int(strata.counts(rows).sum()) for order in orders)
    assert all(set(order[order < 150]) == set(range(150)) for order in orders)  # all that is new
    old = np.concatenate(orders)
    counts = np.bincount(old, minlength=300)[150:]
    assert counts[:50].sum() == pytest.approx(counts[50:].sum(), rel=0.1)
    for part in np.array_split(orders[0], 4):
        assert np.mean(part >= 150) == pytest.approx(0.2, abs=0.08)
    assert not np.array_equal(orders[0], orders[1])
    assert np.array_equal(orders[0], strata.order(rows, 0, whole=whole))


def test_continual_replay_draws_episodes_in_its_share() -> None:
    import gymnasium

    old = make_task("NER-v0", "train", **COMMON)
    task = make_task("NER-v0", "train", **COMMON, earlier=[old.corpus])
    assert task.corpus_bounds is not None
    assert len(task.corpus) == 2 * len(old.corpus)
    task.strata = Strata.replaying(task.corpus_bounds, 0.2)
    for vector in (False, True):
        rows: list[int] = []
        if vector:
            from nlp_gym.envs.vector import TaskVectorEnv

            envs = TaskVectorEnv(task, 64, obs_type="index")
            for seed in range(30):
                rows += envs.reset(seed=seed * 64)[0]["row"].flatten().tolist()
        else:
            options: dict[str, Any] = dict(COMMON)
            env: Any = gymnasium.make("NER-v0", **options).unwrapped
            env.use(task)
            for i in range(600):
                env.reset(seed=0 if i == 0 else None)
                rows.append(int(env._state.row[0]))
        assert np.mean(np.array(rows) >= len(old.corpus)) == pytest.approx(0.2, abs=0.06)


def test_continual_vectors_of_joined_corpora_are_those_of_each() -> None:
    first, second = (make_task(env, "train", **COMMON) for env in ("NER-v0", "NER-WNUT-v0"))
    labels = [*first.labels, *(label for label in second.labels if label != "O")]
    task = make_task("NER-v0", "train", **COMMON, labels=labels, earlier=[second.corpus])
    n = len(first.encoded.features) - 1
    assert np.array_equal(task.encoded.features[:n], first.encoded.features[:-1])
    assert np.array_equal(task.encoded.features[n:], second.encoded.features)
    assert np.array_equal(task.encoded.offsets, task.corpus.offsets)


@pytest.mark.parametrize("env", ["KnowledgeGraph-v0", "MultiTask-v0"])
def test_continual_tasks_that_cannot_join_say_so(env: str) -> None:
    corpus = make_task("NER-v0", "train", **COMMON).corpus
    with pytest.raises(InvalidArgumentError, match="--distill"):
        make_task(env, "train", **COMMON, earlier=[corpus])


@pytest.mark.parametrize("earlier", ["conll2003", [1], {"a": 1}, 3])
def test_continual_earlier_must_be_corpora(earlier: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a list of corpora"):
        make_task("NER-v0", "train", **COMMON, earlier=earlier)


def test_continual_dev_is_the_mean_of_stages(runs: dict[str, Path], ships: Path) -> None:
    setup = begun(runs["bc"], ships, replay=0.25)
    bounds = setup.dev_task.corpus_bounds
    assert bounds is not None
    outputs = [tuple(sample.labels or ()) for sample in setup.dev_task.corpus.samples]
    outputs = [out if i < bounds[1] else ("O",) * len(out) for i, out in enumerate(outputs)]
    score = setup._mean_of_stages(Score("entity_f1", 0.9, None, 1, ""), outputs, None, bounds)
    assert score.value == 0.5


# Penalties.


def test_continual_distillation_adds_the_gradient_of_the_divergence(
    runs: dict[str, Path], ships: Path
) -> None:
    from nlp_gym_agents.training.callbacks.kl_penalty import frozen_copy
    from nlp_gym_agents.training.earlier.distillation import Distillation

    setup = begun(runs["bc"], ships)
    policy: Any = setup.model.policy
    before = frozen_copy(policy)
    task, n_old = setup.train_task, 9
    with torch.no_grad():
        for parameter in policy.action_net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.manual_seed(0)))
    seen = task.observe(task.initial(np.arange(6)), "index")
    tensors = {key: torch.as_tensor(array) for key, array in seen.items()}
    legal = tensors["action_mask"][:, :n_old] > 0

    def scores() -> torch.Tensor:
        latent = policy.extract_features(tensors, policy.pi_features_extractor)
        found: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(latent))
        return found

    from nlp_gym_agents.networks.policies.dueling import action_scores

    theirs = action_scores(before, tensors)
    assert theirs is not None
    logs = [s[:, :n_old].masked_fill(~legal, -1e9).log_softmax(dim=1) for s in (theirs, scores())]
    divergence = (logs[0].exp() * (logs[0] - logs[1])).sum(dim=1).mean()
    wanted = torch.autograd.grad(2.5 * divergence, policy.action_net.weight)[0]
    from nlp_gym_agents.training.earlier.weights import growth_since

    growth = growth_since(setup, setup.train_task.labels[:n_old])
    Distillation(setup.model, before, 2.5, growth)
    found = torch.autograd.grad((0.0 * scores()).sum(), policy.action_net.weight)[0]
    assert torch.allclose(found, wanted, atol=1e-6)
    assert wanted.abs().max() > 1e-3
    assert not found[n_old:].any()  # new labels are free


def test_continual_consolidation_pulls_weights_back(runs: dict[str, Path], ships: Path) -> None:
    from nlp_gym_agents.training.earlier.consolidation import Consolidation, fisher, learned

    setup = begun(runs["bc"], ships)
    found = fisher(setup.model, setup.train_task, obs_type="index", rows=8)
    assert set(found) == set(learned(setup.model))
    assert all(bool((values >= 0).all()) for values in found.values())
    assert found["action_net.weight"].any()
    assert not found["value_net.weight"].any()  # log pi does not depend on it
    weights = learned(setup.model)
    centre = {name: w.detach().clone() for name, w in weights.items()}
    ones = {name: torch.ones_like(w) for name, w in weights.items()}
    Consolidation(setup.model, 3.0, centre, ones)
    weight = weights["action_net.weight"]
    with torch.no_grad():
        weight.add_(0.5)
    weight.grad = torch.zeros_like(weight)
    before = weight.detach().clone()
    optimizer: Any = setup.model.policy.optimizer
    optimizer.step()
    assert torch.allclose(weight.grad, torch.full_like(weight, 1.5), atol=1e-5)
    assert (weight < before).all()


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["bc", "masked_dqn", "qrdqn", "maskable_ppo", "rloo"])
def test_continual_held_run_stays_nearer(
    runs: dict[str, Path], ships: Path, tmp_path: Path, algo: str
) -> None:
    moved = {}
    for name, options in {"free": {}, "ewc": {"ewc": 1e6}}.items():
        run = go_on(runs[algo], ships, tmp_path / name, n_timesteps=256, **options)
        last = load_file(newest(run / "checkpoints")[0] / "policy.safetensors")
        first = load_file(find_snapshot(runs[algo])[0] / "policy.safetensors")
        same = [k for k in first if first[k].shape == last[k].shape and "target" not in k]
        moved[name] = sum(float((first[k] - last[k]).square().sum()) for k in same)
    assert moved["ewc"] < moved["free"]
    assert (tmp_path / "ewc" / held.FISHER).is_file()


@pytest.mark.slow
def test_continual_information_is_summed_over_stages(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    second = go_on(runs["bc"], ships, tmp_path / "second", ewc=1.0)
    third = go_on(second, "wnut17", tmp_path / "third", ewc=1.0, settings={"env_kwargs": COMMON})
    kept, used = load_file(second / held.FISHER), load_file(third / held.EARLIER)
    n = kept["action_net.weight"].shape[0]
    assert torch.equal(used["fisher/action_net.weight"][:n], kept["action_net.weight"])
    assert not used["fisher/action_net.weight"][n:].any()
    total = load_file(third / held.FISHER)
    assert all(bool((total[k] >= used[f"fisher/{k}"] - 1e-12).all()) for k in total)


# The chain.


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["bc", "dagger", "masked_dqn", "maskable_ppo"])
def test_continual_resume_is_exact(
    runs: dict[str, Path], ships: Path, tmp_path: Path, algo: str
) -> None:
    options: dict[str, Any] = {"replay": 0.25, "distill": 0.5, "ewc": 10.0, "n_timesteps": 256}
    gone = tmp_path / "earlier"
    shutil.copytree(runs[algo], gone)
    whole = go_on(gone, ships, tmp_path / "whole", **options)
    half = tmp_path / "half"
    score = Setup.score
    scores: list[Score] = []

    def stop(self: Setup) -> Score:
        scores.append(score(self))
        if len(scores) == 2:
            signal.raise_signal(signal.SIGINT)
        return scores[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Setup, "score", stop)
        with pytest.raises(TrainingInterrupted):
            go_on(gone, ships, half, **options)
    assert int(newest(half / "checkpoints")[0].name) < 256
    shutil.rmtree(gone)  # a resume needs nothing of it
    resume(half, progress=False)
    ends = [load_file(newest(r / "checkpoints")[0] / "policy.safetensors") for r in (whole, half)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    kept = [load_file(run / held.FISHER) for run in (whole, half)]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_continual_damaged_earlier_file_is_a_run_error(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    run = go_on(runs["bc"], ships, tmp_path / "run", distill=1.0)
    path = run / held.EARLIER
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RunError, match="sha256"):
        resume(run, n_timesteps=256, progress=False)


@pytest.mark.slow
def test_continual_killed_run_goes_on(runs: dict[str, Path], ships: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "nlp_gym", "train", "--continue", str(runs["bc"])]
    command += ["--data", str(ships), "--replay", "0.2", "--distill", "1", "--ewc", "10"]
    command += ["-n", "10000000", "--eval-freq", "1000000", "--save-freq", "64"]
    command += ["--run-dir", str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            if any(p.name.isdigit() and int(p.name) >= 192 for p in run.glob("checkpoints/*")):
                break
            time.sleep(0.05)
        process.kill()
        process.communicate()
    at = int(newest(run / "checkpoints")[0].name)
    resume(run, n_timesteps=at + 64, progress=False)
    assert int(newest(run / "checkpoints")[0].name) == at + 64


@pytest.mark.slow
def test_continual_chain_and_its_report(
    runs: dict[str, Path], ships: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from nlp_gym_agents.evaluation.test_report import print_report

    second = go_on(runs["bc"], ships, tmp_path / "second", replay=0.2)
    third = go_on(
        second, "NER-WNUT-v0", tmp_path / "third", replay=0.5, settings={"env_kwargs": COMMON}
    )
    config = read_config(third)
    assert [stage["run"] for stage in config["stages"]] == [str(runs["bc"]), str(second)]
    assert config["stages"][1]["arguments"]["data"] == str(ships)
    assert config["env"] == "NER-WNUT-v0"
    report = final_report(third)["continual"]
    assert report["stages"] == ["conll2003", "ships", "wnut17"]
    assert np.shape(report["matrix"]) == (3, 3)
    assert json.loads((third / "report.json").read_text())["continual"] == report
    own = load_trained(third)
    task = own.task("test")
    assert task.score(own.outputs(task), bootstrap=0).value == report["matrix"][2][2]
    print_report(final_report(third), Console(width=120))
    assert "backward transfer" in capsys.readouterr().out
    assert "continual" not in final_report(runs["bc"])


def test_continual_run_learns_from_use_with_the_data_of_all_stages(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    second = go_on(runs["bc"], ships, tmp_path / "second")
    agent = load_agent(second)
    agent.observe("Alma took the Kestrel .", ["B-PER", "O", "O", "B-SHIP", "O"])
    sizes = [len(load_trained(run).task("train").corpus) for run in (second, runs["bc"])]
    half = min(sizes) // 2
    report = agent.learn(evaluate=False, passes=1, replay_texts=2 * half)
    assert report.replayed == 2 * half  # of each as many
    seen: list[Any] = []
    own = TrainedModel.task

    def task(self: TrainedModel, split: str, **given: Any) -> Any:
        seen.append(given)
        return own(self, split, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedModel, "task", task)
        agent.learn(evaluate=False, passes=1)
    assert [len(one["earlier"]) for one in seen if one.get("earlier")] == [1]


def test_continual_plot(runs: dict[str, Path], ships: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from nlp_gym_agents.plots.figure import plot

    second = go_on(runs["bc"], ships, tmp_path / "second")
    path = plot([second], tmp_path / "matrix.svg", what="forgetting")
    assert "test set of" in path.read_text(encoding="utf-8")
    with pytest.raises(RunError, match="continues no other run"):
        plot([runs["bc"]], tmp_path / "none.svg", what="forgetting")


def test_continual_transfer_by_hand() -> None:
    matrix = [[0.9, 0.2, 0.1], [0.7, 0.8, 0.3], [0.6, 0.9, 0.7]]
    found = transfer(matrix, [0.1, 0.1, 0.1])
    assert found["average"] == pytest.approx((0.6 + 0.9 + 0.7) / 3)
    assert found["forgetting"] == pytest.approx(((0.9 - 0.6) + (0.8 - 0.9)) / 2)
    assert found["backward"] == pytest.approx(((0.6 - 0.9) + (0.9 - 0.8)) / 2)
    assert found["forward"] == pytest.approx(((0.2 - 0.1) + (0.3 - 0.1)) / 2)
    assert transfer([[None, 0.2], [0.3, 0.4]], [0.0, 0.0])["forgetting"] is None
    # The score when it was learned is gone: a smaller one later would hide what was forgotten.
    gone: list[list[float | None]] = [[None, 0.2, 0.1], [0.7, 0.8, 0.3], [0.6, 0.9, 0.7]]
    assert transfer(gone, [0.1] * 3)["forgetting"] is None


def test_continual_another_algorithm_of_the_same_heads(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    settings = {"algo": "maskable_ppo", "hyperparams": {"n_steps": 8, "batch_size": 32}}
    run = go_on(runs["bc"], ships, tmp_path / "run", replay=0.2, settings=settings)
    assert find_snapshot(run)[1]["algo"] == "maskable_ppo"


def test_continual_samples_join_with_their_gold() -> None:
    samples = [Sample(("a", "b"), ("O", "O"))]
    task = make_task("NER-v0", "train", **COMMON, data=samples, labels=["O", "B-PER", "I-PER"])
    old = make_task("NER-v0", "train", **COMMON)
    joined = make_task(
        "NER-v0", "train", **COMMON, data=samples, labels=list(old.labels), earlier=[old.corpus]
    )
    assert joined.corpus.samples[1:] == list(old.corpus.samples)
    assert joined.corpus.samples[0] == task.corpus.samples[0]


def test_continual_flags_know_what_was_typed(runs: dict[str, Path], tmp_path: Path) -> None:
    from nlp_gym_agents.cli.train.command import _resume, config_of

    flags = {"continue_from": str(runs["bc"]), "data": "wnut17", "replay": 0.2, "env": None}
    config = config_of(flags, None)
    assert (config.env, config.algo, config.replay) == ("NER-v0", "bc", 0.2)
    assert config.env_kwargs["dataset"] == "wnut17"
    assert len(config.stages) == 1
    # Settings of a new run would be these; typed, they are not those of the run.
    with pytest.raises(InvalidArgumentError, match="whose heads"):
        config_of({**flags, "algo": "masked_dqn"}, None)
    with pytest.raises(InvalidArgumentError, match="--continue cannot be given with --resume"):
        _resume(
            tmp_path,
            {"n_timesteps": None, "tensorboard_log": None, **flags},
            (),
            progress=False,
            watched={},
        )


def test_continual_of_a_short_run_may_be_long(ships: Path, tmp_path: Path) -> None:
    """Batches that were cut for a short run are not those of its successor; typed ones are."""
    config = small("bc", n_timesteps=256, hyperparams=TINY)
    run = train(config, run_dir=tmp_path / "run", progress=False)
    assert read_config(run)["hyperparams"]["batch_size"] == 8
    fields = {"data": str(ships), "n_timesteps": 10**6}
    longer = TrainConfig(**continued(run, fields))
    assert merge(longer).hyperparams["batch_size"] == 512
    typed = train(small("bc"), run_dir=tmp_path / "typed", progress=False)
    kept = merge(TrainConfig(**continued(typed, fields))).hyperparams["batch_size"]
    assert kept == SMALL["bc"]["batch_size"]


def test_continual_settings_repeat_the_run(
    runs: dict[str, Path], ships: Path, tmp_path: Path
) -> None:
    from nlp_gym_agents.config.train_config import config_from_file

    run = go_on(runs["bc"], ships, tmp_path / "run", replay=0.25)
    again = train(config_from_file(run / "config.yml"), run_dir=tmp_path / "two", progress=False)
    ends = [load_file(newest(r / "checkpoints")[0] / "policy.safetensors") for r in (run, again)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_continual_penalties_refuse_a_memory() -> None:
    from nlp_gym_agents.algorithms.registry import resolve
    from nlp_gym_agents.models.build import build_model
    from nlp_gym_agents.training.earlier.consolidation import check_consolidates
    from nlp_gym_agents.training.earlier.distillation import check_distils

    task = make_task("Question-TREC-v0", "train", **COMMON)
    encode(task)
    params = {"policy": "MultiInputLstmPolicy", "n_steps": 8, "batch_size": 8, **TINY}
    model = build_model(resolve("recurrent_ppo"), task, params)
    for check in (check_consolidates, lambda found: check_distils(found, 1.0)):
        with pytest.raises(InvalidArgumentError, match="has a memory"):
            check(model)
