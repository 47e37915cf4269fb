"""Reading with moves and a price: what is seen, what it costs, and what is encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym.encode import load_encoder
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.labels.chunks import MOST_CHUNKS
from nlp_gym.tasks.labels.classification import Classification
from nlp_gym.tasks.labels.price import DIAL
from nlp_gym.testing import Subject
from nlp_gym.types import Sample
from nlp_gym_agents.evaluation.conformance import all_checks

READ, SKIP, SKIP_2, JUMP = 2, 3, 4, 5
ID = "Sentiment-SST2-v0"
SMALL = {"encoder": "hashed", "corpus": "sample"}
WAYS: dict[str, dict[str, Any]] = {
    "moves": {"skips": [1, 2], "jump": True, "chunk": 3},
    "dial": {"read_cost": "dial", "chunk": 3},
    "both": {"skips": [2], "jump": True, "read_cost": [0, 0.125, 0.5], "chunk": 2},
    "joint": {"skips": [1], "pieces": "joint", "chunk": 4, "cost_per": "text"},
    "mean": {"pieces": "mean", "chunk": 4},
}
LONG = ("states_told_apart", "flat_memory")


def text(n: int, label: str = "a", start: int = 0) -> Sample:
    return Sample(tuple(f"w{start + i}" for i in range(n)), (label,))


def task(*samples: Sample, **kwargs: Any) -> Classification:
    options = {"labels": ["a", "b"], "encoder": "hashed", "chunk": 2, "reading": True}
    moves = {"skips": (1, 2), "jump": True}
    return Classification(dataset="sst2", data=list(samples), **{**options, **moves, **kwargs})


def after(game: Classification, *actions: int, row: int = 0) -> tuple[Any, list[float]]:
    state, rewards = game.initial(np.array([row])), []
    for action in actions:
        reward, _ = game.transition(state, np.array([action]))
        rewards.append(float(reward[0]))
    return state, rewards


def cases() -> list[Any]:
    """Every check on every way to read; most of them are slow, as a whole."""
    found = []
    for check in all_checks():
        if check.name == "same_in_every_process":
            continue
        for way in WAYS:
            quick = check.name not in LONG and way in ("both", "joint")
            marks = [] if quick else [pytest.mark.slow]
            found.append(pytest.param(way, check, id=f"{way}-{check.name}", marks=marks))
    return found


@pytest.mark.parametrize(("way", "check"), cases())
def test_rules_hold_with_moves_and_a_price(way: str, check: Any) -> None:
    check.run(Subject(ID, {**SMALL, **WAYS[way]}, quick=True))


def test_moves_pass_over_chunks_and_read_the_next() -> None:
    game = task(text(11), text(2, "b", 50))  # chunks: 01 23 45 67 89 10
    assert game.n_actions == 6
    for action, words, place in ((READ, (0, 1, 2, 3), 1), (SKIP, (0, 1, 4, 5), 2)):
        state, _ = after(game, action)
        (unit,) = game.tables.context_of(state.row, state.slot)[0]
        assert game.units.texts[unit] == tuple(f"w{k}" for k in words)
        assert game.outputs(state) == [("", 4, 11)]
        assert game.extra(state)["chunks"].tolist() == [[place]]
        assert game.extra(state)["left"].tolist() == [[5 - place]]
    state, _ = after(game, SKIP_2, JUMP)
    assert game.outputs(state) == [("", 5, 11)]
    (unit,) = game.tables.context_of(state.row, state.slot)[0]
    assert game.units.texts[unit] == ("w0", "w1", "w6", "w7", "w10")
    assert game.mask(state).tolist() == [[True, True, False, False, False, False]]
    assert game.focus(state, 0).words == (10, 11)
    names = [game.action_text(state, 0, action) for action in range(6)]
    assert names == ["a", "b", "READ", "SKIP 1", "SKIP 2", "JUMP"]
    marks = [piece.mark for piece in game.frame(state, 0).pieces]
    assert marks == ["plain", "dim", "dim", "plain", "dim", "here"]


def test_moves_are_legal_where_a_chunk_is_left_behind_them() -> None:
    game = task(*(text(n, "ab"[n % 2], 100 * n) for n in range(1, 13)))
    for row, sample in enumerate(game.corpus.samples):
        chunks = -(-len(sample.words) // 2)
        state = game.initial(np.array([row]))
        legal = [chunks > 1, chunks > 2, chunks > 3, chunks > 2]
        assert game.mask(state)[0, READ:].tolist() == legal


def test_every_set_of_chunks_has_a_state_of_its_own() -> None:
    game = task(text(40), text(2, "b", 100))
    assert int(game.lengths[0]) == MOST_CHUNKS
    assert len(set(game.units.texts)) == 2 ** (MOST_CHUNKS - 1) + 1
    rng = np.random.default_rng(0)
    for _ in range(50):
        state, read = game.initial(np.array([0])), 2
        while True:
            mask = game.mask(state)[0, READ:]
            if not mask.any():
                break
            before = int(game.chunk_read(state)[0])
            move = int(rng.choice(np.flatnonzero(mask)))
            game.transition(state, np.array([READ + move]))
            place = int(game.chunk_read(state)[0])
            assert place == (7 if move == 3 else before + 1 + move)
            read += 26 if place == 7 else 2
            assert game.outputs(state)[0][1] == read


def test_skipped_words_are_not_seen() -> None:
    """Texts that differ in what is passed over look the same, in each kind of observation."""
    one, other = text(8), Sample(("w0", "w1", "x", "y", "w4", "w5", "w6", "w7"), ("b",))
    for pieces in ("mean", "joint"):
        game = task(one, other, pieces=pieces)
        state = game.initial(np.array([0, 1]))
        game.transition(state, np.array([SKIP, SKIP]))
        for obs_type in ("features", "tokens"):
            for key, values in game.observe(state, obs_type).items():
                assert np.array_equal(values[0], values[1]), (pieces, obs_type, key)
        game.transition(state, np.array([READ, READ]))
        assert game.outputs(state) == [("", 6, 8)] * 2


def test_means_are_those_of_the_chunks_by_words() -> None:
    game = task(text(5), text(3, "b", 50))
    alone = task(text(2), text(2, start=2), text(1, start=4), reading=False, skips=(), jump=False)
    first, _, last = alone.encoded.gather(np.arange(3))
    state, _ = after(game, JUMP)
    seen = game.observe(state, "features")["context"][0]
    assert np.allclose(seen, (2 * first + last) / 3, atol=2e-3)


def test_a_text_is_encoded_once_where_chunks_are_averaged(monkeypatch: Any) -> None:
    counted: list[int] = []
    encoder = load_encoder("hashed")
    encode = type(encoder).encode
    monkeypatch.setattr(
        type(encoder),
        "encode",
        lambda self, texts, *a, **k: (
            counted.append(sum(map(len, texts))) or encode(self, texts, *a, **k)
        ),
    )
    for pieces in ("mean", "joint"):
        counted.clear()
        game = task(text(40), text(12, "b", 100), pieces=pieces)
        game.encode(cache=False)
        # What comes after it are the texts that vectors are standardised on.
        read = sum(map(len, game.units.texts)) if pieces == "joint" else 52
        assert counted[0] == read
        assert pieces == "mean" or read > 40 * 52


def test_price_of_a_text_is_shared_by_its_words() -> None:
    game = task(text(7), text(2, "b", 50), read_cost=0.5, cost_per="text")
    _, rewards = after(game, READ, SKIP, 0)
    grid = 2.0**-20
    assert rewards == pytest.approx([-1 / 7, -1 / 14, 1.0], abs=grid)
    assert all(reward % grid == 0 for reward in rewards)
    assert after(task(text(7), text(2, "b", 50), read_cost=0.5), READ, SKIP)[1] == [-0.5, -0.5]


def test_dial_is_seen_and_paid() -> None:
    game = task(text(4), text(4, "b", 50), read_cost="dial")
    assert game.read_cost is None
    for k, cost in enumerate(DIAL):
        held = game.at_cost(cost)
        assert held.read_cost == cost
        state, rewards = after(held, READ)
        assert rewards == [-cost / 2]
        for obs_type in ("features", "index"):
            seen = held.observe(state, obs_type)["cost"]
            assert seen.tolist() == [[1] * k + [0] * (len(DIAL) - 1 - k)]


def test_seed_decides_the_price_and_options_can_ask_for_one() -> None:
    env: Any = gym.make(ID, read_cost="dial", obs_type="index", **SMALL)
    seen = [int(env.reset(seed=3 if k == 0 else None)[0]["cost"].sum()) for k in range(200)]
    again = [int(env.reset(seed=3 if k == 0 else None)[0]["cost"].sum()) for k in range(200)]
    assert seen == again
    assert set(seen) == set(range(len(DIAL)))
    for k, cost in enumerate(DIAL):
        observation, _ = env.reset(options={"row": 2, "read_cost": cost})
        assert observation["cost"].sum() == k
        assert observation["row"].item() == 2
    vector: Any = gym.make_vec(ID, num_envs=3, read_cost="dial", obs_type="index", **SMALL)
    assert (vector.reset(options={"read_cost": 0.25})[0]["cost"].sum(axis=1) == 5).all()
    held = vector.call("task")[0].at_cost(0.5)
    vector.set_attr("task", held)
    observation, _ = vector.reset(seed=1)
    for _ in range(20):
        assert (observation["cost"] == 1).all()
        observation, *_ = vector.step(vector.oracle_actions())


def test_spaces_are_those_of_v0_without_moves_and_dial() -> None:
    plain: Any = gym.make(ID, **SMALL)
    assert set(plain.observation_space.spaces) == {"action_mask", "chunks", "context"}
    assert plain.action_space.n == 3
    assert plain.unwrapped.task.dials == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"skips": 1}, r"skips=1 must be a list of distinct numbers of chunks from 1 to 6"),
        ({"skips": (1, 1)}, r"skips=\(1, 1\) must be a list of distinct"),
        ({"skips": (0,)}, r"skips=0 must be an integer from 1"),
        ({"skips": (7,)}, r"skips=7 must be an integer from 1 to 6"),
        ({"jump": 1}, r"jump=1"),
        (
            {"read_cost": "dail"},
            r"=.dail. must be a number from 0 to 1, .dial., or 2 to 32",
        ),
        ({"read_cost": (0.5, 0.25)}, r"must have 2 to 32 ascending prices"),
        ({"read_cost": (0.5,)}, r"must have 2 to 32 ascending prices"),
        ({"read_cost": (0, 2)}, r"read_cost\[1\]=2 must be a number from 0 to 1"),
        ({"reading": False}, r"need reading=True"),
    ],
)
def test_wrong_arguments_are_named(arguments: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        task(text(4), text(4, "b", 50), **arguments)


def test_unknown_names_and_settings_are_named() -> None:
    for name in ("cost_per", "pieces"):
        with pytest.raises(UnknownNameError, match=name):
            task(text(4), text(4, "b", 50), **{name: "word"})
    with pytest.raises(InvalidArgumentError, match=r"read_cost=0\.3 is no setting of the dial"):
        task(text(4), text(4, "b", 50), read_cost="dial").at_cost(0.3)
    env: Any = gym.make(ID, **SMALL)
    with pytest.raises(InvalidArgumentError, match="options has 'read_cost'"):
        env.reset(options={"read_cost": 0.5})


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("reward", ["correctness", "metric", "sparse"])
def test_rewards_of_all_actions_are_those_of_transitions(way: str, reward: str) -> None:
    game = Subject(ID, {**SMALL, **WAYS[way]}).task(reward=reward)
    rng = np.random.default_rng(0)
    state = game.initial(rng.integers(len(game.corpus), size=32))
    for _ in range(3):
        rewards = game.action_rewards(state)
        for action in range(game.n_actions):
            one = state.take(np.arange(len(state.row)))
            expected, _ = game.transition(one, np.full(len(one.row), action))
            assert np.array_equal(rewards[:, action], expected)
        scores = rng.random((len(state.row), game.n_actions - 2))
        moves = np.where(game.mask(state)[:, 2:], scores, -1.0)
        goes_on = moves.max(axis=1) > 0
        state = state.take(goes_on)
        game.transition(state, 2 + moves[goes_on].argmax(axis=1))


def test_expert_reads_everything() -> None:
    game = task(text(7, "b"), text(3, "a", 50), read_cost="dial")
    assert rollout(game, "oracle") == [("b", 7, 7), ("a", 3, 3)]
