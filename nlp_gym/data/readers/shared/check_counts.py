"""Counts for `check` of what the families have beside words and labels."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_gym.types import Sample

_PARTS = ("pairs", "choices", "context", "candidates", "turns", "sentences")
"""Keys of `Sample.extra` that hold one item a part."""
_DISTINCT = (("head", "heads"), ("relation", "relations"))


def count_facts(samples: Sequence[Sample]) -> dict[str, int]:
    """Count parts of the input and items of the gold, those that occur.

    `gold items` counts where a sample's gold is a collection (answers, references, right
    replies); anything else (the right choice) is one item.
    """
    facts: dict[str, int] = {}
    for part in _PARTS:
        if count := sum(len(sample.extra.get(part, ())) for sample in samples):
            facts["context turns" if part == "context" else part] = count
    for key, name in _DISTINCT:
        if found := {sample.extra[key] for sample in samples if key in sample.extra}:
            facts[f"distinct {name}"] = len(found)
    golds = [sample.gold for sample in samples if sample.gold is not None]
    if golds:
        facts["samples with gold"] = len(golds)
        facts["gold items"] = sum(_items(gold) for gold in golds)
    return facts


def _items(gold: object) -> int:
    return len(gold) if isinstance(gold, (tuple, list, frozenset, set)) else 1
