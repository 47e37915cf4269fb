"""The system's side: what it hears and believes, which acts are legal, and an expert of rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.dialogue_sim.acts import (
    ANY,
    FIRST_VALUE,
    N_SYSTEM,
    NONE,
    REQUEST,
    Heard,
    Part,
    Phase,
    System,
    User,
)
from nlp_gym.tasks.dialogue_sim.noise import uniform
from nlp_gym.tasks.dialogue_sim.state import RESULTS, SimState
from nlp_gym.tasks.dialogue_sim.world import Queries, World
from nlp_gym.types import BoolArray, Float64Array, Int32Array, Int64Array

RIGHT_AND_SURE, WRONG_AND_SURE = 0.85, 0.3
"""How often the system is sure of a value that it heard right, and of one it heard wrong."""

# Members of an enumeration are slow to look up, and arrays slow to compare with them.
_CONFIRM, _QUERY, _OFFER, _INFORM, _NO_RESULT, _EXECUTE, _OFFER_INTENT, _REQ_MORE, _REPEAT, _BYE = (
    map(int, System)
)
_ACT, _INTENT, _ASK = int(Part.ACT), int(Part.INTENT), int(Part.ASK)
_SLOTS = slice(int(Part.SLOT), int(Part.SECOND_SLOT) + 1, 2)
_VALUES = slice(int(Part.VALUE), int(Part.SECOND_VALUE) + 1, 2)
_OPEN, _OFFERED, _SETTLED = int(Phase.OPEN), int(Phase.OFFERED), int(Phase.SETTLED)
_UNSURE, _SURE, _CONFIRMED = int(Heard.UNSURE), int(Heard.SURE), int(Heard.CONFIRMED)
_NOTHING, _SELECT, _THANKS, _AFFIRM, _DONE = (
    int(User[name]) for name in ["NOTHING", "SELECT", "THANKS", "AFFIRM", "DONE"]
)

_SLOT_CODES = np.array([0, 0, 0, 0, 1, 3, 4, 5, 2, 3, 4, 5], np.int32)
"""Slots that are not there, optional and needed ones, each by the four values of `Heard`."""
_CHANNELS = np.array([0, 1, 9, 2, 10, 3, 11])
"""Of the noise: whether a turn is missed, and for two values which are heard, as what, how sure."""


def _padded(array: npt.NDArray[Any], none: int) -> npt.NDArray[Any]:
    """With a last row for number -1."""
    return np.concatenate([array, np.full((1, *array.shape[1:]), none, array.dtype)])


class SystemSide:
    """What the system knows and does, batched over B dialogues.

    Args:
        world: Services and entities.
        slot_error: How often a value is heard wrong: half of these are missed, half are another
            value of the slot.
        act_error: How often a turn of the user is not understood at all.

    Attributes:
        service, acts, inside, required, slot_at, follows, entities: Those of `world` (`acts`: what
            it calls transactional), each with a last row for number -1, nothing.
    """

    def __init__(self, world: World, slot_error: float, act_error: float) -> None:
        self.world, self.slot_error, self.act_error = world, slot_error, act_error
        self.service, self.acts = _padded(world.service, -1), _padded(world.transactional, 0)
        self.inside, self.required = _padded(world.inside, 0), _padded(world.required, 0)
        self.slot_at, self.follows = _padded(world.slot_at, -1), _padded(world.follows, -1)
        self.entities = _padded(world.entities, NONE)
        self._queries = Queries(world, RESULTS)
        self._requests, self._offers = self.slot_at >= 0, self.follows >= 0
        # (I + 1, K) 4 times the code of a slot of which nothing was heard, in `_SLOT_CODES`.
        self._places = np.maximum(self.slot_at, 0)
        needed = np.take_along_axis(self.required, self._places, axis=1)
        self._blank = 4 * np.where(self._requests, 1 + needed, 0)

    # Acts.

    def split(self, state: SimState, actions: Int64Array) -> tuple[Int64Array, Int64Array]:
        """(B,) kind of act, `REQUEST` for all requests; (B,) slot that is requested, else -1."""
        k = self.slot_at.shape[1]
        kind = actions - k
        (at,) = (kind < 0).nonzero()
        slot = np.full(len(actions), -1)
        slot[at] = self.slot_at[state.intent[at], actions[at]]
        kind[at] = REQUEST
        return kind, slot

    def mask(self, state: SimState) -> BoolArray:
        """(B, A) legal actions."""
        intent, k = state.intent, self.slot_at.shape[1]
        busy = (state.phase == _OPEN) | (state.phase == _OFFERED)  # so the intent is known
        unknown = state.belief == NONE
        ready = busy & ~(unknown & self.required.take(intent, axis=0)).any(axis=1)
        noted = (self.inside.take(intent, axis=0) & ~unknown).any(axis=1)
        acts = self.acts.take(intent)
        left = state.place < np.minimum(state.count, RESULTS)
        legal = np.empty((len(intent), k + N_SYSTEM), bool)
        np.logical_and(self._requests.take(intent, axis=0), busy[:, None], out=legal[:, :k])
        rest = legal[:, k:]
        rest[:, _CONFIRM] = busy & noted
        rest[:, _QUERY] = ready & ~acts
        rest[:, _OFFER] = busy & left
        rest[:, _INFORM] = state.entity >= 0
        rest[:, _NO_RESULT] = busy & (state.count >= 0) & ~left
        rest[:, _EXECUTE] = ready & acts
        rest[:, _OFFER_INTENT] = self._offers.take(intent)
        rest[:, _REQ_MORE] = rest[:, _BYE] = True
        rest[:, _REPEAT] = state.unclear
        return legal

    def slots(self, state: SimState) -> Int32Array:
        """(B, K) what is known of the slots of the task, as the agent sees it."""
        s = state.sure.shape[1]
        at = self._places.take(state.intent, axis=0) + s * np.arange(len(state.sure))[:, None]
        seen = self._blank.take(state.intent, axis=0) + state.sure.ravel().take(at)
        codes: Int32Array = _SLOT_CODES.take(seen)
        return codes

    def act(self, state: SimState, kind: Int64Array) -> None:
        """What the system's own act does, before the user answers."""
        (at,) = (kind == _QUERY).nonzero()
        if len(at):
            found = self._queries.search(state.intent[at], state.belief[at])
            state.found[at], state.count[at] = found
            state.place[at] = 0
        (at,) = (kind == _OFFER).nonzero()
        if len(at):
            state.entity[at] = state.found[at, state.place[at]]
            state.place[at] += 1
            state.phase[at] = _OFFERED

    def book(self, state: SimState, at: Int64Array) -> None:
        """Find what was booked, in the dialogues at `at`, for questions about it."""
        state.entity[at] = self._queries.search(state.intent[at], state.belief[at])[0][:, 0]

    def doubt(self, state: SimState, failed: BoolArray) -> None:
        """What could not be done will change: it has to be confirmed again."""
        (at,) = failed.nonzero()
        if len(at):
            state.sure[at] = np.minimum(state.sure[at], np.int8(_SURE))

    # Hearing.

    def hear(self, state: SimState, speech: Int64Array) -> Int64Array:
        """Take in what the user said, with the noise of this turn.

        Returns:
            (B, 2) the values that were heard; `NONE`: missed, -1: none was said.
        """
        spoke = speech[:, _ACT] > _NOTHING
        draws = uniform(state.episode[:, None], state.turn[:, None], _CHANNELS)
        missed = spoke & (draws[:, 0] < self.act_error)
        np.copyto(state.unclear, missed, where=spoke)
        clear = spoke & ~missed
        act = np.where(clear, speech[:, _ACT], _NOTHING)
        np.copyto(state.asked, speech[:, _ASK], where=clear)
        state.finished |= act == _DONE
        self._select(state, act)
        (at,) = (clear & (speech[:, _INTENT] >= 0)).nonzero()
        if len(at):
            self._open(state, at, speech[at, _INTENT])
        heard = self._inform(state, clear, speech, draws[:, 1:])
        (at,) = (act == _AFFIRM).nonzero()
        if len(at):
            known = (state.belief[at] != NONE) & self.inside.take(state.intent[at], axis=0)
            state.sure[at] = np.where(known, _CONFIRMED, state.sure[at])
        return heard

    def _select(self, state: SimState, act: Int64Array) -> None:
        """What was offered is taken: its values are known now."""
        selects = act == _SELECT
        state.phase[selects | (act == _THANKS)] = _SETTLED
        (at,) = (selects & (state.entity >= 0)).nonzero()
        if len(at):
            values = self.entities.take(state.entity[at], axis=0)
            there = values >= FIRST_VALUE
            state.belief[at] = np.where(there, values, state.belief[at])
            state.sure[at] = np.where(there, _SURE, state.sure[at])

    def _open(self, state: SimState, at: Int64Array, new: Int64Array) -> None:
        """Another intent: of the same service, what is known stays known."""
        old = state.intent[at]
        other = at[self.service.take(new) != self.service.take(old)]
        state.belief[other] = NONE
        state.sure[other] = Heard.NOTHING
        restarted = at[(new != old) | (state.phase[at] == _SETTLED)]
        self._forget_results(state, restarted)
        state.phase[restarted] = _OPEN
        state.intent[at] = new

    def _forget_results(self, state: SimState, at: Int64Array) -> None:
        state.count[at], state.found[at], state.place[at], state.entity[at] = -1, -1, 0, -1

    def _inform(
        self, state: SimState, clear: BoolArray, speech: Int64Array, draws: Float64Array
    ) -> Int64Array:
        """Take in up to two values of slots; gives what `hear` gives.

        Args:
            state: The dialogues.
            clear: (B,) bool, the turn was understood.
            speech: (B, 7) what was said.
            draws: (B, 6) noise: which values are heard, as what, and how sure.
        """
        heard = np.full((len(clear), 2), -1, np.int64)
        spoken = (speech[:, _SLOTS] >= 0) & (clear & (state.intent >= 0))[:, None]
        (pair,) = spoken.ravel().nonzero()
        if len(pair):
            at = pair >> 1
            # Two columns of each row: first and second value.
            slot, value = (
                speech[:, _SLOTS].ravel().take(pair),
                speech[:, _VALUES].ravel().take(pair),
            )
            which, what, how = (draws[:, i : i + 2].ravel().take(pair) for i in (0, 2, 4))
            got = self._noisy(state.intent.take(at), slot, value, which, what)
            heard.ravel()[pair] = got
            (kept,) = (got != NONE).nonzero()
            at, got = at.take(kept), got.take(kept)
            place = at * state.belief.shape[1] + slot.take(kept)
            belief, sure = state.belief.reshape(-1), state.sure.reshape(-1)  # views
            sure[place] = self._sureness(got == value.take(kept), how.take(kept))
            new = at[belief.take(place) != got]
            belief[place] = got
            self._forget_results(state, new)
            state.phase[new] = _OPEN
        return heard

    def _noisy(
        self,
        intent: Int64Array,
        slot: Int64Array,
        value: Int64Array,
        drawn: Float64Array,
        which: Float64Array,
    ) -> Int64Array:
        """Values as they are heard; `NONE`: missed."""
        half = self.slot_error / 2
        heard: Int64Array = np.where(drawn < half, NONE, value)
        (at,) = ((drawn >= half) & (drawn < self.slot_error)).nonzero()
        if len(at):
            world = self.world
            key = world.service[intent[at]] * world.n_slots + slot[at]
            first = world.first_value[key]
            size = world.first_value[key + 1] - first
            other = (which[at] * size).astype(np.int64)
            other = np.where(first + other == value[at], (other + 1) % np.maximum(size, 1), other)
            heard[at] = np.where(size < 2, NONE, first + other)
        return heard

    def _sureness(self, right: BoolArray, drawn: Float64Array) -> Int64Array:
        if not self.slot_error:
            return np.full(len(right), _SURE)
        return np.where(drawn < np.where(right, RIGHT_AND_SURE, WRONG_AND_SURE), _SURE, _UNSURE)

    # The expert.

    def expert(self, state: SimState) -> Int64Array:
        """(B,) what rules decide, from what the agent sees; see `DialogueSim.oracle`."""
        intent, k, legal = state.intent, self.slot_at.shape[1], state.legal
        acts = self.acts.take(intent)
        settled = state.phase == _SETTLED
        slots = self.slot_at.take(intent, axis=0)
        need = self.required.take(intent, axis=0) & (state.belief == NONE)
        need = np.take_along_axis(need, np.maximum(slots, 0), axis=1) & (slots >= 0)
        valued = self.inside.take(intent, axis=0) & (state.belief > ANY)
        doubt = (valued & (state.sure < _CONFIRMED)).any(axis=1)
        unsure = (valued & (state.sure == _UNSURE)).any(axis=1)
        rules = (
            (state.unclear, System.REPEAT),
            (state.finished, System.BYE),
            ((state.asked >= 0) & (state.entity >= 0), System.INFORM),
            (settled & legal[:, k + _OFFER_INTENT], System.OFFER_INTENT),
            (settled | (intent < 0), System.REQ_MORE),
            (need.any(axis=1), REQUEST),
            (acts & doubt, System.CONFIRM),
            (acts, System.EXECUTE),
            (state.count < 0, System.QUERY),
            (legal[:, k + _OFFER], System.OFFER),
            (unsure, System.CONFIRM),
        )
        acts_of = [int(act) for _, act in rules]
        chosen = np.select([rule for rule, _ in rules], acts_of, _NO_RESULT)
        actions: Int64Array = np.where(chosen == REQUEST, need.argmax(axis=1), k + chosen)
        return actions
