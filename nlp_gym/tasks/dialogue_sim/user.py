"""Users who follow their agenda, batched: what they say to the system, and what that changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlp_gym.tasks.dialogue_sim.acts import (
    ANY,
    FIRST_VALUE,
    NONE,
    Heard,
    Part,
    Stage,
    System,
    User,
)
from nlp_gym.tasks.dialogue_sim.agenda import (
    ACT,
    ASKS,
    ENDS,
    FACTS,
    IDLE,
    TOLD,
    Rule,
    Told,
    follow,
)
from nlp_gym.tasks.dialogue_sim.goals import Goals
from nlp_gym.tasks.dialogue_sim.state import SimState
from nlp_gym.tasks.dialogue_sim.system import SystemSide
from nlp_gym.types import BoolArray, Int64Array

# Members of an enumeration are slow to look up, and arrays slow to compare with them.
_ACT, _INTENT, _SLOT, _VALUE, _SECOND_SLOT, _SECOND_VALUE, _ASK = map(int, Part)
_ACTIVE, _WAITING, _OVER = map(int, Stage)
_N_PARTS, _N_FACTS = len(Part), len(FACTS)
_CONFIRMED, _SURE = int(Heard.CONFIRMED), int(Heard.SURE)
_WAIT, _REPEAT, _GO_ON, _CALL_BACK, _CONFIRM, _GIVE_IN, _BOOKED, _TURN_DOWN, _TAKE_NOTE = (
    int(Rule[name])
    for name in [
        "WAIT",
        "REPEAT",
        "GO_ON",
        "CALL_BACK",
        "CONFIRM",
        "GIVE_IN",
        "BOOKED",
        "TURN_DOWN",
        "TAKE_NOTE",
    ]
)
_NOTHING, _DONE, _THANKS, _USER_ASK = map(int, (User.NOTHING, User.DONE, User.THANKS, User.ASK))
_EXECUTE, _OFFER_INTENT = int(System.EXECUTE), int(System.OFFER_INTENT)
_REQUESTED, _FAULTY, _CHANGED = int(Told.REQUESTED), int(Told.FAULTY), int(Told.CHANGED)


@dataclass(frozen=True)
class Answer:
    """What the user does in a turn.

    Attributes:
        speech: (B, 7) what is said, see `Part`.
        ended: (B,) bool, the dialogue is over.
        failed: (B,) bool, what the system tried to do was not possible.
    """

    speech: Int64Array
    ended: BoolArray
    failed: BoolArray


class Users:
    """The users of a corpus, each with a goal; they follow the rules of `agenda`.

    Args:
        system: What the system knows, which the user hears from it.
        goals: What the users want.
        patience: Turns without use after which a user leaves.
    """

    def __init__(self, system: SystemSide, goals: Goals, patience: int) -> None:
        self.system, self.goals, self.patience = system, goals, patience
        # Tasks of all goals in one row: task t of sample n is number n * T + t.
        n, self._most, s = goals.first.shape
        self._intent = goals.intent.reshape(-1)
        self._first, self._last, self._carried, self._asked = (
            array.reshape(n * self._most, s)
            for array in (goals.first, goals.last, goals.carried, goals.asked)
        )
        self._opened = goals.opened.reshape(-1, 2)
        self._rejects, self._waits = goals.rejects.reshape(-1), goals.waits.reshape(-1)
        self._change = (self._first != self._last) & system.inside.take(self._intent, axis=0)
        self._changes = self._change.any(axis=1)

    def _task(self, state: SimState) -> Int64Array:
        """(B,) number of the task that each user is at."""
        number: Int64Array = state.row * self._most + state.task
        return number

    def begin(self, state: SimState) -> Int64Array:
        """What users say before the system said anything, as a speech (B, 7)."""
        task = self._task(state)
        state.wanted[:] = self._first.take(task, axis=0)
        self._started(state, slice(None), task)
        speech = np.full((len(task), _N_PARTS), -1, np.int64)
        speech[:, _ACT] = User.OPEN
        self._open(state, np.arange(len(task)), speech)
        return speech

    def respond(
        self, state: SimState, kind: Int64Array, slot: Int64Array, repeated: BoolArray
    ) -> Answer:
        """What B users say to acts of the system, changing their side of `state`.

        Args:
            state: The dialogues, after `SystemSide.act`.
            kind: (B,) acts, `REQUEST` for all requests.
            slot: (B,) slots that are requested.
            repeated: (B,) bool, a query whose results were there already.
        """
        system, belief, wanted = self.system, state.belief, state.wanted
        task = self._task(state)
        goal = self._intent.take(task)
        inside = system.inside.take(goal, axis=0)
        known, fixed = belief != NONE, wanted >= FIRST_VALUE
        differs = inside & (belief != np.maximum(wanted, ANY))
        sets = np.empty((4, *inside.shape), bool)
        faulty, missing, wrong, unfit = sets
        np.logical_and(differs, known, out=wrong)
        np.logical_and(differs, known | fixed, out=faulty)
        np.greater(faulty, known, out=missing)  # faulty and not known
        values = system.entities.take(state.entity, axis=0)
        np.logical_and(inside & fixed, (values != NONE) & (values != wanted), out=unfit)

        facts = np.empty((len(task), _N_FACTS), bool)
        wrong.any(axis=1, out=facts[:, 0])
        missing.any(axis=1, out=facts[:, 1])
        unfit.any(axis=1, out=facts[:, 2])
        np.greater(self._changes.take(task), state.changed, out=facts[:, 3])
        np.greater(state.rejects, 0, out=facts[:, 4])
        np.greater_equal(state.entity, 0, out=facts[:, 5])
        state.open_asks.any(axis=1, out=facts[:, 6])
        np.greater_equal(state.asked, 0, out=facts[:, 7])
        where = np.where(state.stage == _ACTIVE, state.intent != goal, state.stage + 1)
        rule = follow(where, kind, facts)

        idle, ended = IDLE.take(rule), ENDS.take(rule)
        speech = np.full((len(task), _N_PARTS), -1, np.int64)
        speech[:, _ACT] = ACT.take(rule)
        idle[(rule == _WAIT) & repeated] = True
        (at,) = (rule == _CONFIRM).nonzero()
        if len(at):
            doubts = inside[at] & known[at] & (state.sure[at] < _CONFIRMED)
            idle[at] = ~doubts.any(axis=1)
        failed = self._give_in(state, rule, task, kind)
        told = TOLD.take(rule)
        self._tell(state, told, sets, task, speech)
        (at,) = (told == _REQUESTED).nonzero()
        if len(at):
            requested = slot[at]
            speech[at, _SLOT] = requested
            speech[at, _VALUE] = np.maximum(state.wanted[at, requested], ANY)
            idle[at] = known[at, requested] & (state.sure[at, requested] >= _SURE)
        (at,) = (rule == _TURN_DOWN).nonzero()
        state.rejects[at] -= 1
        soon = self._ask_or_finish(state, rule, goal, speech)
        called = self._go_on(state, rule, kind, soon, speech)
        self._open(state, called, speech)
        (at,) = (rule == _REPEAT).nonzero()
        speech[at] = state.speech[at]
        state.idle += 1
        state.idle *= idle
        np.copyto(state.speech, speech, where=(speech[:, _ACT] > _NOTHING)[:, None])
        ended |= state.idle >= self.patience
        return Answer(speech, ended, failed)

    def _give_in(
        self, state: SimState, rule: Int64Array, task: Int64Array, kind: Int64Array
    ) -> BoolArray:
        """Change what cannot be had; gives (B,) where it could not be booked."""
        gives = rule == _GIVE_IN
        (at,) = gives.nonzero()
        if len(at):
            t = task[at]
            last, change = self._last.take(t, axis=0), self._change.take(t, axis=0)
            state.wanted[at] = np.where(change, last, state.wanted[at])
            state.changed[at] = True
        failed: BoolArray = gives & (kind == _EXECUTE)
        return failed

    def _tell(
        self,
        state: SimState,
        told: Int64Array,
        sets: BoolArray,
        task: Int64Array,
        speech: Int64Array,
    ) -> None:
        """Inform of the first two slots of those that `told` names: `sets` has (4, B, S)."""
        (at,) = (told >= _FAULTY).nonzero()
        if not len(at):
            return
        which = told[at] - _FAULTY
        slots = sets[np.minimum(which, len(sets) - 1), at]
        (changed,) = (which == _CHANGED - _FAULTY).nonzero()
        slots[changed] = self._change.take(task[at[changed]], axis=0)
        each = np.arange(len(at))
        slot = slots.argmax(axis=1)
        speech[at, _SLOT] = slot
        speech[at, _VALUE] = np.maximum(state.wanted[at, slot], ANY)
        slots[each, slot] = False
        slot = slots.argmax(axis=1)
        (some,) = slots[each, slot].nonzero()
        at, slot = at[some], slot[some]
        speech[at, _SECOND_SLOT] = slot
        speech[at, _SECOND_VALUE] = np.maximum(state.wanted[at, slot], ANY)

    def _ask_or_finish(
        self, state: SimState, rule: Int64Array, goal: Int64Array, speech: Int64Array
    ) -> Int64Array:
        """Ask what is still open, or be done; gives who goes on to the next task at once."""
        (at,) = ASKS.take(rule).nonzero()
        if not len(at):
            return at
        followed = rule[at]
        (some,) = (followed == _BOOKED).nonzero()
        if len(some):
            self.system.book(state, at[some])
        (some,) = (followed == _TAKE_NOTE).nonzero()
        noted = at[some]
        state.open_asks[noted, state.asked[noted]] = False
        speech[noted[self.system.acts.take(goal[noted])], _ACT] = _THANKS
        asks = state.open_asks[at].any(axis=1)
        asks &= (followed != _BOOKED) | (state.entity[at] >= 0)
        asking, at = at[asks], at[~asks]
        speech[asking, _ACT] = _USER_ASK
        speech[asking, _ASK] = state.open_asks[asking].argmax(axis=1)
        state.chosen[at] = state.entity[at]
        state.done[at] += 1
        last = state.task[at] + 1 >= self.goals.count.take(state.row[at])
        state.stage[at] = np.where(last, _OVER, _WAITING)
        waits = self._waits.take(state.row[at] * self._most + state.task[at])
        speech[at[last & ~waits], _ACT] = _DONE
        soon: Int64Array = at[~(last | waits)]
        return soon

    def _go_on(
        self,
        state: SimState,
        rule: Int64Array,
        kind: Int64Array,
        soon: Int64Array,
        speech: Int64Array,
    ) -> Int64Array:
        """Begin the next task; gives who names what is wanted."""
        (at,) = (rule == _GO_ON).nonzero()
        if len(at):
            wanted = self._intent.take(state.row[at] * self._most + state.task[at] + 1)
            offered = kind[at] == _OFFER_INTENT
            right = self.system.follows.take(state.intent[at]) == wanted
            answer = np.where(right, int(User.AFFIRM_INTENT), int(User.NEGATE_INTENT))
            speech[at, _ACT] = np.where(offered, answer, int(User.OPEN))
        at = np.concatenate((at, soon))
        if len(at):
            self._next(state, at)
        (back,) = (rule == _CALL_BACK).nonzero()
        return np.concatenate((at, back))

    def _next(self, state: SimState, at: Int64Array) -> None:
        """What the users at `at` want in the task after the one that is done.

        What the goal leaves open is taken from the entity that was chosen, and from what was wanted
        before, where the service is the same.
        """
        system, old = self.system, state.row[at] * self._most + state.task[at]
        task = old + 1
        intent = self._intent.take(task)
        same = system.service.take(intent) == system.service.take(self._intent.take(old))
        inside = same[:, None] & system.inside.take(intent, axis=0)
        wanted = self._first.take(task, axis=0)
        known = system.entities.take(state.chosen[at], axis=0)
        use = self._carried.take(task, axis=0) | (wanted == NONE)
        wanted = np.where(inside & use & (known >= FIRST_VALUE), known, wanted)
        wanted = np.where(inside & (wanted == NONE), state.wanted[at], wanted)
        state.wanted[at] = wanted
        state.task[at] += 1
        self._started(state, at, task)

    def _started(self, state: SimState, at: Int64Array | slice, task: Int64Array) -> None:
        state.changed[at] = False
        state.open_asks[at] = self._asked.take(task, axis=0)
        state.rejects[at] = self._rejects.take(task)
        state.stage[at] = _ACTIVE

    def _open(self, state: SimState, at: Int64Array, speech: Int64Array) -> None:
        """Name the intent of the task and the slots that go with it."""
        if not len(at):
            return
        task = state.row[at] * self._most + state.task[at]
        speech[at, _INTENT] = self._intent.take(task)
        opened = self._opened.take(task, axis=0)
        value = np.maximum(state.wanted[at[:, None], opened], ANY)
        value[opened < 0] = -1
        speech[at, _SLOT], speech[at, _SECOND_SLOT] = opened.T
        speech[at, _VALUE], speech[at, _SECOND_VALUE] = value.T
