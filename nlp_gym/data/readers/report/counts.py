"""Numbers that `check` reports beside those of words and labels: choices, answers, ..."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_gym.types import Sample

_PARTS = ("pairs", "choices", "context", "candidates", "turns", "sentences")
"""Keys of `Sample.extra` whose items are counted."""
_DISTINCT = (("head", "heads"), ("relation", "relations"))


def count_items(samples: Sequence[Sample]) -> dict[str, int]:
    """Numbers of parts of the input and of items of the gold; those that are 0 are left out.

    Gold that is a collection (answers, references, right replies) has as many items as the
    collection; any other gold (the right choice) is one item.
    """
    counts: dict[str, int] = {}
    for part in _PARTS:
        if count := sum(len(sample.extra.get(part, ())) for sample in samples):
            counts["context turns" if part == "context" else part] = count
    for key, name in _DISTINCT:
        if found := {sample.extra[key] for sample in samples if key in sample.extra}:
            counts[f"distinct {name}"] = len(found)
    golds = [sample.gold for sample in samples if sample.gold is not None]
    if golds:
        counts["samples with gold"] = len(golds)
        counts["gold items"] = sum(_items(gold) for gold in golds)
    return counts


def crossed(samples: Sequence[Sample], family: str) -> dict[str, int]:
    """How many trees have arcs that cross, which no sequence of transitions makes."""
    if family != "parsing":
        return {}
    n = sum(not is_projective(s.gold) for s in samples if s.gold is not None)
    return {"trees that are not projective": n} if n else {}


def is_projective(heads: Sequence[int]) -> bool:
    """Whether no two arcs cross, that of the root among them.

    Args:
        heads: Number of each word's head, from 1; 0 for the root. They form a tree.
    """
    arcs = [(min(head, word), max(head, word)) for word, head in enumerate(heads, 1)]
    open_ends: list[int] = []  # of arcs around the place, the innermost last
    for first, last in sorted(arcs, key=lambda arc: (arc[0], -arc[1])):
        while open_ends and open_ends[-1] <= first:
            open_ends.pop()
        if open_ends and open_ends[-1] < last:
            return False
        open_ends.append(last)
    return True


def _items(gold: object) -> int:
    return len(gold) if isinstance(gold, (tuple, list, frozenset, set)) else 1
