"""The system's acts in a dialogue, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.checks import check_int
from nlp_gym.metrics.base import Score, micro_f1, on_grid
from nlp_gym.metrics.labels.dialogue_acts import act_f1
from nlp_gym.tasks.core.kinds import UnitTask
from nlp_gym.tasks.core.tables import Extra, Tables, index_type
from nlp_gym.tasks.core.task import Focus, Output, Played, State
from nlp_gym.tasks.labels.act_gold import GoldActs, check_turns
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Frame, Piece


@dataclass
class PolicyState(State):
    """Episodes of a dialogue policy over n acts.

    Attributes:
        turn: (B,) number of the turn.
        in_turn: (B,) acts of this turn so far.
        chosen: (B, n) acts of this turn.
        previous: (B, n) acts of the turn before.
        used: (B, n) acts of all earlier turns.
        played: (B, T, P) integers, the acts of each turn so far in the order of choice, then -1; P
            is the most acts of a turn.
        counts: (B, 2) acts that are right, and chosen.
    """

    turn: Int64Array
    in_turn: Int64Array
    chosen: BoolArray
    previous: BoolArray
    used: BoolArray
    played: npt.NDArray[np.signedinteger[Any]]
    counts: Int64Array

    def add(self, where: Int64Array, acts: Int64Array) -> None:
        """Choose `acts` (B,) in the episodes at `where`."""
        some, place = acts.take(where), self.in_turn.take(where)
        self.chosen[where, some] = True
        self.played[where, self.turn.take(where), place] = some
        self.in_turn[where] = place + 1
        self.counts[where, 1] += 1

    def finish_turn(self, done: BoolArray) -> None:
        """Go to the next turn in the episodes that are `done` (B,)."""
        over = done[:, None]
        self.previous = np.where(over, self.chosen, self.previous)
        self.used |= self.chosen & over
        self.chosen &= ~over
        self.in_turn[done] = 0
        self.turn += done
        self.slot += done


def turn_pieces(sample: Sample, acts: Sequence[Sequence[str]], at: int) -> list[Piece]:
    """A dialogue for people: each turn of the user with the acts chosen; `at` is decided now."""
    from nlp_gym.render import Piece

    pieces = []
    for turn, words in enumerate(sample.extra["turns"]):
        mark = "here" if turn == at else "dim" if turn > at else "plain"
        pieces.append(Piece(" ".join(words), mark, line=True))
        gold = acts[turn] if sample.gold is None else sample.gold[turn]
        for act in acts[turn]:
            pieces.append(Piece(act, "chosen" if act in gold else "wrong", label="act"))
    return pieces


LAST_TURN = 15
FLAGS = ("chosen", "previous", "used")


class DialoguePolicy(UnitTask):
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
    An act is chosen once per turn, DONE after at least one act; after `max_acts` acts only DONE
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

    family = "policy"
    metric_name = "act_f1"
    trace_view = "labels"

    def __init__(self, *, max_acts: int = 4, **kwargs: Any) -> None:
        self.max_acts = check_int("max_acts", max_acts, 1, 64)
        super().__init__(**kwargs)
        turns = check_turns(self.corpus.samples)
        if not self.labels:
            self.labels = GoldActs.inventory(self.load("train").samples)
        self._gold = GoldActs.of(self.corpus.samples, self.labels) if self.has_gold else None
        self._turns = np.array(turns, np.int64)  # (N,) turns of each dialogue
        flags = {key: Extra(len(self.labels), 1) for key in FLAGS}
        self.extras = {**flags, "turn": Extra(1, LAST_TURN)}

    @property
    @override
    def n_actions(self) -> int:
        """Acts, and DONE."""
        return len(self.labels) + 1

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) most decisions of each dialogue."""
        return self._turns * (self.max_acts + 1)

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per turn (user, system's last words, user before), an empty one at the end."""
        context, add = [], self._texts.add
        for sample in self.corpus.samples:
            users = [-1, *(add(turn) for turn in sample.extra["turns"])]
            said = [-1, *(add(turn) for turn in sample.extra["said"])]
            context += [*zip(users[1:], said, users, strict=False), (-1, -1, -1)]
        offsets = np.cumsum(self._turns + 1) - self._turns - 1
        return Tables.build(len(self._texts.texts), offsets=offsets, context=context)

    @override
    def initial(self, rows: Int64Array) -> PolicyState:
        b, n = len(rows), len(self.labels)
        return PolicyState(
            **self.state_fields(rows),
            turn=np.zeros(b, np.int64),
            in_turn=np.zeros(b, np.int64),
            chosen=np.zeros((b, n), bool),
            previous=np.zeros((b, n), bool),
            used=np.zeros((b, n), bool),
            played=np.full((b, int(self._turns.max()), self.max_acts), -1, index_type(n)),
            counts=np.zeros((b, 2), np.int64),
        )

    @override
    def mask(self, state: PolicyState) -> BoolArray:
        count = state.in_turn[:, None]
        return np.concatenate([~state.chosen & (count < self.max_acts), count > 0], axis=1)

    @override
    def oracle(self, state: PolicyState) -> Int64Array:
        """(B,) the first gold act that is missing, else DONE."""
        self.require_gold("oracle")
        assert self._gold is not None
        return self._gold.missing(state.slot, state.chosen, self.max_acts)

    @override
    def play(self, state: PolicyState, actions: Int64Array) -> Played:
        done, right = actions == len(self.labels), None
        if self._gold is not None:
            good = self._gold.right(state.slot, state.chosen, actions)
            state.counts[:, 0] += good & ~done
            right = good.astype(np.float64)
        state.add(np.flatnonzero(~done), actions)
        state.finish_turn(done)
        ended: BoolArray = done & (state.turn == self._turns.take(state.row))
        return right, 0.0, ended

    @override
    def potential(self, state: PolicyState) -> Float64Array:
        assert self._gold is not None
        wanted = self._gold.wanted.take(state.row)[:, None]
        started = state.counts[:, 1] > 0
        counts = np.concatenate([state.counts, wanted], axis=1)
        return on_grid(np.where(started, micro_f1(counts), 0.0))

    @override
    def extra(self, state: PolicyState) -> Observation:
        """Own acts: of this turn, the one before and all earlier; the turn's number."""
        flags = {key: getattr(state, key).astype(np.int32) for key in FLAGS}
        return {**flags, "turn": np.minimum(state.turn, LAST_TURN).astype(np.int32)[:, None]}

    @override
    def outputs(self, state: PolicyState) -> list[Output]:
        """Each output has a tuple of acts for each turn so far."""
        return [
            tuple(tuple(acts) for acts in self._names(played[:n]))
            for played, n in zip(state.played, state.turn.tolist(), strict=True)
        ]

    def _names(self, played: npt.NDArray[np.signedinteger[Any]]) -> list[list[str]]:
        """The acts of each turn (T, P), in the order of the inventory."""
        return [[self.labels[k] for k in sorted(turn) if k >= 0] for turn in played.tolist()]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        gold = [self.sample(i).gold for i in rows]
        return act_f1(gold, outputs, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Each turn's words of the user and acts of the system."""
        extra = self.sample(row).extra
        users = extra.get("turn_texts") or [" ".join(turn) for turn in extra["turns"]]
        turns = zip(users, output, strict=False)
        return {"turns": [{"user": user, "acts": list(acts)} for user, acts in turns]}

    @override
    def action_text(self, state: PolicyState, i: int, action: int) -> str:
        return "DONE" if action == len(self.labels) else self.labels[action]

    @override
    def focus(self, state: PolicyState, i: int) -> Focus:
        """What the user said last."""
        return Focus(text=" ".join(self.sample(int(state.row[i])).extra["turns"][state.turn[i]]))

    @override
    def frame(self, state: PolicyState, i: int) -> Frame:
        from nlp_gym.render import Frame

        row, at = int(state.row[i]), int(state.turn[i])
        acts = self._names(state.played[i])
        place = f"turn {at}/{self._turns[row]}"
        return Frame(self.title(row), place, turn_pieces(self.sample(row), acts, at))
