"""Policies beyond Stable-Baselines3's own, and acting greedily with any model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from nlp_gym import make_task
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.models.acting import make_act, make_scored_act, score_kind
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.policies.dueling import DuelingDQNPolicy, action_scores, masked

BUFFER = {"buffer_size": 64}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 8})


def build(algo: str, task: Task, policy: Any = "MultiInputPolicy", **kwargs: Any) -> Any:
    policy_kwargs = {
        "features_extractor_class": NLPExtractor,
        "features_extractor_kwargs": {"source": FeatureSource(task, "cpu"), "hidden": [16]},
        "net_arch": [],
        **kwargs.pop("policy_kwargs", {}),
    }
    env = SB3VecEnv(TaskVectorEnv(task, 2, obs_type="index"))
    return resolve(algo).cls(
        policy, env, policy_kwargs=policy_kwargs, seed=0, device="cpu", **kwargs
    )


def stir(model: Any) -> None:
    """Large random heads, so that greedy actions differ from state to state."""
    generator = th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in model.policy.parameters():
            parameter.copy_(th.randn(parameter.shape, generator=generator))


def observe(task: Task, n: int = 40) -> tuple[Any, Any]:
    """Observation and mask of n texts after one step."""
    state = task.initial(np.arange(n))
    task.transition(state, task.oracle(state))
    return task.observe(state, "index"), task.mask(state)


MODELS = [
    ("dqn", BUFFER),
    ("masked_dqn", BUFFER),
    ("qrdqn", BUFFER),
    ("ppo", {"n_steps": 4, "batch_size": 8}),
    ("a2c", {}),
    ("maskable_ppo", {"n_steps": 4, "batch_size": 8}),
    ("bc", {}),
]


@pytest.mark.parametrize(("algo", "options"), MODELS)
def test_acting_equals_predict(algo: str, options: dict[str, Any], task: Task) -> None:
    model = build(algo, task, **options)
    stir(model)
    obs, mask = observe(task)
    fast = make_act(model, masked=algo == "masked_dqn")(obs, mask)
    slow, _ = model.predict(obs, deterministic=True)
    assert fast.dtype == np.int64
    np.testing.assert_array_equal(fast, slow)
    assert len(set(fast.tolist())) > 1


@pytest.mark.parametrize(("algo", "options"), MODELS)
def test_acting_masked_is_legal(algo: str, options: dict[str, Any], task: Task) -> None:
    model = build(algo, task, **options)
    stir(model)
    obs, mask = observe(task)
    free = make_act(model, masked=False)(obs, np.ones_like(mask))
    chosen = make_act(model, masked=True)(obs, mask)
    assert mask[np.arange(len(mask)), chosen].all()
    if algo == "maskable_ppo":
        expected, _ = model.predict(obs, deterministic=True, action_masks=mask)
        np.testing.assert_array_equal(chosen, expected)
    legal = mask[np.arange(len(mask)), free]
    assert algo == "masked_dqn" or not legal.all()
    np.testing.assert_array_equal(chosen[legal], free[legal])


@pytest.mark.parametrize(("algo", "options"), MODELS)
def test_acting_scored_is_what_the_policy_holds(
    algo: str, options: dict[str, Any], task: Task
) -> None:
    model = build(algo, task, **options)
    stir(model)
    obs, mask = observe(task)
    for use_mask in (False, True):
        found = make_scored_act(model, use_mask)(obs, mask)
        np.testing.assert_array_equal(found.actions, make_act(model, use_mask)(obs, mask))
        assert found.scores is not None
        assert found.values is not None
        assert (found.scores.shape, found.values.shape) == (mask.shape, (len(mask),))
        assert np.isneginf(found.scores[~mask]).all() == use_mask
        np.testing.assert_array_equal(found.scores.argmax(axis=1), found.actions)
    tensors, _ = model.policy.obs_to_tensor(obs)
    if score_kind(model.policy) == "values":
        np.testing.assert_array_equal(found.values, found.scores.max(axis=1))
    else:
        expected = model.policy.predict_values(tensors).flatten().detach()
        np.testing.assert_array_equal(found.values, expected)
        logits = model.policy.get_distribution(tensors).distribution.logits.detach().numpy()
        shifted = found.scores - np.logaddexp.reduce(found.scores, axis=1, keepdims=True)
        again = np.where(mask, logits, -np.inf)
        again = again - np.logaddexp.reduce(again, axis=1, keepdims=True)
        np.testing.assert_allclose(shifted[mask], again[mask], atol=1e-3)


@pytest.mark.parametrize("critic", [{}, {"enable_critic_lstm": False, "shared_lstm": True}])
def test_acting_scored_recurrent(critic: dict[str, Any], task: Task) -> None:
    kwargs = {"lstm_hidden_size": 8, **critic}
    model = build(
        "recurrent_ppo", task, "MultiInputLstmPolicy", n_steps=4, batch_size=8, policy_kwargs=kwargs
    )
    stir(model)
    rows = np.arange(10)
    scored, plain, state = make_scored_act(model, False), make_act(model, False), task.initial(rows)
    zeros = th.zeros((1, len(rows), 8))
    memory: Any = RNNStates((zeros, zeros), (zeros, zeros))
    for step in range(int(task.lengths[rows].min())):
        obs, mask = task.observe(state, "index"), task.mask(state)
        found = scored(obs, mask)
        begin = th.full((len(rows),), float(step == 0))
        tensors, _ = model.policy.obs_to_tensor(obs)
        with th.no_grad():
            actions, values, log_prob, memory = model.policy(tensors, memory, begin, True)
        np.testing.assert_array_equal(found.actions, actions)
        np.testing.assert_array_equal(found.actions, plain(obs, mask))
        np.testing.assert_allclose(found.values, values.flatten(), rtol=1e-5)
        assert found.scores is not None
        held = found.scores.max(axis=1) - np.logaddexp.reduce(found.scores, axis=1)
        np.testing.assert_allclose(held, log_prob, atol=1e-4)
        task.transition(state, found.actions)


def test_acting_leaves_dropout_off(task: Task) -> None:
    kwargs = {"features_extractor_kwargs": {"source": FeatureSource(task, "cpu"), "dropout": 0.9}}
    model = build("bc", task, policy_kwargs=kwargs)
    stir(model)
    model.policy.set_training_mode(True)
    act, (obs, mask) = make_act(model, masked=True), observe(task)
    np.testing.assert_array_equal(act(obs, mask), act(obs, mask))


@pytest.mark.parametrize("takes_masks", [True, False])
def test_acting_falls_back_on_predict(takes_masks: bool, task: Task) -> None:
    calls: list[Any] = []

    def with_masks(obs: Any, deterministic: bool, action_masks: Any = None) -> Any:
        calls.append(action_masks)
        return np.zeros(len(obs["row"]), np.int32), None

    def without(obs: Any, deterministic: bool) -> Any:
        calls.append(None)
        return np.zeros(len(obs["row"]), np.int32), None

    policy = SimpleNamespace(set_training_mode=lambda mode: None, device=th.device("cpu"))
    model = SimpleNamespace(policy=policy, predict=with_masks if takes_masks else without)
    obs, mask = observe(task)
    assert make_act(model, masked=True)(obs, mask).tolist() == [0] * len(mask)
    assert (calls[0] is mask) == takes_masks
    make_act(model, masked=False)(obs, mask)
    assert calls[1] is None


def recurrent(task: Task) -> Any:
    model = build(
        "recurrent_ppo",
        task,
        "MultiInputLstmPolicy",
        n_steps=4,
        batch_size=8,
        policy_kwargs={"lstm_hidden_size": 8},
    )
    stir(model)
    return model


@pytest.mark.parametrize("use_mask", [True, False])
def test_acting_recurrent_does_not_depend_on_the_batch(use_mask: bool, task: Task) -> None:
    model = recurrent(task)
    act = make_act(model, masked=use_mask)
    rows = list(range(12))
    together = rollout(task, act, rows)
    assert len({len(tags) for tags in together}) > 3  # texts leave the batch at different steps
    assert together == rollout(task, act, rows, batch=1)
    with pytest.raises(InvalidArgumentError, match="obs_type='index'"):
        act({"context": np.zeros((1, 4))}, np.ones((1, task.n_actions), bool))


def test_acting_recurrent_remembers(task: Task) -> None:
    model = recurrent(task)
    rows = np.arange(20)
    remembering, state = make_act(model, masked=False), task.initial(rows)
    differs = False
    for _ in range(int(task.lengths[rows].min())):
        obs, mask = task.observe(state, "index"), task.mask(state)
        forgetting = make_act(model, masked=False)  # starts with an empty memory each time
        actions = remembering(obs, mask)
        if (state.slot - task.tables.offsets[state.row])[0] > 0:
            differs |= not np.array_equal(actions, forgetting(obs, mask))
        task.transition(state, actions)
    assert differs


def test_policies_dueling_is_centred(task: Task) -> None:
    model = build("masked_dqn", task, **BUFFER)
    assert isinstance(model.policy, DuelingDQNPolicy)
    stir(model)
    net, (obs, _) = model.q_net, observe(task)
    tensors = {key: th.as_tensor(value) for key, value in obs.items()}
    values = net(tensors)
    latent = net.extract_features(tensors, net.features_extractor)
    advantage = net.q_net(latent)
    expected = net.value_net(latent) + advantage - advantage.mean(1, keepdim=True)
    assert th.equal(values, expected)
    assert th.allclose(values.mean(1), net.value_net(latent)[:, 0], atol=1e-3)


def test_policies_dueling_can_be_switched_off(task: Task) -> None:
    model = build("masked_dqn", task, policy_kwargs={"dueling": False}, **BUFFER)
    assert model.q_net.value_net is None
    names = [name for name, _ in model.q_net.named_parameters()]
    assert sorted(names) == [
        "features_extractor.trunk.0.bias",
        "features_extractor.trunk.0.weight",
        "q_net.0.bias",
        "q_net.0.weight",
    ]


def test_policies_share_the_source(task: Task) -> None:
    model = build("masked_dqn", task, **BUFFER)
    online, target = model.q_net.features_extractor, model.q_net_target.features_extractor
    assert online is not target
    assert online.source is target.source


def test_policies_masked_scores() -> None:
    scores = th.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert masked(scores, None) is scores
    mask = th.tensor([[True, False], [True, True]])
    assert masked(scores, mask).argmax(1).tolist() == [0, 1]


def test_policies_unknown_kind_has_no_scores() -> None:
    assert action_scores(SimpleNamespace(), {}) is None  # type: ignore[arg-type]
