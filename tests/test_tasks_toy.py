"""A task written by the recipe of CONTRIBUTING: a file and a row, and the rest comes free."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

import gymnasium as gym
import numpy as np
import pytest
import test_registry as registry

from nlp_gym.metrics.base import Score
from nlp_gym.registration import ENVS, EnvRow, register_envs
from nlp_gym.render import Frame, Piece
from nlp_gym.tasks.core.kinds import UnitTask
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.tables import Tables, ragged
from nlp_gym.tasks.core.task import State


@dataclass
class ToyState(State):
    chosen: np.ndarray


class FirstWord(UnitTask):
    """Which of three texts begins with the longest word?

    ## Description
    A toy: one choice among candidates.

    ## Data
    Sentences of a tagging corpus, three by three.

    ## Observation Space
    `candidates` (3, D).

    ## Action Space
    `Discrete(3)`.

    ## Action Mask
    Everything is legal.

    ## Rewards
    1 for the right one.

    ## Starting State
    A sentence and the two after it.

    ## Episode End
    After one decision.

    ## Metric
    Accuracy.

    ## Information
    Nothing more.

    ## Arguments
    Those of `Task`.

    ## Registered Ids
    `Toy-FirstWord-v0`

    ## Version History
    * v0: initial version.
    """

    family = "tagging"
    metric_name = "accuracy"
    n_actions = 3

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        n = len(self.corpus)
        self._near = (np.arange(n)[:, None] + np.arange(3)) % n
        first = np.array([len(s.words[0]) for s in self.corpus.samples])
        self._gold = first[self._near].argmax(axis=1)

    @cached_property
    def tables(self):
        units = np.array([self._texts.add(s.words) for s in self.corpus.samples])
        n = len(units)
        return Tables.build(
            len(self._texts.texts),
            offsets=np.arange(n) * 2,
            context=np.zeros((2 * n, 0), int),
            candidates=ragged(units[self._near].tolist(), 3)[:, :, None],
        )

    @property
    def lengths(self):
        return np.ones(len(self.corpus), np.int64)

    def initial(self, rows):
        return ToyState(**self.blank(rows), chosen=np.full(len(rows), -1))

    def mask(self, state):
        return np.ones((len(state.row), 3), bool)

    def oracle(self, state):
        self.require_gold("oracle")
        return self._gold.take(state.row)

    def play(self, state, actions):
        state.chosen[:] = actions
        state.slot += 1
        right = self.potential(state) if self.has_gold else None
        return right, 0.0, np.ones(len(actions), bool)

    def potential(self, state):
        return (state.chosen == self._gold.take(state.row)).astype(float)

    def outputs(self, state):
        return state.chosen.tolist()

    def corpus_score(self, rows, outputs, *, bootstrap, report):
        right = np.asarray(outputs) == self._gold[np.asarray(rows)]
        interval = (right.mean(), right.mean()) if bootstrap else None
        return Score("accuracy", float(right.mean()), interval, len(right), "accuracy|toy")

    def record(self, row, output):
        return {"choice": int(output)}

    def frame(self, state, i):
        row, chosen = int(state.row[i]), int(state.chosen[i])
        pieces = [
            Piece(" ".join(self._sample(r).words), "chosen" if k == chosen else "here", line=k > 0)
            for k, r in enumerate(self._near[row])
        ]
        return Frame(self.title(row), f"step {int(chosen >= 0)}/1", pieces)


TOY = "Toy-FirstWord-v0"


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The row in the table: what adding a task to `registration.py` is."""
    module = sys.modules[FirstWord.__module__]
    row = EnvRow(TOY, f"{module.__name__}:FirstWord", "conll2003")
    monkeypatch.setattr("nlp_gym.registration.ENVS", (*ENVS, row))
    register_envs()
    yield
    gym.registry.pop(TOY)


@pytest.mark.parametrize("obs_type", ["features", "tokens", "index"])
def test_toy_task_passes_what_every_id_must(obs_type):
    registry.test_check_env_is_silent(TOY, obs_type)
    registry.test_sb3_check_env_is_silent(TOY, obs_type)
    registry.test_batched_env_equals_single_envs(TOY, obs_type, "metric")
    registry.test_pickled_env_goes_on_where_it_was(TOY, obs_type)
    registry.test_final_observations_have_a_legal_action(TOY, obs_type)


def test_toy_task_passes_the_tests_of_rules(request):
    registry.test_oracle_reaches_the_maximum(TOY, "dev")
    registry.test_dense_rewards_sum_to_the_sparse_one_exactly(TOY, 0)
    registry.test_docstring_has_every_heading(TOY)
    registry.test_seed_decides_the_episodes(TOY)
    assert make_task(TOY, **registry.SMALL).n_actions == 3
    registry.test_observation_shows_no_gold(TOY, "features", request)
