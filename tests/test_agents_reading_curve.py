"""Curves of accuracy against what is read, early exits, and the heads of a reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym_agents import load_agent
from nlp_gym_agents.algorithms.imitation.demonstrations import collect
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.reading_curve import (
    Curve,
    Exits,
    Point,
    agent_points,
    curve_of,
    exit_curve,
    exits_of,
)
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.features.commit import CommitHead
from nlp_gym_agents.plots.scores.points import draw_curves
from nlp_gym_agents.training.train import train

ID = "Sentiment-SST2-v0"
KWARGS: dict[str, Any] = {"encoder": "hashed", "corpus": "sample", "chunk": 3}
DIAL = {"read_cost": [0, 0.125], "skips": [1], "jump": True}
HEAD = {"features_extractor_kwargs": {"hidden": [16], "commit_head": 8}}


def point(setting: float, words: int, right: int) -> Point:
    """Of ten texts of ten words each."""
    return Point(setting, np.full(10, words), np.arange(10) < right, np.full(10, 10))


def test_curve_is_a_line_between_points_and_constant_outside() -> None:
    curve = Curve("c", (point(0, 2, 5), point(1, 6, 9)))
    assert curve.shares.tolist() == [0.2, 0.6]
    assert [curve.at(s) for s in (0.1, 0.2, 0.4, 0.6, 1)] == pytest.approx(
        [0.5, 0.5, 0.7, 0.9, 0.9]
    )
    assert curve.area(0.2) == pytest.approx((0.4 * 0.7 + 0.4 * 0.9) / 0.8)
    assert curve.share_for(0.7) == pytest.approx(0.4, abs=1e-3)
    assert curve.share_for(0.5) == pytest.approx(0.2, abs=1e-3)
    assert curve.share_for(0.95) is None
    assert curve.table()[0] == {"setting": 0, "read": 0.2, "accuracy": 0.5}


def test_curve_has_all_points_by_their_share() -> None:
    points = [point(0, 5, 5), point(1, 2, 6), point(np.nan, 9, 4)]
    assert curve_of("c", points).accuracies.tolist() == [0.6, 0.5, 0.4]


def test_exit_reads_until_it_is_sure() -> None:
    exits = Exits(
        confidence=np.array([[0.6, 0.9, 2.0], [0.5, 0.6, 0.7]]),
        right=np.array([[False, True, False], [True, False, True]]),
        words=np.array([[3, 5, 0], [3, 6, 8]]),
        lengths=np.array([2, 3]),
    )
    for threshold, words, right in (
        (0.0, [3, 3], [False, True]),
        (0.6, [3, 6], [False, False]),
        (0.65, [5, 8], [True, True]),
        (1.5, [5, 8], [True, True]),
    ):
        found = exits.point(threshold)
        assert found.words.tolist() == words
        assert found.right.tolist() == right
        assert found.of.tolist() == [5, 8]
    assert exits.thresholds(3) == pytest.approx([0.0, 0.5, 0.6, 0.9, 1.5])


def test_labels_are_taught_in_every_state_but_not_from_texts_held_out() -> None:
    task: Any = make_task(ID, **KWARGS, holdout=0.25)
    assert len(task.drawn) == round(0.25 * len(task.corpus))
    assert make_task(ID, split="dev", **KWARGS, holdout=0.25).drawn is None
    data = collect(task, gamma=0.9, exits="reading")
    rows = data.observations["row"].flatten().numpy()
    taught = np.setdiff1d(np.arange(len(task.corpus)), task.drawn)
    assert sorted(rows.tolist()) == np.repeat(taught, task.lengths[taught]).tolist()
    assert not data.observations["action_mask"][:, len(task.labels) :].any()
    gold = [task.labels.index(task.sample(row).labels[0]) for row in rows]
    assert data.actions.tolist() == gold
    gaps = collect(make_task(ID, **KWARGS, **DIAL), gamma=0.9, exits="moves")
    position = gaps.observations["position"].flatten().numpy()
    assert ((position & (position + 1)) > 0).any()  # not the beginning alone
    with pytest.raises(InvalidArgumentError, match="exits='reading': only classification"):
        collect(make_task(ID, **KWARGS, reading=False), gamma=0.9, exits="reading")


def test_vector_environment_draws_from_the_texts_held_out() -> None:
    import gymnasium as gym

    env: Any = gym.make_vec(ID, num_envs=4, obs_type="index", holdout=0.25, **KWARGS)
    task = env.unwrapped.task
    observation, _ = env.reset(seed=0)
    seen: set[int] = set()
    for _ in range(60):
        seen |= set(observation["row"].flatten().tolist())
        observation, *_ = env.step(env.unwrapped.oracle_actions())
    assert seen == set(task.drawn.tolist())


def model_of(algo: str, **kwargs: Any) -> Any:
    task = make_task(ID, **KWARGS, **DIAL)
    hyperparams = {"policy": "MultiInputPolicy", "policy_kwargs": kwargs.pop("policy", HEAD)}
    return build_model(resolve(algo), task, {**hyperparams, **kwargs}, n_envs=4)


def test_head_reads_everything_at_first_and_does_not_see_the_text() -> None:
    head = CommitHead(4, 3, 2, 2, 8, sharp=4.0)
    features = th.randn(64, 7) * 200
    logits = head(features)
    assert logits.shape == (64, 4)
    assert th.allclose(logits[:, :2].exp().sum(dim=1), th.ones(64), atol=1e-5)
    assert (logits.argmax(dim=1) == 2).all()
    # Texts of which it is as sure of the other label are read on alike.
    head.labels.weight.data = th.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    features = th.tensor([[2.0, -1, 5, 0, 1, 0, 1], [-1.0, 2, -7, 3, 1, 0, 1]])
    assert th.allclose(*head(features)[:, 2:])
    assert not th.allclose(*head(features)[:, :2])


@pytest.mark.parametrize("algo", ["bc", "ppo", "maskable_ppo", "a2c", "expected_pg"])
def test_head_fits_the_algorithms_and_labels_can_stand_still(algo: str) -> None:
    policy = {"features_extractor_kwargs": {**HEAD["features_extractor_kwargs"]}}
    policy["features_extractor_kwargs"]["learn_labels"] = algo == "bc"
    options = {} if algo in ("bc", "a2c") else {"n_steps": 8, "batch_size": 16}
    model = model_of(algo, policy=policy, **options)
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    model.learn(64)
    changed = {k for k, v in model.policy.state_dict().items() if not th.equal(v, before[k])}
    assert any(name.startswith("action_net.moves") for name in changed)
    labels = {n for n in changed if ".trunk." in n or n.startswith("action_net.labels")}
    assert bool(labels) == (algo == "bc")


def test_head_is_refused_where_there_is_nothing_to_decide() -> None:
    for algo, kwargs in (("masked_dqn", KWARGS), ("bc", {**KWARGS, "reading": False})):
        task = make_task(ID, **kwargs)
        with pytest.raises(InvalidArgumentError, match="commit_head=8 is for bc"):
            build_model(resolve(algo), task, {"policy_kwargs": HEAD})
    with pytest.raises(UnknownNameError, match="exits"):
        model_of("bc", exits="all")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier and an agent that was started from it, both hardly trained."""
    folder = tmp_path_factory.mktemp("reading")
    ways = {"env": ID, "env_kwargs": {**KWARGS, **DIAL}, "early_stopping": 0, "n_timesteps": 256}
    labels = {"exits": "reading", "policy_kwargs": HEAD}
    train(TrainConfig(algo="bc", hyperparams=labels, **ways), run_dir=folder / "exit")
    when = {"gamma": 1.0, "n_envs": 8, "batch_size": 64, "policy_kwargs": HEAD}
    start = str(folder / "exit")
    config = TrainConfig(algo="expected_pg", hyperparams=when, warm_start=start, **ways)
    train(config, run_dir=folder / "agent")
    return {name: folder / name for name in ("exit", "agent")}


def test_points_of_runs_are_what_they_play(runs: dict[str, Path], tmp_path: Path) -> None:
    exit_run, agent = (load_trained(runs[name], checkpoint="last") for name in ("exit", "agent"))
    task: Any = agent.task("dev")
    exits = exits_of(exit_run, exit_run.task("dev"))
    assert exits.point(1.5).share == 1.0
    assert exits.point(0.0).words.tolist() == [
        task.words_read(r)[0] for r in range(len(task.corpus))
    ]
    points = agent_points(agent, task)
    assert [p.setting for p in points[1:]] == [0.0, 0.125]
    assert np.array_equal(points[0].words, exits.point(0.0).words)
    held = task.at_cost(0.125)
    outputs = agent.outputs(held)
    assert points[2].words.tolist() == [read for _, read, _ in outputs]
    assert points[2].accuracy == task.score(outputs, bootstrap=0).value
    curves = {
        "exit": exit_curve("exit", exits, exits),
        "expected_pg": curve_of("expected_pg", points),
    }
    found = {"env": ID, "seed": 0, "moves": "skip", "all": exits.point(1.5).accuracy}
    found["curves"] = {name: {"points": curve.table()} for name, curve in curves.items()}
    assert draw_curves([found], tmp_path / "curves.svg").stat().st_size > 1000
    with pytest.raises(InvalidArgumentError, match="one price"):
        agent_points(exit_run, make_task(ID, split="dev", **KWARGS))  # type: ignore[arg-type]


def test_predictions_do_not_depend_on_the_place_of_a_text(runs: dict[str, Path]) -> None:
    agent = load_agent(runs["agent"])
    held: Any = agent.trained.task("dev").settled()
    assert held.read_cost == DIAL["read_cost"][0]
    assert held.observe(held.initial(np.arange(2)), "index")["cost"].tolist() == [[0], [0]]
    one, two = agent.predict(["a fine film that never bores , and more ."] * 2)
    assert (one.label, one.words, one.confidence) == (two.label, two.words, two.confidence)


def test_labels_of_another_run_can_be_committed_to(runs: dict[str, Path]) -> None:
    exit_run, agent = (load_trained(runs[name], checkpoint="last") for name in ("exit", "agent"))
    task: Any = agent.task("dev")
    points = agent_points(agent, task, exit_run)
    at_once = exits_of(exit_run, exit_run.task("dev")).point(0.0)
    assert np.array_equal(points[0].right, at_once.right)
    assert len(rollout(task, "oracle")) == len(points[0].right)
