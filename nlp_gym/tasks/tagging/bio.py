"""The BIO scheme: what an inventory of its labels has, and which label may follow which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import BoolArray, Int64Array

Integers = npt.NDArray[np.integer[Any]]

_TABLE = 1 << 14
"""Pairs of labels up to which the answers for all of them are kept in tables."""


def check_inventory(labels: Sequence[str]) -> None:
    """Raise `InvalidArgumentError` unless `labels` are ``O`` and a ``B-X`` for every ``I-X``."""
    known = set(labels)
    bad = [name for name in labels if name != "O" and name[:2] not in ("B-", "I-")]
    if bad:
        raise InvalidArgumentError(
            f"label {shown(bad[0])} is neither 'O' nor 'B-TYPE' nor 'I-TYPE'. For plain labels, "
            "one per word, use POS-v0 or scheme='flat'."
        )
    missing = [name for name in labels if name[:2] == "I-" and f"B-{name[2:]}" not in known]
    if "O" not in known or missing:
        lacking = "O" if "O" not in known else f"B-{missing[0][2:]}"
        raise InvalidArgumentError(
            f"labels lacks {shown(lacking)}; a BIO inventory has 'O' and a 'B-X' for every 'I-X'."
        )


class Transitions:
    """What may follow what: with ``"BIO"`` ``I-X`` only ``B-X`` and ``I-X``, else anything.

    What is known is kept by label, and by pair of labels only where these are few.

    Args:
        labels: The A labels; A stands for no label yet.
        scheme: ``"BIO"`` or another one.

    Raises:
        InvalidArgumentError: BIO, and `labels` is no inventory of it.
    """

    def __init__(self, labels: Sequence[str], scheme: str) -> None:
        n = len(labels)
        self._free = np.ones(n, bool)  # whether a label may follow any other
        self._begin = np.arange(n)  # the label that is played where one may not follow
        self._continue = np.full(n + 1, -1)  # the I-X that may follow a label; -1: none
        if scheme == "BIO":
            check_inventory(labels)
            place = {name: i for i, name in enumerate(labels)}
            for i, name in enumerate(labels):
                self._continue[i] = place.get(f"I-{name[2:]}", -1) if name != "O" else -1
                if name.startswith("I-"):
                    self._free[i], self._begin[i] = False, place[f"B-{name[2:]}"]
        self._rows = self._played = None
        if (n + 1) * n <= _TABLE:
            self._rows = self._legal(np.arange(n + 1))
            every = np.repeat(np.arange(n + 1), n), np.tile(np.arange(n), n + 1)
            self._played = self._repaired(*every).reshape(n + 1, n)

    def legal(self, last: Integers) -> BoolArray:
        """(B, A) whether each label may follow the labels `last` (B,), in an array of its own."""
        if self._rows is None:
            return self._legal(last)
        return self._rows.take(last, axis=0)

    def _legal(self, last: Integers) -> BoolArray:
        legal = np.empty((len(last), len(self._free)), bool)
        legal[:] = self._free
        following = self._continue.take(last)
        (at,) = (following >= 0).nonzero()
        legal[at, following[at]] = True
        return legal

    def repair(self, last: Integers, actions: Int64Array) -> Int64Array:
        """(B,) what is played for `actions`: ``B-X`` for an ``I-X`` that may not follow `last`."""
        if self._played is None:
            return self._repaired(last, actions)
        played: Int64Array = self._played[last, actions]
        return played

    def _repaired(self, last: Integers, actions: Int64Array) -> Int64Array:
        legal = self._free.take(actions) | (self._continue.take(last) == actions)
        return np.where(legal, actions, self._begin.take(actions))
