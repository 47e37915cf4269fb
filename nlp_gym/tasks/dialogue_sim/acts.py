"""What system and user can say, by number; no texts in here."""

from __future__ import annotations

from enum import IntEnum


class System(IntEnum):
    """The system's acts that follow the requests for slots, in the order of their actions."""

    CONFIRM = 0
    QUERY = 1
    OFFER = 2
    INFORM = 3
    NO_RESULT = 4
    EXECUTE = 5
    OFFER_INTENT = 6
    REQ_MORE = 7
    REPEAT = 8
    BYE = 9


N_SYSTEM = len(System)
REQUEST = N_SYSTEM
"""Kind of the acts that request a slot, whichever it is."""


class User(IntEnum):
    """The user's acts; what is informed and asked stands beside them in a `Speech`."""

    NOTHING = 0
    OPEN = 1
    INFORM = 2
    AFFIRM = 3
    NEGATE = 4
    ASK = 5
    ALTERNATIVES = 6
    SELECT = 7
    THANKS = 8
    AFFIRM_INTENT = 9
    NEGATE_INTENT = 10
    DONE = 11
    LOST = 12
    CHANGE = 13


NONE, ANY = 0, 1
"""Values of a slot: nothing is known, and the user does not care. Real values follow."""
FIRST_VALUE = 2


class Part(IntEnum):
    """Columns of a speech: what the user says in a turn, as numbers; -1: nothing."""

    ACT = 0
    INTENT = 1
    SLOT = 2
    VALUE = 3
    SECOND_SLOT = 4
    SECOND_VALUE = 5
    ASK = 6


class Stage(IntEnum):
    """How far the user is."""

    ACTIVE = 0
    WAITING = 1
    OVER = 2


class Phase(IntEnum):
    """How far the system thinks that a task is."""

    NOTHING = 0
    OPEN = 1
    OFFERED = 2
    SETTLED = 3


class Heard(IntEnum):
    """How sure the system is of a value that it heard."""

    NOTHING = 0
    UNSURE = 1
    SURE = 2
    CONFIRMED = 3
