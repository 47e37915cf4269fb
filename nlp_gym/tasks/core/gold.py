"""Gold labels as indices: one per word, one per text, or a set per text."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_samples, warn_unseen_labels
from nlp_gym.errors import DataError
from nlp_gym.types import Int64Array, Sample


def index_gold(
    samples: Sequence[Sample], labels: tuple[str, ...]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
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
    unseen = {name: n for name, n in counted.items() if name not in set(labels)}
    if unseen:
        warn_unseen_labels(unseen)
    names = (*labels, *sorted(unseen))
    index = {name: i for i, name in enumerate(names)}
    flat = [index[label] for s in samples for label in (*(s.labels or ()), names[0])]
    return names, np.array(flat, np.int64)


def expert_labels(gold: Int64Array, n_labels: int) -> Int64Array:
    """(B,) what an expert plays for gold labels (B,): the first label for one that has no action.

    Args:
        gold: Indices as `index_gold` numbers them; those from `n_labels` are outside the inventory.
        n_labels: Size of the inventory.
    """
    return np.where(gold < n_labels, gold, 0)


def single_gold(samples: Sequence[Sample], labels: tuple[str, ...]) -> npt.NDArray[np.int64] | None:
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


def gold_sets(
    samples: Sequence[Sample], labels: tuple[str, ...], *, most: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Gold of samples with a set of labels each.

    Args:
        samples: The texts; without gold the sets are empty.
        labels: The inventory. A `UserWarning` names gold labels outside it.
        most: Labels an episode can give; another warning counts texts that have more.

    Returns:
        (N, A) whether a label is gold, and (N,) sizes of the sets, labels outside the inventory
        included.
    """
    index = {label: i for i, label in enumerate(labels)}
    sets = [set(sample.labels or ()) for sample in samples]
    unseen = Counter(label for found in sets for label in found if label not in index)
    if unseen:
        warn_unseen_labels(unseen)
    larger = sum(len(found) > most for found in sets)
    if larger:
        warnings.warn(
            f"{larger} of {len(sets)} texts have more than max_labels={most} labels, which no "
            f"episode can give all. Give max_labels={max(map(len, sets))} to reach them.",
            UserWarning,
            stacklevel=3,
        )
    gold = np.zeros((len(sets), len(labels)), bool)
    for row, found in enumerate(sets):
        gold[row, [index[label] for label in found if label in index]] = True
    return gold, np.array(list(map(len, sets)), np.int64)
