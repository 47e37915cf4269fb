"""The BIO scheme: what an inventory of its labels has."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_gym.errors import InvalidArgumentError, shown


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
