"""Dialogue policy: the acts of a system's answers, turn by turn."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlp_gym.metrics.acts import f1
from nlp_gym.metrics.base import on_grid
from nlp_gym.tasks.act_gold import ActTable, check_turns
from nlp_gym.tasks.acts import ActTask, PolicyState
from nlp_gym.tasks.base import Played
from nlp_gym.tasks.checks import check_int
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

LAST_TURN = 15
FLAGS = ("chosen", "previous", "used")


class DialoguePolicy(ActTask):
    """Dialogue policy as a decision process.

    ## Description
    The agent is the system in a task-oriented dialogue. At each of its turns it chooses the acts of
    its answer (INFORM, REQUEST, ...) one at a time in any order, then DONE. It plays in the world
    of a recorded dialogue (teacher forcing): what the user says next is what the record has,
    whatever was chosen. Act types only, without slots and values.

    ## Data
    SGD (Rastogi et al. 2020), a JSON file of its format, or JSONL, `system` being optional:
    `{"turns": [{"user": "...", "acts": ["REQUEST"], "system": "..."}]}`. Labels: those of SGD, else
    the acts of the training split, sorted; gold acts outside them count as missed.

    ## Observation Space
    `Dict`, with A actions, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal now |
    | all | `chosen` | (A-1,) | | acts chosen in this turn, 0 or 1 |
    | all | `previous`, `used` | (A-1,) | | own acts of the turn before; of all earlier turns |
    | features | `turn` | (16,) | float32 | number of the turn, one-hot, the last: 15 and more |
    | features | `context` | (3*D,) | float32 | user now, system's last words, user's turn before |
    | tokens | `input_ids`, `attention_mask` | (3, L) | int32, int8 | sub-words of the same texts |
    | tokens, index | `turn` | (1,) | int32 | the same number |
    | index | `row`, `position` | (1,) | int32 | dialogue and turn |

    Binary keys: float32 in `features`, int8 elsewhere. The system's last words are the recorded
    ones, as a system knows what it said; zero where there is no record.

    ## Action Space
    `Discrete(A)`: acts, numbered as `task.labels`, then DONE.

    ## Action Mask
    An act can be chosen once a turn, DONE after at least one act; after `max_acts` acts only DONE
    is legal.

    ## Rewards
    - `correctness` (default): 1 for a gold act of the turn, and 1 for DONE if the acts are exactly
      the gold ones; else 0.
    - `metric`: change of the F1 of the acts chosen so far against all gold acts of the dialogue.
    - `sparse`: the F1 of the dialogue, at its end.

    ## Starting State
    The first turn of a dialogue.

    ## Episode End
    After DONE of the last turn.

    ## Metric
    Micro-averaged F1 over the acts of all turns (`act_f1`). The report has precision, recall and F1
    of each act and the share of turns whose acts are exactly right.

    ## Information
    `info["score"]` at the end: the dialogue's F1. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `max_acts` (4): the most acts of a turn.

    ## Registered Ids
    `DialoguePolicy-SGD-v0`, `DialoguePolicy-v0`

    ## Version History
    * v0: initial version.
    """

    def __init__(self, *, max_acts: int = 4, **kwargs: Any) -> None:
        self.max_acts = check_int("max_acts", max_acts, 1, 64)
        super().__init__(**kwargs)
        turns = check_turns(self.corpus.samples)
        if not self.labels:
            self.labels = ActTable.inventory(self.load("train").samples)
        self._gold = ActTable.of(self.corpus.samples, self.labels) if self.has_gold else None
        self._turns = np.array(turns, np.int64)
        flags = {key: Extra(len(self.labels), 1) for key in FLAGS}
        self.extras = {**flags, "turn": Extra(1, LAST_TURN)}

    @property
    def n_actions(self) -> int:
        """Acts, and DONE."""
        return len(self.labels) + 1

    def mask(self, state: PolicyState) -> BoolArray:
        """See `Task.mask`."""
        count = state.chosen.sum(axis=1, keepdims=True)
        return np.concatenate([~state.chosen & (count < self.max_acts), count > 0], axis=1)

    def play(self, state: PolicyState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        done, right = actions == len(self.labels), None
        if self._gold is not None:
            good = self._gold.right(state.slot, state.chosen, actions)
            state.counts[:, 0] += good & ~done
            right = good.astype(np.float64)
        state.add(np.flatnonzero(~done), actions)
        state.finish_turn(done)
        ended: BoolArray = done & (state.turn == self._turns.take(state.row))
        return right, 0.0, ended

    def potential(self, state: PolicyState) -> Float64Array:
        """See `Task.potential`."""
        assert self._gold is not None
        wanted = self._gold.wanted.take(state.row)[:, None]
        started = state.counts[:, 1] > 0
        return on_grid(np.where(started, f1(np.concatenate([state.counts, wanted], axis=1)), 0.0))

    def oracle(self, state: PolicyState) -> Int64Array:
        """(B,) the first gold act that is missing, else DONE."""
        self.require_gold("oracle")
        assert self._gold is not None
        return self._gold.missing(state.slot, state.chosen, self.max_acts)

    def extra(self, state: PolicyState) -> Observation:
        """Own acts: of this turn, the one before and all earlier; the turn's number."""
        flags = {key: getattr(state, key).astype(np.int32) for key in FLAGS}
        return {**flags, "turn": np.minimum(state.turn, LAST_TURN).astype(np.int32)[:, None]}
