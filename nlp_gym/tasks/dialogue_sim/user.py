"""The user: an agenda (Schatzmann et al. 2007), as rules over a batch of goals.

The agenda's order is fixed: answer, correct what the system got wrong, change what cannot be had,
turn down, ask, accept, go on to the next task. So a stack is not needed: where the dialogue stands
says what lies on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlp_gym.tasks.dialogue_sim.acts import (
    ANY,
    FIRST_VALUE,
    NONE,
    REQUEST,
    Heard,
    Part,
    Stage,
    System,
    User,
)
from nlp_gym.tasks.dialogue_sim.goals import Goals
from nlp_gym.tasks.dialogue_sim.state import SimState
from nlp_gym.tasks.dialogue_sim.system import SystemSide
from nlp_gym.tasks.dialogue_sim.world import World
from nlp_gym.types import BoolArray, Int64Array


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


class _Turn:
    """A turn of B users while it is made: rules take the dialogues that no rule before took."""

    def __init__(self, state: SimState, world: World, goals: Goals) -> None:
        b = len(state.row)
        self.state, self.world, self.goals = state, world, goals
        self.free = np.ones(b, bool)
        self.speech = np.full((b, len(Part)), -1, np.int64)
        self.speech[:, Part.ACT] = User.NOTHING
        self.idle, self.ended, self.failed = (np.zeros(b, bool) for _ in range(3))

    def take(self, rule: BoolArray) -> BoolArray:
        """The free dialogues that a rule holds for; they are free no more."""
        taken: BoolArray = self.free & rule
        self.free &= ~taken
        return taken

    def say(self, where: BoolArray, act: User) -> None:
        self.speech[where, Part.ACT] = act

    def tell(self, where: BoolArray, slots: BoolArray) -> None:
        """Inform of the first two of some slots (B, S)."""
        (at,) = where.nonzero()
        left = slots[at].copy()
        for slot_part, value_part in (
            (Part.SLOT, Part.VALUE),
            (Part.SECOND_SLOT, Part.SECOND_VALUE),
        ):
            slot, some = left.argmax(axis=1), left.any(axis=1)
            value = np.maximum(self.state.wanted[at, slot], ANY)
            self.speech[at, slot_part] = np.where(some, slot, -1)
            self.speech[at, value_part] = np.where(some, value, -1)
            left[np.arange(len(at)), slot] = False

    def open(self, where: BoolArray) -> None:
        """Name the intent of the task and the slots that go with it."""
        (at,) = where.nonzero()
        row, task = self.state.row[at], self.state.task[at]
        self.speech[at, Part.INTENT] = self.goals.intent[row, task]
        for n, (slot_part, value_part) in enumerate(
            ((Part.SLOT, Part.VALUE), (Part.SECOND_SLOT, Part.SECOND_VALUE))
        ):
            slot = self.goals.opened[row, task, n]
            value = np.maximum(self.state.wanted[at, np.maximum(slot, 0)], ANY)
            self.speech[at, slot_part] = slot
            self.speech[at, value_part] = np.where(slot >= 0, value, -1)

    def ask(self, where: BoolArray) -> None:
        """Ask for the first of what the user still wants to know."""
        (at,) = where.nonzero()
        self.speech[at, Part.ACT] = User.ASK
        self.speech[at, Part.ASK] = self.state.open_asks[at].argmax(axis=1)

    def finish(self, where: BoolArray, act: User) -> None:
        """The task is done: go on to the next one, at once or when the system asks."""
        state, goals = self.state, self.goals
        self.say(where, act)
        (at,) = where.nonzero()
        state.chosen[at] = state.entity[at]
        state.done[at] += 1
        last = state.task[at] + 1 >= goals.count[state.row[at]]
        waits = goals.waits[state.row[at], state.task[at]]
        over, soon = at[last & ~waits], at[~last & ~waits]
        state.stage[at] = np.where(last, Stage.OVER, Stage.WAITING)
        self.speech[over, Part.ACT] = User.DONE
        self.next_task(soon)

    def next_task(self, at: Int64Array) -> None:
        """Begin the next task of the dialogues at `at`, and name it."""
        if not len(at):
            return
        state, world, goals = self.state, self.world, self.goals
        row, old = state.row[at], state.task[at]
        before = goals.intent[row, old]
        state.task[at] = old + 1
        begin_task(world, goals, state, at, world.service[before])
        where = np.zeros(len(self.free), bool)
        where[at] = True
        self.open(where)


def begin_task(
    world: World, goals: Goals, state: SimState, at: Int64Array, before: Int64Array | None
) -> None:
    """What the users at `at` want in the task that they are at.

    What the goal leaves open is taken from the entity that was chosen, and from what was wanted
    before, where the service is the same.
    """
    row, task = state.row[at], state.task[at]
    intent = goals.intent[row, task]
    wanted = goals.first[row, task].copy()
    if before is not None:
        same = (world.service[intent] == before)[:, None] & world.inside[intent]
        chosen = state.chosen[at]
        if len(world.entities):
            known = np.where(chosen[:, None] >= 0, world.entities[chosen], NONE)
            use = same & (known >= FIRST_VALUE) & (goals.carried[row, task] | (wanted == NONE))
            wanted = np.where(use, known, wanted)
        wanted = np.where(same & (wanted == NONE), state.wanted[at], wanted)
    state.wanted[at] = wanted
    state.changed[at] = False
    state.open_asks[at] = goals.asked[row, task]
    state.rejects[at] = goals.rejects[row, task]
    state.stage[at] = Stage.ACTIVE


def first_turn(world: World, goals: Goals, state: SimState) -> Int64Array:
    """What users say before the system said anything, as a speech (B, 7)."""
    everyone = np.arange(len(state.row))
    begin_task(world, goals, state, everyone, None)
    turn = _Turn(state, world, goals)
    turn.say(turn.free, User.OPEN)
    turn.open(turn.free)
    return turn.speech


def respond(
    system: SystemSide,
    goals: Goals,
    state: SimState,
    kind: Int64Array,
    slot: Int64Array,
    repeated: BoolArray,
    patience: int,
) -> Answer:
    """What B users say to acts of the system, changing their side of `state`.

    Args:
        system: What the system knows, which the user hears from it.
        goals: What the users want.
        state: The dialogues, after `SystemSide.act`.
        kind: (B,) acts, `REQUEST` for all requests.
        slot: (B,) slots that are requested.
        repeated: (B,) bool, a query whose results were there already.
        patience: Turns without use after which a user leaves.
    """
    world = system.world
    turn = _Turn(state, world, goals)
    goal = goals.intent[state.row, state.task]
    active = state.stage == Stage.ACTIVE
    turn.ended |= turn.take(kind == System.BYE)
    turn.idle |= turn.take(kind == System.QUERY) & repeated
    again = turn.take(kind == System.REPEAT)
    turn.speech[again] = state.speech[again]
    _between_tasks(turn, kind)
    lost = turn.take(active & (state.intent != goal))
    turn.say(lost, User.OPEN)
    turn.open(lost)
    turn.idle |= lost
    _in_task(turn, system, kind, slot, goal)
    lost = turn.take(turn.free)
    turn.say(lost, User.LOST)
    turn.idle |= lost
    state.idle = np.where(turn.idle, state.idle + 1, 0)
    spoke = turn.speech[:, Part.ACT] > User.NOTHING
    state.speech = np.where(spoke[:, None], turn.speech, state.speech)
    turn.ended |= state.idle >= patience
    return Answer(turn.speech, turn.ended, turn.failed)


def _between_tasks(turn: _Turn, kind: Int64Array) -> None:
    """The task is done, and the user waits to be asked for what comes next."""
    state, world, goals = turn.state, turn.world, turn.goals
    more = (kind == System.REQ_MORE) | (kind == System.OFFER_INTENT)
    waits = turn.take((state.stage == Stage.WAITING) & more)
    (at,) = waits.nonzero()
    if len(at):
        wanted = goals.intent[state.row[at], state.task[at] + 1]
        offered = kind[at] == System.OFFER_INTENT
        right = offered & (world.follows[state.intent[at]] == wanted)
        other = np.where(offered, int(User.NEGATE_INTENT), int(User.OPEN))
        turn.speech[at, Part.ACT] = np.where(right, int(User.AFFIRM_INTENT), other)
        turn.next_task(at)
    lost = turn.take(state.stage == Stage.WAITING)
    turn.say(lost, User.LOST)
    turn.idle |= lost
    over = turn.take(state.stage == Stage.OVER)
    turn.say(over, User.DONE)
    turn.idle |= over & ~more


def _in_task(
    turn: _Turn, system: SystemSide, kind: Int64Array, slot: Int64Array, goal: Int64Array
) -> None:
    """System and user are at the same task."""
    state, world, goals = turn.state, turn.world, turn.goals
    inside, belief, wanted = world.inside[goal], state.belief, state.wanted
    carefree = (belief == ANY) & (wanted == NONE)
    wrong = inside & (belief != NONE) & (belief != wanted) & ~carefree
    missing = inside & (wanted >= FIRST_VALUE) & (belief == NONE)
    first, last = goals.first[state.row, state.task], goals.last[state.row, state.task]
    change = inside & (first != last) & ~state.changed[:, None]
    asks = state.open_asks.any(axis=1)
    said = turn.take(kind == REQUEST)
    asked = np.zeros_like(inside)
    (at,) = said.nonzero()
    asked[at, slot[at]] = True
    turn.say(said, User.INFORM)
    turn.tell(said, asked)
    known = (belief[at, slot[at]] != NONE) & (state.sure[at, slot[at]] >= Heard.SURE)
    turn.idle[at] |= known

    faulty = turn.take((kind == System.CONFIRM) & (wrong | missing).any(axis=1))
    turn.say(faulty, User.NEGATE)
    turn.tell(faulty, wrong | missing)
    fine = turn.take(kind == System.CONFIRM)
    turn.say(fine, User.AFFIRM)
    doubts = inside & (belief != NONE) & (state.sure < Heard.CONFIRMED)
    turn.idle |= fine & ~doubts.any(axis=1)

    volunteers = turn.take((kind == System.REQ_MORE) & missing.any(axis=1))
    turn.say(volunteers, User.INFORM)
    turn.tell(volunteers, missing)

    refused = turn.take((kind == System.NO_RESULT) & wrong.any(axis=1))
    turn.say(refused, User.NEGATE)
    turn.tell(refused, wrong)
    booking = kind == System.EXECUTE
    offered = kind == System.OFFER
    values = np.where(state.entity[:, None] >= 0, _values(world, state.entity), NONE)
    unfit = inside & (wanted >= FIRST_VALUE) & (values != NONE) & (values != wanted)
    refused = turn.take(offered & unfit.any(axis=1))
    turn.say(refused, User.NEGATE)
    turn.tell(refused, unfit)

    botched = turn.take(booking & (wrong | missing).any(axis=1))
    turn.ended |= botched
    changes = turn.take(((kind == System.NO_RESULT) | booking | offered) & change.any(axis=1))
    turn.failed |= changes & booking
    state.wanted = np.where(changes[:, None] & change, last, wanted)
    state.changed |= changes
    turn.say(changes, User.CHANGE)
    turn.tell(changes, change)

    booked = turn.take(booking)
    (at,) = booked.nonzero()
    if len(at):
        system.book(state, at)
        known = at[state.entity[at] >= 0]
        _ask_or_finish(turn, booked, known[asks.take(known)], User.THANKS)

    rejects = turn.take(offered & (state.rejects > 0))
    state.rejects -= rejects
    turn.say(rejects, User.ALTERNATIVES)
    resigned = turn.take((kind == System.NO_RESULT) & (state.entity >= 0) & ~unfit.any(axis=1))
    taken = turn.take(offered) | resigned
    _ask_or_finish(turn, taken, (taken & asks).nonzero()[0], User.SELECT)

    heard = (kind == System.INFORM) & (state.asked >= 0)
    told = turn.take(heard & asks)
    (at,) = told.nonzero()
    if len(at):
        state.open_asks[at, state.asked[at]] = False
        more = state.open_asks[at].any(axis=1)
        acts = world.transactional[goal]
        _ask_or_finish(turn, told & ~acts, at[more & ~acts[at]], User.SELECT)
        _ask_or_finish(turn, told & acts, at[more & acts[at]], User.THANKS)
    repeats = turn.take((kind == System.INFORM) & asks)
    turn.ask(repeats)
    turn.idle |= repeats


def _ask_or_finish(turn: _Turn, where: BoolArray, asking: Int64Array, act: User) -> None:
    """Ask, in the dialogues at `asking`; in the others of `where` the task is done."""
    asks = np.zeros(len(where), bool)
    asks[asking] = True
    turn.ask(asks & where)
    turn.finish(where & ~asks, act)


def _values(world: World, entity: Int64Array) -> Int64Array:
    if not len(world.entities):
        return np.zeros((len(entity), world.n_slots), np.int64)
    return world.entities[entity].astype(np.int64)
