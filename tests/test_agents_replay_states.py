"""Replay of states: what is stored, n-step returns, priorities, the oracle's decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.utils import set_random_seed

from nlp_gym import make_task
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.algorithms.q_learning.priorities import Priorities, importance
from nlp_gym_agents.algorithms.q_learning.replayed_demonstrations import oracle_transitions
from nlp_gym_agents.algorithms.q_learning.state_buffer import Decisions, StateReplayBuffer
from nlp_gym_agents.algorithms.q_learning.transitions import empty_fields, state_bytes
from nlp_gym_agents.algorithms.registry import ALGORITHMS, information_of

HASHED: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": {"dim": 8}}
IDS = ["NER-CoNLL-v0", "Intent-CLINC-v0", "DialoguePolicy-SGD-v0", "Summary-SciTLDR-v0"]


def same_state(one: Any, two: Any) -> None:
    assert vars(one).keys() == vars(two).keys()
    for name, array in vars(one).items():
        np.testing.assert_array_equal(array, getattr(two, name), err_msg=name)


def random_legal(task: Any, state: Any, rng: np.random.Generator) -> Any:
    mask = task.mask(state)
    return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)


def played(
    env_id: str, *, n_envs: int = 3, steps: int = 40, size: int = 25, **options: Any
) -> tuple[StateReplayBuffer, list[Any]]:
    """A buffer that a random agent filled, and each step: state, actions, rewards, done, after."""
    task = make_task(env_id, **HASHED)
    limit = options.pop("max_episode_steps", None)
    venv = TaskVectorEnv(task, n_envs, obs_type="index", max_episode_steps=limit)
    buffer = StateReplayBuffer(
        size * n_envs,
        venv.single_observation_space,
        venv.single_action_space,
        "cpu",
        n_envs,
        task=task,
        **options,
    )
    rng, log = np.random.default_rng(0), []
    venv.reset(seed=0)
    for _ in range(steps):
        state = venv.current_state()
        actions = random_legal(task, state, rng)
        after = state.take(np.arange(n_envs))
        task.transition(after, actions)
        _, rewards, terminated, truncated, _ = venv.step(actions)
        buffer.before(state)
        done = terminated | truncated
        buffer.add({}, {}, actions[:, None], rewards, done, [{}] * n_envs)
        log.append((state, actions, rewards, done, terminated, after))
    return buffer, log


def drawn(index: Any) -> Decisions:
    return Decisions(index, len(index), None, index, np.ones(len(index), np.float32))


@pytest.mark.parametrize("env_id", IDS)
def test_replay_states_are_those_that_were_played(env_id: str) -> None:
    buffer, log = played(env_id)
    assert buffer.full
    set_random_seed(1)
    batch = buffer.sample(64)
    assert batch.n_own == 64
    assert (batch.weights == 1).all()
    for i, index in enumerate(batch.places.tolist()):
        slot, env = divmod(index, 3)
        step = next(t for t in range(39, 14, -1) if t % 25 == slot)  # the newest of that place
        state, actions, *_ = log[step]
        same_state(batch.state.take(np.array([i])), state.take(np.array([env])))
        assert batch.actions[i] == actions[env]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("steps", [18, 40])  # before and after the ring is full
def test_replay_n_step_returns_equal_those_by_hand(env_id: str, n_steps: int, steps: int) -> None:
    gamma = 0.5
    buffer, log = played(env_id, steps=steps)
    index = np.arange(buffer.size() * 3)
    ahead = buffer.ahead(drawn(index), n_steps=n_steps, gamma=gamma)
    shorter = 0
    for i in index.tolist():
        slot, env = divmod(i, 3)
        step = max(t for t in range(steps) if t % 25 == slot)
        total, discount = 0.0, 1.0
        for k in range(n_steps):
            if step + k == steps:
                shorter += 1
                break
            _, _, rewards, done, terminated, after = log[step + k]
            total += discount * rewards[env]
            discount *= gamma
            last = after.take(np.array([env]))
            if done[env]:
                break
        assert ahead.rewards[i] == pytest.approx(total)
        assert ahead.discounts[i] == pytest.approx(discount)
        assert ahead.ended[i] == terminated[env]
        same_state(ahead.state.take(np.array([i])), last)
    if env_id == "NER-CoNLL-v0":
        assert (shorter > 0) == (n_steps > 1), "the newest decisions have fewer steps"


def test_replay_goes_on_where_an_episode_was_cut_short() -> None:
    buffer, log = played("NER-CoNLL-v0", steps=20, max_episode_steps=3)
    index = np.arange(60)
    ahead = buffer.ahead(drawn(index), n_steps=4, gamma=1.0)
    cut = np.stack([done & ~terminated for _, _, _, done, terminated, _ in log]).reshape(-1)
    assert cut.any()
    assert not ahead.ended[cut].any()
    rewards = np.stack([step[2] for step in log]).reshape(-1)
    np.testing.assert_allclose(ahead.rewards[cut], rewards[cut])


def test_replay_runs_are_of_one_environment() -> None:
    buffer, _ = played("NER-CoNLL-v0", run=4)
    set_random_seed(0)
    step, env = np.divmod(buffer.sample(16).places.reshape(4, 4), 3)
    assert (env == env[:, :1]).all()
    assert ((step - step[:, :1]) % 25 == np.arange(4)).all()


def test_replay_needs_the_state_first() -> None:
    buffer, _ = played("NER-CoNLL-v0", steps=1)
    with pytest.raises(InvalidArgumentError, match=r"before\(state\)"):
        buffer.add({}, {}, np.zeros(3), np.zeros(3), np.zeros(3, bool), [{}] * 3)


def test_replay_of_states_is_small() -> None:
    task = make_task("SpanQA-SQuAD-v0", **HASHED)
    stored = sum(a.nbytes for a in empty_fields(task, (10,)).values()) + 10 * (8 + 4 + 1)
    assert stored == 10 * state_bytes(task) < 10 * 100


# -- priorities --------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_priorities_are_drawn_as_often_as_they_say(alpha: float) -> None:
    set_random_seed(0)
    priorities = Priorities((3, 2), alpha)
    errors = np.array([0.0, 0.1, 0.2, 0.4, 0.8])
    priorities.update(np.arange(5), errors)  # the sixth place is empty
    wanted = (errors + 1e-3) ** alpha
    wanted /= wanted.sum()
    counts = np.zeros(6)
    for _ in range(400):
        index, likelier = priorities.draw(50)
        np.add.at(counts, index, 1)
        np.testing.assert_allclose(likelier, wanted[index] * 5, rtol=1e-5)
    assert counts[5] == 0
    np.testing.assert_allclose(counts[:5] / counts.sum(), wanted, atol=0.01)


def test_priorities_rounding_draws_nothing_that_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    priorities = Priorities((4, 1), 1.0)
    priorities.update(np.arange(3), np.array([0.1, 0.3, 0.7]))
    monkeypatch.setattr(np.random, "random", lambda n: np.full(n, np.nextafter(1.0, 0.0)))
    index, likelier = priorities.draw(512)  # the last of them is rounded up to the whole sum
    assert index.max() == 2
    assert (likelier > 0).all()


def test_priorities_importance_weights() -> None:
    likelier = np.array([0.5, 1.0, 4.0])
    np.testing.assert_allclose(importance(likelier, 1.0), [1.0, 0.5, 0.125])
    np.testing.assert_allclose(importance(likelier, 0.5), [1.0, 0.5**0.5, 0.125**0.5], rtol=1e-6)
    assert (importance(likelier, 0.0) == 1).all()


def test_priorities_of_new_decisions_are_the_highest() -> None:
    priorities = Priorities((4, 1), 1.0)
    priorities.expect((0,))
    assert priorities.powered[0] == 1
    priorities.update(np.array([0]), np.array([3.0]))
    priorities.expect((1,))
    assert priorities.powered[1] == priorities.powered[0] == pytest.approx(3.001)


def test_replay_priorities_follow_errors() -> None:
    buffer, _ = played("NER-CoNLL-v0", alpha=1.0, share=0.5)
    set_random_seed(0)
    batch = buffer.sample(20, beta=1.0)
    assert batch.n_own == 10
    buffer.update(batch, np.r_[np.zeros(10), np.full(10, 5.0)])
    own, shown = np.unique(batch.places[:10]), np.unique(batch.places[10:])
    assert (buffer.priorities.reshape(-1)[own] == np.float32(1e-3)).all()
    assert buffer.whole_arrays["shown"].reshape(-1)[shown] == pytest.approx(5.001)
    later = buffer.sample(400, beta=1.0)
    assert not np.isin(later.places[:200], own).mean() > 0.01
    assert later.weights.max() == 1


# -- demonstrations ----------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [*IDS, "SpanQA-SQuAD-v0", "KnowledgeGraph-WN18RR-v0"])
def test_demonstrations_are_what_the_oracle_does(env_id: str) -> None:
    task = make_task(env_id, **HASHED)
    shown = oracle_transitions(task)
    index = np.arange(len(shown.actions))
    state = shown.state(index)
    assert (task.oracle(state) == shown.taken(index)).all()
    rewards, ended = task.transition(state, shown.taken(index))
    np.testing.assert_allclose(rewards, shown.rewards[:, 0], rtol=1e-6)
    assert (ended == shown.dones[:, 0]).all()
    assert shown.dones[-1, 0]
    # In order: what is stored next is what comes next.
    going = index[~ended]
    same_state(state.take(going), shown.state(going + 1))
    texts = shown.states["row"][shown.dones[:, 0], 0]
    assert len(set(texts.tolist())) == len(texts)
    if task.exact_oracle:
        assert len(texts) == len(task.corpus)


def test_demonstrations_have_their_share() -> None:
    buffer, _ = played("Intent-CLINC-v0", share=0.25)
    set_random_seed(0)
    batch = buffer.sample(40)
    assert (batch.n_own, len(batch.actions)) == (30, 40)
    state = batch.state.take(np.arange(30, 40))
    assert (buffer.task.oracle(state) == batch.actions[30:]).all()
    ahead = buffer.ahead(batch, n_steps=2, gamma=1.0)
    assert len(ahead.rewards) == len(ahead.state.row) == 40


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "bandit"),
        ({"full_targets": False, "demonstrations": 0.0}, "bandit"),
        ({"full_targets": True}, "full information"),
        ({"demonstrations": 0.3}, "bandit + oracle"),
        ({"demonstrations": 0.3, "full_targets": True}, "full information + oracle"),
    ],
)
def test_registry_says_what_masked_dqn_learns_from(options: Any, wanted: str) -> None:
    assert information_of(ALGORITHMS["masked_dqn"], options) == wanted
    assert information_of(ALGORITHMS["bc"], {}) == "oracle"
