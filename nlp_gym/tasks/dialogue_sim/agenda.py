"""The agenda of a user (Schatzmann et al. 2007) as a table: what is said to each act of the system.

The agenda's order is fixed: answer, correct what the system got wrong, change what cannot be had,
turn down, ask, accept, go on to the next task. So no stack is kept: where the dialogue stands says
what lies on top. The rules below are read from above, the first that holds is followed. They are
worked out once for every case that there can be, so that a turn is one look-up.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.dialogue_sim.acts import REQUEST, System, User

FACTS = ("wrong", "missing", "unfit", "change", "rejects", "entity", "asks", "question")
"""What a rule may look at: the system has a wrong value, or lacks one; what it talks of does not
fit; the user has wishes to give up, offers to turn down; something is talked of; the user wants to
be told something; the system heard a question."""


class Where(IntEnum):
    """Where the user is: at the task that the system is at, at another one, between two, done."""

    TASK = 0
    ELSEWHERE = 1
    WAITING = 2
    OVER = 3


class Told(IntEnum):
    """Which slots the user speaks of, the first two of them."""

    NONE = 0
    REQUESTED = 1
    FAULTY = 2
    MISSING = 3
    WRONG = 4
    UNFIT = 5
    CHANGED = 6


class Rule(IntEnum):
    """What the user does, by name; `EFFECTS` has what is said."""

    LEAVE = 0
    WAIT = 1
    REPEAT = 2
    GO_ON = 3
    KEEP_WAITING = 4
    SAY_GOODBYE = 5
    WAIT_TO_LEAVE = 6
    CALL_BACK = 7
    ANSWER = 8
    DENY = 9
    CONFIRM = 10
    VOLUNTEER = 11
    CORRECT = 12
    REFUSE = 13
    GIVE_UP = 14
    GIVE_IN = 15
    BOOKED = 16
    TURN_DOWN = 17
    ACCEPT = 18
    TAKE_NOTE = 19
    ASK_AGAIN = 20
    BE_LOST = 21


EFFECTS: dict[Rule, tuple[User, Told, bool]] = {
    Rule.LEAVE: (User.NOTHING, Told.NONE, False),
    Rule.WAIT: (User.NOTHING, Told.NONE, False),  # idle where the results were there already
    Rule.REPEAT: (User.NOTHING, Told.NONE, False),  # what was said last
    Rule.GO_ON: (User.OPEN, Told.NONE, False),
    Rule.KEEP_WAITING: (User.LOST, Told.NONE, True),
    Rule.SAY_GOODBYE: (User.DONE, Told.NONE, False),
    Rule.WAIT_TO_LEAVE: (User.DONE, Told.NONE, True),
    Rule.CALL_BACK: (User.OPEN, Told.NONE, True),
    Rule.ANSWER: (User.INFORM, Told.REQUESTED, False),  # idle where it was known
    Rule.DENY: (User.NEGATE, Told.FAULTY, False),
    Rule.CONFIRM: (User.AFFIRM, Told.NONE, False),  # idle where nothing was in doubt
    Rule.VOLUNTEER: (User.INFORM, Told.MISSING, False),
    Rule.CORRECT: (User.NEGATE, Told.WRONG, False),
    Rule.REFUSE: (User.NEGATE, Told.UNFIT, False),
    Rule.GIVE_UP: (User.NOTHING, Told.NONE, False),
    Rule.GIVE_IN: (User.CHANGE, Told.CHANGED, False),
    Rule.BOOKED: (User.THANKS, Told.NONE, False),
    Rule.TURN_DOWN: (User.ALTERNATIVES, Told.NONE, False),
    Rule.ACCEPT: (User.SELECT, Told.NONE, False),
    Rule.TAKE_NOTE: (User.SELECT, Told.NONE, False),  # or thanks, for what is done
    Rule.ASK_AGAIN: (User.ASK, Told.NONE, True),
    Rule.BE_LOST: (User.LOST, Told.NONE, True),
}
"""Act of the user, slots that are spoken of, and whether the turn was of no use."""

ACT = np.array([EFFECTS[rule][0] for rule in Rule], np.int64)
TOLD = np.array([EFFECTS[rule][1] for rule in Rule], np.int64)
IDLE = np.array([EFFECTS[rule][2] for rule in Rule], bool)
ENDS = np.isin(np.arange(len(Rule)), (Rule.LEAVE, Rule.GIVE_UP))
ASKS = np.isin(np.arange(len(Rule)), (Rule.BOOKED, Rule.ACCEPT, Rule.TAKE_NOTE, Rule.ASK_AGAIN))
"""After these the user asks what is still open; the task is done if nothing is."""

_KINDS = REQUEST + 1


def _worked_out() -> npt.NDArray[np.int64]:
    """(Where, acts of the system, 2 ** facts) the rule of each case, flat."""
    cases = np.arange(2 ** len(FACTS), dtype=np.uint8)[:, None]
    bits = np.unpackbits(cases, axis=1).astype(bool)
    wrong, missing, unfit, change, rejects, entity, asks, question = bits.T
    where = np.arange(len(Where))[:, None, None]
    kind = np.arange(_KINDS)[:, None]
    more = (kind == System.REQ_MORE) | (kind == System.OFFER_INTENT)
    booking, offer, nothing = (
        kind == act for act in (System.EXECUTE, System.OFFER, System.NO_RESULT)
    )
    rules = [
        (kind == System.BYE, Rule.LEAVE),
        (kind == System.QUERY, Rule.WAIT),
        (kind == System.REPEAT, Rule.REPEAT),
        ((where == Where.WAITING) & more, Rule.GO_ON),
        (where == Where.WAITING, Rule.KEEP_WAITING),
        ((where == Where.OVER) & more, Rule.SAY_GOODBYE),
        (where == Where.OVER, Rule.WAIT_TO_LEAVE),
        (where == Where.ELSEWHERE, Rule.CALL_BACK),
        (kind == REQUEST, Rule.ANSWER),
        ((kind == System.CONFIRM) & (wrong | missing), Rule.DENY),
        (kind == System.CONFIRM, Rule.CONFIRM),
        ((kind == System.REQ_MORE) & missing, Rule.VOLUNTEER),
        (nothing & wrong, Rule.CORRECT),
        (offer & unfit, Rule.REFUSE),
        (booking & (wrong | missing), Rule.GIVE_UP),
        ((nothing | booking | offer) & change, Rule.GIVE_IN),
        (booking, Rule.BOOKED),
        (offer & rejects, Rule.TURN_DOWN),
        (offer | (nothing & entity & ~unfit), Rule.ACCEPT),
        ((kind == System.INFORM) & asks & question, Rule.TAKE_NOTE),
        ((kind == System.INFORM) & asks, Rule.ASK_AGAIN),
    ]
    shape = len(Where), _KINDS, len(cases)
    held = [np.broadcast_to(rule, shape) for rule, _ in rules]
    return np.select(held, [int(rule) for _, rule in rules], int(Rule.BE_LOST)).ravel()


_AGENDA = _worked_out()


def follow(
    where: npt.NDArray[np.int64], kind: npt.NDArray[np.int64], facts: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """(B,) the `Rule` that each user follows.

    Args:
        where: (B,) a `Where`.
        kind: (B,) act of the system, `REQUEST` for all requests.
        facts: (B, 8) bool, those of `FACTS`.
    """
    case = np.packbits(facts, axis=1)[:, 0]
    found: npt.NDArray[np.int64] = _AGENDA.take(((where * _KINDS + kind) << len(FACTS)) + case)
    return found
