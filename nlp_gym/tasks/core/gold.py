"""Gold labels as indices: one per word, one per text, or a set per text."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from nlp_gym.checks import check_samples, warn_unseen_labels
from nlp_gym.errors import DataError
from nlp_gym.metrics.base import spread
from nlp_gym.types import BoolArray, Int32Array, Int64Array, IntArray, Sample

_TABLE = 256
"""Labels up to which sets of labels are kept as a table of flags, too."""


def index_gold(
    samples: Sequence[Sample], labels: tuple[str, ...]
) -> tuple[tuple[str, ...], Int32Array | None]:
    """Gold label index at every slot: one per label, and one for the end of each text.

    Args:
        samples: The texts; all of them have gold labels, or none has.
        labels: The inventory. A `UserWarning` names gold labels outside it.

    Returns:
        What the indices refer to, which is `labels` and then the labels outside it; and the
        (W + N,) indices, 0 at ends, or None without gold.

    Raises:
        DataError: Only some samples have labels; names the first that has none.
    """
    if not check_samples(samples):
        return labels, None
    counted = Counter(label for sample in samples for label in sample.labels or ())
    index = {name: i for i, name in enumerate(labels)}
    unseen = {name: n for name, n in counted.items() if name not in index}
    if unseen:
        warn_unseen_labels(unseen)
    names = (*labels, *sorted(unseen))
    index |= {name: i for i, name in enumerate(names[len(labels) :], len(labels))}
    flat = (index[label] for s in samples for label in (*(s.labels or ()), names[0]))
    return names, np.fromiter(flat, np.int32)


def expert_labels(gold: IntArray, n_labels: int) -> Int64Array:
    """(B,) what an expert plays for gold labels (B,): the first label for one that has no action.

    Args:
        gold: Indices as `index_gold` numbers them; those from `n_labels` are outside the inventory.
        n_labels: Size of the inventory.
    """
    return np.where(gold < n_labels, gold, 0).astype(np.int64)


def single_gold(samples: Sequence[Sample], labels: tuple[str, ...]) -> Int32Array | None:
    """(N,) gold label index of samples with one label each, or None without gold.

    Labels outside the inventory, of which a `UserWarning` tells, have indices from ``len(labels)``.

    Raises:
        DataError: A sample has no label or several, or only some samples have gold.
    """
    for i, sample in enumerate(samples):
        if sample.annotated and len(sample.labels or ()) != 1:
            raise DataError(
                f"sample {i} ({sample.id}) has the labels {sample.labels}: exactly one is needed "
                "(sets of labels are for MultiLabel-v0)."
            )
    _, flat = index_gold(samples, labels)
    return None if flat is None else flat[::2]  # behind each label is the entry of its end


class LabelSets:
    """N sets of labels.

    Where there are many labels, only the members are kept: a table of N by A flags is out of all
    proportion then.

    Args:
        sets: The labels of each set; those outside `labels` count in `sizes` alone.
        labels: The A labels.

    Attributes:
        sizes: (N,) labels of each set.
        unseen: How often each label outside `labels` occurs.
    """

    def __init__(self, sets: Sequence[Collection[str]], labels: Sequence[str]) -> None:
        index = {label: i for i, label in enumerate(labels)}
        self.n_labels = len(labels)
        self.sizes = np.array(list(map(len, sets)), np.int64)
        self.unseen = Counter(label for found in sets for label in found if label not in index)
        members = [sorted(index[x] for x in found if x in index) for found in sets]
        counts = np.array(list(map(len, members)), np.int64)
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self._members = np.array([k for some in members for k in some], np.int64)
        # Ascending, so that a member is found by bisection; the last is above all of them.
        keys = np.repeat(np.arange(len(members)), counts) * self.n_labels + self._members
        self._keys = np.append(keys, len(members) * self.n_labels)
        small = self.n_labels <= _TABLE
        self._table = self._flags(np.arange(len(members))) if small else None

    def have(self, rows: Int64Array, labels: Int64Array) -> BoolArray:
        """(B,) whether the sets `rows` (B,) have the `labels` (B,), which are below A."""
        if self._table is not None:
            there: BoolArray = self._table[rows, labels]
            return there
        keys = rows * self.n_labels + labels
        found: BoolArray = self._keys.take(np.searchsorted(self._keys, keys)) == keys
        return found

    def flags(self, rows: Int64Array) -> BoolArray:
        """(B, A) the labels of the sets `rows` (B,), in an array of its own."""
        return self._flags(rows) if self._table is None else self._table.take(rows, axis=0)

    def _flags(self, rows: Int64Array) -> BoolArray:
        flags = np.zeros((len(rows), self.n_labels), bool)
        which, member = spread(self._starts.take(rows), self._starts.take(rows + 1))
        flags[which, self._members.take(member)] = True
        return flags


def gold_sets(samples: Sequence[Sample], labels: tuple[str, ...], *, most: int) -> LabelSets:
    """Gold of samples with a set of labels each.

    Args:
        samples: The texts; without gold the sets are empty.
        labels: The inventory. A `UserWarning` names gold labels outside it.
        most: Labels an episode can give; another warning counts texts that have more.
    """
    gold = LabelSets([set(sample.labels or ()) for sample in samples], labels)
    if gold.unseen:
        warn_unseen_labels(gold.unseen)
    larger = int((gold.sizes > most).sum())
    if larger:
        warnings.warn(
            f"{larger} of {len(samples)} texts have more than max_labels={most} labels, which no "
            f"episode can give all. Give max_labels={gold.sizes.max()} to reach them.",
            UserWarning,
            stacklevel=3,
        )
    return gold
