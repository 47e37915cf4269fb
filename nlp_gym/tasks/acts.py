"""What the dialogue policy stands on: its state, the texts of its turns, scores, frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.metrics.acts import act_f1
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.base import Output, State
from nlp_gym.tasks.kinds import UnitTask
from nlp_gym.tasks.tables import Tables
from nlp_gym.types import BoolArray, Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame, Piece


@dataclass
class PolicyState(State):
    """Episodes of a dialogue policy over n acts.

    Attributes:
        turn: (B,) number of the turn.
        chosen: (B, n) acts of this turn.
        previous: (B, n) acts of the turn before.
        used: (B, n) acts of all earlier turns.
        played: (B, T, n) acts of each turn so far.
        counts: (B, 2) acts that are right, and chosen.
    """

    turn: Int64Array
    chosen: BoolArray
    previous: BoolArray
    used: BoolArray
    played: BoolArray
    counts: Int64Array

    @classmethod
    def fresh(cls, blank: dict[str, Any], turns: int, n: int) -> PolicyState:
        """Before the first decision; `blank` has the fields of `State`."""
        b = len(blank["row"])
        flags = {key: np.zeros((b, n), bool) for key in ("chosen", "previous", "used")}
        played = np.zeros((b, turns, n), bool)
        counts = np.zeros((b, 2), np.int64)
        return cls(**blank, **flags, played=played, counts=counts, turn=np.zeros(b, np.int64))

    def add(self, where: Int64Array, acts: Int64Array) -> None:
        """Choose `acts` (B,) in the episodes at `where`."""
        self.chosen[where, acts[where]] = True
        self.played[where, self.turn[where], acts[where]] = True
        self.counts[where, 1] += 1

    def finish_turn(self, done: BoolArray) -> None:
        """Go to the next turn in the episodes that are `done` (B,)."""
        over = done[:, None]
        self.previous = np.where(over, self.chosen, self.previous)
        self.used |= self.chosen & over
        self.chosen &= ~over
        self.turn += done
        self.slot += done


def turn_pieces(sample: Sample, acts: Sequence[Sequence[str]], at: int) -> list[Piece]:
    """A dialogue for people: each turn of the user with the acts chosen; `at` is decided now."""
    from nlp_gym.envs.render import Piece

    pieces = []
    for turn, words in enumerate(sample.extra["turns"]):
        mark = "here" if turn == at else "dim" if turn > at else "plain"
        pieces.append(Piece(" ".join(words), mark, line=True))
        gold = acts[turn] if sample.gold is None else sample.gold[turn]
        for act in acts[turn]:
            pieces.append(Piece(act, "chosen" if act in gold else "wrong", label="act"))
    return pieces


class ActTask(UnitTask):
    """Acts chosen turn by turn in recorded dialogues; without the rules.

    Attributes:
        max_acts: Most acts of a turn.
    """

    family = "policy"
    metric_name = "act_f1"
    max_acts: int
    _turns: Int64Array  # (N,) turns of each dialogue

    @property
    def lengths(self) -> Int64Array:
        """(N,) most decisions of each dialogue."""
        return self._turns * (self.max_acts + 1)

    @cached_property
    def tables(self) -> Tables:
        """A slot a turn (user, system's last words, user before) and an empty one at the end."""
        context, add = [], self._texts.add
        for sample in self.corpus.samples:
            users = [-1, *(add(turn) for turn in sample.extra["turns"])]
            said = [-1, *(add(turn) for turn in sample.extra["said"])]
            context += [*zip(users[1:], said, users, strict=False), (-1, -1, -1)]
        offsets = np.cumsum(self._turns + 1) - self._turns - 1
        return Tables.build(len(self._texts.texts), offsets=offsets, context=context)

    def initial(self, rows: Int64Array) -> PolicyState:
        """See `Task.initial`."""
        return PolicyState.fresh(self.blank(rows), int(self._turns.max()), len(self.labels))

    def outputs(self, state: PolicyState) -> list[Output]:
        """See `Task.outputs`: a tuple of acts for each turn so far."""
        return [
            tuple(tuple(self.labels[k] for k in np.flatnonzero(turn)) for turn in played[:n])
            for played, n in zip(state.played, state.turn.tolist(), strict=True)
        ]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        gold = [self._sample(i).gold for i in rows]
        return act_f1(gold, outputs, bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Each turn's words of the user and acts of the system."""
        extra = self._sample(row).extra
        users = extra.get("turn_texts") or [" ".join(turn) for turn in extra["turns"]]
        turns = zip(users, output, strict=False)
        return {"turns": [{"user": user, "acts": list(acts)} for user, acts in turns]}

    def frame(self, state: PolicyState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame

        row, at = int(state.row[i]), int(state.turn[i])
        acts = [[self.labels[k] for k in np.flatnonzero(turn)] for turn in state.played[i]]
        place = f"turn {at}/{self._turns[row]}"
        return Frame(self.title(row), place, turn_pieces(self._sample(row), acts, at))
