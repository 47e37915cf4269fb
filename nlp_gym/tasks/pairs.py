"""Decisions on one pair of entities after the other: arguments, records, drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.base import Output
from nlp_gym.tasks.checks import check_bool
from nlp_gym.tasks.kinds import LabelTask
from nlp_gym.tasks.pair_tables import PairTables
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.types import Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame
    from nlp_gym.knowledge import KnowledgeBase


class PairTask(LabelTask):
    """A task that decides on one pair of entities after the other.

    Args:
        none: The label of pairs in no relation.
        typed: Whether the types of the arguments are seen.
        **kwargs: Those of `Task`.
    """

    def __init__(self, *, none: str = "NONE", typed: bool = True, **kwargs: Any) -> None:
        if not isinstance(none, str):
            raise InvalidArgumentError(
                f"none={none!r} must be the name of a label, such as 'NONE'."
            )
        self.none = none
        super().__init__(**kwargs)
        self.pairs = PairTables(self.corpus.samples, typed=check_bool("typed", typed))

    @property
    def lengths(self) -> Int64Array:
        """(N,) pairs of each sentence."""
        return self.pairs.lengths

    @property
    def units(self) -> Units:
        """Spans of words, and the names of types."""
        return self.pairs.units

    @property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        return self.pairs.tables

    def describe(self, knowledge: KnowledgeBase) -> npt.NDArray[np.int8]:
        """(n_slots, n) 0/1: roles of head and tail, relations from head to tail and back."""
        return self.pairs.describe(knowledge)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Words and the relations found, at word offsets."""
        sample = self._sample(row)
        found = [
            {"head": [a, b], "tail": [c, d], "label": label}
            for (a, b, c, d), label in zip(sample.extra["pairs"], output, strict=False)
            if label != self.none
        ]
        return {"words": list(sample.words), "relations": found}


def pair_frame(title: str, sample: Sample, labels: Sequence[str], none: str) -> Frame:
    """The frame of a sentence: the current pair marked in it, decisions below, a line each.

    Right decisions for no relation are left out, but for the last one.

    Args:
        title: As in `Frame`.
        sample: The sentence.
        labels: Decisions so far, one for each of the first pairs.
        none: The label of no relation.
    """
    from nlp_gym.envs.render import Frame, Piece

    pairs, done = sample.extra["pairs"], len(labels)
    marks = {}
    if done < len(pairs):
        a, b, c, d = pairs[done]
        marks = dict.fromkeys(range(c, d), "tail") | dict.fromkeys(range(a, b), "head")
    pieces = [
        Piece(word, "here" if i in marks else "plain", marks.get(i, ""))
        for i, word in enumerate(sample.words)
    ]
    for i, label in enumerate(labels):
        gold = label if sample.labels is None else sample.labels[i]
        if label == gold == none and i < done - 1:
            continue
        a, b, c, d = pairs[i]
        text = f"{' '.join(sample.words[a:b])} -> {' '.join(sample.words[c:d])}"
        wrong = label != gold
        mark = "wrong" if wrong else "chosen"
        pieces.append(Piece(text, mark, label, gold if wrong else "", line=True))
    return Frame(title, f"pair {done}/{len(pairs)}", pieces)
