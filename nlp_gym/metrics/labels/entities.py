"""Entity F1 over BIO tags: running counts for rewards, seqeval's strict IOB2 report for results.

An entity is a maximal run ``B-X I-X*``; an ``I-X`` that continues nothing is no entity, as in
seqeval's strict mode (Ramshaw and Marcus 1995; Tjong Kim Sang and De Meulder 2003; seqeval).
"""

from __future__ import annotations

import importlib.metadata
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score, check_same_lengths, f1, on_grid
from nlp_gym.metrics.labels.tables import WIDEST, Table, label_table, table_text
from nlp_gym.types import BoolArray, Float64Array, IntArray

Tags = Sequence[str]

_BEGINS, _CONTINUES, _OUTSIDE = _ROLES = range(3)
"""What a tag does to an entity."""
_COLUMNS = ("precision", "recall", "f1-score", "support")


class EntityF1:
    """Micro-averaged F1 of whole entities (type and both boundaries right).

    Counts of a prefix, K = 4: matched entities that are closed; whether the open one matches;
    predicted entities begun; gold entities begun. Without gold and predicted entities it is 1.

    Args:
        labels: The A labels that can be predicted.
        gold_labels: The labels that gold indices refer to: `labels`, then those that occur in gold
            alone.
    """

    name = "entity_f1"
    n_counts = 4

    def __init__(self, labels: Sequence[str], gold_labels: Sequence[str]) -> None:
        del labels  # `gold_labels` begins with them
        roles = {"B-": _BEGINS, "I-": _CONTINUES}
        role = np.array([roles.get(name[:2], _OUTSIDE) for name in gold_labels], np.int64)
        # What each label adds to the row of `_changes`: where it is played, where it is gold.
        self._played, self._gold = 6 * role, 2 * role
        self._change = _changes()

    def update(
        self,
        counts: npt.NDArray[np.int32],
        played: npt.NDArray[np.int64],
        gold: IntArray,
    ) -> None:
        """Add one tag to the (B, K) counts, in place.

        Args:
            counts: (B, K) running counts.
            played: (B,) label indices, legal after what went before.
            gold: (B,) gold label indices.
        """
        row = counts[:, 1] * 18 + self._played.take(played) + self._gold.take(gold)
        counts += self._change.take(row + (played == gold), axis=0)

    def potential(
        self, counts: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """(B,) F1 of the words tagged so far; an entity open at the end counts as it stands."""
        closed, opened, predicted, gold = counts.T
        return on_grid(f1(closed + opened, predicted, gold, empty=1.0))

    def score(
        self,
        gold: Sequence[Tags],
        predicted: Sequence[Tags],
        *,
        bootstrap: int = 1000,
        report: bool = True,
    ) -> Score:
        """Corpus score.

        Args:
            gold: N gold tag sequences.
            predicted: N predicted tag sequences of the same lengths.
            bootstrap: Number of resamples of texts for the interval; 0: no interval.
            report: Also build seqeval's report and the table by token tag.
        """
        version = importlib.metadata.version("seqeval")
        found = _Entities.find(gold, predicted)
        tables, text = _report(found, gold, predicted) if report else ({}, "")
        return Score.from_counts(
            self.name,
            found.by_sequence(),
            _corpus_f1,
            signature=f"metric:entity_f1|average:micro|mode:strict|scheme:IOB2|seqeval:{version}",
            bootstrap=bootstrap,
            report=tables,
            text=text,
        )


def _changes() -> npt.NDArray[np.int32]:
    """(2 * 3 * 3 * 2, K) change of the counts, which depends on four things alone.

    They are whether the open entity matches so far, what the tag and the gold tag mean, and whether
    the two are equal.
    """
    change = []
    for opened, tag, gold, same in itertools.product((0, 1), _ROLES, _ROLES, (False, True)):
        closes = opened and tag != _CONTINUES and gold != _CONTINUES
        matches = same and (tag == _BEGINS or (tag == _CONTINUES and opened))
        change.append([closes, int(matches) - opened, tag == _BEGINS, gold == _BEGINS])
    return np.array(change, np.int32)


@dataclass(frozen=True)
class _Entities:
    """Entities of gold and predicted tags, strict IOB2, at the places where they begin.

    Attributes:
        starts: (N,) place of each sequence's first tag.
        first: Whether an entity begins at a place: in gold, predicted.
        kind: Number of the type of the tag at a place: of gold, predicted.
        match: Whether one that begins there is the same in both.
        types: Name of each type.
    """

    starts: npt.NDArray[np.int64]
    first: tuple[BoolArray, BoolArray]
    kind: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    match: BoolArray
    types: list[str]

    @classmethod
    def find(cls, gold: Sequence[Tags], predicted: Sequence[Tags]) -> _Entities:
        """Find them in N sequences each."""
        check_same_lengths(gold, predicted)
        lengths = np.array([len(tags) for tags in gold], np.int64)
        index: dict[str, int] = {"O": 0}
        flat = [_flatten(seqs, index) for seqs in (gold, predicted)]
        begins = np.array([name.startswith("B-") for name in index])
        inside = np.array([name.startswith("I-") for name in index])
        types: dict[str, int] = {}
        of_tag = np.array([types.setdefault(name[2:], len(types)) for name in index])
        first = (begins[flat[0]], begins[flat[1]])
        last = [_entity_ends(tags, inside, of_tag) for tags in flat]
        match = first[0] & first[1] & (flat[0] == flat[1]) & (last[0] == last[1])
        kind = (of_tag[flat[0]], of_tag[flat[1]])
        return cls(np.cumsum(lengths + 1) - (lengths + 1), first, kind, match, list(types))

    def by_sequence(self) -> npt.NDArray[np.int64]:
        """(N, 3) matched, predicted and gold entities of each sequence."""
        if not len(self.starts):
            return np.zeros((0, 3), np.int64)
        columns = np.stack([self.match, self.first[1], self.first[0]], -1).astype(np.int64)
        return np.asarray(np.add.reduceat(columns, self.starts, axis=0))

    def by_type(self) -> dict[str, list[int]]:
        """Matched, predicted and gold entities of each type that occurs, sorted by name."""
        (in_gold, guessed), (gold, predicted) = self.kind, self.first
        sides = (in_gold[self.match], guessed[predicted], in_gold[gold])
        counts = np.stack([np.bincount(side, minlength=len(self.types)) for side in sides], axis=1)
        rows = zip(self.types, counts.tolist(), strict=True)
        return dict(sorted((name, row) for name, row in rows if any(row)))


def span_counts(gold: Sequence[Tags], predicted: Sequence[Tags]) -> npt.NDArray[np.int64]:
    """(N, 3) matched, predicted and gold entities of each sequence, strict IOB2."""
    return _Entities.find(gold, predicted).by_sequence()


def _flatten(sequences: Sequence[Tags], index: dict[str, int]) -> npt.NDArray[np.int64]:
    """Ids of all tags one after the other, with an O after each sequence, which ends entities."""
    flat = [index.setdefault(tag, len(index)) for tags in sequences for tag in (*tags, "O")]
    return np.array(flat, np.int64)


def _entity_ends(
    tags: npt.NDArray[np.int64], inside: npt.NDArray[np.bool_], kind: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For every position, the first one after it at which an entity open there has ended."""
    continues = np.zeros(len(tags) + 1, bool)
    continues[1:-1] = inside[tags[1:]] & (kind[tags[1:]] == kind[tags[:-1]])
    ends = np.where(continues, len(tags), np.arange(len(tags) + 1))
    return np.asarray(np.minimum.accumulate(ends[::-1])[::-1][1:], np.int64)


def _corpus_f1(sums: Float64Array) -> Float64Array:
    """(R,) F1 from (R, 3) matched, predicted and gold entities; 0 where there are neither."""
    return f1(*sums.T)


def _report(
    found: _Entities, gold: Sequence[Tags], predicted: Sequence[Tags]
) -> tuple[dict[str, Any], str]:
    """Seqeval's classification report with the table by token tag, as a mapping and as text.

    Seqeval makes the same table, but looks through all entities for each type.
    """
    rows, text = _type_table(found.by_type()), "(no entities in gold or prediction)\n"
    if rows:
        text = _type_text(rows)
    tokens = label_table(gold, predicted)
    title = f"entities ({len(gold)} texts; seqeval, strict, IOB2)"
    by_tag = table_text(tokens, title="words, by label")
    return {"entities": rows, "tags": tokens}, f"{title}\n{text}\n{by_tag}"


def _type_table(counts: dict[str, list[int]]) -> Table:
    """Precision, recall, F1 and support of each type, then their averages; empty without types."""
    if not counts:
        return {}
    numbers = np.array(list(counts.values()), np.int64)
    support = numbers[:, 2]
    scores = _scores(numbers)
    weights = support if support.any() else None
    weighted = np.average(scores, axis=0, weights=weights) * (weights is not None)
    total = int(support.sum())
    rows = [
        *zip(counts, scores, support.tolist(), strict=True),
        ("micro avg", _scores(numbers.sum(axis=0, keepdims=True))[0], total),
        ("macro avg", np.average(scores, axis=0), total),
        ("weighted avg", weighted, total),
    ]
    return {name: dict(zip(_COLUMNS, (*row.tolist(), n), strict=True)) for name, row, n in rows}


def _scores(counts: npt.NDArray[np.int64]) -> Float64Array:
    """(T, 3) precision, recall and F1 from (T, 3) counts, 0 where one is not defined."""
    right, predicted, gold = counts.T
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(gold, 1)
    both = precision + recall
    harmonic = 2 * precision * recall / np.where(both == 0, 1.0, both)
    return np.stack([precision, recall, harmonic], axis=1)


def _type_text(table: Table) -> str:
    """The table as seqeval prints it, with the averages below the types."""
    width = min(max(map(len, table)), WIDEST)
    lines = [" " * width + " " + "".join(f" {name:>9}" for name in _COLUMNS), ""]
    for name, row in table.items():
        if name == "micro avg":
            lines.append("")
        cells = "".join(f" {row[column]:>9.4f}" for column in _COLUMNS[:3])
        lines.append(f"{name:>{width}} {cells} {row['support']:>9}")
    return "\n".join([*lines, ""])
