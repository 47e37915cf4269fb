"""Change a sample: its words, and what of it counts words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nlp_gym.data.text.changes.edits import Edit
from nlp_gym.data.text.perturb import changed_sample
from nlp_gym.types import Sample


def text_of(sample: Sample, family: str) -> tuple[str, ...]:
    """The words that edits of a sample count: those of the question where a passage answers it."""
    return tuple(sample.extra["question"]) if family == "spanqa" else tuple(sample.words)


def apply_edits(sample: Sample, edits: Sequence[Edit], family: str) -> Sample:
    """A sample with other words.

    Args:
        sample: The sample as it was; `edits` count its words.
        edits: Changes of different words, in any order.
        family: Of its files, a name of `nlp_gym.data.text.changes.edits.ALLOWED`.

    Returns:
        A new sample with the same gold; spans of entities move with the words before them. Raw
        texts, which no longer hold, are dropped.
    """
    if not edits:
        return sample
    words = text_of(sample, family)
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.stop))
    changed = _changed(words, ordered)
    at = 0

    def part(given: Sequence[str]) -> tuple[str, ...]:
        """The whole text, or the next turn of one that is changed turn by turn."""
        nonlocal at
        if len(given) == len(words) and at == 0:
            return changed
        first, at = at, at + len(given)
        return changed[first:at]

    made = changed_sample(sample, family, part)
    if family != "relation" or "pairs" not in sample.extra:
        return made
    extra: dict[str, Any] = dict(made.extra)
    extra["pairs"] = tuple(_moved(pair, ordered) for pair in sample.extra["pairs"])
    return dataclasses.replace(made, extra=extra)


def _changed(words: Sequence[str], edits: Sequence[Edit]) -> tuple[str, ...]:
    made: list[str] = []
    at = 0
    for edit in edits:
        made += [*words[at : edit.start], *edit.words]
        at = edit.stop
    return (*made, *words[at:])


def _moved(pair: Sequence[int], edits: Sequence[Edit]) -> tuple[int, ...]:
    """Borders of two spans, none of whose words is changed, in the changed text."""
    starts = [_shift(int(border), edits) for border in pair[0::2]]
    stops = [_shift(int(border) - 1, edits) + 1 for border in pair[1::2]]
    return starts[0], stops[0], starts[1], stops[1]


def _shift(place: int, edits: Sequence[Edit]) -> int:
    """The new place of a word that is not changed."""
    before = (edit for edit in edits if edit.stop <= place)
    return place + sum(len(edit.words) - (edit.stop - edit.start) for edit in before)
