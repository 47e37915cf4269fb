"""Beam search: which pairs are kept, how episodes are compared, and when a sample is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nlp_gym.tasks.core.task import State
from nlp_gym.types import Corpus, Sample
from nlp_gym_agents.models.beam_search import best_of, search


@pytest.mark.parametrize("seed", range(20))
def test_beam_keeps_what_sorting_all_pairs_keeps(seed: int) -> None:
    """With many equal scores, of which the first state and action come first."""
    rng = np.random.default_rng(seed)
    n, n_actions, width = (int(rng.integers(1, high)) for high in (9, 12, 8))
    owner = np.sort(rng.integers(0, 3, n))
    scores = rng.integers(0, 4, (n, n_actions)).astype(float)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    expected = []
    for one in np.unique(owner):
        pairs = [
            (-scores[state, action], state, action)
            for state in np.flatnonzero(owner == one)
            for action in range(n_actions)
            if np.isfinite(scores[state, action])
        ]
        expected += sorted(pairs)[:width]
    states, actions = best_of(scores, owner, width)
    assert [(s, a) for _, s, a in expected] == list(zip(states, actions, strict=True))


@dataclass
class SpellingState(State):
    text: Any


class Spelling:
    """Up to three letters are written until STOP, action 0; all texts found are the output."""

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes
        self.corpus = Corpus("letters", "dev", [Sample(("x",)), Sample(("y", "z"))], ())
        self.lengths = np.array([3, 3])
        self.decisions = 0

    def initial(self, rows: Any) -> SpellingState:
        zeros = np.zeros(len(rows))
        text = np.zeros((len(rows), 3), np.int64)
        return SpellingState(rows, np.zeros(len(rows), np.int64), zeros, zeros.copy(), text)

    @property
    def views(self) -> Spelling:
        return self

    def observe_with_mask(self, state: SpellingState, obs_type: str) -> Any:
        mask = np.ones((len(state.row), 3), bool)
        mask[state.slot == 2, 1:] = False
        return {"row": state.row.copy(), "step": state.slot.copy()}, mask

    def transition(self, state: SpellingState, actions: Any) -> Any:
        self.decisions += len(actions)
        state.text[np.arange(len(actions)), state.slot] = actions
        state.slot += 1
        return np.zeros(len(actions)), actions == 0

    def outputs(self, state: SpellingState) -> list[str]:
        return ["".join("-ab"[i] for i in text).strip("-") for text in state.text]

    def merge(self, outputs: list[str]) -> Any:
        return tuple(outputs)


LOGS = [[-2.0, -1.5, -5.0], [-1.0, -4.0, -4.5], [0.0, 0.0, 0.0]]
"""Log-probabilities of STOP, a and b by step, whatever was written."""


def found(task: Any, rows: list[int] | None, width: int) -> list[Any]:
    """Texts found for each row, best first; row 1 has a and b swapped."""

    def log_probs(observation: Any, mask: Any) -> Any:
        scores = np.array(LOGS)[observation["step"]]
        scores[observation["row"] == 1] = scores[observation["row"] == 1][:, [0, 2, 1]]
        return np.where(mask, scores, -np.inf)

    return search(task, log_probs, rows, width)


def test_beam_compares_written_texts_by_decision_and_answers_by_sum() -> None:
    """STOP at once has -2 in one decision, a letter and STOP have -2.5 in two."""
    assert found(Spelling(writes=True), [0], 2) == [("a", "")]
    assert found(Spelling(writes=False), [0], 2) == [("", "a", "aa")]


def test_beam_of_written_texts_is_done_when_as_many_have_ended() -> None:
    written, ranked = Spelling(writes=True), Spelling(writes=False)
    assert [len(output) for output in found(written, [0], 2) + found(ranked, [0], 2)] == [2, 3]
    assert (written.decisions, ranked.decisions) == (4, 5)


@pytest.mark.parametrize("writes", [True, False])
def test_beam_gives_one_output_per_row_in_their_order(writes: bool) -> None:
    task = Spelling(writes=writes)
    assert found(task, None, 1) == [("a",), ("b",)]
    assert found(task, [1, 0, 1], 1) == [("b",), ("a",), ("b",)]
    assert found(task, [], 1) == []
