"""Gold acts of dialogues: what is right at a turn, what is missing, checks of their samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlp_gym.checks import warn_unseen_labels
from nlp_gym.errors import DataError
from nlp_gym.tasks.core.gold import LabelSets
from nlp_gym.types import BoolArray, Int64Array, Sample


def check_turns(samples: Sequence[Sample]) -> list[int]:
    """Number of turns of each dialogue.

    Raises:
        DataError: A sample has no turns, or parts of it differ in their number.
    """
    numbers = []
    for index, sample in enumerate(samples):
        n = len(sample.extra.get("turns", ()))
        if not n:
            raise DataError(f"sample {index} ({sample.id}) has no extra['turns']: no dialogue.")
        parts = {"extra['said']": sample.extra.get("said")}
        if sample.annotated:
            parts["gold"] = sample.gold
        for name, part in parts.items():
            if part is None or len(part) != n:
                found = "none" if part is None else len(part)
                raise DataError(f"sample {index} ({sample.id}): {n} turns, but {name}: {found}.")
        numbers.append(n)
    return numbers


@dataclass(frozen=True)
class GoldActs:
    """Gold acts of every slot; a dialogue has one slot per turn and an empty one at its end.

    Attributes:
        gold: The acts of each slot.
        wanted: (N,) gold acts of each dialogue.
    """

    gold: LabelSets
    wanted: Int64Array

    @classmethod
    def of(cls, samples: Sequence[Sample], labels: Sequence[str]) -> GoldActs:
        """The acts of annotated samples; a `UserWarning` names acts outside `labels`."""
        gold = LabelSets([set(acts) for s in samples for acts in (*s.gold, ())], labels)
        if gold.unseen:
            warn_unseen_labels(gold.unseen)
        wanted = [sum(len(set(acts)) for acts in sample.gold) for sample in samples]
        return cls(gold, np.array(wanted, np.int64))

    @staticmethod
    def inventory(samples: Sequence[Sample]) -> tuple[str, ...]:
        """All gold acts, sorted.

        Raises:
            DataError: There is none.
        """
        found = {act for sample in samples for acts in sample.gold or () for act in acts}
        if not found:
            raise DataError("dialogues without gold need the inventory of acts: give labels=[...].")
        return tuple(sorted(found))

    def right(self, slot: Int64Array, chosen: BoolArray, actions: Int64Array) -> BoolArray:
        """(B,) whether an action is right: an act that is gold, or DONE with exactly the gold."""
        n = self.gold.n_labels
        same = (self.gold.flags(slot) == chosen).all(axis=1)
        exact = same & (chosen.sum(axis=1) == self.gold.sizes.take(slot))
        act = self.gold.have(slot, np.minimum(actions, n - 1))
        right: BoolArray = np.where(actions == n, exact, act)
        return right

    def missing(self, slot: Int64Array, chosen: BoolArray, most: int) -> Int64Array:
        """(B,) the first gold act not chosen yet; n, DONE, if there is none or `most` are chosen.

        Where nothing is chosen and no gold act is in the inventory: 0, as DONE is not legal.
        """
        n = self.gold.n_labels
        open_acts = self.gold.flags(slot) & ~chosen
        count = chosen.sum(axis=1)
        more = open_acts.any(axis=1) & (count < most)
        done = np.where(count > 0, n, 0)
        return np.where(more, open_acts.argmax(axis=1), done)
