"""The system's side: what it hears and believes, which acts are legal, and an expert of rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
from nlp_gym.tasks.dialogue_sim.world import World
from nlp_gym.types import BoolArray, Int64Array

RIGHT_AND_SURE, WRONG_AND_SURE = 0.85, 0.3
"""How often the system is sure of a value that it heard right, and of one it heard wrong."""


@dataclass(frozen=True)
class SystemSide:
    """What the system knows and does, batched over B dialogues.

    Attributes:
        world: Services and entities.
        slot_error: How often a value is heard wrong: half of these are missed, half are another
            value of the slot.
        act_error: How often a turn of the user is not understood at all.
    """

    world: World
    slot_error: float
    act_error: float

    # Acts.

    def split(self, state: SimState, actions: Int64Array) -> tuple[Int64Array, Int64Array]:
        """(B,) kind of act, `REQUEST` for all requests; (B,) slot that is requested, else -1."""
        k = self.world.slot_at.shape[1]
        request = actions < k
        kind = np.where(request, REQUEST, actions - k)
        slot = self.world.slot_at[state.intent, np.where(request, actions, 0)]
        return kind, np.where(request & (state.intent >= 0), slot, -1)

    def mask(self, state: SimState) -> BoolArray:
        """(B, A) legal actions."""
        world, known = self.world, state.intent >= 0
        k = world.slot_at.shape[1]
        busy = known & ((state.phase == Phase.OPEN) | (state.phase == Phase.OFFERED))
        inside = world.inside[state.intent]
        ready = busy & ~((state.belief == NONE) & world.required[state.intent]).any(axis=1)
        acts = world.transactional.take(state.intent) & known
        left = state.place < np.minimum(state.count, RESULTS)
        legal = np.empty((len(known), k + N_SYSTEM), bool)
        legal[:, :k] = (world.slot_at[state.intent] >= 0) & busy[:, None]
        rest = legal[:, k:]
        rest[:, System.CONFIRM] = busy & ((state.belief != NONE) & inside).any(axis=1)
        rest[:, System.QUERY] = ready & ~acts
        rest[:, System.OFFER] = busy & left
        rest[:, System.INFORM] = state.entity >= 0
        rest[:, System.NO_RESULT] = busy & (state.count >= 0) & ~left
        rest[:, System.EXECUTE] = ready & acts
        rest[:, System.OFFER_INTENT] = known & (world.follows.take(state.intent) >= 0)
        rest[:, System.REQ_MORE] = True
        rest[:, System.REPEAT] = state.unclear
        rest[:, System.BYE] = True
        return legal

    def act(self, state: SimState, kind: Int64Array) -> None:
        """What the system's own act does, before the user answers."""
        (at,) = (kind == System.QUERY).nonzero()
        if len(at):
            some = state.intent[at], state.belief[at], RESULTS
            state.found[at], state.count[at] = self.world.search(*some)
            state.place[at] = 0
        (at,) = (kind == System.OFFER).nonzero()
        if len(at):
            state.entity[at] = state.found[at, state.place[at]]
            state.place[at] += 1
            state.phase[at] = Phase.OFFERED

    def book(self, state: SimState, at: Int64Array) -> None:
        """Find what was booked, in the dialogues at `at`, for questions about it."""
        found, _ = self.world.search(state.intent[at], state.belief[at], 1)
        state.entity[at] = found[:, 0]

    def doubt(self, state: SimState, failed: BoolArray) -> None:
        """What could not be done will change: it has to be confirmed again."""
        lower = np.minimum(state.sure, np.int8(Heard.SURE))
        state.sure = np.where(failed[:, None], lower, state.sure)

    # Hearing.

    def hear(self, state: SimState, speech: Int64Array) -> Int64Array:
        """Take in what the user said, with the noise of this turn.

        Returns:
            (B, 2) the values that were heard; `NONE`: missed, -1: none was said.
        """
        spoke = speech[:, Part.ACT] > User.NOTHING
        missed = spoke & (uniform(state.episode, state.turn, 0) < self.act_error)
        state.unclear = np.where(spoke, missed, state.unclear)
        clear = spoke & ~missed
        act = np.where(clear, speech[:, Part.ACT], User.NOTHING)
        state.asked = np.where(clear, speech[:, Part.ASK], state.asked)
        state.finished |= act == User.DONE
        self._select(state, act)
        self._open(state, clear & (speech[:, Part.INTENT] >= 0), speech[:, Part.INTENT])
        heard = self._inform(state, clear, speech)
        (at,) = (act == User.AFFIRM).nonzero()
        known = (state.belief[at] != NONE) & self.world.inside[state.intent[at]]
        state.sure[at] = np.where(known, Heard.CONFIRMED, state.sure[at])
        return heard

    def _select(self, state: SimState, act: Int64Array) -> None:
        """What was offered is taken: its values are known now."""
        settled = (act == User.SELECT) | (act == User.THANKS)
        state.phase[settled] = Phase.SETTLED
        (at,) = ((act == User.SELECT) & (state.entity >= 0)).nonzero()
        if len(at):
            values = self.world.entities[state.entity[at]]
            there = values >= FIRST_VALUE
            state.belief[at] = np.where(there, values, state.belief[at])
            state.sure[at] = np.where(there, Heard.SURE, state.sure[at])

    def _open(self, state: SimState, named: BoolArray, intent: Int64Array) -> None:
        """Another intent: of the same service, what is known stays known."""
        (at,) = named.nonzero()
        if not len(at):
            return
        new, old = intent[at], state.intent[at]
        service = self.world.service
        other = at[(old < 0) | (service.take(new) != service.take(old))]
        state.belief[other] = NONE
        state.sure[other] = Heard.NOTHING
        restarted = at[(new != old) | (state.phase[at] == Phase.SETTLED)]
        self._forget_results(state, restarted)
        state.phase[restarted] = Phase.OPEN
        state.intent[at] = new

    def _forget_results(self, state: SimState, at: Int64Array) -> None:
        state.count[at], state.found[at], state.place[at], state.entity[at] = -1, -1, 0, -1

    def _inform(self, state: SimState, clear: BoolArray, speech: Int64Array) -> Int64Array:
        """Take in values of slots; gives what `hear` gives."""
        heard = np.full((len(clear), 2), -1, np.int64)
        for n, (slot_part, value_part) in enumerate(
            ((Part.SLOT, Part.VALUE), (Part.SECOND_SLOT, Part.SECOND_VALUE))
        ):
            (at,) = (clear & (speech[:, slot_part] >= 0) & (state.intent >= 0)).nonzero()
            if len(at):
                slot, value = speech[at, slot_part], speech[at, value_part]
                heard[at, n] = got = self._noisy(state, at, slot, value, 8 * n)
                (kept,) = (got != NONE).nonzero()
                at, slot, got, value = at[kept], slot[kept], got[kept], value[kept]
                state.sure[at, slot] = self._sureness(state, at, got == value, 8 * n)
                new = state.belief[at, slot] != got
                state.belief[at, slot] = got
                self._forget_results(state, at[new])
                state.phase[at[new]] = Phase.OPEN
        return heard

    def _noisy(
        self, state: SimState, at: Int64Array, slot: Int64Array, value: Int64Array, channel: int
    ) -> Int64Array:
        """Values as they are heard; `NONE`: missed."""
        world = self.world
        drawn = uniform(state.episode[at], state.turn[at], channel + 1)
        key = world.service[state.intent[at]] * world.n_slots + slot
        first, stop = world.first_value[key], world.first_value[key + 1]
        other = first + (
            uniform(state.episode[at], state.turn[at], channel + 2) * (stop - first)
        ).astype(np.int64)
        other = np.where(
            other == value, first + (other + 1 - first) % np.maximum(stop - first, 1), other
        )
        other = np.where(stop - first < 2, NONE, other)
        heard: Int64Array = np.where(drawn < self.slot_error / 2, NONE, value)
        wrong = (drawn >= self.slot_error / 2) & (drawn < self.slot_error)
        return np.where(wrong, other, heard)

    def _sureness(
        self, state: SimState, at: Int64Array, right: BoolArray, channel: int
    ) -> Int64Array:
        if not self.slot_error:
            return np.full(len(at), int(Heard.SURE))
        drawn = uniform(state.episode[at], state.turn[at], channel + 3)
        sure = drawn < np.where(right, RIGHT_AND_SURE, WRONG_AND_SURE)
        return np.where(sure, int(Heard.SURE), int(Heard.UNSURE))

    # The expert.

    def expert(self, state: SimState) -> Int64Array:
        """(B,) what rules decide, from what the agent sees; see `DialogueSim.oracle`."""
        world = self.world
        k = world.slot_at.shape[1]
        known, legal = state.intent >= 0, self.mask(state)
        acts = world.transactional.take(state.intent)
        settled = state.phase == Phase.SETTLED
        slots = world.slot_at[state.intent]
        need = np.take_along_axis(
            world.required[state.intent] & (state.belief == NONE), np.maximum(slots, 0), axis=1
        ) & (slots >= 0)
        inside = world.inside[state.intent]
        doubt = (inside & (state.belief > ANY) & (state.sure < Heard.CONFIRMED)).any(axis=1)
        unsure = (inside & (state.belief > ANY) & (state.sure == Heard.UNSURE)).any(axis=1)
        offer = legal[:, k + System.OFFER]
        rules = (
            (state.unclear, System.REPEAT),
            (state.finished, System.BYE),
            ((state.asked >= 0) & (state.entity >= 0), System.INFORM),
            (settled & legal[:, k + System.OFFER_INTENT], System.OFFER_INTENT),
            (settled | ~known, System.REQ_MORE),
            (need.any(axis=1), REQUEST),
            (acts & doubt, System.CONFIRM),
            (acts, System.EXECUTE),
            (state.count < 0, System.QUERY),
            (offer, System.OFFER),
            (unsure, System.CONFIRM),
            (np.ones(len(known), bool), System.NO_RESULT),
        )
        chosen = np.select([rule for rule, _ in rules], [int(act) for _, act in rules])
        actions: Int64Array = np.where(chosen == REQUEST, need.argmax(axis=1), k + chosen)
        return actions
