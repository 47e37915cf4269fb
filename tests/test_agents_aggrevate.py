"""AggreVaTe: values of actions by hand, what is tried, its losses, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym_agents.algorithms.imitation.cost_to_go import action_values, cost_loss, tried_actions
from nlp_gym_agents.models.acting import make_act
from tests.test_agents_dagger import SAMPLE, build

pytestmark = pytest.mark.usefixtures("one_thread")


def every(task: Any, b: int) -> Any:
    return np.broadcast_to(np.arange(task.n_actions), (b, task.n_actions))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_cost_to_go_of_a_tag_is_its_reward_and_the_words_that_are_left(gamma: float) -> None:
    """The oracle gets every later word right: gamma + gamma ** 2 + ... whatever is chosen now."""
    task: Any = make_task("POS-EWT-v0", **SAMPLE)
    rows = np.arange(4)
    state = task.initial(rows)
    before = {key: value.copy() for key, value in vars(state).items()}
    values = action_values(task, state, every(task, 4), gamma=gamma, roll_out=task.oracle)
    gold = task.oracle(state)
    for i, length in enumerate(task.lengths[rows]):
        later = sum(gamma**k for k in range(1, int(length))) if gamma else 0.0
        expected = np.full(task.n_actions, later)
        expected[gold[i]] += 1.0
        assert values[i] == pytest.approx(expected)
    assert all((before[key] == value).all() for key, value in vars(state).items())


def test_cost_to_go_of_a_label_is_the_f1_that_is_left() -> None:
    """Two gold labels: a wrong first one leaves 2 * 2 / (3 + 2), stopping leaves nothing."""
    task: Any = make_task("MultiLabel-GoEmotions-v0", **SAMPLE, reward="metric")
    sizes = np.array([len(sample.labels) for sample in task.corpus.samples])
    rows = np.flatnonzero(sizes == 2)[:2]
    assert len(rows)
    state = task.initial(rows)
    values = action_values(task, state, every(task, len(rows)), gamma=1.0, roll_out=task.oracle)
    for i, row in enumerate(rows):
        gold = {task.labels.index(label) for label in task.corpus.samples[row].labels}
        for action in range(len(task.labels)):
            expected = 1.0 if action in gold else 0.8
            assert values[i, action] == pytest.approx(expected, abs=1e-5)
        assert values[i, len(task.labels)] == 0.0  # STOP


def test_roll_outs_of_the_learner_are_its_own() -> None:
    """With the learner going on, a branch is worth what the learner then earns."""
    model = build("POS-EWT-v0", "aggrevate", gamma=1.0, rollout_policy="learner")
    task = model.env.get_attr("task")[0]
    state = task.initial(np.arange(3))
    values = model._values(state, every(task, 3).copy())
    act = make_act(model, True)
    for i in range(3):
        for action in (0, 5):
            single = task.initial(np.array([i]))
            earned, ended = task.transition(single, np.array([action]))
            total = earned[0]
            while not ended[0]:
                seen, mask = task.views.observe_with_mask(single, "index")
                earned, ended = task.transition(single, act(seen, mask))
                total += earned[0]
            assert values[i, action] == pytest.approx(total)
    model.rollout_policy, model._tosses = "mixture", np.random.default_rng(0)
    model.rollout_beta = 0.0
    assert model._values(state, every(task, 3).copy()) == pytest.approx(values)
    model.rollout_beta = 1.0
    oracle = action_values(task, state, every(task, 3), gamma=1.0, roll_out=task.oracle)
    assert model._values(state, every(task, 3).copy()) == pytest.approx(oracle)


def test_it_goes_on_cloning_where_no_state_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("POS-EWT-v0", "aggrevate", roll_ins=1, first=0.5, texts=1, states=1)
    monkeypatch.setattr(model, "_kept_of", lambda state, picks: np.zeros(len(state.row), bool))
    model.learn(128)
    assert (model.num_timesteps, len(model._visited[0])) == (128, 0)


def test_tried_are_the_likeliest_and_the_oracles() -> None:
    low = -np.inf
    scores = np.array([[0.1, 0.9, 0.5, low], [0.3, 0.2, 0.1, low]], np.float32)
    labels = np.array([0, 3])
    tried, used = tried_actions(scores, labels, 4)
    assert tried.tolist() == [[0, 1, 2, 3]] * 2
    assert used.tolist() == [[True, True, True, False], [True, True, True, True]]
    tried, used = tried_actions(scores, labels, 2)
    assert tried.tolist() == [[1, 0], [0, 3]]
    assert used.all()
    tried, _ = tried_actions(scores, np.array([1, 1]), 2)
    assert tried.tolist() == [[1, 2], [0, 1]]


def test_losses_by_hand() -> None:
    logits = th.log(th.tensor([[0.5, 0.3, 0.2]])).requires_grad_()
    tried, values = th.tensor([[0, 1]]), th.tensor([[0.25, 1.0]])
    loss, right = cost_loss(logits, tried, values, None, kind="expected", scale=2.0)
    assert loss.item() == pytest.approx(2 * (0.75 - 0.3 * 0.75))  # the third counts as the worst
    assert right.item() == 0.0
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] < 0 < logits.grad[0, 2]
    margin, _ = cost_loss(logits, tried, values, None, kind="cost_sensitive", scale=1.0)
    held = np.array([0.5, 0.3, 0.2]) * np.exp([0.75, 0.0, 0.75])
    assert margin.item() == pytest.approx(np.log(held.sum()) - np.log(0.3))
    # An action that is not legal has no share.
    mask = th.tensor([[False, True, True]])
    masked, right = cost_loss(logits, tried, values, mask, kind="expected", scale=1.0)
    assert masked.item() == pytest.approx(0.75 * (1 - 0.6))
    assert right.item() == 1.0
    # A place that is not used is no action.
    unused = th.tensor([[1.0, -th.inf]])
    nothing, _ = cost_loss(logits, tried, unused, None, kind="expected", scale=1.0)
    assert nothing.item() == 0.0


def test_nothing_illegal_is_best_where_all_are_worth_the_same() -> None:
    logits = th.zeros(1, 3, requires_grad=True)
    tried, values = th.tensor([[0, 1, 2]]), th.tensor([[-th.inf, 0.5, 0.5]])
    mask = th.tensor([[False, True, True]])
    loss, right = cost_loss(logits, tried, values, mask, kind="cost_sensitive", scale=5.0)
    assert loss.item() == pytest.approx(np.log(2))  # two actions, of which one is taken as the best
    assert right.item() == 1.0
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] == 0.0


@pytest.mark.parametrize(("loss", "least"), [("expected", 0.5), ("cost_sensitive", 0.85)])
def test_it_learns_from_values(loss: str, least: float) -> None:
    """With no cloning at all, from what actions are worth alone; a single label is right in .2."""
    options: dict[str, Any] = {"first": 0.0, "roll_ins": 2, "gamma": 0.0, "learning_rate": 1e-2}
    model = build("POS-EWT-v0", "aggrevate", loss=loss, **options)
    model.learn(12_000, log_interval=0)
    task = model.env.get_attr("task")[0]
    outputs = rollout(task, make_act(model, True))
    assert task.score(outputs, bootstrap=0).value > least


def test_a_constant_reward_teaches_nothing() -> None:
    model = build("POS-EWT-v0", "aggrevate", first=0.0, roll_ins=1, gamma=0.0)
    model.env.get_attr("task")[0].constant_reward = 1.0
    model._roll_in(1)
    assert (model._visited[0].values == 1.0).all()


def test_candidates_and_graphs_are_priced() -> None:
    for env_id, options in (
        ("Summary-SciTLDR-v0", {"reward": "metric", "branches": 3}),
        ("SpanQA-SQuAD-v0", {"reward": "metric", "branches": 4}),
        ("KnowledgeGraph-WN18RR-v0", {"branches": 4}),
    ):
        model = build(env_id, "aggrevate", gamma=1.0, first=0.0, roll_ins=1, texts=6, **options)
        model.learn(128, log_interval=0)
        data = model._visited[0]
        assert data.tried.shape == data.values.shape == (len(data), options["branches"])
        # The oracle's action is among them, and has a value.
        has = (data.tried == data.actions[:, None]) & data.values.isfinite()
        assert has.any(dim=1).all()


def test_misuse_is_refused() -> None:
    for options, error, words in (
        ({"branches": 1}, InvalidArgumentError, "branches=1"),
        ({"rollout_policy": "expert"}, UnknownNameError, "rollout_policy='expert'"),
        ({"loss": "squared"}, UnknownNameError, "loss='squared'"),
        ({"states": 0}, InvalidArgumentError, "states=0"),
        ({"cost_scale": 0}, InvalidArgumentError, "cost_scale=0"),
    ):
        with pytest.raises(error, match=words):
            build("POS-EWT-v0", "aggrevate", **options)
