"""The BIO scheme as a grammar of actions: which label may follow which, and the repair if not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import BoolArray

Transitions = tuple[BoolArray, npt.NDArray[np.int64]]


def check_inventory(labels: Sequence[str]) -> None:
    """Raise `InvalidArgumentError` unless `labels` are ``O`` and a ``B-X`` for every ``I-X``."""
    bad = [name for name in labels if name != "O" and name[:2] not in ("B-", "I-")]
    if bad:
        raise InvalidArgumentError(
            f"label {shown(bad[0])} is neither 'O' nor 'B-TYPE' nor 'I-TYPE'. For plain labels, "
            "one per word, use POS-v0 or scheme='flat'."
        )
    missing = [name for name in labels if name[:2] == "I-" and f"B-{name[2:]}" not in labels]
    if "O" not in labels or missing:
        lacking = "O" if "O" not in labels else f"B-{missing[0][2:]}"
        raise InvalidArgumentError(
            f"labels lacks {shown(lacking)}; a BIO inventory has 'O' and a 'B-X' for every 'I-X'."
        )


def transitions(labels: Sequence[str], scheme: str) -> Transitions:
    """What may follow what: with ``"BIO"`` ``I-X`` only ``B-X`` and ``I-X``, else anything.

    Returns:
        (A+1, A) whether a label may follow another (last row: none), and (A+1, A) the label that is
        played: the label itself, or ``B-X`` for an ``I-X`` that may not follow.

    Raises:
        InvalidArgumentError: BIO, and `labels` is no inventory of it.
    """
    legal = np.ones((len(labels) + 1, len(labels)), bool)
    repair = np.tile(np.arange(len(labels)), (len(labels) + 1, 1))
    if scheme != "BIO":
        return legal, repair
    check_inventory(labels)
    for j, name in enumerate(labels):
        if name.startswith("I-"):
            legal[:, j] = [p[2:] == name[2:] and p != "O" for p in (*labels, "O")]
            repair[~legal[:, j], j] = labels.index(f"B-{name[2:]}")
    return legal, repair
