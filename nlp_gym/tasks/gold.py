"""Gold labels, one a word, as indices over slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.checks import check_samples, warn_unseen_labels
from nlp_gym.types import Sample


def index_gold(
    samples: Sequence[Sample], labels: tuple[str, ...]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
    """Gold label index at every slot (see `Positions`).

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
