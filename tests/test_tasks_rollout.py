"""The loop that plays samples to their ends."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.errors import InvalidActionError, InvalidArgumentError
from nlp_gym.layout import Layout
from nlp_gym.tasks.core.rollout import Branches, finished, play, rollout, side_by_side

SAMPLE = {"corpus": "sample", "encoder": "hashed"}


@pytest.fixture(scope="module")
def pos():
    return make_task("POS-EWT-v0", **SAMPLE)


def test_play_takes_out_what_ended_and_says_whose_decision_each_is(pos):
    rows = np.array([3, 0, 8])
    decided = {place: [] for place in range(3)}
    outputs = {}
    for step in play(pos, rows, lambda state, place: pos.oracle(state)):
        assert len(step.place) == len(step.actions) == len(step.rewards) == len(step.ended)
        assert step.state.row.tolist() == rows[step.place].tolist()
        assert (step.rewards == 1).all()
        for place, action in zip(step.place.tolist(), step.actions.tolist(), strict=True):
            decided[place].append(pos.labels[action])
        for place, output in finished(pos, step):
            assert place not in outputs
            outputs[place] = output
    for place, row in enumerate(rows):
        gold = list(pos.corpus.samples[row].labels)
        assert decided[place] == gold == list(outputs[place])


def test_play_continues_an_episode_in_several_ways_or_gives_it_up(pos):
    lengths = pos.lengths[:2]

    def decide(state, place):
        if not pos.position(state).any():  # the first sample twice, the second not at all
            return Branches(np.array([0, 0]), np.array([0, 1]))
        return pos.oracle(state)

    steps = list(play(pos, np.arange(2), decide))
    assert [step.place.tolist() for step in steps] == [[0, 0]] * lengths[0]
    assert steps[0].actions.tolist() == [0, 1]
    first, second = (output[0] for _, output in finished(pos, steps[-1]))
    assert (first, second) == (pos.labels[0], pos.labels[1])


def test_play_drops_episodes_that_the_caller_counts_as_ended(pos):
    longest = np.argsort(pos.lengths)[-2:]
    seen = []
    for step in play(pos, longest, lambda state, place: pos.oracle(state)):
        seen.append(step.place.tolist())
        step.ended = step.ended | (step.place == 0)
    assert seen[0] == [0, 1]
    assert seen[1:] == [[1]] * (pos.lengths[longest[1]] - 1)


def test_play_side_by_side_puts_similar_lengths_together():
    batches = side_by_side(np.array([5, 1, 5, 2, 1]), 2)
    assert [batch.tolist() for batch in batches] == [[1, 4], [3, 0], [2]]


@pytest.mark.parametrize("env_id", ["NER-CoNLL-v0", "KnowledgeGraph-WN18RR-v0"])
@pytest.mark.parametrize("obs_type", ["index", "features"])
def test_rollout_computes_a_mask_once_per_decision(env_id, obs_type, monkeypatch):
    task = make_task(env_id, **SAMPLE)
    calls, decisions, mask = [], [], type(task).mask

    def counted(state):
        calls.append(len(state.row))
        return mask(task, state)

    def act(observation, legal):
        decisions.append(len(legal))
        assert legal.dtype == bool
        if "action_mask" in observation:
            assert np.array_equal(observation["action_mask"], legal)
            legal[:] = True  # the caller's own: what was observed stays
            assert not observation["action_mask"].all()
        return np.zeros(len(legal), np.int64)

    monkeypatch.setattr(task, "mask", counted)
    # Whether an action is legal is looked up anew when it is played.
    monkeypatch.setattr(
        task, "repair", lambda state, actions: (mask(task, state).argmax(1), actions < 0)
    )
    rollout(task, act, range(20), obs_type=obs_type)
    assert calls == decisions


def test_observed_mask_is_that_of_the_state_where_observations_only_name_it():
    task = make_task("Translation-Multi30k-v0", **SAMPLE)
    state = task.initial(np.arange(4))
    observation, mask = task.views.observe_with_mask(state, "index")
    assert "action_mask" not in observation
    assert np.array_equal(mask, task.mask(state))
    assert mask.dtype == bool


def test_rollout_hands_over_the_layout_that_environments_have(pos):
    seen = []

    def act(observation, mask):
        seen.append((observation, mask))
        return mask.argmax(-1)

    rollout(pos, act, [4], layout="obs_mask")
    env = gym.make("POS-EWT-v0", layout="obs_mask", **SAMPLE)
    expected, _ = env.reset(options={"row": 4})
    assert env.observation_space == Layout("obs_mask", pos.observation_space("features")).space
    for given, mask in seen:
        assert given["obs"].shape == (1, *expected["obs"].shape)
        assert (given["obs"][0] == expected["obs"]).all()
        assert (given["mask"] == mask).all()
        expected = env.step(int(mask.argmax()))[0]
    assert len(seen) == pos.lengths[4]


def test_rollout_refuses_a_layout_of_what_is_no_features(pos):
    with pytest.raises(InvalidArgumentError, match="obs_type='features'"):
        rollout(pos, lambda observation, mask: mask.argmax(-1), obs_type="index", layout="flat")


@pytest.mark.parametrize("given", [[0], None, 3, [0.5, 1.0], [0, 10**9], "ab"])
def test_rollout_wants_an_action_for_each_episode(pos, given):
    with pytest.raises(InvalidActionError, match=r"act gave .*: it must give 2 integers from 0 to"):
        rollout(pos, lambda obs, mask: given, rows=[0, 1])
