"""Actions of a vector environment, drawn from its masks."""

from __future__ import annotations

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from gymnasium.vector.utils import batch_space, iterate

import nlp_gym
from nlp_gym.envs.actions import BatchedActions
from nlp_gym.errors import InvalidArgumentError


@pytest.mark.parametrize("dtype", [np.int8, np.bool_])
def test_legal_actions_are_drawn_evenly(dtype):
    space = BatchedActions(2000, 5)
    space.seed(0)
    mask = np.tile(np.array([0, 1, 0, 1, 1], dtype), (2000, 1))
    mask[0], mask[1] = 0, np.array([1, 0, 0, 0, 0])
    drawn = space.sample(mask)
    assert drawn.dtype == np.int64
    assert drawn in space
    assert drawn[0] == 0  # nothing is legal, as in Gymnasium
    assert drawn[1] == 0
    counts = np.bincount(drawn[2:], minlength=5)
    assert counts[[0, 2]].tolist() == [0, 0]
    assert counts[[1, 3, 4]] / 1998 == pytest.approx(1 / 3, abs=0.05)


def test_many_environments_play_legal_actions():
    env = nlp_gym.make_vec_env(
        "NER-CoNLL-v0", 1024, encoder="hashed", obs_type="index", corpus="sample"
    )
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(5):
        actions = env.action_space.sample(info["action_mask"])
        assert env.action_masks()[np.arange(1024), actions].all()
        *_, info = env.step(actions)
    assert env.action_masks()[np.arange(1024), env.action_space.sample(env.action_masks())].all()


def test_seed_decides_what_is_drawn():
    mask = np.ones((6, 40), np.int8)
    spaces = [BatchedActions(6, 40) for _ in range(2)]
    for space in spaces:
        space.seed(7)
    assert np.array_equal(spaces[0].sample(mask), spaces[1].sample(mask))
    assert not np.array_equal(spaces[0].sample(mask), spaces[0].sample(mask))


def test_forms_of_gymnasium_draw_what_gymnasium_draws():
    ours, theirs = BatchedActions(4, 3), MultiDiscrete([3] * 4)
    masks = tuple(np.array(m, np.int8) for m in ([1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]))
    chances = np.array([[0.5, 0.5, 0], [0, 0, 1], [0.2, 0.3, 0.5], [1, 0, 0]])
    for space in (ours, theirs):
        space.seed(1)
    assert np.array_equal(ours.sample(), theirs.sample())
    assert np.array_equal(ours.sample(masks), theirs.sample(masks))
    assert np.array_equal(
        ours.sample(probability=chances), theirs.sample(probability=tuple(chances))
    )
    with pytest.raises(ValueError, match="Only one"):
        ours.sample(masks, tuple(chances))


def test_space_is_a_multi_discrete():
    ours, theirs = BatchedActions(4, 3), batch_space(gym.spaces.Discrete(3), 4)
    assert ours == theirs
    assert theirs == ours
    assert ours != BatchedActions(4, 2)
    for again in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert again == ours
        ours.seed(3), again.seed(3)
        mask = np.eye(4, 3, dtype=np.int8)
        assert np.array_equal(again.sample(mask), ours.sample(mask))
    assert batch_space(ours, 2) == batch_space(theirs, 2)
    assert ours[1] == theirs[1]
    assert [int(i) for i in iterate(ours, np.array([0, 2, 1, 1]))] == [0, 2, 1, 1]


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((3, 4)),
        np.ones((4, 3, 1)),
        np.full((4, 3), 2),
        np.full((4, 3), 0.5),
        np.ones(3),
        [[1]],
        "a",
        [["1"] * 3] * 4,
    ],
)
def test_wrong_masks_are_named(mask):
    with pytest.raises(InvalidArgumentError, match="mask="):
        BatchedActions(4, 3).sample(mask)
