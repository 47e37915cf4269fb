"""The state of dialogues: what the system believes, and what the user wants; index arrays alone.

Axis letters: B episodes, S slots of a service, R results that are kept, T decisions of an episode.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.task import State
from nlp_gym.tasks.dialogue_sim.acts import Part
from nlp_gym.types import BoolArray, Int32Array, Int64Array

RESULTS = 8
"""Results of a query R that the system keeps, and can offer one after the other."""


@dataclass
class SimState(State):
    """Dialogues.

    Attributes:
        intent: (B,) what the system thinks is wanted; -1: it does not know.
        belief: (B, S) values of slots as they were heard.
        sure: (B, S) int8, a `Heard` for each.
        count: (B,) results of the last query; -1: it is not made, or something changed since.
        found: (B, R) the first of them; -1: none.
        place: (B,) how many of them were offered.
        entity: (B,) what is talked about; -1: nothing.
        asked: (B,) slot that the system heard a question about; -1: none.
        phase: (B,) a `Phase`.
        unclear: (B,) bool, the last turn of the user was not understood.
        finished: (B,) bool, the system heard that the user wants no more.
        said: (B, 5) sentences of the last turn of both sides, as the system heard them.
        task: (B,) which task of the goal the user is at.
        wanted: (B, S) values of it.
        changed: (B,) bool, the user has given up what was wanted at first.
        open_asks: (B, S) bool, what the user still wants to be told.
        rejects: (B,) offers that the user will still turn down.
        chosen: (B,) entity that the user took last; -1: none.
        stage: (B,) a `Stage`.
        idle: (B,) turns in a row that brought the user nothing.
        done: (B,) tasks of the goal that came to their end; of a recorded dialogue, decisions that
            were those on record.
        speech: (B, 7) what the user said last, see `Part`.
        episode: (B,) number from which the noise is drawn.
        turn: (B,) decisions so far.
        legal: (B, A) bool, what the system may decide now.
        history: (B, T + 1, 5) sentences at first and after each decision; -1: not yet.
        played: (B, T) decisions; -1: not yet.
    """

    intent: Int64Array
    belief: Int32Array
    sure: npt.NDArray[np.int8]
    count: Int64Array
    found: Int64Array
    place: Int64Array
    entity: Int64Array
    asked: Int64Array
    phase: Int64Array
    unclear: BoolArray
    finished: BoolArray
    said: Int64Array
    task: Int64Array
    wanted: Int32Array
    changed: BoolArray
    open_asks: BoolArray
    rejects: Int64Array
    chosen: Int64Array
    stage: Int64Array
    idle: Int64Array
    done: Int64Array
    speech: Int64Array
    episode: Int64Array
    turn: Int64Array
    legal: BoolArray
    history: npt.NDArray[np.int32]
    played: npt.NDArray[np.int16]

    @classmethod
    def fresh(
        cls, fields: dict[str, Any], episode: Int64Array, s: int, actions: int, turns: int
    ) -> SimState:
        """Dialogues in which nothing was said.

        Args:
            fields: Those of `State`.
            episode: (B,) numbers of their noise.
            s: Slots S.
            actions: Actions A.
            turns: Most decisions T.
        """
        b = len(episode)
        zero, none = np.zeros(b, np.int64), np.full(b, -1, np.int64)
        no = np.zeros(b, bool)
        return cls(
            **fields,
            intent=none.copy(),
            belief=np.zeros((b, s), np.int32),
            sure=np.zeros((b, s), np.int8),
            count=none.copy(),
            found=np.full((b, RESULTS), -1, np.int64),
            place=zero.copy(),
            entity=none.copy(),
            asked=none.copy(),
            phase=zero.copy(),
            unclear=no.copy(),
            finished=no.copy(),
            said=np.zeros((b, 5), np.int64),
            task=zero.copy(),
            wanted=np.zeros((b, s), np.int32),
            changed=no.copy(),
            open_asks=np.zeros((b, s), bool),
            rejects=zero.copy(),
            chosen=none.copy(),
            stage=zero.copy(),
            idle=zero.copy(),
            done=zero.copy(),
            speech=np.full((b, len(Part)), -1, np.int64),
            episode=episode,
            turn=zero.copy(),
            legal=np.zeros((b, actions), bool),
            **_unsaid(b, turns),
        )

    def with_turns(self, turns: int) -> SimState:
        """The same beginnings, with room for T decisions."""
        room = _unsaid(len(self.row), turns)
        room["history"][:, 0] = self.history[:, 0]
        return replace(self, **room)


def _unsaid(b: int, turns: int) -> dict[str, Any]:
    return {
        "history": np.full((b, turns + 1, 5), -1, np.int32),
        "played": np.full((b, turns), -1, np.int16),
    }
